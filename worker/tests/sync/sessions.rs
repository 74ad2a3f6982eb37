//! Sessions of both ends, and the task's own: modes and time zones change no value, and what a target refuses is named.
use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::scene::{Scene, checked, same};

const ODD: &str = "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'";
const ROWS: &str = "SELECT id, HEX(RTRIM(c)), HEX(v), UNIX_TIMESTAMP(ts), dt, da, n FROM d.t";

/// The same values in sessions of many kinds, numbered from a first one.
async fn write(scene: &Scene, first: u32) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    let written = [
        // Cut and set to zero without strict mode.
        ("", "+00:00", "'ab', 'x ', '2020-06-01 12:00:00.5', '0000-00-00', '0000-00-00', 300"),
        ("", "-11:00", "'ab\t', 'tr\\\\', '2020-06-01 12:00:00.5', '2020-00-00', '2020-01-00', -300"),
        ("STRICT_ALL_TABLES", "+13:00", "'', '', '2020-06-01 12:00:00.5', NULL, NULL, NULL"),
        (
            "ANSI_QUOTES",
            "+05:45",
            "'\"q\"', 'a''b', '2020-01-01 00:00:00', '2020-01-01 00:00:00', '2020-01-01', 1",
        ),
        ("NO_BACKSLASH_ESCAPES", "SYSTEM", "'a\\b', 'c\\', NULL, '2020-01-01 00:00:00', '2020-01-01', 1"),
        (
            "ALLOW_INVALID_DATES",
            "+00:00",
            "'a', 'b', '1970-01-01 00:00:01', '2020-02-31 00:00:00', '2020-02-31', 1",
        ),
        (
            "PAD_CHAR_TO_FULL_LENGTH",
            "+00:00",
            "'pad', 'pad', '0000-00-00', '2020-02-01 00:00:00', '2020-02-01', 1",
        ),
    ];
    for (id, (mode, zone, values)) in (first..).zip(written) {
        conn.query_drop(format!("SET sql_mode = '{mode}', time_zone = '{zone}'")).await?;
        conn.query_drop(format!("INSERT INTO d.t VALUES ({id}, {values})")).await?;
        conn.query_drop(format!("INSERT INTO d.pad VALUES ({id}, 'a{id}')")).await?;
    }
    // Changed under another mode and zone than it was written.
    conn.query_drop("SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH', time_zone = '-03:30'").await?;
    conn.query_drop(format!("UPDATE d.t SET n = 7, ts = '2021-03-28 02:30:00' WHERE id = {first}")).await?;
    conn.query_drop(format!("UPDATE d.pad SET c = CONCAT('z', id) WHERE id = {}", first + 1)).await?;
    conn.query_drop(format!("DELETE FROM d.pad WHERE id = {}", first + 2)).await?;
    conn.disconnect().await?;
    Ok(())
}

async fn sessions(source: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(source, target, true).await?;
    scene.source.run(&[ODD, "SET GLOBAL time_zone = '+07:00'"]).await?;
    scene.target.run(&[ODD, "SET GLOBAL time_zone = '-05:00'"]).await?;
    scene
        .source
        .run(&[
            "SET sql_mode = ''",
            "CREATE DATABASE d CHARACTER SET utf8mb4",
            "CREATE TABLE d.t (id INT PRIMARY KEY, c CHAR(8), v VARCHAR(40), ts TIMESTAMP(3) NULL, dt DATETIME NULL, da DATE \
             NULL, n TINYINT) CHARSET=utf8mb4",
            "CREATE TABLE d.pad (id INT PRIMARY KEY, c CHAR(8)) CHARSET=utf8mb4",
        ])
        .await?;
    // There, a blank too many would stay.
    scene
        .target
        .run(&[
            "CREATE DATABASE d CHARACTER SET utf8mb4",
            "CREATE TABLE d.pad (id INT PRIMARY KEY, c VARCHAR(8)) CHARSET=utf8mb4",
        ])
        .await?;
    write(&scene, 1).await?;
    scene.load_first();
    scene.target_lines = "  session:\n    sql_mode: \"ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH\"\n    time_zone: \
                          \"+09:00\"\n    foreign_key_checks: 0\n    sql_safe_updates: 0\n";
    scene.with_rules("", "timezone: \"+02:00\"\n");
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    write(&scene, 101).await?;
    let mut conn = scene.source.conn().await?;
    for sql in [
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        r#"CREATE TABLE "d"."q" ("id" INT PRIMARY KEY, "v" VARCHAR(9) DEFAULT 'x\y')"#,
        r#"INSERT INTO "d"."q" ("id") VALUES (1)"#,
        r#"ALTER TABLE "d"."q" ADD COLUMN "w" VARCHAR(9) NOT NULL DEFAULT 'a''\' COMMENT 'it\'"#,
        "SET sql_mode = ''",
        "ALTER TABLE d.q ADD COLUMN z DATE NOT NULL DEFAULT '0000-00-00'",
        "SET time_zone = '+11:00'",
        "ALTER TABLE d.q ADD COLUMN ts TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00'",
        "INSERT INTO d.q (id) VALUES (2)",
    ] {
        conn.query_drop(sql).await?;
    }
    conn.disconnect().await?;
    scene.caught_up().await?;
    same(&scene, ROWS, ROWS).await?;
    let pad = "SELECT id, HEX(RTRIM(c)) FROM d.pad";
    same(&scene, pad, "SELECT id, HEX(c) FROM d.pad").await?;
    let q = "SELECT id, HEX(v), HEX(w), z, UNIX_TIMESTAMP(ts) FROM d.q";
    same(&scene, q, q).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_change_no_value_from_mysql_to_mariadb() -> Result<()> {
    sessions(Flavor::MySql, Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_change_no_value_from_mariadb_to_mysql() -> Result<()> {
    sessions(Flavor::MariaDb, Flavor::MySql).await
}

/// Before anything changes, one line for each variable that the target does not take.
#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_the_target_refuses_is_named() -> Result<()> {
    for target in [Flavor::MySql, Flavor::MariaDb] {
        let mut scene = Scene::start(Flavor::MariaDb, target, true).await?;
        scene.target_lines = "  session: {no_such_variable: 1, sql_mode: \"ANSI_QUOTES,NO_SUCH_MODE\", max_connections: 5, \
                              div_precision_increment: 6}\n";
        let answer = checked(&scene).await?;
        let failed: Vec<_> = answer.items.iter().filter(|i| i.name == "target_session").collect();
        assert_eq!(failed.len(), 3, "{failed:?}");
        for (item, words) in failed.iter().zip(["max_connections", "no_such_variable", "NO_SUCH_MODE"]) {
            assert_eq!(item.error.as_ref().unwrap().code, 20071, "{item:?}");
            assert!(item.message.contains(words), "{words}: {item:?}");
        }
        scene.target_lines = "  session: {div_precision_increment: 6, sql_mode: \"ANSI_QUOTES\"}\n";
        let answer = checked(&scene).await?;
        assert!(
            answer.items.iter().any(|i| i.name == "target_session" && i.state == "success"),
            "{answer:?}"
        );
        scene.target_lines = "  session: {completion_type: CHAIN}\n";
        let answer = checked(&scene).await?;
        let failed = answer.items.iter().find(|i| i.state == "failure").unwrap();
        assert_eq!((failed.name.as_str(), failed.error.as_ref().unwrap().code), ("task_config", 20071));
        assert!(failed.message.contains("`completion_type`"), "{failed:?}");
    }
    Ok(())
}
