//! Forms of events that a server uses only when it is asked to.
use anyhow::{Context, Result};
use dm_proto::worker::{CheckRequest, MetaStage, Stage};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::{
    leader::check,
    scene::{Scene, rows, same},
};

async fn scene_with(source: Flavor, target: Flavor, gtid: bool, settings: &[&str]) -> Result<Scene> {
    let scene = Scene::start(source, target, gtid).await?;
    scene.source.run(settings).await?;
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: scene.task_config(),
    };
    let answer = check(&scene.address, request).await?;
    let failed: Vec<_> = answer.items.iter().filter(|i| i.state == "failure").collect();
    assert!(failed.is_empty(), "the pre-check lets it pass: {failed:?}");
    Ok(scene)
}

/// Runs all in one session.
async fn session(scene: &Scene, statements: &[String]) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    for sql in statements {
        conn.query_drop(sql.as_str()).await.with_context(|| sql.clone())?;
    }
    conn.disconnect().await?;
    Ok(())
}

fn texts(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|s| (*s).to_owned()).collect()
}

/// Event types in the source's present file, as the server names them.
async fn event_types(scene: &Scene) -> Result<Vec<String>> {
    let mut conn = scene.source.conn().await?;
    let files: Vec<mysql_async::Row> = conn.query("SHOW BINARY LOGS").await?;
    let file: String = files.last().context("no binlog")?.get(0).context("no name")?;
    let events: Vec<mysql_async::Row> = conn.query(format!("SHOW BINLOG EVENTS IN '{file}'")).await?;
    conn.disconnect().await?;
    events.iter().map(|e| e.get::<String, _>(2).context("no type")).collect()
}

/// Everything that a compressed transaction may hold, and a change of the setting on the way.
async fn compressed(source: Flavor, target: Flavor, gtid: bool, on: &[&str], marks: &[&str]) -> Result<()> {
    let scene = scene_with(source, target, gtid, on).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let mut history = texts(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.a (id INT PRIMARY KEY, v VARCHAR(2100), b LONGBLOB)",
        "CREATE TABLE shop.n (v INT)",
        "INSERT INTO shop.a VALUES (1, REPEAT('x', 2000), NULL), (2, REPEAT('y', 2000), REPEAT('z', 3000000))",
        "BEGIN",
    ]);
    history.extend(
        (0..400).map(|i| format!("INSERT INTO shop.a VALUES ({}, REPEAT('{i} ', 50), NULL)", 100 + i)),
    );
    history.extend(texts(&[
        "INSERT INTO shop.n VALUES (1), (1), (2)",
        "UPDATE shop.a SET v = CONCAT(v, '!') WHERE id < 200",
        "DELETE FROM shop.a WHERE id > 450",
        "COMMIT",
        "BEGIN",
        "INSERT INTO shop.n VALUES (7), (7), (7), (7)",
        "ROLLBACK",
        "CREATE TABLE shop.saved (v VARCHAR(300))",
        "BEGIN",
        "INSERT INTO shop.saved VALUES (REPEAT('1', 300))",
        "CREATE TEMPORARY TABLE shop.tmp (a INT)",
        "SAVEPOINT s",
        "INSERT INTO shop.saved VALUES (REPEAT('2', 300))",
        "ROLLBACK TO SAVEPOINT s",
        "INSERT INTO shop.saved VALUES (REPEAT('3', 300))",
        "COMMIT",
        "CREATE TABLE shop.copied SELECT id, v FROM shop.a WHERE id < 300",
        "ALTER TABLE shop.a ADD COLUMN c INT NOT NULL DEFAULT 5",
        "UPDATE shop.a SET c = id",
    ]));
    if source == Flavor::MySql {
        history.extend(texts(&[
            "SET binlog_transaction_compression = OFF",
            "UPDATE shop.n SET v = v + 10 WHERE v = 2",
            "SET binlog_transaction_compression = ON",
            "SET SESSION binlog_transaction_compression_level_zstd = 19",
            "UPDATE shop.a SET b = REPEAT('w', 2000000) WHERE id < 5",
            "SET GLOBAL binlog_checksum = NONE",
            "UPDATE shop.a SET v = CONCAT(v, '?')",
        ]));
    }
    session(&scene, &history).await?;
    scene.caught_up().await?;
    let types = event_types(&scene).await?;
    for mark in marks {
        assert!(types.iter().any(|t| t == mark), "no {mark} was written: {types:?}");
    }
    for sql in [
        "SELECT id, v, CRC32(b), c FROM shop.a",
        "SELECT * FROM shop.n",
        "SELECT * FROM shop.saved",
        "SELECT * FROM shop.copied",
    ] {
        same(&scene, sql, sql).await?;
    }
    assert_eq!(rows(&scene.target, "SELECT * FROM shop.saved").await?.len(), 2);
    Ok(())
}

const ZSTD: [&str; 1] = ["SET GLOBAL binlog_transaction_compression = ON"];

#[tokio::test(flavor = "multi_thread")]
async fn compressed_transactions_of_mysql_by_gtid() -> Result<()> {
    compressed(Flavor::MySql, Flavor::MySql, true, &ZSTD, &["Transaction_payload"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_transactions_of_mysql_by_position_into_mariadb() -> Result<()> {
    compressed(Flavor::MySql, Flavor::MariaDb, false, &ZSTD, &["Transaction_payload"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_events_of_mariadb() -> Result<()> {
    let on = ["SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress_min_len = 10"];
    let marks = ["Query_compressed", "Write_rows_compressed_v1", "Update_rows_compressed_v1"];
    compressed(Flavor::MariaDb, Flavor::MariaDb, true, &on, &marks).await
}

/// A worker that is killed between compressed transactions goes on behind the last one, not inside it.
#[tokio::test(flavor = "multi_thread")]
async fn compressed_transactions_are_applied_once_through_kills() -> Result<()> {
    let mut scene = scene_with(Flavor::MySql, Flavor::MySql, false, &ZSTD).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    session(&scene, &texts(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT, t VARCHAR(200))"])).await?;
    scene.caught_up().await?;
    drop(leader);
    for round in 0..3u64 {
        let inserts: Vec<String> = (0..200)
            .map(|i| format!("INSERT INTO shop.n VALUES ({i}, REPEAT('t', 200)), ({i}, REPEAT('t', 200))"))
            .collect();
        session(&scene, &inserts).await?;
        scene.worker().kill9()?;
        scene.start_worker()?;
        scene.sync(2 + round, 2 + round, MetaStage::MetaCreated).await?;
    }
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    assert_eq!(rows(&scene.target, "SELECT * FROM shop.n").await?.len(), 1200);
    Ok(())
}

/// A binlog holds parts of JSON values only; the values at the target are whole and the same.
async fn partial_json(target: Flavor, compress: bool) -> Result<()> {
    let mut settings = vec!["SET GLOBAL binlog_row_value_options = PARTIAL_JSON"];
    if compress {
        settings.extend(ZSTD);
    }
    let scene = scene_with(Flavor::MySql, target, true, &settings).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let large = format!("JSON_OBJECT('filler', REPEAT('f', 70000), 'l', {})", "JSON_ARRAY(1, 2, 3)");
    let history = texts(&[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.j (id INT PRIMARY KEY, a JSON, n INT, b JSON, c JSON)",
        r#"INSERT INTO shop.j VALUES
            (1, '{"name": "a long enough name to keep the diff small", "list": [1, 2, 3], "o": {"x": {"y": 1}}}', 1,
                '["a somewhat longer first element", {"k": "v"}, 3]', NULL),
            (2, '{"name": "another long enough name, as above, really", "list": [], "a b": 1, "q\\"uote": 2}', 2,
                '["b somewhat longer first element", [1, [2, [3]]]]', '{"t": "x"}'),
            (3, NULL, 3, '[]', '{"only": "this one is a longer text than the difference"}')"#,
        "UPDATE shop.j SET a = JSON_SET(a, '$.list[1]', 20) WHERE id = 1",
        "UPDATE shop.j SET a = JSON_REPLACE(a, '$.o.x.y', 'deep') WHERE id = 1",
        "UPDATE shop.j SET a = JSON_REMOVE(a, '$.list[0]'), n = n + 1 WHERE id = 1",
        "UPDATE shop.j SET a = JSON_SET(a, '$.new', JSON_OBJECT('in', JSON_ARRAY(1, 2)), '$.list[last]', 9) WHERE id < 3",
        // Each change sees the ones before, in the same event and in the next.
        "UPDATE shop.j SET a = JSON_SET(JSON_SET(a, '$.new.in[5]', 3), '$.new.in[0]', 0), b = JSON_SET(b, '$[9]', 'end') WHERE id < 3",
        // Only the second JSON column, and only the third.
        "UPDATE shop.j SET b = JSON_SET(b, '$[0]', NULL)",
        "UPDATE shop.j SET c = JSON_SET(c, '$.only', CAST('2024-02-29 12:00:00.5' AS DATETIME(6)), '$.d', 12.25)",
        "UPDATE shop.j SET a = JSON_SET(a, '$.\"a b\"', 'blank', '$.\"q\\\\\"uote\"', 'quote', '$.\"uml\u{e4}ut\"', TRUE) WHERE id = 2",
        "UPDATE shop.j SET a = JSON_SET(a, '$.big', 18446744073709551615, '$.f', 1.5e300, '$.neg', -1) WHERE id = 2",
        // Not partial at all, in the same event as a partial one.
        "UPDATE shop.j SET a = JSON_SET(a, '$.name', 'n'), c = '{\"whole\": [true]}' WHERE id < 3",
        "UPDATE shop.j SET a = NULL, b = JSON_REMOVE(b, '$[0]') WHERE id = 1",
        "UPDATE shop.j SET a = '{\"from\": \"null\"}' WHERE id = 1",
        // Keyless, and beyond 64 KiB, where offsets are wider.
        "CREATE TABLE shop.keyless (v INT, j JSON)",
        &format!("INSERT INTO shop.keyless VALUES (1, {large}), (1, {large}), (2, {large})"),
        "UPDATE shop.keyless SET j = JSON_SET(j, '$.l[1]', 'changed', '$.l[last]', 4) WHERE v = 1",
        "UPDATE shop.keyless SET j = JSON_REMOVE(j, '$.l[0]'), v = 3",
    ]);
    session(&scene, &history).await?;
    scene.caught_up().await?;
    assert_eq!(leader.until_stage(Stage::Running).await?.errors.len(), 0);
    if !compress {
        let partial = event_types(&scene).await?.iter().filter(|t| t.contains("artial")).count();
        assert!(partial >= 10, "the source wrote partial updates: {partial}");
    }
    for table in ["j", "keyless"] {
        let columns = if table == "j" { "id, n, a, b, c" } else { "v, j" };
        let sql = format!("SELECT {columns} FROM shop.{table}");
        same(&scene, &sql, &sql).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_json_into_mysql() -> Result<()> {
    partial_json(Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_json_into_mariadb() -> Result<()> {
    partial_json(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_json_in_compressed_transactions() -> Result<()> {
    partial_json(Flavor::MySql, true).await
}

/// Both halves of an ALTER carry the statement; it runs once, when the source commits it, and not when that gives it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_two_phase_alter_runs_once() -> Result<()> {
    let scene =
        scene_with(Flavor::MariaDb, Flavor::MariaDb, true, &["SET GLOBAL binlog_alter_two_phase = ON"])
            .await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    session(
        &scene,
        &texts(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
            "INSERT INTO shop.t (v) VALUES (1), (1)",
            "ALTER TABLE shop.t ADD COLUMN w INT NOT NULL DEFAULT 3",
            "INSERT INTO shop.t (v, w) VALUES (2, 4)",
        ]),
    )
    .await?;
    let mut conn = scene.source.conn().await?;
    assert!(conn.query_drop("ALTER TABLE shop.t ADD UNIQUE KEY twice (v), ALGORITHM=COPY").await.is_err());
    conn.disconnect().await?;
    session(&scene, &texts(&["ALTER TABLE shop.t DROP COLUMN v", "INSERT INTO shop.t (w) VALUES (9)"]))
        .await?;
    scene.caught_up().await?;
    assert_eq!(leader.until_stage(Stage::Running).await?.errors.len(), 0);
    let mut conn = scene.source.conn().await?;
    let shown: Vec<mysql_async::Row> = conn.query("SHOW BINLOG EVENTS").await?;
    conn.disconnect().await?;
    let info: Vec<String> = shown.iter().filter_map(|e| e.get(5)).collect();
    for half in ["START ALTER", "COMMIT ALTER", "ROLLBACK ALTER"] {
        assert!(info.iter().any(|i| i.contains(half)), "no {half} in {info:#?}");
    }
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
    let definition = "SHOW CREATE TABLE shop.t";
    same(&scene, definition, definition).await?;
    Ok(())
}
