//! Transactions that do not fit in memory.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::{DatabaseOptions, Flavor, wait_until};
use mysql_async::{Conn, prelude::Queryable};

use crate::scene::{Scene, same};

/// Rows of 8 KiB and no repetitions.
const ROW: &str = "CONCAT(@n := @n + 1, REPEAT(SHA2(@n, 512), 63))";
pub const LONG: Duration = Duration::from_secs(600);

/// Most that the worker's memory may grow, in bytes, however large the transaction is: events that wait (16 MiB, and 8 MiB in
/// the reader's queue), and parts on their way to the target, each in several copies.
const MOST: u64 = 80 << 20;

/// Size of the large transactions; RAFT_DM_LARGE_MB=1024 for what is said of them in docs/benchmarks.md.
fn large_mb() -> u64 {
    std::env::var("RAFT_DM_LARGE_MB").ok().and_then(|mb| mb.parse().ok()).unwrap_or(192)
}

/// Most memory that the worker has had so far, in bytes.
fn peak(scene: &mut Scene) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.worker().pid()))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

async fn count(scene: &Scene) -> Result<u64> {
    let mut conn = scene.target.conn().await?;
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM shop.b").await?;
    conn.disconnect().await?;
    count.context("no count")
}

/// One transaction of so many MiB of rows into `shop.b` or another table like it; what is in it is read once.
async fn insert(scene: &Scene, before: &[&str], table: &str, mb: u64) -> Result<()> {
    let mut conn = open(scene, before, table, mb).await?;
    conn.query_drop("COMMIT").await?;
    conn.disconnect().await?;
    Ok(())
}

/// The same before its COMMIT.
pub async fn open(scene: &Scene, before: &[&str], table: &str, mb: u64) -> Result<Conn> {
    let mut conn = scene.source.conn().await?;
    for sql in before {
        conn.query_drop(*sql).await?;
    }
    conn.query_drop("SET @n = 0").await?;
    conn.query_drop("BEGIN").await?;
    // Made of rows of a table in memory: statements of 1000 rows.
    let numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 512)";
    for _ in 0..mb / 4 {
        let select = format!("INSERT INTO {table} (v) {numbers} SELECT {ROW} FROM n");
        conn.query_drop(select).await?;
    }
    Ok(conn)
}

pub const TABLE: &str =
    "CREATE TABLE shop.b (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(9000) CHARACTER SET latin1)";
const SUMS: &str = "SELECT COUNT(*), SUM(id), SUM(CRC32(v)), SUM(LENGTH(v)) FROM shop.b";

async fn killed_in_the_middle(source: Flavor, compressed: bool) -> Result<()> {
    let mb = large_mb();
    let options = DatabaseOptions { gtid: true, ..DatabaseOptions::default() };
    let mut scene = Scene::start_with(source, options, Flavor::MariaDb).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["CREATE DATABASE shop", TABLE, "CREATE TABLE shop.s (v INT PRIMARY KEY)"]).await?;
    scene.caught_up().await?;
    let first = peak(&mut scene)?;
    let before: &[&str] = if compressed { &["SET SESSION binlog_transaction_compression = ON"] } else { &[] };
    let begun = std::time::Instant::now();
    insert(&scene, before, "shop.b", mb).await?;
    let written = begun.elapsed();
    leader
        .until("it is on disk", LONG, |s| s.sync.as_ref().is_some_and(|p| p.spool_bytes > 16 << 20))
        .await?;
    wait_until(LONG, "the first parts at the target", || async { Ok(count(&scene).await? > 2000) }).await?;
    let grown = peak(&mut scene)? - first;
    scene.worker().kill9()?;
    drop(leader);
    let there = count(&scene).await?;
    assert!(there < mb * 128, "it was killed too late");
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    let second = peak(&mut scene)?;
    let begun = std::time::Instant::now();
    wait_until(LONG, "all rows at the target", || async { Ok(count(&scene).await? == mb * 128) }).await?;
    let taken = begun.elapsed();
    scene.source.run(&["INSERT INTO shop.s VALUES (1)"]).await?;
    scene.caught_up().await?;
    same(&scene, SUMS, SUMS).await?;
    let report =
        leader.until("nothing is on disk", LONG, |s| s.sync.as_ref().is_some_and(|p| p.spool_bytes == 0));
    assert_eq!(report.await?.sync.unwrap().rows_missed, 0);
    let again = peak(&mut scene)? - second;
    println!(
        "{source:?} compressed={compressed}: {mb} MiB written in {written:?}; killed at {there} rows with {} MiB more, \
         then {} MiB more and {taken:?}",
        grown >> 20,
        again >> 20
    );
    assert!(grown < MOST && again < MOST, "memory grew by {grown} and {again} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_large_transaction_killed_in_the_middle() -> Result<()> {
    killed_in_the_middle(Flavor::MySql, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_large_compressed_transaction_killed_in_the_middle() -> Result<()> {
    killed_in_the_middle(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_large_transaction_killed_in_the_middle() -> Result<()> {
    killed_in_the_middle(Flavor::MariaDb, false).await
}

/// Rows that are rolled back to a savepoint stand in the binlog where a temporary table was made before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_of_a_large_transaction_is_not_applied() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["CREATE DATABASE shop", TABLE]).await?;
    let mut conn = scene.source.conn().await?;
    let many = |from: u32, to: u32| {
        format!(
            "INSERT INTO shop.b (id, v) SELECT seq, REPEAT(SHA2(seq, 512), 63) FROM shop.seq_{from}_to_{to}"
        )
    };
    for sql in [
        "BEGIN",
        &many(1, 4000),
        "CREATE TEMPORARY TABLE shop.tmp (a INT)",
        "SAVEPOINT s",
        &many(4001, 9000),
        "ROLLBACK TO SAVEPOINT s",
        &many(5000, 6000),
        "SAVEPOINT t",
        &many(7000, 7001),
        "ROLLBACK TO SAVEPOINT s",
        &many(8000, 8999),
        "COMMIT",
    ] {
        conn.query_drop(sql).await?;
    }
    let logged: Vec<mysql_async::Row> = conn.query("SHOW BINLOG EVENTS LIMIT 100000").await?;
    let info = |row: &mysql_async::Row| row.get::<String, _>("Info").unwrap_or_default();
    assert!(logged.iter().any(|row| info(row).contains("ROLLBACK TO")), "the server has cut them out itself");
    conn.disconnect().await?;
    scene.caught_up().await?;
    same(&scene, SUMS, SUMS).await?;
    assert_eq!(count(&scene).await?, 5000);
    // The report is up to a second old.
    wait_until(LONG, "the spool to be empty", || async {
        Ok(leader.reports.borrow().sources[0].subtasks[0].sync.as_ref().is_some_and(|s| s.spool_bytes == 0))
    })
    .await
}

/// The disk has room for a MiB only.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_excluded_tables_take_no_room_and_a_full_disk_stops() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene.worker().kill9()?;
    scene.arguments = &["--spool-limit-mb", "1"];
    scene.start_worker()?;
    scene.with_rules(
        "    block-allow-list: l\n",
        "block-allow-list:\n  l:\n    ignore-tables:\n      - db-name: shop\n        tbl-name: ignored\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let ignored = TABLE.replace("shop.b", "shop.ignored");
    scene.source.run(&["CREATE DATABASE shop", TABLE, &ignored]).await?;
    insert(&scene, &[], "shop.ignored", 48).await?;
    scene.caught_up().await?;
    insert(&scene, &[], "shop.b", 32).await?;
    let stopped = leader.until_stage(Stage::Paused).await?;
    assert_eq!(stopped.errors[0].code, 51030, "{stopped:?}");
    assert!(stopped.errors[0].message.contains("1 MiB are allowed"), "{stopped:?}");
    assert_eq!(count(&scene).await?, 0);
    // Room is made.
    scene.worker().kill9()?;
    drop(leader);
    scene.arguments = &[];
    scene.start_worker()?;
    let _leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    same(&scene, SUMS, SUMS).await?;
    Ok(())
}
