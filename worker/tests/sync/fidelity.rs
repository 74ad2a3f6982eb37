//! Histories in which the text of the binlog alone does not say what the source has done.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::scene::{Scene, rows, same};

async fn sessions_count(flavor: Flavor) -> Result<()> {
    let scene = Scene::start(flavor, flavor, true).await?;
    // The target's schema has another default.
    scene.target.run(&["CREATE DATABASE shop CHARACTER SET utf8mb4"]).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let mut conn = scene.source.conn().await?;
    for sql in [
        "CREATE DATABASE IF NOT EXISTS shop CHARACTER SET latin1",
        "CREATE TABLE shop.text (id INT PRIMARY KEY, v VARCHAR(40), k VARCHAR(10) NOT NULL, UNIQUE KEY (k))",
        "INSERT INTO shop.text VALUES (1, 'caf\u{e9} \u{20ac}', 'a'), (2, '\u{fc}', 'b')",
        "UPDATE shop.text SET v = 'se\u{f1}or' WHERE id = 2",
        // Read while the target may still be behind: the rows come before the change, in the older character set.
        "CREATE TABLE shop.later (id INT PRIMARY KEY, v VARCHAR(40))",
        "INSERT INTO shop.later VALUES (1, 'na\u{ef}ve')",
        "SET sql_mode = 'PIPES_AS_CONCAT'",
        "CREATE TABLE shop.modes (id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9), g VARCHAR(20) GENERATED ALWAYS AS (a || b) STORED)",
        "INSERT INTO shop.modes (id, a, b) VALUES (1, 'x', 'y')",
        // Without strict mode what does not fit is cut, at the target too.
        "CREATE TABLE shop.loose (id INT PRIMARY KEY, n INT)",
        "INSERT INTO shop.loose VALUES (0, 5), (1, 70000)",
        "ALTER TABLE shop.loose MODIFY n TINYINT",
        "ALTER TABLE shop.loose ADD COLUMN made DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        "SET time_zone = '+03:00'",
        "ALTER TABLE shop.loose ADD COLUMN local DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        "SET time_zone = 'SYSTEM'",
    ] {
        conn.query_drop(sql).await?;
    }
    // A client of another character set.
    conn.query_drop("SET NAMES latin1").await?;
    conn.query_drop(&b"CREATE TABLE shop.labels (id INT PRIMARY KEY, e ENUM('caf\xE9', 'b'))"[..]).await?;
    conn.query_drop("INSERT INTO shop.labels VALUES (1, 1)").await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    // A temporary table keeps the server from cutting out what is rolled back.
    for sql in [
        "CREATE TABLE shop.saved (v INT)",
        "BEGIN",
        "INSERT INTO shop.saved VALUES (1)",
        "CREATE TEMPORARY TABLE shop.tmp (a INT)",
        "SAVEPOINT s",
        "INSERT INTO shop.saved VALUES (2)",
        "ROLLBACK TO SAVEPOINT s",
        "INSERT INTO shop.saved VALUES (3)",
        "COMMIT",
    ] {
        conn.query_drop(sql).await?;
    }
    conn.disconnect().await?;
    scene.caught_up().await?;
    for sql in [
        "SELECT id, HEX(CONVERT(v USING utf8mb4)), k FROM shop.text",
        "SELECT id, HEX(CONVERT(v USING utf8mb4)) FROM shop.later",
        "SELECT * FROM shop.modes",
        "SELECT * FROM shop.loose",
        "SELECT id, HEX(CONVERT(e USING utf8mb4)) FROM shop.labels",
        "SELECT * FROM shop.saved",
    ] {
        same(&scene, sql, sql).await?;
    }
    assert_eq!(rows(&scene.target, "SELECT * FROM shop.saved").await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn character_sets_modes_zones_and_savepoints_on_mariadb() -> Result<()> {
    sessions_count(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn character_sets_modes_zones_and_savepoints_on_mysql() -> Result<()> {
    sessions_count(Flavor::MySql).await
}

async fn cascades(flavor: Flavor) -> Result<()> {
    let scene = Scene::start(flavor, flavor, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.p (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE \
             ON UPDATE CASCADE)",
            "CREATE TABLE shop.n (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES shop.c (id) ON DELETE SET NULL)",
            "INSERT INTO shop.p VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
            "INSERT INTO shop.c VALUES (10, 1), (11, 1), (20, 2), (30, 3), (40, 4)",
            "INSERT INTO shop.n VALUES (100, 10), (200, 20), (300, 30)",
            "DELETE FROM shop.p WHERE id = 1",
            "UPDATE shop.p SET id = 22 WHERE id = 2",
            "INSERT INTO shop.p VALUES (1, 5)",
            "INSERT INTO shop.c VALUES (10, 1)",
            // Unchecked at the source: nothing follows.
            "SET foreign_key_checks = 0; DELETE FROM shop.p WHERE id = 4; SET foreign_key_checks = 1",
            "DELETE FROM shop.c WHERE id = 30",
        ])
        .await?;
    scene.caught_up().await?;
    for sql in ["SELECT * FROM shop.p", "SELECT * FROM shop.c", "SELECT * FROM shop.n"] {
        same(&scene, sql, sql).await?;
    }
    assert_eq!(rows(&scene.target, "SELECT * FROM shop.c").await?.len(), 3);
    let seen = leader.until("synced", Duration::from_secs(30), |s| s.sync.is_some()).await?;
    assert_eq!(seen.sync.unwrap().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_cascade_as_at_the_source_on_mariadb() -> Result<()> {
    cascades(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_cascade_as_at_the_source_on_mysql() -> Result<()> {
    cascades(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_applied_exactly_once_is_refused() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.o1 (id INT PRIMARY KEY)",
            "CREATE TABLE shop.o2 (id INT PRIMARY KEY)",
        ])
        .await?;
    scene.target.run(&["CREATE DATABASE archive", "CREATE TABLE archive.every (id INT PRIMARY KEY)"]).await?;
    scene.with_rules(
        "    route-rules: [move]\n",
        "routes:\n  move:\n    schema-pattern: shop\n    table-pattern: o*\n    target-schema: archive\n    target-table: every\n",
    );
    scene.mark_start().await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    // What comes before is applied all the same.
    scene
        .source
        .run(&["INSERT INTO shop.o1 VALUES (1)", "INSERT INTO shop.o2 VALUES (2)", "TRUNCATE TABLE shop.o1"])
        .await?;
    let seen =
        leader.until("the TRUNCATE is refused", Duration::from_secs(60), |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("o2"), "{:?}", seen.errors);
    assert_eq!(rows(&scene.target, "SELECT * FROM archive.every").await?.len(), 2);

    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.old (v INT) ENGINE=MyISAM",
            "INSERT INTO shop.old VALUES (1)",
        ])
        .await?;
    let seen =
        leader.until("the engine is refused", Duration::from_secs(60), |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("MyISAM"), "{:?}", seen.errors);
    assert!(rows(&scene.target, "SELECT * FROM shop.old").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_converts_to_the_tables_that_are_there() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.text (id INT PRIMARY KEY, v VARCHAR(40) CHARACTER SET latin1)",
            "INSERT INTO shop.text VALUES (1, 'caf\u{e9} \u{20ac}')",
            "CREATE TABLE shop.old (v INT) ENGINE=MyISAM",
        ])
        .await?;
    scene
        .target
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.text (v VARCHAR(40) CHARACTER SET utf8mb4, id INT PRIMARY KEY)",
        ])
        .await?;
    scene.load_first();
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen =
        leader.until("the engine is refused", Duration::from_secs(60), |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("MyISAM"), "{:?}", seen.errors);
    // Not by a snapshot, but from now on.
    scene.source.run(&["ALTER TABLE shop.old ENGINE=InnoDB"]).await?;
    leader.change(|s| s.resume_serial += 1).await?;
    // A marker row that is written sooner may be loaded before the other table is.
    leader.until("the load is done", Duration::from_secs(60), |s| s.unit == "Sync").await?;
    scene.caught_up().await?;
    let sql = "SELECT id, HEX(CONVERT(v USING utf8mb4)) FROM shop.text";
    same(&scene, sql, sql).await?;
    scene.source.run(&["UPDATE shop.text SET v = '\u{fc}ber'"]).await?;
    scene.caught_up().await?;
    same(&scene, sql, sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_older_than_a_swap_of_columns_are_not_guessed() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let create = "CREATE TABLE shop.t (id INT PRIMARY KEY, a INT, b INT)";
    scene.target.run(&["CREATE DATABASE shop", create]).await?;
    scene.source.run(&["CREATE DATABASE shop", create]).await?;
    scene.mark_start().await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.t VALUES (1, 10, 20)",
            "ALTER TABLE shop.t CHANGE a x INT",
            "ALTER TABLE shop.t CHANGE b a INT",
            "ALTER TABLE shop.t CHANGE x b INT",
        ])
        .await?;
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until("it is refused", Duration::from_secs(60), |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("fit both"), "{:?}", seen.errors);
    assert!(rows(&scene.target, "SELECT * FROM shop.t").await?.is_empty());
    Ok(())
}
