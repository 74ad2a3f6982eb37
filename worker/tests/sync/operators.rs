//! `dmctl binlog` and `binlog-schema` as a worker carries them out.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{
    BoundSource, DefinitionOp, DefinitionRequest, ErrorOperator, MetaStage, OperatorKind, Stage, StopPoint,
    SubtaskReport,
};
use dm_tests::{Flavor, wait_until};
use mysql_async::prelude::Queryable;

use crate::{
    leader::Leader,
    scene::{Scene, TASK, rows, same},
};

const LONG: Duration = Duration::from_secs(60);
const T: &str = "SELECT * FROM shop.t";

/// A table on both sides, followed.
async fn scene(source: Flavor, target: Flavor, gtid: bool) -> Result<(Scene, Leader)> {
    let scene = Scene::start(source, target, gtid).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))",
            "CREATE TABLE shop.u (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1, 'before')",
            "INSERT INTO shop.u VALUES (1)",
        ])
        .await?;
    scene.caught_up().await?;
    Ok((scene, leader))
}

/// Waits until the task stands still at an event; its error has to name the commands.
pub async fn stopped(leader: &Leader, code: i32) -> Result<StopPoint> {
    let report = leader
        .until("a stop at an event", LONG, |s| s.stage() == Stage::Paused && s.stopped_at.is_some())
        .await?;
    let error = report.errors.first().context("no error")?;
    assert_eq!(error.code, code, "{error:?}");
    let at = report.stopped_at.context("no place")?;
    for verb in ["skip", "replace"] {
        let command = format!("dmctl binlog {verb} {TASK} --binlog-pos {}:{}", at.file, at.pos);
        assert!(error.workaround.contains(&command), "{error:?}");
    }
    Ok(at)
}

pub fn operator(id: u64, kind: OperatorKind, at: &StopPoint, sqls: &[&str]) -> ErrorOperator {
    ErrorOperator {
        id,
        kind: kind.into(),
        file: at.file.clone(),
        pos: at.pos,
        gtid: at.gtid.clone(),
        sqls: sqls.iter().map(|s| (*s).to_owned()).collect(),
    }
}

pub async fn set(leader: &Leader, operator: ErrorOperator) -> Result<()> {
    leader
        .change(|s| {
            s.operators = vec![operator];
            s.resume_serial += 1;
        })
        .await
}

pub async fn consumed(leader: &Leader, id: u64) -> Result<SubtaskReport> {
    leader.until("the operator is consumed", LONG, |s| s.operators_done.contains(&id)).await
}

/// As the leader sees to it when it hears of the consumption.
pub async fn forget(leader: &Leader) -> Result<()> {
    leader.change(|s| s.operators.clear()).await?;
    leader.until("nothing is reported of operators", LONG, |s| s.operators_done.is_empty()).await?;
    Ok(())
}

/// A change in statement format is skipped, and the very next row arrives. Then the worker dies before anybody has
/// heard of the consumption.
async fn skip_statement(source: Flavor, gtid: bool, by_name: bool) -> Result<()> {
    let (mut scene, leader) = scene(source, Flavor::MariaDb, gtid).await?;
    scene
        .source
        .run(&["SET SESSION binlog_format = STATEMENT", "INSERT INTO shop.t VALUES (100, 'statement')"])
        .await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (2, 'after')"]).await?;
    let mut at = stopped(&leader, 36014).await?;
    assert_eq!(at.gtid.is_empty(), !gtid && source == Flavor::MySql, "{at:?}");
    if !by_name {
        at.gtid.clear();
    }
    let skip = operator(7, OperatorKind::OperatorSkip, &at, &[]);
    set(&leader, skip.clone()).await?;
    consumed(&leader, 7).await?;
    scene.caught_up().await?;
    let want = "SELECT * FROM shop.t WHERE id <> 100";
    same(&scene, want, T).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    let mut again: Vec<BoundSource> = scene.bound(2, MetaStage::MetaCreated);
    again[0].subtasks[0].operators = vec![skip];
    leader.assign(again).await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (3, 'later')"]).await?;
    scene.caught_up().await?;
    consumed(&leader, 7).await?;
    forget(&leader).await?;
    same(&scene, want, T).await
}

/// The worker dies when the skipped transaction is in the executed set and nowhere else; the leader hears that the operator is
/// consumed, and takes it away, before the source has sent the transaction again.
#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_skipped_is_passed_over_when_its_operator_is_gone() -> Result<()> {
    let (mut scene, leader) = scene(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&["SET SESSION binlog_format = STATEMENT", "INSERT INTO shop.t VALUES (100, 'statement')"])
        .await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (2, 'after')"]).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.holds = true;
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    leader.assign(scene.bound(2, MetaStage::MetaCreated)).await?;
    let at = stopped(&leader, 36014).await?;
    scene.hold("after_skip")?;
    set(&leader, operator(7, OperatorKind::OperatorSkip, &at, &[])).await?;
    scene.kill_at("after_skip").await?;
    drop(leader);
    let leader = scene.leader(3).await?;
    leader.assign(scene.bound(3, MetaStage::MetaCreated)).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t WHERE id <> 100", T).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gtid_a_statement_is_skipped_by_its_name() -> Result<()> {
    skip_statement(Flavor::MariaDb, true, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_a_statement_is_skipped_by_its_place() -> Result<()> {
    skip_statement(Flavor::MySql, true, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_position_a_statement_is_skipped() -> Result<()> {
    skip_statement(Flavor::MySql, false, true).await
}

/// The target has the column already: the DDL fails there, is skipped, and rows with the column arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_ddl_that_fails_at_the_target_is_skipped_and_the_first_row_after_it_arrives() -> Result<()> {
    let (scene, leader) = scene(Flavor::MySql, Flavor::MySql, true).await?;
    scene.target.run(&["ALTER TABLE shop.t ADD COLUMN n INT"]).await?;
    scene
        .source
        .run(&["ALTER TABLE shop.t ADD COLUMN n INT", "INSERT INTO shop.t VALUES (2, 'after', 7)"])
        .await?;
    let at = stopped(&leader, 10006).await?;
    set(&leader, operator(1, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 1).await?;
    forget(&leader).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await
}

/// The replacement's second statement waits for a lock when the worker dies: the first one is not run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_cut_by_a_crash_goes_on_where_it_was() -> Result<()> {
    let (mut scene, leader) = scene(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.target.run(&["ALTER TABLE shop.t ADD COLUMN a INT"]).await?;
    scene
        .source
        .run(&[
            "ALTER TABLE shop.t ADD COLUMN a INT, ADD COLUMN b INT",
            "INSERT INTO shop.t VALUES (2, 'after', 7, 8)",
        ])
        .await?;
    let at = stopped(&leader, 10006).await?;
    let mut lock = scene.target.conn().await?;
    lock.query_drop("BEGIN").await?;
    lock.query_drop("SELECT * FROM shop.u").await?;
    let sqls = ["ALTER TABLE shop.t ADD COLUMN b INT", "ALTER TABLE shop.u ADD COLUMN c INT"];
    let replace = operator(5, OperatorKind::OperatorReplace, &at, &sqls);
    set(&leader, replace.clone()).await?;
    let waits =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'ALTER TABLE `shop`.`u`%'";
    wait_until(LONG, "the second statement waits", || async {
        let mut conn = scene.target.conn().await?;
        let n: Option<u64> = conn.query_first(waits).await?;
        conn.disconnect().await?;
        Ok(n.unwrap_or(0) > 0)
    })
    .await?;
    scene.worker().kill9()?;
    drop(leader);
    lock.query_drop("ROLLBACK").await?;
    scene.start_worker()?;
    let leader = scene.leader(2).await?;
    let mut again = scene.bound(2, MetaStage::MetaCreated);
    again[0].subtasks[0].operators = vec![replace];
    leader.assign(again).await?;
    consumed(&leader, 5).await?;
    forget(&leader).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await?;
    assert_eq!(rows(&scene.target, "SHOW COLUMNS FROM shop.u").await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_can_t_be_understood_stops_again_and_another_one_helps() -> Result<()> {
    let (scene, leader) = scene(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.target.run(&["ALTER TABLE shop.t ADD COLUMN a INT"]).await?;
    scene
        .source
        .run(&["ALTER TABLE shop.t ADD COLUMN a INT", "INSERT INTO shop.t VALUES (2, 'after', 7)"])
        .await?;
    let at = stopped(&leader, 10006).await?;
    for (id, wrong) in [(1, "ALTER TABLE t ADD COLUMN b INT"), (2, "UPDATE shop.t SET v = ''")] {
        set(&leader, operator(id, OperatorKind::OperatorReplace, &at, &[wrong])).await?;
        let serial = id;
        leader
            .until("it stops again", LONG, |s| {
                s.resume_serial == serial
                    && s.stage() == Stage::Paused
                    && s.errors.iter().any(|e| e.code == 36067)
            })
            .await?;
    }
    let inject = ["ALTER TABLE shop.t DROP COLUMN a"];
    set(&leader, operator(3, OperatorKind::OperatorInject, &at, &inject)).await?;
    consumed(&leader, 3).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await
}

/// A table kind that is not replicated: skipped, and what follows arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_ddl_that_is_not_understood_is_skipped() -> Result<()> {
    let (scene, leader) = scene(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE TABLE shop.part (id INT PRIMARY KEY) ENGINE=MyISAM",
            "CREATE TABLE shop.m (id INT PRIMARY KEY) ENGINE=MERGE UNION=(shop.part)",
            "INSERT INTO shop.t VALUES (2, 'after')",
        ])
        .await?;
    let at = stopped(&leader, 36067).await?;
    set(&leader, operator(1, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 1).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await
}

/// A transaction that the target refuses, among others: exactly that one is found and left out as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_can_t_be_applied_is_skipped_whole() -> Result<()> {
    let (scene, leader) = scene(Flavor::MariaDb, Flavor::MySql, true).await?;
    scene.target.run(&["INSERT INTO shop.t VALUES (50, 'of the target')"]).await?;
    let mut conn = scene.source.conn().await?;
    for id in 40..60 {
        conn.query_drop("BEGIN").await?;
        conn.query_drop(format!("INSERT INTO shop.t VALUES ({id}, 'x')")).await?;
        conn.query_drop(format!("INSERT INTO shop.u VALUES ({id})")).await?;
        conn.query_drop("COMMIT").await?;
    }
    conn.disconnect().await?;
    let at = stopped(&leader, 10006).await?;
    set(&leader, operator(1, OperatorKind::OperatorSkip, &at, &[])).await?;
    consumed(&leader, 1).await?;
    forget(&leader).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t WHERE id <> 50", "SELECT * FROM shop.t WHERE id <> 50").await?;
    same(&scene, "SELECT * FROM shop.u WHERE id <> 50", "SELECT * FROM shop.u").await?;
    let log = std::fs::read_to_string(scene.log())?;
    assert!(log.contains("a transaction is skipped by an operator") && log.contains(&at.gtid), "no audit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_definitions_of_a_paused_task_are_shown_set_and_removed() -> Result<()> {
    let (scene, leader) = scene(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let ask = |op: DefinitionOp, create: &str| DefinitionRequest {
        source_id: "s1".to_owned(),
        task: TASK.to_owned(),
        task_revision: 1,
        op: op.into(),
        schema: "shop".to_owned(),
        table: "t".to_owned(),
        create: create.to_owned(),
        ..DefinitionRequest::default()
    };
    let show = ask(DefinitionOp::DefinitionShow, "");
    let refused = leader.definition(&scene.address, show.clone()).await?;
    assert_eq!(refused.error.context("it runs")?.code, 40050);
    leader.change(|s| s.set_desired(Stage::Paused)).await?;
    leader.until_stage(Stage::Paused).await?;
    let shown = leader.definition(&scene.address, show.clone()).await?;
    assert!(shown.error.is_none() && shown.text.contains("VARCHAR(20)"), "{shown:?}");
    let bad =
        leader.definition(&scene.address, ask(DefinitionOp::DefinitionSet, "CREATE TABLE t (id INT")).await?;
    assert_eq!(bad.error.context("it can't be parsed")?.code, 36067);
    assert_eq!(leader.definition(&scene.address, show.clone()).await?.text, shown.text);
    let given = "CREATE TABLE `t` (`id` int NOT NULL, `v` varchar(21) DEFAULT NULL, PRIMARY KEY (`id`))";
    let set = leader.definition(&scene.address, ask(DefinitionOp::DefinitionSet, given)).await?;
    assert!(set.error.is_none() && set.text.contains("varchar(21)"), "{set:?}");
    assert_eq!(leader.definition(&scene.address, show.clone()).await?.text, given);
    let mut source = ask(DefinitionOp::DefinitionSet, "");
    source.from_source = true;
    let from_source = leader.definition(&scene.address, source).await?;
    assert!(from_source.text.contains("varchar(20)"), "{from_source:?}");
    let removed = leader.definition(&scene.address, ask(DefinitionOp::DefinitionRemove, "")).await?;
    assert!(removed.error.is_none(), "{removed:?}");
    assert!(leader.definition(&scene.address, show).await?.error.is_some());
    leader
        .change(|s| {
            s.set_desired(Stage::Running);
            s.resume_serial += 1;
        })
        .await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (2, 'after')"]).await?;
    scene.caught_up().await?;
    same(&scene, T, T).await
}
