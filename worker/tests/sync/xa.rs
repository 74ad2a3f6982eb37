//! XA transactions of the source: what is prepared waits for its decision, through restarts.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::Flavor;
use mysql_async::{Conn, prelude::Queryable};

use crate::{
    leader::Leader,
    scene::{Scene, rows, same},
};

pub const SHORT: Duration = Duration::from_secs(30);

/// Prepares a transaction and leaves it so, as a client that goes away does.
pub async fn prepare(scene: &Scene, xid: &str, statements: &[&str]) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    run(&mut conn, &[&format!("XA START {xid}")]).await?;
    run(&mut conn, statements).await?;
    run(&mut conn, &[&format!("XA END {xid}"), &format!("XA PREPARE {xid}")]).await?;
    conn.disconnect().await?;
    Ok(())
}

async fn run(conn: &mut Conn, statements: &[&str]) -> Result<()> {
    for sql in statements {
        conn.query_drop(*sql).await.with_context(|| (*sql).to_owned())?;
    }
    Ok(())
}

/// Decides it on another connection; the server may still be busy with the end of the former one.
pub async fn decide(scene: &Scene, sql: &str) -> Result<()> {
    dm_tests::wait_until(SHORT, sql, || async {
        let mut conn = scene.source.conn().await?;
        let done = conn.query_drop(sql).await;
        conn.disconnect().await?;
        Ok(done.is_ok())
    })
    .await
}

pub async fn undecided(leader: &Leader, wanted: &str) -> Result<()> {
    let what = format!("the status shows {wanted:?}");
    let report = leader.until(&what, SHORT, |s| {
        s.sync.as_ref().is_some_and(|p| match wanted {
            "" => p.undecided_xa.is_empty(),
            _ => p.undecided_xa.contains(wanted),
        })
    });
    report.await.map(drop)
}

const KEYED: &str = "SELECT * FROM shop.k";
const KEYLESS: &str = "SELECT * FROM shop.n";

/// Prepared, others in between, the worker dies at several places, then decided; keyless rows tell what came twice.
async fn decided_after_restarts(flavor: Flavor, gtid: bool) -> Result<()> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, gtid).await?;
    let mut leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE shop.n (v INT)",
            "INSERT INTO shop.k VALUES (1, 1), (2, 2)",
        ])
        .await?;
    scene.caught_up().await?;
    prepare(
        &scene,
        "'one','b',7",
        &["UPDATE shop.k SET v = 10 WHERE id = 1", "INSERT INTO shop.n VALUES (1), (1)"],
    )
    .await?;
    prepare(&scene, "'two'", &["INSERT INTO shop.n VALUES (2), (2)"]).await?;
    scene
        .source
        .run(&["INSERT INTO shop.n VALUES (3), (3)", "UPDATE shop.k SET v = 20 WHERE id = 2"])
        .await?;
    scene.caught_up().await?;
    undecided(&leader, "X'6f6e65',X'62',7").await?;
    undecided(&leader, "X'74776f',X'',1").await?;
    assert_eq!(rows(&scene.target, KEYLESS).await?.len(), 2);
    for epoch in 2..4 {
        scene.worker().kill9()?;
        drop(leader);
        scene.start_worker()?;
        leader = scene.sync(epoch, epoch, MetaStage::MetaCreated).await?;
        scene.source.run(&["INSERT INTO shop.n VALUES (4), (4)"]).await?;
        scene.caught_up().await?;
        same(&scene, KEYLESS, KEYLESS).await?;
        undecided(&leader, "X'6f6e65',X'62',7").await?;
    }
    decide(&scene, "XA ROLLBACK 'two'").await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (5), (5)"]).await?;
    scene.caught_up().await?;
    same(&scene, KEYLESS, KEYLESS).await?;
    decide(&scene, "XA COMMIT 'one','b',7").await?;
    // The same row, after it.
    scene.source.run(&["UPDATE shop.k SET v = v + 1 WHERE id = 1"]).await?;
    scene.caught_up().await?;
    undecided(&leader, "").await?;
    same(&scene, KEYLESS, KEYLESS).await?;
    same(&scene, KEYED, KEYED).await?;
    assert!(
        rows(&scene.target, KEYED).await?.contains(&"Int(1), Int(11)".to_owned()) || {
            // As text from the server.
            rows(&scene.target, KEYED).await?.contains(&"'1', '11'".to_owned())
        }
    );
    // Everything has joined: nothing is read or applied again.
    scene.pause(&leader).await?;
    scene.resume(&leader).await?;
    prepare(&scene, "'three'", &["INSERT INTO shop.n VALUES (6)", "DELETE FROM shop.k WHERE id = 2"]).await?;
    decide(&scene, "XA COMMIT 'three'").await?;
    let mut conn = scene.source.conn().await?;
    run(
        &mut conn,
        &["XA START 'four'", "INSERT INTO shop.n VALUES (7)", "XA END 'four'", "XA COMMIT 'four' ONE PHASE"],
    )
    .await?;
    // Never prepared: nothing of it is in the binlog.
    run(
        &mut conn,
        &["XA START 'five'", "INSERT INTO shop.n VALUES (8)", "XA END 'five'", "XA ROLLBACK 'five'"],
    )
    .await?;
    // It has no rows.
    run(
        &mut conn,
        &["XA START 'six'", "SELECT * FROM shop.k", "XA END 'six'", "XA PREPARE 'six'", "XA COMMIT 'six'"],
    )
    .await?;
    conn.disconnect().await?;
    scene.caught_up().await?;
    same(&scene, KEYLESS, KEYLESS).await?;
    same(&scene, KEYED, KEYED).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.start_worker()?;
    let leader = scene.sync(9, 9, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    same(&scene, KEYLESS, KEYLESS).await?;
    let report = leader.until("it runs", SHORT, |s| s.sync.is_some()).await?;
    assert!(report.errors.is_empty(), "{report:?}");
    assert_eq!(report.sync.unwrap().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_xa_decided_after_restarts() -> Result<()> {
    decided_after_restarts(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_position_xa_decided_after_restarts() -> Result<()> {
    decided_after_restarts(Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gtid_xa_decided_after_restarts() -> Result<()> {
    decided_after_restarts(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_xa_decided_after_restarts() -> Result<()> {
    decided_after_restarts(Flavor::MariaDb, false).await
}

/// A large one waits on disk; the worker dies in the middle of its parts.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_xa_transaction_is_killed_in_the_middle_of_its_parts() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.b (v VARCHAR(9000) CHARACTER SET latin1)"])
        .await?;
    let insert = "INSERT INTO shop.b SELECT REPEAT(SHA2(seq, 512), 63) FROM shop.seq_1_to_12000";
    prepare(&scene, "'large'", &[insert]).await?;
    scene.caught_up().await?;
    let held =
        leader.until("it is on disk", SHORT, |s| s.sync.as_ref().is_some_and(|p| p.spool_bytes > 64 << 20));
    held.await?;
    decide(&scene, "XA COMMIT 'large'").await?;
    let count = || async {
        let mut conn = scene.target.conn().await?;
        let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM shop.b").await?;
        conn.disconnect().await?;
        anyhow::Ok(count.unwrap_or(0))
    };
    dm_tests::wait_until(SHORT, "the first part", || async { Ok(count().await? > 0) }).await?;
    let there = count().await?;
    scene.worker().kill9()?;
    drop(leader);
    assert!(there < 12_000, "it was killed too late");
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    let sums = "SELECT COUNT(*), SUM(CRC32(v)) FROM shop.b";
    same(&scene, sums, sums).await?;
    undecided(&leader, "").await?;
    leader.until("the disk is free", SHORT, |s| s.sync.as_ref().is_some_and(|p| p.spool_bytes == 0)).await?;
    Ok(())
}

/// Its rows are nowhere: that is never passed over in silence, until a person says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_what_was_prepared_before_the_start_stops() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene.source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)"]).await?;
    scene.target.run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)"]).await?;
    prepare(&scene, "'early'", &["INSERT INTO shop.n VALUES (1)"]).await?;
    prepare(&scene, "'gone'", &["INSERT INTO shop.n VALUES (2)"]).await?;
    scene.mark_start().await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    decide(&scene, "XA ROLLBACK 'gone'").await?;
    scene.source.run(&["INSERT INTO shop.n VALUES (3)"]).await?;
    scene.caught_up().await?;
    decide(&scene, "XA COMMIT 'early'").await?;
    let stopped = leader.until_stage(Stage::Paused).await?;
    let error = &stopped.errors[0];
    assert_eq!(error.code, 51031, "{error:?}");
    assert!(error.message.contains("X'6561726c79',X'',1"), "{error:?}");
    assert!(error.workaround.contains("dmctl binlog skip t1"), "{error:?}");
    Ok(())
}
