//! Real binlog files above 4 GiB, whose events tell only the lower bits of where they are. Servers end a file only after
//! the transactions that were committed together with the one that filled it.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, OperatorKind, Stage, StopPoint};
use dm_tests::{DatabaseOptions, Flavor, wait_until};
use mysql_async::prelude::Queryable;
use tokio::task::JoinHandle;

use crate::{
    large::{LONG, TABLE, open},
    operators::{consumed, forget, operator, set, stopped},
    scene::{Scene, rows, same},
};

/// Above it 32 bits are not enough.
const FAR: u64 = 1 << 32;

/// Executes it on a connection of its own; gives when the source has begun with it.
async fn begin(scene: &Scene, sql: &'static str) -> Result<JoinHandle<Result<()>>> {
    let mut conn = scene.source.conn().await?;
    let task = tokio::spawn(async move {
        conn.query_drop(sql).await?;
        conn.disconnect().await?;
        Ok(())
    });
    executing(scene, sql, 0).await?;
    Ok(task)
}

/// Waits until the source executes it for so many seconds.
async fn executing(scene: &Scene, sql: &str, seconds: u64) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    let look = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Query' AND info = '{sql}' AND time >= {seconds}"
    );
    let end = tokio::time::Instant::now() + LONG;
    while conn.query_first::<u64, _>(&look).await?.unwrap_or(0) == 0 {
        anyhow::ensure!(tokio::time::Instant::now() < end, "the source does not execute {sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    conn.disconnect().await?;
    Ok(())
}

/// Transactions behind 4 GiB: applied, refused by the target, read again after a restart, skipped by their place.
async fn behind_4_gib(flavor: Flavor, gtid: bool) -> Result<()> {
    let mut options = DatabaseOptions { gtid, ..DatabaseOptions::default() };
    if flavor == Flavor::MariaDb {
        options = options.line("plugin-load-add=ha_blackhole");
    }
    let mut scene = Scene::start_with(flavor, options, Flavor::MariaDb).await?;
    scene.with_rules(
        "    block-allow-list: l\n",
        "block-allow-list:\n  l:\n    ignore-tables:\n      - db-name: shop\n        tbl-name: ignored\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    // It keeps no rows, and logs them.
    let ignored = TABLE.replace("shop.b", "shop.ignored") + " ENGINE=BLACKHOLE";
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.n (v INT)",
            "CREATE TABLE shop.k (id INT PRIMARY KEY, v INT)",
            &ignored,
        ])
        .await?;
    scene.caught_up().await?;
    scene.target.run(&["INSERT INTO shop.k VALUES (2, 0)"]).await?;
    let begun = std::time::Instant::now();
    let mut large = open(&scene, &[], "shop.ignored", 4300).await?;
    println!("{flavor:?} gtid={gtid}: the large transaction is open after {:?}", begun.elapsed());
    // MariaDB writes a group and then looks at the file's size: the group waits for all five. MySQL looks after the group is
    // committed, which is delayed, and others are written meanwhile.
    let (wait, no_wait): (&[&str], &[&str]) = match flavor {
        Flavor::MariaDb => (
            &["SET GLOBAL binlog_commit_wait_count = 5", "SET GLOBAL binlog_commit_wait_usec = 100000000"],
            &["SET GLOBAL binlog_commit_wait_count = 0"],
        ),
        Flavor::MySql => (
            &["SET GLOBAL binlog_group_commit_sync_delay = 1000000"],
            &["SET GLOBAL binlog_group_commit_sync_delay = 0"],
        ),
    };
    scene.source.run(wait).await?;
    let commit = tokio::spawn(async move {
        large.query_drop("COMMIT").await?;
        large.disconnect().await?;
        anyhow::Ok(())
    });
    executing(&scene, "COMMIT", 1).await?;
    let mut tasks = vec![commit];
    for sql in [
        "INSERT INTO shop.n VALUES (1), (1)",
        "INSERT INTO shop.k VALUES (2, 2)",
        "INSERT INTO shop.n VALUES (3), (3)",
        "INSERT INTO shop.k VALUES (4, 4)",
    ] {
        tasks.push(begin(&scene, sql).await?);
    }
    for task in tasks {
        tokio::time::timeout(LONG, task).await.context("a commit does not end")???;
    }
    scene.source.run(no_wait).await?;
    let paused = leader.until("a stop behind it", LONG, |s| s.stage() == Stage::Paused).await?;
    let at = stopped(&leader, 10006).await?;
    println!("{flavor:?} gtid={gtid}: stopped at {}:{} after {:?}", at.file, at.pos, begun.elapsed());
    assert!(at.pos > FAR, "{paused:?}");
    let before = rows(&scene.target, "SELECT * FROM shop.n WHERE v = 1").await?;
    assert_eq!(before.len(), 2, "what comes before it is applied");
    for epoch in 2..4 {
        scene.worker().kill9()?;
        scene.start_worker()?;
        let leader = scene.leader(epoch).await?;
        leader.assign(scene.bound(epoch, MetaStage::MetaCreated)).await?;
        leader.until("it stops again", LONG, |s| s.stage() == Stage::Paused).await?;
        // By GTID the source leaves out what is applied, and events tell the lower bits of their places only: the name says
        // which transaction it is.
        let pos = if gtid { at.pos % FAR } else { at.pos };
        let again = stopped(&leader, 10006).await?;
        assert_eq!(again, StopPoint { pos, ..at.clone() }, "read again from the beginning of the file");
        if epoch == 3 {
            set(&leader, operator(1, OperatorKind::OperatorSkip, &again, &[])).await?;
            let done = leader.until("it is skipped", LONG, |s| s.operators_done.contains(&1));
            done.await?;
            consumed(&leader, 1).await?;
            forget(&leader).await?;
            scene.source.run(&["INSERT INTO shop.n VALUES (5), (5)"]).await?;
            wait_until(LONG, "the last row", || async {
                Ok(rows(&scene.target, "SELECT * FROM shop.n WHERE v = 5").await?.len() == 2)
            })
            .await?;
        }
    }
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    same(&scene, "SELECT * FROM shop.k WHERE id <> 2", "SELECT * FROM shop.k WHERE id <> 2").await?;
    println!("{flavor:?} gtid={gtid}: done after {:?}", begun.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and 10 GiB of disk: by hand, one at a time"]
async fn mysql_position_places_behind_4_gib() -> Result<()> {
    behind_4_gib(Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and 10 GiB of disk: by hand, one at a time"]
async fn mysql_gtid_places_behind_4_gib() -> Result<()> {
    behind_4_gib(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and 10 GiB of disk: by hand, one at a time"]
async fn mariadb_position_places_behind_4_gib() -> Result<()> {
    behind_4_gib(Flavor::MariaDb, false).await
}
