//! `binlog_row_metadata=FULL`: what the events say of their tables counts.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::{DatabaseOptions, Flavor};

use crate::scene::{Scene, rows};

const DEADLINE: Duration = Duration::from_secs(60);

const ROWS: &str = "INSERT INTO shop.t VALUES \
    (1, 250, -3, 'größe', 'b', 'x,z', 1.25, '2024-02-29 10:00:00.125', x'00ff', 'text'), \
    (2, 0, 3, NULL, 'a', '', NULL, NULL, NULL, NULL)";

/// A table that is gone at the source, and at the target has its columns in other places, wider, and its members in
/// another order.
async fn scene(flavor: Flavor, metadata: &str) -> Result<Scene> {
    let options = DatabaseOptions::default().line(format!("binlog-row-metadata={metadata}"));
    let mut scene = Scene::start_with(flavor, options, Flavor::MariaDb).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT UNSIGNED PRIMARY KEY, u TINYINT UNSIGNED NOT NULL, i TINYINT, w VARCHAR(20) CHARACTER SET latin1, \
             e ENUM('a','b','c'), s SET('x','y','z'), d DECIMAL(5,2), at DATETIME(3), b VARBINARY(9), t TEXT CHARACTER SET utf8mb4)",
        ])
        .await?;
    scene
        .target
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (t TEXT CHARACTER SET utf8mb4, more INT DEFAULT 5, i SMALLINT, u INT UNSIGNED, id BIGINT PRIMARY KEY, \
             w VARCHAR(30) CHARACTER SET utf8mb4, s SET('z','y','x','v'), e ENUM('c','b','a'), d DECIMAL(9,3), at DATETIME(3), \
             b VARBINARY(20)) ENGINE=InnoDB",
        ])
        .await?;
    scene.mark_start().await?;
    scene
        .source
        .run(&[
            ROWS,
            "UPDATE shop.t SET e = 'c' WHERE id = 2",
            "SET sql_log_bin = 0",
            // Gone without a trace in the binlog.
            "DROP TABLE shop.t",
        ])
        .await?;
    Ok(scene)
}

async fn built_from_the_events(flavor: Flavor) -> Result<()> {
    let scene = scene(flavor, "FULL").await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.caught_up().await?;
    let sql = "SELECT id, u, i, w, e, s + 0, d, at, HEX(b), t, more FROM shop.t";
    let found = rows(&scene.target, sql).await?;
    assert_eq!(found.len(), 2);
    assert!(
        found[0].starts_with("'1', '250', '-3', 'gr\\xc3\\xb6\\xc3\\x9fe', 'b', '5', '1.250'"),
        "{found:?}"
    );
    assert!(
        found[0].contains("2024-02-29 10:00:00.125") && found[0].contains("'00FF', 'text', '5'"),
        "{found:?}"
    );
    assert!(found[1].starts_with("'2', '0', '3', Null, 'c', '0', Null, Null, Null, Null"), "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_at_mysql_is_known_by_its_events() -> Result<()> {
    built_from_the_events(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_at_mariadb_is_known_by_its_events() -> Result<()> {
    built_from_the_events(Flavor::MariaDb).await
}

/// Events that don't name their columns: nobody knows which is which.
#[tokio::test(flavor = "multi_thread")]
async fn without_names_the_task_stops() -> Result<()> {
    let scene = scene(Flavor::MySql, "MINIMAL").await?;
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until("the task stops", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert!(seen.errors[0].message.contains("does not fit its rows"), "{:?}", seen.errors);
    assert!(rows(&scene.target, "SELECT id FROM shop.t").await?.is_empty());
    Ok(())
}

/// Members have changed their places since, at the source and at the target alike: the numbers in the rows are the old ones.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_those_of_the_events() -> Result<()> {
    let options = DatabaseOptions::default().line("binlog-row-metadata=FULL");
    let mut scene = Scene::start_with(Flavor::MySql, options, Flavor::MariaDb).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.e (id INT PRIMARY KEY, e ENUM('a','b'))"])
        .await?;
    scene
        .target
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.e (id INT PRIMARY KEY, e ENUM('b','a'))"])
        .await?;
    scene.mark_start().await?;
    let change = "ALTER TABLE shop.e MODIFY e ENUM('b','a')";
    scene
        .source
        .run(&["INSERT INTO shop.e VALUES (1, 'a'), (2, 'b')", "SET sql_log_bin = 0", change])
        .await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.caught_up().await?;
    assert_eq!(rows(&scene.target, "SELECT id, e FROM shop.e").await?, ["'1', 'a'", "'2', 'b'"]);
    leader.until_stage(Stage::Running).await?;
    Ok(())
}
