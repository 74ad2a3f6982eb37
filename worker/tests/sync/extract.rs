//! Columns that a route fills from names: shards keep their rows apart in one table.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{BoundSource, MetaStage, Stage};
use dm_tests::{Database, DatabaseOptions, Flavor, wait_until};

use crate::scene::{Scene, checked, rows};

const DEADLINE: Duration = Duration::from_secs(90);
const ROUTES: &str = "routes:\n  merge:\n    schema-pattern: shop_*\n    table-pattern: t_*\n    target-schema: all\n    target-table: t\n    \
     extract-table: {table-regexp: 't_(\\d+)', target-column: tbl}\n    \
     extract-schema: {schema-regexp: 'shop_(.*)', target-column: db}\n    \
     extract-source: {source-regexp: '(.*)', target-column: src}\n  \
     log:\n    schema-pattern: shop_*\n    table-pattern: log\n    target-schema: all\n    target-table: log\n    \
     extract-source: {source-regexp: '(.*)', target-column: src}\n";
const TARGET: [&str; 3] = [
    "CREATE DATABASE `all`",
    "CREATE TABLE `all`.t (id INT NOT NULL, v VARCHAR(20), src VARCHAR(32) NOT NULL, db VARCHAR(8) NOT NULL, tbl SMALLINT \
     UNSIGNED NOT NULL, PRIMARY KEY (id, tbl, db, src)) CHARSET=utf8mb4",
    "CREATE TABLE `all`.log (a VARCHAR(20), src VARCHAR(32)) CHARSET=utf8mb4",
];

async fn shards(source: &Database) -> Result<()> {
    for schema in ["shop_a", "shop_b"] {
        let statements = [
            format!("CREATE DATABASE {schema}"),
            format!("CREATE TABLE {schema}.t_1 (id INT PRIMARY KEY, v VARCHAR(20)) CHARSET=utf8mb4"),
            format!("CREATE TABLE {schema}.t_12 LIKE {schema}.t_1"),
            format!("INSERT INTO {schema}.t_1 VALUES (1, 'loaded'), (2, 'loaded'), (3, NULL)"),
            format!("INSERT INTO {schema}.t_12 VALUES (1, 'loaded'), (2, 'loaded'), (3, NULL)"),
        ];
        source.run(&statements.each_ref().map(String::as_str)).await?;
    }
    source.run(&["CREATE TABLE shop_a.log (a VARCHAR(20)) CHARSET=utf8mb4"]).await?;
    source.run(&["INSERT INTO shop_a.log VALUES ('x'), ('x'), (NULL)"]).await
}

/// What the target's tables should hold of one source.
async fn wanted(source: &Database, id: &str) -> Result<(Vec<String>, Vec<String>)> {
    let mut all = Vec::new();
    for (schema, table) in [("a", 1), ("a", 12), ("b", 1), ("b", 12)] {
        let sql = format!("SELECT id, v, '{id}', '{schema}', '{table}' FROM shop_{schema}.t_{table}");
        all.extend(rows(source, &sql).await?);
    }
    Ok((all, rows(source, &format!("SELECT a, '{id}' FROM shop_a.log")).await?))
}

async fn until_same(scene: &Scene, second: &Database) -> Result<()> {
    let (mut t, mut log) = wanted(&scene.source, "s1").await?;
    let other = wanted(second, "s2").await?;
    t.extend(other.0);
    log.extend(other.1);
    t.sort();
    log.sort();
    let seen = wait_until(DEADLINE, "the rows of all shards", || async {
        let there = rows(&scene.target, "SELECT id, v, src, db, CAST(tbl AS CHAR) FROM `all`.t").await?;
        Ok(there == t && rows(&scene.target, "SELECT a, src FROM `all`.log").await? == log)
    });
    let logged = || std::fs::read_to_string(scene.log()).unwrap_or_default();
    seen.await.with_context(logged)
}

fn both(scene: &Scene, second: &Database, epoch: u64, meta: MetaStage) -> Vec<BoundSource> {
    let mut sources = scene.bound(epoch, meta);
    let mut other = sources[0].clone();
    other.source_id = "s2".to_owned();
    other.config = format!(
        "source-id: s2\nfrom:\n  host: 127.0.0.1\n  port: {}\n  user: root\n  password: {}\n",
        second.port(),
        second.root_password()
    );
    sources.push(other);
    sources
}

async fn two_sources(first: Flavor, second: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(first, target, true).await?;
    let second =
        Database::start(second, DatabaseOptions { gtid: true, ..DatabaseOptions::default() }).await?;
    shards(&scene.source).await?;
    shards(&second).await?;
    scene.target.run(&TARGET).await?;
    scene.load_first();
    scene.with_rules(
        "    route-rules: [merge, log]\n  - source-id: s2\n    route-rules: [merge, log]\n",
        ROUTES,
    );
    let leader = scene.leader(1).await?;
    leader.assign(both(&scene, &second, 1, MetaStage::MetaNone)).await?;
    until_same(&scene, &second).await?;
    for (number, source) in [&scene.source, &second].into_iter().enumerate() {
        source
            .run(&[
                "INSERT INTO shop_a.t_1 VALUES (4, 'new')",
                &format!("UPDATE shop_a.t_1 SET v = 'changed {number}' WHERE id = 1"),
                "UPDATE shop_a.t_12 SET id = 9 WHERE id = 1",
                "DELETE FROM shop_b.t_12 WHERE id = 2",
                "UPDATE shop_b.t_1 SET v = CONCAT('all ', id)",
                "DELETE FROM shop_a.log WHERE a = 'x' LIMIT 1",
                "UPDATE shop_a.log SET a = 'not null' WHERE a IS NULL",
            ])
            .await?;
    }
    until_same(&scene, &second).await?;
    // Also after a crash, from definitions that were stored.
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    leader.assign(both(&scene, &second, 2, MetaStage::MetaCreated)).await?;
    for source in [&scene.source, &second] {
        source
            .run(&[
                "ALTER TABLE shop_a.t_1 COMMENT 'same columns'",
                "INSERT INTO shop_a.t_1 VALUES (5, 'a'), (6, 'b')",
                "UPDATE shop_a.t_1 SET v = 'twice' WHERE id IN (5, 6)",
                "DELETE FROM shop_a.t_1 WHERE id < 3",
            ])
            .await?;
    }
    until_same(&scene, &second).await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_two_sources_meet_in_one_mysql_table() -> Result<()> {
    two_sources(Flavor::MySql, Flavor::MariaDb, Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_two_sources_meet_in_one_mariadb_table() -> Result<()> {
    two_sources(Flavor::MariaDb, Flavor::MySql, Flavor::MariaDb).await
}

/// The table is a person's; names that would give other values stop the task.
#[tokio::test(flavor = "multi_thread")]
async fn a_followed_table_is_made_by_hand_and_keeps_its_values() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene.with_rules("    route-rules: [merge, log]\n", ROUTES);
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop_a", "CREATE TABLE shop_a.t_1 (id INT PRIMARY KEY, v VARCHAR(20))"])
        .await?;
    let seen = leader.until_stage(Stage::Paused).await?;
    assert_eq!(seen.errors[0].code, 51039, "{seen:?}");
    assert!(seen.errors[0].message.contains("`all`.`t` does not exist at the target"), "{seen:?}");
    assert!(seen.errors[0].message.contains("tbl, db, src"), "{seen:?}");
    scene.target.run(&TARGET).await?;
    scene.resume(&leader).await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop_a.t_1 VALUES (1, 'x')",
            "CREATE TABLE shop_a.t_2 LIKE shop_a.t_1",
            "INSERT INTO shop_a.t_2 VALUES (1, 'y')",
            "ALTER TABLE shop_a.t_2 ADD COLUMN w INT DEFAULT 5 AFTER id",
            "INSERT INTO shop_a.t_2 VALUES (2, 6, 'z')",
            "UPDATE shop_a.t_2 SET v = 'yy' WHERE id = 1",
        ])
        .await?;
    scene.caught_up().await?;
    assert_eq!(
        rows(&scene.target, "SELECT id, w, v, tbl, db, src FROM `all`.t").await?,
        ["'1', '5', 'x', '1', 'a', 's1'", "'1', '5', 'yy', '2', 'a', 's1'", "'2', '6', 'z', '2', 'a', 's1'"]
    );
    scene.source.run(&["RENAME TABLE shop_a.t_2 TO shop_a.t_3"]).await?;
    let seen = leader.until_stage(Stage::Paused).await?;
    assert_eq!(seen.errors[0].code, 51040, "{seen:?}");
    assert!(seen.errors[0].message.contains("tbl = '2', db = 'a', src = 's1' before"), "{seen:?}");
    assert!(seen.errors[0].message.contains("tbl = '3'"), "{seen:?}");
    Ok(())
}

/// The load does not make the table either, and says so before it reads anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_load_stops_where_the_table_or_its_column_is_missing() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MySql, true).await?;
    shards(&scene.source).await?;
    scene.load_only();
    scene.with_rules("    route-rules: [merge, log]\n", ROUTES);
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until_stage(Stage::Paused).await?;
    assert_eq!(seen.errors[0].code, 51039, "{seen:?}");
    scene.target.run(&TARGET).await?;
    scene.target.run(&["ALTER TABLE `all`.log CHANGE src source VARCHAR(32)"]).await?;
    scene.resume(&leader).await?;
    let seen =
        leader.until("the column is missed", DEADLINE, |s| s.errors.iter().any(|e| e.code == 51038)).await?;
    assert!(seen.errors[0].raw_cause.contains("column src of `all`.`log`"), "{seen:?}");
    assert_eq!(rows(&scene.target, "SELECT id FROM `all`.t").await?.len(), 0);
    scene.target.run(&["ALTER TABLE `all`.log CHANGE source src VARCHAR(32)"]).await?;
    scene.resume(&leader).await?;
    leader.until("the load ends", DEADLINE, |s| s.stage() == Stage::Finished).await?;
    assert_eq!(rows(&scene.target, "SELECT id FROM `all`.t").await?.len(), 12);
    Ok(())
}

/// The pre-check says all of it at once, and shows the values.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_shows_values_and_refuses_columns_that_can_not_be() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    shards(&scene.source).await?;
    scene.source.run(&["CREATE TABLE shop_a.t_x (id INT PRIMARY KEY, v VARCHAR(20))"]).await?;
    scene.source.run(&["CREATE TABLE shop_b.t_70000 (id INT PRIMARY KEY, Src INT)"]).await?;
    scene.target.run(&TARGET[..2]).await?;
    scene.with_rules("    route-rules: [merge, log]\n", ROUTES);
    let answer = checked(&scene).await?;
    let of = |name: &str, state: &str| {
        let found = answer.items.iter().filter(|i| i.name == name && i.state == state);
        found.map(|i| i.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let map = of("table_map", "success");
    let line = "`shop_b`.`t_12` -> `all`.`t` (route `merge`, tbl = '12', db = 'b', src = 's1')";
    assert!(map.contains(line), "{map}");
    let warned = of("rules", "warning");
    assert!(
        warned.contains("route `merge`: nothing is found in the name of `shop_a`.`t_x` for column tbl"),
        "{warned}"
    );
    let failed = of("target_columns", "failure");
    for says in [
        "the value '' from `shop_a`.`t_x`: it is no whole number",
        "the value '70000' from `shop_b`.`t_70000`: the column holds 0 to 65535",
        "`shop_b`.`t_70000` at the source has a column of this name itself",
        "`all`.`log` does not exist at the target",
    ] {
        assert!(failed.contains(says), "{says}: {failed}");
    }
    Ok(())
}
