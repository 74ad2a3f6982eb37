//! Changes that the target has already.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;

use crate::{
    leader::Leader,
    scene::{Scene, same},
};

const DEADLINE: Duration = Duration::from_secs(60);

const TABLES: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(20))",
    "CREATE TABLE shop.nokey (v INT)",
];

/// Keys move, meet again, and leave; every state on the way differs from the last one.
const CHANGES: &[&str] = &[
    "INSERT INTO shop.t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, 'd')",
    "UPDATE shop.t SET v = 'e' WHERE id = 1",
    "UPDATE shop.t SET id = 5 WHERE id = 2",
    "DELETE FROM shop.t WHERE id = 3",
    "UPDATE shop.t SET u = 30 WHERE id = 4",
    "INSERT INTO shop.t VALUES (2, 40, 'f')",
    "UPDATE shop.t SET u = NULL WHERE id = 5",
    "INSERT INTO shop.t VALUES (3, 20, 'g')",
    "DELETE FROM shop.t WHERE id = 1",
];

/// Both sides have the tables and the changes; the task begins before the changes.
async fn overlap(flavor: Flavor, target: Flavor, syncer: &str) -> Result<Scene> {
    let mut scene = Scene::start(flavor, target, true).await?;
    scene.source.run(TABLES).await?;
    scene.target.run(TABLES).await?;
    scene.mark_start().await?;
    scene.source.run(CHANGES).await?;
    scene.target.run(CHANGES).await?;
    scene.with_rules("    syncer-config-name: s\n", &format!("syncers:\n  s:\n    {syncer}\n"));
    Ok(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_the_target_has_already_end_in_the_same_rows() -> Result<()> {
    for (source, target) in [(Flavor::MySql, Flavor::MariaDb), (Flavor::MariaDb, Flavor::MySql)] {
        // A miss must not stop it either.
        let scene = overlap(source, target, "safe-mode: true\n    strict: true").await?;
        let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene.caught_up().await?;
        same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
        assert!(std::fs::read_to_string(scene.log())?.contains("[\"safe mode\"]"));
    }
    Ok(())
}

/// The same changes without safe mode are refused: what the test above shows is safe mode's doing.
#[tokio::test(flavor = "multi_thread")]
async fn without_safe_mode_they_stop_the_task() -> Result<()> {
    let scene = overlap(Flavor::MariaDb, Flavor::MariaDb, "safe-mode: false").await?;
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until("a duplicate key", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("1062"), "{seen:?}");
    Ok(())
}

/// Without a key nothing says which row is meant: the change stays as it is, once, and the log says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_stays_as_it_is() -> Result<()> {
    let scene = overlap(Flavor::MySql, Flavor::MariaDb, "safe-mode: true").await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (1), (1)", "DELETE FROM shop.nokey LIMIT 1"]).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.nokey", "SELECT * FROM shop.nokey").await?;
    assert!(std::fs::read_to_string(scene.log())?.contains("safe mode does not help a table without a key"));
    Ok(())
}

/// A row of a parent is replaced without its children, and a change of its key is refused where the source does not log
/// what the rules did.
#[tokio::test(flavor = "multi_thread")]
async fn a_parent_is_replaced_without_its_children() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let tables = &[
        "CREATE DATABASE shop",
        "CREATE TABLE shop.p (id INT PRIMARY KEY, v INT)",
        "CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id) \
         ON DELETE CASCADE ON UPDATE CASCADE)",
    ];
    scene.source.run(tables).await?;
    scene.target.run(tables).await?;
    scene.mark_start().await?;
    let changes = &[
        "INSERT INTO shop.p VALUES (1, 1), (2, 2)",
        "INSERT INTO shop.c VALUES (1, 1), (2, 2)",
        "UPDATE shop.p SET v = 3 WHERE id = 1",
        "DELETE FROM shop.p WHERE id = 2",
    ];
    scene.source.run(changes).await?;
    scene.target.run(changes).await?;
    scene.with_rules("    syncer-config-name: s\n", "syncers:\n  s:\n    safe-mode: true\n");
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.caught_up().await?;
    for table in ["SELECT * FROM shop.p", "SELECT * FROM shop.c"] {
        same(&scene, table, table).await?;
    }
    scene.source.run(&["UPDATE shop.p SET id = 9 WHERE id = 1"]).await?;
    let seen = leader.until("the change of a key stops it", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert_eq!(seen.errors[0].code, 51023, "{seen:?}");
    Ok(())
}

/// A change that the target has already, whose image leaves a column out.
async fn partial_image(broken: &'static str) -> Result<(Scene, Leader)> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    if !broken.is_empty() {
        scene.worker().kill9()?;
        scene.broken = broken;
        scene.start_worker()?;
    }
    let before = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.b (id INT PRIMARY KEY, v INT, b BLOB)",
        "INSERT INTO shop.b VALUES (1, 1, 'kept')",
    ];
    let change = ["SET SESSION binlog_row_image = NOBLOB", "UPDATE shop.b SET v = 2"];
    scene.source.run(&before).await?;
    scene.target.run(&before).await?;
    scene.mark_start().await?;
    scene.source.run(&change).await?;
    scene.target.run(&change).await?;
    scene.with_rules("    syncer-config-name: s\n", "syncers:\n  s:\n    safe-mode: true\n");
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    Ok((scene, leader))
}

const B: &str = "SELECT * FROM shop.b";

/// A REPLACE would lose what is in the column.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_leaves_a_column_out_stops_it() -> Result<()> {
    let (scene, leader) = partial_image("").await?;
    let seen = leader.until("it stops", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert_eq!(seen.errors[0].code, 11126, "{seen:?}");
    same(&scene, B, B).await
}

/// Negative control of the one above.
#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_passes_for_a_whole_one_is_noticed() -> Result<()> {
    let (scene, _leader) = partial_image("partial_replayed").await?;
    scene.caught_up().await?;
    let rows = async |database| crate::scene::rows(database, B).await;
    let (source, target) = (rows(&scene.source).await?, rows(&scene.target).await?);
    assert_ne!(source, target, "the column should be lost");
    Ok(())
}
