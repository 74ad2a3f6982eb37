//! Full loads that are cut.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage, SubtaskReport};
use dm_tests::{Database, Flavor};

use crate::{
    leader::Leader,
    scene::{Scene, same},
};

const DEADLINE: Duration = Duration::from_secs(90);
/// Each doubles the tables.
const DOUBLINGS: u32 = 18;

/// A table with a key and one without, the latter with every row many times; together 400,000 rows.
async fn fill(source: &Database) -> Result<()> {
    let mut statements = vec![
        "CREATE DATABASE shop".to_owned(),
        "CREATE TABLE shop.k (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200) NOT NULL)".to_owned(),
        "CREATE TABLE shop.n (a VARCHAR(20), b FLOAT)".to_owned(),
        "INSERT INTO shop.k (v) VALUES (REPEAT('x', 100))".to_owned(),
        "INSERT INTO shop.n VALUES ('a', 0.1), ('A', 1 / 3), (NULL, NULL)".to_owned(),
    ];
    for doubling in 0..DOUBLINGS {
        statements.push("INSERT INTO shop.k (v) SELECT CONCAT(v, id % 7) FROM shop.k".to_owned());
        if doubling < 15 {
            statements.push("INSERT INTO shop.n SELECT * FROM shop.n".to_owned());
        }
    }
    source.run(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// Starts the load and kills the worker in the middle of it.
async fn cut(scene: &mut Scene) -> Result<()> {
    scene.load_first();
    let leader: Leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let half_done = |s: &SubtaskReport| {
        assert_ne!(s.unit, "Sync", "the load was too fast to be cut");
        s.load.as_ref().is_some_and(|l| l.rows_done > 0 && l.rows_done < l.rows_total)
    };
    leader.until("rows are loaded", DEADLINE, half_done).await?;
    scene.worker().kill9()?;
    drop(leader);
    Ok(())
}

async fn cut_load_starts_over(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, true).await?;
    fill(&scene.source).await?;
    cut(&mut scene).await?;
    // The source goes on: what was loaded already is changed and removed.
    scene
        .source
        .run(&[
            "UPDATE shop.k SET v = 'changed' WHERE id % 1000 = 1",
            "DELETE FROM shop.k WHERE id % 1000 = 2",
            "DELETE FROM shop.n WHERE a = 'a' LIMIT 100",
        ])
        .await?;
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene
        .source
        .run(&["INSERT INTO shop.k (v) VALUES ('later')", "INSERT INTO shop.n VALUES ('é', 2)"])
        .await?;
    scene.caught_up().await?;
    for sql in [
        "SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', id, v))) FROM shop.k",
        "SELECT HEX(a), b, COUNT(*) FROM shop.n GROUP BY 1, 2",
    ] {
        same(&scene, sql, sql).await?;
    }
    drop(leader);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_load_starts_over_from_mariadb() -> Result<()> {
    cut_load_starts_over(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_load_starts_over_from_mysql() -> Result<()> {
    cut_load_starts_over(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_load_never_empties_a_table_that_held_rows_before() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    fill(&scene.source).await?;
    scene
        .target
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200) NOT NULL)",
            "INSERT INTO shop.k VALUES (-1, 'somebody else''s')",
        ])
        .await?;
    cut(&mut scene).await?;
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    leader.assign(scene.bound(2, MetaStage::MetaCreated)).await?;
    let seen = leader.until("the load is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    let error = &seen.errors[0];
    assert_eq!(error.code, 51007, "{error:?}");
    assert!(error.message.contains("`shop`.`k`"), "{error:?}");
    let kept = crate::scene::rows(&scene.target, "SELECT v FROM shop.k WHERE id = -1").await?;
    assert_eq!(kept.len(), 1, "the row that was there before the load");
    Ok(())
}

/// `task-mode: full` ends with the load, also for a worker that takes the source over later: it must not go on into the
/// binlog, over a target that may be in use by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_finished_full_task_stays_finished_on_another_worker() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY)",
            "INSERT INTO shop.k VALUES (1)",
        ])
        .await?;
    scene.load_only();
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    leader.until_stage(Stage::Finished).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.source.run(&["INSERT INTO shop.k VALUES (2)"]).await?;
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    leader.assign(scene.bound(2, MetaStage::MetaCreated)).await?;
    leader
        .until("it is finished at once", DEADLINE, |s| {
            assert_ne!(s.unit, "Sync", "a full task follows the binlog");
            s.stage() == Stage::Finished
        })
        .await?;
    let copied = crate::scene::rows(&scene.target, "SELECT id FROM shop.k").await?;
    assert_eq!(copied.len(), 1, "{copied:?}");
    Ok(())
}

/// A row that no packet of the target can hold stops the load with the remedy, instead of copying everything again and
/// again; one that only fits alone is copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_large_for_a_packet_stops_the_load() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY, v LONGTEXT)",
            "INSERT INTO shop.k VALUES (1, REPEAT('a', 500000)), (2, REPEAT('b', 1800000)), (3, 'c')",
        ])
        .await?;
    scene.target.run(&["SET GLOBAL max_allowed_packet = 2097152"]).await?;
    scene.load_first();
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    same(
        &scene,
        "SELECT id, LENGTH(v), SHA2(v, 256) FROM shop.k",
        "SELECT id, LENGTH(v), SHA2(v, 256) FROM shop.k",
    )
    .await?;
    drop(leader);

    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY, v LONGTEXT)",
            "INSERT INTO shop.k VALUES (2, REPEAT('b', 3000000))",
        ])
        .await?;
    scene.target.run(&["SET GLOBAL max_allowed_packet = 2097152"]).await?;
    scene.load_first();
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until("the row is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert_eq!(seen.stage(), Stage::Paused);
    let message = &seen.errors[0].message;
    assert!(
        message.contains("a row of `shop`.`k` is") && message.contains("max_allowed_packet of 2097152"),
        "{message}"
    );
    Ok(())
}
