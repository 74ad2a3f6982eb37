//! The source is no longer what it was: reset, restored, without GTIDs, with purged binlogs.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::{
    leader::Leader,
    scene::{CAUGHT_UP, Scene, rows, same},
};

/// Rows before the source is changed, and after.
const BEFORE: i32 = 20;
const AFTER: i32 = 60;

/// Text of the error with this code that stops the task.
pub async fn stops(leader: &Leader, code: i32) -> Result<String> {
    let report = leader
        .until(&format!("the task stops with {code}"), CAUGHT_UP, |s| {
            s.stage() == Stage::Paused && s.errors.iter().any(|e| e.code == code)
        })
        .await?;
    let error = &report.errors[0];
    Ok(format!("{} {} {}", error.message, error.raw_cause, error.workaround))
}

pub async fn insert(scene: &Scene, from: i32, to: i32) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    for id in from..to {
        conn.query_drop(format!("INSERT INTO shop.t VALUES ({id}, 'row {id}')")).await?;
    }
    conn.disconnect().await?;
    Ok(())
}

/// A task that has applied some rows.
async fn followed(source: Flavor, gtid: bool, broken: &'static str) -> Result<(Scene, Leader)> {
    let mut scene = Scene::start(source, Flavor::MariaDb, gtid).await?;
    if !broken.is_empty() {
        scene.broken = broken;
        scene.worker().kill9()?;
        scene.start_worker()?;
    }
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(20))"])
        .await?;
    insert(&scene, 0, BEFORE).await?;
    scene.caught_up().await?;
    Ok((scene, leader))
}

fn reset(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MySql => "RESET BINARY LOGS AND GTIDS",
        Flavor::MariaDb => "RESET MASTER",
    }
}

/// The source is reset and has again more transactions than we applied. `None`: the task went on.
async fn after_reset(source: Flavor, gtid: bool, broken: &'static str) -> Result<Option<String>> {
    let (scene, leader) = followed(source, gtid, broken).await?;
    scene.pause(&leader).await?;
    scene.source.run(&[reset(source)]).await?;
    insert(&scene, 100, 100 + AFTER).await?;
    scene.resume(&leader).await?;
    if broken.is_empty() {
        return stops(&leader, 51008).await.map(Some);
    }
    insert(&scene, 500, 501).await?;
    dm_tests::wait_until(CAUGHT_UP, "the newest row at the target", || async {
        Ok(!rows(&scene.target, "SELECT id FROM shop.t WHERE id = 500").await?.is_empty())
    })
    .await?;
    let missing = rows(&scene.target, "SELECT id FROM shop.t WHERE id BETWEEN 100 AND 499").await?;
    assert!(missing.len() < AFTER as usize, "{} rows: nothing was lost", missing.len());
    Ok(None)
}

async fn reset_stops(source: Flavor, gtid: bool) -> Result<()> {
    let message = after_reset(source, gtid, "").await?.context("it went on")?;
    assert!(message.contains("binlog.000001") && message.contains("reset"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_reset_with_more_transactions_by_gtid() -> Result<()> {
    reset_stops(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_reset_with_more_transactions_by_position() -> Result<()> {
    reset_stops(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_reset_with_more_transactions_by_gtid() -> Result<()> {
    reset_stops(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_reset_with_more_transactions_by_position() -> Result<()> {
    reset_stops(Flavor::MySql, false).await
}

/// Under a running task, whose stream the servers do not end: they go on reading the deleted file. The new file becomes
/// longer than what was read of the old one, or stays shorter.
async fn reset_while_running(source: Flavor, gtid: bool) -> Result<()> {
    for (after, code) in [(AFTER, 51008), (1, if gtid { 51009 } else { 51008 })] {
        let (scene, leader) = followed(source, gtid, "").await?;
        scene.source.run(&[reset(source)]).await?;
        insert(&scene, 100, 100 + after).await?;
        stops(&leader, code).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_reset_under_a_running_task() -> Result<()> {
    reset_while_running(Flavor::MariaDb, true).await?;
    reset_while_running(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_reset_under_a_running_task() -> Result<()> {
    reset_while_running(Flavor::MySql, true).await?;
    reset_while_running(Flavor::MySql, false).await
}

/// Without the proof the tests above would see what they look for: a task that goes on and has lost rows.
#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn without_the_proof_a_reset_goes_unseen_and_loses_rows() -> Result<()> {
    for source in Flavor::ALL {
        assert_eq!(after_reset(source, true, "reset_unseen").await?, None);
    }
    Ok(())
}

/// The data folder goes back to an earlier moment, as from a backup.
async fn restored_stops(source: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader) = followed(source, gtid, "").await?;
    let copy = scene.source.copy_datadir()?;
    insert(&scene, 100, 120).await?;
    scene.caught_up().await?;
    scene.pause(&leader).await?;
    scene.source.kill9()?;
    scene.source.restore_datadir(&copy)?;
    scene.source.restart().await?;
    scene.resume(&leader).await?;
    // By GTID what is missing is named.
    let message = stops(&leader, if gtid { 51009 } else { 51008 }).await?;
    let name = match (gtid, source) {
        (true, Flavor::MariaDb) => format!("0-{}-", scene.source.server_id()),
        (true, Flavor::MySql) => ":".to_owned(),
        (false, _) => "(binlog.000001, ".to_owned(),
    };
    assert!(message.contains(&name), "{message}");
    // Again as many transactions and more, under the same names.
    scene.pause(&leader).await?;
    insert(&scene, 200, 200 + AFTER).await?;
    scene.resume(&leader).await?;
    let message = stops(&leader, 51008).await?;
    assert!(message.contains("restored"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_restored_from_a_copy_by_gtid() -> Result<()> {
    restored_stops(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_restored_from_a_copy_by_gtid() -> Result<()> {
    restored_stops(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_restored_from_a_copy_by_position() -> Result<()> {
    restored_stops(Flavor::MariaDb, false).await
}

/// Begins a new file and purges those before it; a server keeps them while a dump thread that has not noticed its end
/// still has them open.
async fn purge(scene: &Scene, new: &str) -> Result<()> {
    scene.source.run(&["FLUSH BINARY LOGS"]).await?;
    dm_tests::wait_until(CAUGHT_UP, "the purge", || async {
        scene.source.run(&[&format!("PURGE BINARY LOGS TO '{new}'")]).await?;
        Ok(rows(&scene.source, "SHOW BINARY LOGS").await?.iter().all(|log| log.contains(new)))
    })
    .await
}

/// What we need is purged while the task is paused.
async fn purged_stops(source: Flavor, gtid: bool) -> Result<()> {
    let (scene, leader) = followed(source, gtid, "").await?;
    scene.pause(&leader).await?;
    // The file that we have read to the end may go; GTIDs go on without it, a position can't.
    purge(&scene, "binlog.000002").await?;
    if gtid {
        insert(&scene, 100, 110).await?;
        scene.resume(&leader).await?;
        leader.until_stage(Stage::Running).await?;
        scene.caught_up().await?;
        same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
        scene.pause(&leader).await?;
        insert(&scene, 200, 210).await?;
        purge(&scene, "binlog.000003").await?;
    }
    scene.resume(&leader).await?;
    let message = stops(&leader, 51009).await?;
    let place = match (gtid, source) {
        (false, _) => "(binlog.000001, ".to_owned(),
        (true, Flavor::MariaDb) => format!("0-{}-", scene.source.server_id()),
        (true, Flavor::MySql) => ":1-".to_owned(),
    };
    assert!(message.contains(&place), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_purged_under_us() -> Result<()> {
    purged_stops(Flavor::MariaDb, true).await?;
    purged_stops(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_purged_under_us() -> Result<()> {
    purged_stops(Flavor::MySql, true).await?;
    purged_stops(Flavor::MySql, false).await
}

/// GTIDs switched off stop a task that uses them; switched on again it goes on.
async fn gtids_off(source: Flavor, off: &str, on: &str, code: i32) -> Result<()> {
    let (scene, leader) = followed(source, true, "").await?;
    scene.pause(&leader).await?;
    scene.source.run(&[off]).await?;
    scene.resume(&leader).await?;
    let message = stops(&leader, code).await?;
    assert!(message.contains("=ON"), "{message}");
    scene.pause(&leader).await?;
    scene.source.run(&[on]).await?;
    insert(&scene, 100, 110).await?;
    scene.resume(&leader).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await
}

#[tokio::test(flavor = "multi_thread")]
async fn gtids_switched_off_stop_the_task() -> Result<()> {
    gtids_off(Flavor::MySql, "SET GLOBAL gtid_mode = ON_PERMISSIVE", "SET GLOBAL gtid_mode = ON", 26007)
        .await?;
    gtids_off(Flavor::MariaDb, "SET GLOBAL gtid_strict_mode = 0", "SET GLOBAL gtid_strict_mode = 1", 51018)
        .await
}

/// GTIDs switched on: the task goes on by position, through the change and after it.
#[tokio::test(flavor = "multi_thread")]
async fn gtids_switched_on_change_nothing_for_a_running_task() -> Result<()> {
    for source in Flavor::ALL {
        let (scene, leader) = followed(source, false, "").await?;
        scene.pause(&leader).await?;
        insert(&scene, 100, 110).await?;
        let on: &[&str] = match source {
            Flavor::MariaDb => &["SET GLOBAL gtid_strict_mode = 1"],
            Flavor::MySql => &[
                "SET GLOBAL enforce_gtid_consistency = ON",
                "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
                "SET GLOBAL gtid_mode = ON_PERMISSIVE",
                "SET GLOBAL gtid_mode = ON",
            ],
        };
        scene.source.run(on).await?;
        insert(&scene, 200, 210).await?;
        scene.resume(&leader).await?;
        if source == Flavor::MySql {
            // MySQL does not send the older ones to anybody now.
            let message = stops(&leader, 36069).await?;
            assert!(message.contains("ON_PERMISSIVE"), "{message}");
            scene.source.run(&["SET GLOBAL gtid_mode = ON_PERMISSIVE"]).await?;
            scene.resume(&leader).await?;
            scene.caught_up().await?;
            scene.source.run(&["SET GLOBAL gtid_mode = ON"]).await?;
            insert(&scene, 300, 310).await?;
        }
        scene.caught_up().await?;
        same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
        let low = rows(&scene.target, "SELECT executed FROM dm_meta.t1_checkpoint").await?;
        assert!(format!("{low:?}").contains("position="), "{low:?}");
        leader.until("still runs", Duration::from_secs(20), |s| s.errors.is_empty()).await?;
    }
    Ok(())
}
