//! Operators and a DDL that is executed while rows of other tables go on.

use anyhow::{Context, Result};
use dm_proto::worker::{ErrorOperator, MetaStage, OperatorKind, StopPoint};
use dm_tests::{Flavor, wait_until};
use mysql_async::prelude::Queryable;

use crate::{
    barrier::{A, B, b_goes_on, blocked, scene},
    leader::Leader,
    operators::{consumed, operator},
    scene::{CAUGHT_UP, Scene, same},
};

/// What the worker knows by now is told to the leader.
async fn told(leader: &Leader) -> Result<bool> {
    let mut reports = leader.reports.clone();
    for _ in 0..2 {
        reports.borrow_and_update();
        tokio::time::timeout(CAUGHT_UP, reports.changed()).await.context("no report")??;
    }
    let report = reports.borrow();
    Ok(report.sources.iter().flat_map(|s| &s.subtasks).any(|s| s.operators_done.contains(&3)))
}

/// Another owner, which gets the operator again.
async fn taken_over(scene: &mut Scene, leader: Leader, operator: ErrorOperator) -> Result<Leader> {
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    let mut bound = scene.bound(2, MetaStage::MetaCreated);
    bound[0].subtasks[0].operators = vec![operator];
    leader.assign(bound).await?;
    Ok(leader)
}

/// What stands in an event's place is no DDL beside rows: its operator is done with once it is executed, and a crash before
/// that does not bring back the event.
async fn a_replacement_is_executed_before_its_operator_is_done_with(
    flavor: Flavor,
    gtid: bool,
) -> Result<()> {
    let (mut scene, leader, mut holder) = scene(flavor, flavor, gtid).await?;
    let (file, pos) = scene.end().await?;
    let at = StopPoint { file, pos, gtid: String::new() };
    let other = "ALTER TABLE shop.a ADD COLUMN x INT NOT NULL DEFAULT 9";
    let replace = operator(3, OperatorKind::OperatorReplace, &at, &[other]);
    scene.pause(&leader).await?;
    leader.change(|s| s.operators = vec![replace.clone()]).await?;
    scene.resume(&leader).await?;
    scene.source.run(&["ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 7"]).await?;
    blocked(&leader, "ADD COLUMN").await?;
    wait_until(CAUGHT_UP, "the replacement at the target", async || {
        let mut conn = scene.target.conn().await?;
        let sql =
            "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE%COLUMN%x%'";
        let there: Option<u32> = conn.query_first(sql).await?;
        conn.disconnect().await?;
        Ok(there == Some(1))
    })
    .await?;
    assert!(!told(&leader).await?, "the operator is done with, and nothing is executed");
    let leader = taken_over(&mut scene, leader, replace).await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    consumed(&leader, 3).await?;
    same(&scene, "SELECT id, v, 9 FROM shop.a", A).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_a_replacement_is_executed_before_its_operator_is_done_with() -> Result<()> {
    a_replacement_is_executed_before_its_operator_is_done_with(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_a_replacement_is_executed_before_its_operator_is_done_with() -> Result<()> {
    a_replacement_is_executed_before_its_operator_is_done_with(Flavor::MariaDb, false).await
}

/// A person skips a DDL that is being executed: the stream is past its place, and after a new start it counts.
async fn a_skip_waits_for_the_ddl_that_is_executed(flavor: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader, mut holder) = scene(flavor, flavor, gtid).await?;
    let (file, pos) = scene.end().await?;
    scene.source.run(&["ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 7"]).await?;
    b_goes_on(&scene, 1..5).await?;
    blocked(&leader, "ADD COLUMN").await?;
    let skip = operator(3, OperatorKind::OperatorSkip, &StopPoint { file, pos, gtid: String::new() }, &[]);
    leader.change(|s| s.operators = vec![skip.clone()]).await?;
    told(&leader).await?;
    b_goes_on(&scene, 5..20).await?;
    assert!(!told(&leader).await?, "the operator is forgotten, and its event is met again");
    let leader = taken_over(&mut scene, leader, skip).await?;
    b_goes_on(&scene, 20..25).await?;
    consumed(&leader, 3).await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    same(&scene, "SELECT id, v FROM shop.a", A).await?;
    same(&scene, B, B).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_a_skip_waits_for_the_ddl_that_is_executed() -> Result<()> {
    a_skip_waits_for_the_ddl_that_is_executed(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_a_skip_waits_for_the_ddl_that_is_executed() -> Result<()> {
    a_skip_waits_for_the_ddl_that_is_executed(Flavor::MariaDb, false).await
}
