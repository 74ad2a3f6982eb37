//! Servers go and come back, owners change, transactions are large.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::{
    leader::Leader,
    scene::{CLUSTER, Scene, same},
};

const SAME_B: &str = "SELECT COUNT(*), SUM(id), SUM(CRC32(v)), SUM(n) FROM shop.b";

#[tokio::test(flavor = "multi_thread")]
async fn a_former_owner_that_still_runs_is_refused_and_does_not_fight() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let first = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)", "INSERT INTO shop.n VALUES (1), (1)"])
        .await?;
    scene.caught_up().await?;
    // The leader of the first knows nothing of this: two owners at once.
    let address = scene.start_second()?;
    let second = Leader::open(&address, "w2", CLUSTER, 1).await?;
    second.assign(scene.bound(2, MetaStage::MetaCreated)).await?;
    second
        .until("the second runs", Duration::from_secs(30), |s| {
            s.unit == "Sync" && s.stage() == Stage::Running
        })
        .await?;
    scene
        .source
        .run(&["INSERT INTO shop.n VALUES (2), (2)", "DELETE FROM shop.n WHERE v = 1 LIMIT 1"])
        .await?;
    let fenced = first.until("the first is fenced", Duration::from_secs(30), |s| s.epoch_found == 2).await?;
    assert_eq!(fenced.errors[0].code, 51001, "{fenced:?}");
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    let alive = second
        .until("the second still runs", Duration::from_secs(5), |s| s.stage() == Stage::Running)
        .await?;
    assert!(alive.errors.is_empty(), "{alive:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_reports_paused_only_once_the_former_one_can_no_longer_write() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let first = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)", "INSERT INTO shop.n VALUES (1), (1)"])
        .await?;
    scene.caught_up().await?;
    // The first is cut off from the masters, not from the databases; the task is paused, and the source moves.
    let address = scene.start_second()?;
    let second = Leader::open(&address, "w2", CLUSTER, 1).await?;
    let mut paused = scene.bound(2, MetaStage::MetaCreated);
    paused[0].subtasks[0].set_desired(Stage::Paused);
    second.assign(paused).await?;
    let report = second.until_stage(Stage::Paused).await?;
    assert!(report.errors.is_empty() && report.released, "{report:?}");
    scene.source.run(&["INSERT INTO shop.n VALUES (2), (2)"]).await?;
    first.until("the first is fenced", Duration::from_secs(30), |s| s.epoch_found == 2).await?;
    let count = "SELECT COUNT(*) FROM shop.n";
    let there: Option<u64> = scene.target.conn().await?.query_first(count).await?;
    assert_eq!(there, Some(2), "written after the pause was reported");
    second
        .change(|s| {
            s.set_desired(Stage::Running);
            s.resume_serial += 1;
        })
        .await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_restart_are_waited_for() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)", "INSERT INTO shop.n VALUES (1), (1)"])
        .await?;
    scene.caught_up().await?;
    scene.target.stop().await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (2), (2)"]).await?;
    leader.until("the error shows", Duration::from_secs(30), |s| !s.errors.is_empty()).await?;
    scene.target.restart().await?;
    scene.caught_up().await?;
    scene.source.restart().await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (3)"]).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    leader
        .until("it runs without an error", Duration::from_secs(30), |s| {
            s.errors.is_empty() && s.stage() == Stage::Running && s.unit == "Sync"
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transactions_and_long_backlogs() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.b (id INT PRIMARY KEY, v VARCHAR(400), n INT, KEY (n))",
        ])
        .await?;
    scene.caught_up().await?;
    leader.change(|s| s.set_desired(Stage::Paused)).await?;
    leader.until_stage(Stage::Paused).await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.b SELECT seq, REPEAT(CHAR(65 + seq % 26), 300), seq FROM shop.seq_1_to_60000",
            "UPDATE shop.b SET n = n + 1 WHERE id % 3 = 0",
            "DELETE FROM shop.b WHERE id % 7 = 0",
            "CREATE PROCEDURE shop.fill() BEGIN FOR i IN 1..5000 DO INSERT INTO shop.b VALUES (100000 + i, 'x', i); END FOR; END",
            "CALL shop.fill()",
        ])
        .await?;
    leader
        .change(|s| {
            s.set_desired(Stage::Running);
            s.resume_serial += 1;
        })
        .await?;
    scene.caught_up().await?;
    same(&scene, SAME_B, SAME_B).await?;
    let report = leader.reports.borrow().clone();
    let progress = report.sources[0].subtasks[0].sync.clone().unwrap();
    assert_eq!(progress.rows_missed, 0, "{progress:?}");
    Ok(())
}
