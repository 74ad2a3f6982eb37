//! Changes that hit no row.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;

use crate::scene::{Scene, rows, same};

const DEADLINE: Duration = Duration::from_secs(60);

/// A row that somebody removed at the target: counted, or with `strict` the end, with its transaction.
async fn miss(strict: bool) -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    if strict {
        scene.with_rules("    syncer-config-name: s\n", "syncers:\n  s:\n    strict: true\n");
    }
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY, v INT)",
            "INSERT INTO shop.k VALUES (1, 1), (2, 2)",
        ])
        .await?;
    scene.caught_up().await?;
    scene.target.run(&["DELETE FROM shop.k WHERE id = 1"]).await?;
    scene.source.run(&["UPDATE shop.k SET v = 3 WHERE id = 1"]).await?;
    if !strict {
        scene.caught_up().await?;
        leader
            .until("it is counted", DEADLINE, |s| s.sync.as_ref().is_some_and(|s| s.rows_missed == 1))
            .await?;
        return Ok(());
    }
    let last = rows(&scene.source, "SELECT SUBSTRING_INDEX(@@gtid_binlog_pos, '-', -1)").await?;
    let seen = leader.until("the miss stops the task", DEADLINE, |s| !s.errors.is_empty()).await?;
    let error = format!("{:?}", seen.errors[0]);
    assert_eq!(seen.errors[0].code, 51006, "{error}");
    // Nothing has come after it.
    let named = error.split("transaction ").nth(1).unwrap_or_default();
    let gtid: String = named.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    let number = gtid.rsplit('-').next().filter(|n| !n.is_empty()).context("no GTID")?;
    assert!(last.concat().contains(&format!("'{number}'")), "{last:?}: {error}");
    // The row is put back, and the task goes on with this very change.
    scene.target.run(&["INSERT INTO shop.k VALUES (1, 1)"]).await?;
    leader.change(|s| s.resume_serial += 1).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.k", "SELECT * FROM shop.k").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hits_no_row_stops_a_strict_task() -> Result<()> {
    miss(true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_hits_no_row_is_counted() -> Result<()> {
    miss(false).await
}
