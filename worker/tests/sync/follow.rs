//! The target follows the source.
use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage, SyncProgress};
use dm_tests::Flavor;

use crate::{
    data,
    scene::{Scene, same},
};

async fn all_types(source: Flavor, target: Flavor, gtid: bool) -> Result<()> {
    let scene = Scene::start(source, target, gtid).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["CREATE DATABASE shop", data::TYPES]).await?;
    scene.source.run(data::TYPE_ROWS).await?;
    keyless(&scene).await?;
    definitions(&scene).await?;
    scene.caught_up().await?;
    same(&scene, data::TYPE_SELECT, data::TYPE_SELECT).await?;
    same(&scene, "SELECT v, HEX(v), n FROM shop.nokey", "SELECT v, HEX(v), n FROM shop.nokey").await?;
    same(&scene, "SELECT * FROM shop.d2", "SELECT * FROM shop.d2").await?;
    same(&scene, "SELECT * FROM shop.emptied", "SELECT * FROM shop.emptied").await?;
    same(&scene, "SELECT * FROM shop.copied", "SELECT * FROM shop.copied").await?;
    let done = |p: &SyncProgress| p.synced && p.total_rows > 20;
    let synced =
        leader.until("synced", crate::scene::CAUGHT_UP, |s| s.sync.as_ref().is_some_and(done)).await?;
    let progress = synced.sync.unwrap();
    assert_eq!(progress.rows_missed, 0);
    assert!(progress.applied_binlog.starts_with('('), "{progress:?}");
    Ok(())
}

/// Repeated rows, and values that are equal under the collation but differ.
async fn keyless(scene: &Scene) -> Result<()> {
    scene
        .source
        .run(&[
            "CREATE TABLE shop.nokey (v VARCHAR(20) CHARACTER SET utf8mb4, n FLOAT)",
            "INSERT INTO shop.nokey VALUES ('a', 1.1), ('A', 1.1), ('é', 1.1), ('a', 1.1), ('e', NULL), (NULL, 0.1), (NULL, NULL), ('a', 1.1)",
            "DELETE FROM shop.nokey WHERE v = BINARY 'A'",
            "UPDATE shop.nokey SET n = 2.2 WHERE v = BINARY 'a' LIMIT 1",
            "DELETE FROM shop.nokey WHERE v = BINARY 'a' AND n > 2 LIMIT 1",
            "UPDATE shop.nokey SET v = 'x' WHERE v IS NULL",
        ])
        .await
}

async fn definitions(scene: &Scene) -> Result<()> {
    scene
        .source
        .run(&[
            "CREATE TABLE shop.d1 (id INT PRIMARY KEY, a INT, UNIQUE KEY ua (a))",
            "INSERT INTO shop.d1 VALUES (1, 10), (2, 20)",
            "ALTER TABLE shop.d1 ADD COLUMN b VARCHAR(10) DEFAULT 'new' AFTER id, DROP KEY ua",
            "INSERT INTO shop.d1 (id, b, a) VALUES (3, 'x', 10)",
            "RENAME TABLE shop.d1 TO shop.d2",
            "UPDATE shop.d2 SET b = 'renamed' WHERE id = 1",
            "CREATE INDEX ib ON shop.d2 (b)",
            "CREATE TABLE shop.emptied LIKE shop.d2",
            "INSERT INTO shop.emptied VALUES (1, 'a', 1)",
            "TRUNCATE TABLE shop.emptied",
            "INSERT INTO shop.emptied VALUES (2, 'b', 2)",
            "CREATE TABLE shop.copied (PRIMARY KEY (id)) AS SELECT id, b FROM shop.d2",
            "CREATE TEMPORARY TABLE shop.passing (id INT)",
            "FLUSH LOGS",
            "BEGIN",
            "SAVEPOINT s1",
            "INSERT INTO shop.copied VALUES (77, 'gone')",
            "ROLLBACK TO s1",
            "INSERT INTO shop.copied VALUES (78, 'kept')",
            "COMMIT",
            "CREATE TABLE shop.gone (id INT PRIMARY KEY)",
            "DROP TABLE shop.gone",
            "CREATE DATABASE passing",
            "DROP DATABASE passing",
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mariadb_with_gtids() -> Result<()> {
    all_types(Flavor::MariaDb, Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_to_mysql_with_gtids() -> Result<()> {
    all_types(Flavor::MySql, Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_to_mariadb_by_position() -> Result<()> {
    all_types(Flavor::MySql, Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mysql_by_position() -> Result<()> {
    all_types(Flavor::MariaDb, Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_routes() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.with_rules(
        "    block-allow-list: only\n    route-rules: [move]\n",
        "block-allow-list:\n  only:\n    do-dbs: [shop, marker]\n    ignore-tables:\n      - {db-name: shop, tbl-name: secret*}\n\
         routes:\n  move:\n    schema-pattern: shop\n    table-pattern: o*\n    target-schema: archive\n    target-table: all_orders\n",
    );
    scene.target.run(&["CREATE DATABASE archive"]).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE DATABASE other",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE shop.secret_a (id INT PRIMARY KEY)",
            "CREATE TABLE shop.plain (id INT PRIMARY KEY)",
            "CREATE TABLE other.t (id INT PRIMARY KEY)",
            "BEGIN; INSERT INTO shop.orders VALUES (1, 1), (2, 2); INSERT INTO shop.secret_a VALUES (1); INSERT INTO \
             shop.plain VALUES (7); INSERT INTO other.t VALUES (1); COMMIT",
            "ALTER TABLE shop.orders ADD COLUMN w INT",
            "UPDATE shop.orders SET w = v",
        ])
        .await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.orders", "SELECT * FROM archive.all_orders").await?;
    same(&scene, "SELECT * FROM shop.plain", "SELECT * FROM shop.plain").await?;
    let hidden = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME LIKE 'secret%' OR TABLE_SCHEMA = 'other' \
                  OR (TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'orders')";
    assert!(crate::scene::rows(&scene.target, hidden).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_and_resume_keep_every_row() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)", "INSERT INTO shop.n VALUES (1), (1)"])
        .await?;
    scene.caught_up().await?;
    leader.change(|s| s.set_desired(Stage::Paused)).await?;
    let paused = leader.until_stage(Stage::Paused).await?;
    assert!(paused.released && paused.errors.is_empty(), "{paused:?}");
    scene
        .source
        .run(&["INSERT INTO shop.n VALUES (2), (2)", "DELETE FROM shop.n WHERE v = 1 LIMIT 1"])
        .await?;
    leader
        .change(|s| {
            s.set_desired(Stage::Running);
            s.resume_serial += 1;
        })
        .await?;
    leader.until_stage(Stage::Running).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await
}
