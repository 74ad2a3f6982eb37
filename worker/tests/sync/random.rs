//! Random histories through 1 to 8 lanes, with crashes, take-overs and lost target commits at random points: the target
//! always equals the source in the end, and no transaction is ever visible there in part.
//!
//! `RAFT_DM_RANDOM_SECONDS` sets how long each history is written (10 by default), `RAFT_DM_RANDOM_SEED` repeats what its
//! writers and its troubles do (not how they meet).
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::{DatabaseOptions, Flavor, Flush, wait_until};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    history::History,
    history_tables::{SAME, create},
    scene::{Scene, rows},
    troubles::{Owners, set_lanes, trouble},
    witness::Witness,
};

/// Transactions of a history that proves that a broken promise is noticed.
const BACKLOG: u64 = 2000;
#[cfg(feature = "test-switches")]
const HISTORIES: u64 = 15;
const BROKEN: Duration = Duration::from_secs(60);

struct Case {
    source: Flavor,
    target: Flavor,
    gtid: bool,
    collations: (&'static str, &'static str),
    /// `binlog_row_image`; shards merge where it is FULL.
    image: &'static str,
}

impl Case {
    fn merges(&self) -> bool {
        self.image == "FULL"
    }
}

fn number(name: &str) -> Result<Option<u64>> {
    std::env::var(name).ok().map(|text| text.parse()).transpose().context(name.to_owned())
}

async fn scene(case: &Case) -> Result<Scene> {
    let source = DatabaseOptions { gtid: case.gtid, ..DatabaseOptions::default() };
    let source = source.line(format!("binlog-row-image={}", case.image));
    let target = DatabaseOptions { flush: Flush::Lossy, ..DatabaseOptions::default() };
    let mut scene = Scene::start_between((case.source, source), (case.target, target)).await?;
    create(&scene.source, case.collations.0, false).await?;
    create(&scene.target, case.collations.1, case.merges()).await?;
    scene.mark_start().await?;
    Ok(scene)
}

/// Fails with the first difference.
async fn compare(scene: &Scene, merges: bool) -> Result<()> {
    let whole = |table: &str| format!("SELECT * FROM d.{table}");
    let mut pairs: Vec<_> = SAME.iter().map(|table| (whole(table), whole(table))).collect();
    let both = format!("{} UNION ALL {}", whole("s1"), whole("s2"));
    pairs.push((both.clone(), if merges { whole("m") } else { both }));
    for (source, target) in pairs {
        let (left, right) = (rows(&scene.source, &source).await?, rows(&scene.target, &target).await?);
        if left != right {
            let gone = left.iter().find(|row| !right.contains(row));
            let more = right.iter().find(|row| !left.contains(row));
            bail!(
                "{target}: {} rows instead of {}; first that lacks: {gone:?}, first too many: {more:?}",
                right.len(),
                left.len()
            );
        }
    }
    Ok(())
}

async fn equals_the_serial_result(case: Case) -> Result<()> {
    let seed = number("RAFT_DM_RANDOM_SEED")?.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let seconds = number("RAFT_DM_RANDOM_SECONDS")?.unwrap_or(10);
    println!(
        "repeat with: RAFT_DM_RANDOM_SEED={seed} cargo nextest run --features dm-worker/test-switches -p dm-worker random::"
    );
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = scene(&case).await?;
    set_lanes(&mut scene, case.merges(), random.random_range(1..=8));
    let first = scene.sync(1, 1, MetaStage::MetaNone).await?;
    // Tables themselves are no part of what the target loses.
    drop(first);
    scene.target.stop().await?;
    scene.target.restart().await?;
    let mut owners = Owners { term: 1, leader: None };
    owners.bind(&scene).await?;
    let witness = Witness::start(scene.target.opts());
    let history = History::start(&scene.source, seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut troubles = Vec::new();
    while Instant::now() < end {
        // At a random point of the history: when so many more transactions are committed at the source.
        let until = history.committed.load(Ordering::Relaxed) + random.random_range(20..400);
        wait_until(Duration::from_secs(60), "the history goes on", async || {
            Ok(history.committed.load(Ordering::Relaxed) >= until || Instant::now() >= end)
        })
        .await?;
        troubles.push(trouble(&mut scene, case.merges(), &mut owners, &mut random).await?);
    }
    let count = history.end().await?;
    scene.caught_up().await?;
    let states = witness.end().await?;
    println!("seed {seed}: {count} transactions, {states} states seen, {troubles:?}");
    compare(&scene, case.merges())
        .await
        .with_context(|| std::fs::read_to_string(scene.log()).unwrap_or_default())?;
    assert!(count > 50 && states > 5, "{count} transactions, {states} states seen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_to_mysql() -> Result<()> {
    let collations = ("utf8mb4_0900_ai_ci", "utf8mb4_0900_ai_ci");
    equals_the_serial_result(Case {
        source: Flavor::MySql,
        target: Flavor::MySql,
        gtid: true,
        collations,
        image: "FULL",
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_to_mariadb() -> Result<()> {
    let collations = ("utf8mb4_unicode_ci", "utf8mb4_unicode_ci");
    let (source, target) = (Flavor::MariaDb, Flavor::MariaDb);
    equals_the_serial_result(Case { source, target, gtid: false, collations, image: "FULL" }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_with_minimal_images() -> Result<()> {
    let collations = ("utf8mb4_general_ci", "utf8mb4_general_ci");
    let (source, target) = (Flavor::MySql, Flavor::MariaDb);
    equals_the_serial_result(Case { source, target, gtid: true, collations, image: "MINIMAL" }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_to_mariadb() -> Result<()> {
    let collations = ("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci");
    equals_the_serial_result(Case {
        source: Flavor::MySql,
        target: Flavor::MariaDb,
        gtid: true,
        collations,
        image: "FULL",
    })
    .await
}

/// The same with other histories, until one of them shows it.
#[cfg(feature = "test-switches")]
async fn noticed(broken: &'static str) -> Result<()> {
    for seed in 1..=HISTORIES {
        if let Some(what) = result_of(broken, seed).await? {
            println!("history {seed}: {what}");
            // A duplicate, or a target that differs.
            assert!(what.contains("Error 1062") || what.contains("rows instead of"), "{what}");
            return Ok(());
        }
    }
    bail!("nobody noticed {broken} in {HISTORIES} histories")
}

/// What a worker whose tokens are broken, or not, makes of a backlog: the error that stopped it or the difference.
async fn result_of(broken: &'static str, seed: u64) -> Result<Option<String>> {
    let collations = ("utf8mb4_unicode_ci", "utf8mb4_unicode_ci");
    let case =
        Case { source: Flavor::MariaDb, target: Flavor::MariaDb, gtid: true, collations, image: "FULL" };
    let mut scene = scene(&case).await?;
    set_lanes(&mut scene, case.merges(), 8);
    let history = History::start(&scene.source, seed);
    wait_until(BROKEN, "a backlog", async || Ok(history.committed.load(Ordering::Relaxed) >= BACKLOG))
        .await?;
    history.end().await?;
    scene.worker().kill9()?;
    scene.broken = broken;
    scene.start_worker()?;
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let mut reports = leader.reports.clone();
    let failed =
        reports.wait_for(|r| r.sources.iter().flat_map(|s| &s.subtasks).any(|s| !s.errors.is_empty()));
    tokio::select! {
        report = failed => {
            let report = report?;
            let errors = report.sources.iter().flat_map(|s| &s.subtasks).flat_map(|s| &s.errors);
            let text: Vec<String> = errors.map(|e| format!("{}: {}", e.message, e.raw_cause)).collect();
            return Ok(Some(text.join("\n")));
        }
        done = scene.caught_up() => done?,
    }
    let running = |s: &dm_proto::worker::SubtaskReport| s.stage() == Stage::Running;
    leader.until("it runs", Duration::from_secs(10), running).await?;
    Ok(compare(&scene, case.merges()).await.err().map(|e| e.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_backlog_with_whole_tokens_is_applied() -> Result<()> {
    assert_eq!(result_of("", 1).await?, None);
    Ok(())
}

#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_blind_to_secondary_keys_are_noticed() -> Result<()> {
    noticed("tokens_primary_only").await
}

#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_bytes_are_noticed() -> Result<()> {
    noticed("tokens_bytes").await
}
