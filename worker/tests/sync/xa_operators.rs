//! `dmctl binlog` at XA transactions, and many of them at once.
use anyhow::Result;
use dm_proto::worker::{MetaStage, OperatorKind, Stage, StopPoint};
use dm_tests::Flavor;

use crate::{
    leader::Leader,
    operators::{consumed, forget, operator, set, stopped},
    scene::{Scene, rows, same},
    xa::{SHORT, decide, prepare, undecided},
};

const T: &str = "SELECT * FROM shop.t";
const N: &str = "SELECT * FROM shop.n";
/// What only the target has, and what stands in the way of it.
const BUT_50: &str = "SELECT * FROM shop.t WHERE id <> 50";

/// Two tables on both sides, followed; the worker can be held at failpoints.
async fn scene(flavor: Flavor, gtid: bool) -> Result<(Scene, Leader)> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, gtid).await?;
    scene.worker().kill9()?;
    scene.holds = true;
    scene.start_worker()?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE shop.n (v INT)",
            "INSERT INTO shop.t VALUES (1, 1), (2, 2)",
        ])
        .await?;
    scene.caught_up().await?;
    Ok((scene, leader))
}

/// A prepared transaction among others whose XA COMMIT the target refuses; gives where the task stands then.
async fn refused(scene: &Scene, leader: &Leader) -> Result<StopPoint> {
    prepare(scene, "'stays'", &["INSERT INTO shop.n VALUES (10)"]).await?;
    let rows = ["INSERT INTO shop.n VALUES (20), (20)", "INSERT INTO shop.t VALUES (50, 5)"];
    prepare(scene, "'bad'", &rows).await?;
    scene.target.run(&["INSERT INTO shop.t VALUES (50, 0)"]).await?;
    scene.source.run(&["UPDATE shop.t SET v = 11 WHERE id = 1"]).await?;
    decide(scene, "XA COMMIT 'bad'").await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (60, 6)", "INSERT INTO shop.n VALUES (30), (30)"]).await?;
    stopped(leader, 10006).await
}

/// What is left is right, also after another start, and what was not touched by the operator is still decided.
async fn goes_on(scene: &mut Scene, leader: Leader, n: &str) -> Result<()> {
    forget(&leader).await?;
    scene.caught_up().await?;
    same(scene, BUT_50, BUT_50).await?;
    same(scene, n, N).await?;
    undecided(&leader, "X'7374617973',X'',1").await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.sync(8, 8, MetaStage::MetaCreated).await?;
    scene.source.run(&["UPDATE shop.t SET v = v + 1 WHERE id < 50"]).await?;
    scene.caught_up().await?;
    undecided(&leader, "X'7374617973',X'',1").await?;
    decide(scene, "XA COMMIT 'stays'").await?;
    scene.caught_up().await?;
    undecided(&leader, "").await?;
    same(scene, BUT_50, BUT_50).await?;
    same(scene, n, N).await?;
    let report = leader.until("it runs", SHORT, |s| s.sync.is_some()).await?;
    assert_eq!(report.sync.unwrap_or_default().rows_missed, 0);
    Ok(())
}

/// An XA COMMIT that fails is skipped: the whole transaction, and nothing else.
async fn commit_skipped(flavor: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader) = scene(flavor, gtid).await?;
    let at = refused(&scene, &leader).await?;
    set(&leader, operator(1, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 1).await?;
    goes_on(&mut scene, leader, "SELECT * FROM shop.n WHERE v <> 20").await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_xa_commit_is_skipped() -> Result<()> {
    commit_skipped(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_position_xa_commit_is_skipped() -> Result<()> {
    commit_skipped(Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gtid_xa_commit_is_skipped() -> Result<()> {
    commit_skipped(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_xa_commit_is_skipped() -> Result<()> {
    commit_skipped(Flavor::MariaDb, false).await
}

/// Other statements in place of an XA COMMIT; the worker dies when what was prepared has joined the set and they have not
/// run, and when they have run and nobody knows.
async fn commit_replaced(flavor: Flavor, failpoint: &str) -> Result<()> {
    let (mut scene, leader) = scene(flavor, true).await?;
    let at = refused(&scene, &leader).await?;
    let replace =
        operator(5, OperatorKind::OperatorReplace, &at, &["ALTER TABLE shop.n ADD COLUMN made INT"]);
    scene.hold(failpoint)?;
    set(&leader, replace.clone()).await?;
    scene.kill_at(failpoint).await?;
    drop(leader);
    let leader = scene.leader(2).await?;
    let mut again = scene.bound(2, MetaStage::MetaCreated);
    again[0].subtasks[0].operators = vec![replace];
    leader.assign(again).await?;
    consumed(&leader, 5).await?;
    goes_on(&mut scene, leader, "SELECT v, NULL FROM shop.n WHERE v <> 20").await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_xa_commit_is_replaced() -> Result<()> {
    commit_replaced(Flavor::MySql, "before_intent").await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_xa_commit_is_replaced() -> Result<()> {
    commit_replaced(Flavor::MariaDb, "after_statement").await
}

/// Statements before an XA COMMIT, then its rows; the worker dies in between.
async fn injected_before_commit(flavor: Flavor) -> Result<()> {
    let (mut scene, leader) = scene(flavor, true).await?;
    prepare(&scene, "'stays'", &["INSERT INTO shop.n VALUES (10)"]).await?;
    prepare(&scene, "'x'", &["INSERT INTO shop.n VALUES (20), (20)"]).await?;
    scene.caught_up().await?;
    // In the way of a NULL, and so of every row that does not name the column.
    scene.target.run(&["ALTER TABLE shop.n ADD COLUMN wanted INT NOT NULL"]).await?;
    decide(&scene, "XA COMMIT 'x'").await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (30), (30)"]).await?;
    let at = stopped(&leader, 10006).await?;
    let inject = operator(3, OperatorKind::OperatorInject, &at, &["ALTER TABLE shop.n DROP COLUMN wanted"]);
    scene.hold("after_done")?;
    set(&leader, inject.clone()).await?;
    scene.kill_at("after_done").await?;
    drop(leader);
    let leader = scene.leader(2).await?;
    let mut again = scene.bound(2, MetaStage::MetaCreated);
    again[0].subtasks[0].operators = vec![inject];
    leader.assign(again).await?;
    consumed(&leader, 3).await?;
    goes_on(&mut scene, leader, N).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_statements_come_before_an_xa_commit() -> Result<()> {
    injected_before_commit(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_statements_come_before_an_xa_commit() -> Result<()> {
    injected_before_commit(Flavor::MariaDb).await
}

/// An operator for the XA PREPARE itself: a skip leaves its XA COMMIT without rows, which is never passed over in silence;
/// statements can't come before it.
async fn at_the_prepare(flavor: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader) = scene(flavor, gtid).await?;
    let (file, pos) = scene.end().await?;
    let at = StopPoint { file, pos, gtid: String::new() };
    let inject = operator(1, OperatorKind::OperatorInject, &at, &["ALTER TABLE shop.n ADD COLUMN a INT"]);
    leader.change(|s| s.operators = vec![inject]).await?;
    prepare(&scene, "'x'", &["INSERT INTO shop.n VALUES (20), (20)"]).await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (30), (30)"]).await?;
    let report = leader.until_stage(Stage::Paused).await?;
    assert!(report.errors[0].message.contains("can't be injected"), "{report:?}");
    assert!(report.errors[0].workaround.contains("before its XA COMMIT"), "{report:?}");
    let met = report.stopped_at.clone().unwrap_or_default();
    assert_eq!((&met.file, met.pos), (&at.file, at.pos), "{report:?}");
    set(&leader, operator(2, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 2).await?;
    forget(&leader).await?;
    scene.caught_up().await?;
    undecided(&leader, "").await?;
    assert_eq!(rows(&scene.target, N).await?.len(), 2);
    decide(&scene, "XA COMMIT 'x'").await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (40), (40)"]).await?;
    let at = stopped(&leader, 51031).await?;
    set(&leader, operator(3, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 3).await?;
    forget(&leader).await?;
    scene.caught_up().await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let _leader = scene.sync(8, 8, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await?;
    same(&scene, "SELECT * FROM shop.n WHERE v <> 20", N).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_operators_at_an_xa_prepare() -> Result<()> {
    at_the_prepare(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_operators_at_an_xa_prepare() -> Result<()> {
    at_the_prepare(Flavor::MariaDb, false).await
}

/// More than two hundred wait at once, a large one among them, through a restart; then every second one is committed.
async fn many(flavor: Flavor) -> Result<()> {
    const MANY: u32 = 230;
    let (mut scene, leader) = scene(flavor, true).await?;
    for n in 0..MANY {
        let (keyed, keyless) = (
            format!("INSERT INTO shop.t VALUES ({}, {n})", 1000 + n),
            format!("INSERT INTO shop.n VALUES ({n})"),
        );
        prepare(&scene, &format!("'x{n}'"), &[&keyed, &keyless]).await?;
        scene.source.run(&["UPDATE shop.t SET v = v + 1 WHERE id = 1"]).await?;
    }
    scene.caught_up().await?;
    undecided(&leader, &format!("and {} more", MANY - 4)).await?;
    assert_eq!(rows(&scene.target, N).await?.len(), 0);
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    undecided(&leader, &format!("and {} more", MANY - 4)).await?;
    for n in 0..MANY {
        decide(&scene, &format!("XA {} 'x{n}'", if n % 2 == 0 { "COMMIT" } else { "ROLLBACK" })).await?;
    }
    scene.caught_up().await?;
    undecided(&leader, "").await?;
    same(&scene, T, T).await?;
    same(&scene, N, N).await?;
    assert_eq!(rows(&scene.target, N).await?.len(), MANY as usize / 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_many_are_prepared() -> Result<()> {
    many(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_many_are_prepared() -> Result<()> {
    many(Flavor::MariaDb).await
}
