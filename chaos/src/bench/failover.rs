//! How long until rows flow again, seen from outside.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dm_tests::{Flavor, SourceFile, Workload, WorkloadOptions, wait_until, within};
use mysql_async::prelude::Queryable as _;

use super::median_max;
use crate::{
    probe::{self, Probe},
    rig::{LANES, Rig},
};

const SCHEMA: &str = "work";
const DEADLINE: Duration = Duration::from_secs(60);
/// Transactions per second that the figures are meant for.
const LEAST_RATE: f64 = 500.0;

/// Kills leader and worker `kills` times each under `tps` transactions per second over four lanes, and prints the times.
pub async fn run(kills: u32, tps: u32) -> Result<()> {
    let mut rig = Rig::start((Flavor::MariaDb, Flavor::MariaDb), 3, 2).await?;
    let result = measure(&mut rig, kills, tps).await;
    if result.is_err() {
        rig.cluster.keep();
    }
    result.with_context(|| rig.cluster.last_words())
}

async fn measure(rig: &mut Rig, kills: u32, tps: u32) -> Result<()> {
    let mut conn = rig.source.conn().await?;
    let create = conn.query_drop(format!("CREATE DATABASE {SCHEMA}"));
    within(DEADLINE, "create the schema", create).await?;
    probe::create_table(&mut conn, SCHEMA).await?;
    within(DEADLINE, "close the connection", conn.disconnect()).await?;
    // As in the chaos scenes: changes of the table without a key are rare enough that all lanes are at work.
    let options =
        WorkloadOptions { schema: SCHEMA.to_owned(), tps, heap_in: 20, ..WorkloadOptions::default() };
    let workload = Workload::start(rig.source.opts(), options).await?;
    rig.start_task_on_lanes(&[SCHEMA]).await?;
    rig.wait_syncing(DEADLINE).await?;
    rig.wait_lanes(DEADLINE).await?;
    let probe = Probe::start(rig.source.opts(), rig.target.opts(), SCHEMA).await?;
    probe.failover(Instant::now(), DEADLINE).await.context("before any kill")?;
    let began = (Instant::now(), workload.committed());

    let (mut rows, mut changes, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for kill in 0..kills {
        let leader = rig.cluster.leader().await?;
        let fault = Instant::now();
        rig.cluster.kill9(&leader)?;
        // A new source is a change that a leader has to commit; its check runs on a worker.
        let file = SourceFile::new(&format!("after-kill-{kill}"), &rig.source);
        wait_until(DEADLINE, "a change to be accepted", || async {
            Ok(rig.cluster.create_source(&file).await.is_ok())
        })
        .await?;
        let accepted = Instant::now();
        rows.push(probe.failover(fault, DEADLINE).await?);
        changes.push(accepted - fault);
        gaps.push(probe.longest_gap(fault, accepted));
        rig.cluster.dmctl(&["operate-source", "stop", &file.id]).await?.success()?;
        rig.cluster.restart(&leader)?;
        rig.cluster.wait_ready().await?;
    }
    let mut worker_rows = Vec::new();
    for _ in 0..kills {
        let worker = rig.worker().await?;
        let fault = Instant::now();
        rig.cluster.kill9(&worker)?;
        worker_rows.push(probe.failover(fault, DEADLINE).await?);
        rig.cluster.restart(&worker)?;
        rig.cluster.wait_ready().await?;
    }
    let rate = (workload.committed() - began.1) as f64 / began.0.elapsed().as_secs_f64();
    probe.stop().await?;
    workload.stop().await?;
    let diff = rig.wait_equal(&[SCHEMA]).await?;

    println!(
        "failover under {rate:.0} transactions/s at the source over {LANES} lanes at the target, {kills} kills of each \
         kind, milliseconds"
    );
    println!("{:<62} {:>8} {:>8} {:>8}", "", "median", "max", "goal");
    for (what, times, goal) in [
        ("leader killed: first later row at the target", &rows, "2000"),
        ("leader killed: first change accepted by another master", &changes, "2000"),
        ("leader killed: longest gap between commits at the target", &gaps, "200"),
        ("worker killed: first later row at the target", &worker_rows, "3000"),
    ] {
        let (median, max) = median_max(times);
        println!("{what:<62} {median:>8} {max:>8} {goal:>8}");
    }
    print!("after all kills: {diff}");
    ensure!(diff.is_equal(), "source and target differ");
    ensure!(
        rate >= LEAST_RATE,
        "{rate:.0} transactions/s are not the load that is asked for, {LEAST_RATE:.0}/s"
    );
    Ok(())
}
