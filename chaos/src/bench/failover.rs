//! How long until rows flow again, and until the control plane takes changes again, seen from outside.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dm_tests::{
    ClusterOptions, Flavor, Proxy, SourceFile, Workload, WorkloadOptions, free_port, wait_until, within,
};
use mysql_async::prelude::Queryable as _;

use super::percentile;
use crate::{
    probe::{self, Probe},
    rig::{LANES, Rig, TASK},
};

const SCHEMA: &str = "work";
const WORKERS: usize = 2;
const DEADLINE: Duration = Duration::from_secs(60);
/// Transactions per second that the figures are meant for.
const LEAST_RATE: f64 = 500.0;

/// What is done to whom.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// SIGKILL of the leader.
    LeaderKilled,
    /// SIGSTOP of the leader, until another one has taken a change.
    LeaderFrozen,
    /// SIGKILL of the worker that serves the source.
    WorkerKilled,
    /// SIGSTOP of that worker, until rows flow.
    WorkerFrozen,
    /// Nothing travels between the masters and that worker, until rows flow; it reaches source and target.
    WorkerApart,
}

/// One row of the table.
struct Line {
    what: &'static str,
    goal: &'static str,
    times: Vec<Duration>,
}

impl Line {
    fn new(what: &'static str, goal: &'static str) -> Self {
        Self { what, goal, times: Vec::new() }
    }

    fn print(&self) {
        let ms =
            |percent| percentile(&self.times, percent).map_or("-".to_owned(), |t| t.as_millis().to_string());
        println!("{:<62} {:>8} {:>8} {:>8} {:>8}", self.what, ms(50), ms(99), ms(100), self.goal);
    }
}

/// Breaks leader and worker `times` times in each way, under `tps` transactions per second over four lanes, and prints how long
/// it took.
pub async fn run(times: u32, tps: u32) -> Result<()> {
    println!(
        "failover under write load over {LANES} lanes at the target, {times} faults of each kind, a lease of 3 s, milliseconds"
    );
    println!("{:<62} {:>8} {:>8} {:>8} {:>8}", "", "p50", "p99", "max", "goal p99");
    let direct =
        [Fault::LeaderKilled, Fault::LeaderFrozen, Fault::WorkerKilled, Fault::WorkerFrozen].as_slice();
    // A dead worker behind a proxy takes connections all the same, which hides that it is dead until its lease ends.
    for (faults, proxies) in [(direct, false), (&[Fault::WorkerApart], true)] {
        let mut bench = Bench::start(proxies).await?;
        let result = bench.measure(faults, times, tps).await;
        if result.is_err() {
            bench.rig.cluster.keep();
        }
        result.with_context(|| bench.rig.cluster.last_words())?;
    }
    Ok(())
}

struct Bench {
    rig: Rig,
    /// The masters' way to each worker: w1, w2, ...; none where they dial them directly.
    ways: Vec<Proxy>,
}

impl Bench {
    async fn start(proxies: bool) -> Result<Self> {
        let ports: Vec<u16> = (0..WORKERS).map(|_| free_port()).collect();
        let mut ways = Vec::new();
        for port in ports.iter().filter(|_| proxies) {
            ways.push(Proxy::start(*port).await?);
        }
        let cluster = ClusterOptions {
            masters: 3,
            workers: WORKERS,
            worker_ports: ports.into_iter().zip(ways.iter().map(Proxy::port)).collect(),
            ..ClusterOptions::default()
        };
        let rig = Rig::start_cluster((Flavor::MariaDb, Flavor::MariaDb), cluster, super::database()).await?;
        Ok(Self { rig, ways })
    }

    async fn measure(&mut self, faults: &[Fault], times: u32, tps: u32) -> Result<()> {
        let rig = &self.rig;
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
        probe.failover(Instant::now(), DEADLINE).await.context("before any fault")?;
        let began = (Instant::now(), workload.committed());

        let mut lines = Vec::new();
        for fault in faults {
            match fault {
                Fault::LeaderKilled | Fault::LeaderFrozen => {
                    lines.extend(self.leaders(*fault, times, &probe).await?);
                }
                _ => lines.push(self.workers(*fault, times, &probe).await?),
            }
        }
        let rate = (workload.committed() - began.1) as f64 / began.0.elapsed().as_secs_f64();
        probe.stop().await?;
        workload.stop().await?;
        let diff = self.rig.wait_equal(&[SCHEMA]).await?;

        lines.iter().for_each(Line::print);
        print!("{rate:.0} transactions/s; after all faults: {diff}");
        ensure!(diff.is_equal(), "source and target differ");
        ensure!(
            rate >= LEAST_RATE,
            "{rate:.0} transactions/s are not the load that is asked for, {LEAST_RATE:.0}/s"
        );
        Ok(())
    }

    async fn leaders(&mut self, fault: Fault, times: u32, probe: &Probe) -> Result<[Line; 3]> {
        let mut lines = match fault {
            Fault::LeaderKilled => [
                Line::new("leader killed: first later row at the target", "2000"),
                Line::new("leader killed: first change accepted by another master", "2000"),
                Line::new("leader killed: longest gap between commits at the target", "200"),
            ],
            _ => [
                Line::new("leader frozen: first later row at the target", "4000"),
                Line::new("leader frozen: first change accepted by another master", "4000"),
                Line::new("leader frozen: longest gap between commits at the target", "200"),
            ],
        };
        let cluster = &mut self.rig.cluster;
        for n in 0..times {
            let leader = cluster.leader().await?;
            let begun = Instant::now();
            match fault {
                Fault::LeaderKilled => cluster.kill9(&leader)?,
                _ => cluster.freeze(&leader)?,
            }
            // A new source is a change that a leader has to commit; its check runs on a worker.
            let file = SourceFile::new(&format!("after-{n}"), &self.rig.source);
            wait_until(DEADLINE, "a change to be accepted", || async {
                Ok(cluster.create_source(&file).await.is_ok())
            })
            .await?;
            let accepted = Instant::now();
            lines[0].times.push(probe.failover(begun, DEADLINE).await?);
            lines[1].times.push(accepted - begun);
            lines[2].times.push(probe.longest_gap(begun, accepted));
            match fault {
                Fault::LeaderKilled => cluster.restart(&leader)?,
                _ => cluster.thaw(&leader)?,
            }
            within(DEADLINE, "every member to take part", cluster.wait_ready()).await?;
            cluster.dmctl(&["operate-source", "stop", &file.id]).await?.success()?;
        }
        Ok(lines)
    }

    async fn workers(&mut self, fault: Fault, times: u32, probe: &Probe) -> Result<Line> {
        let mut line = match fault {
            Fault::WorkerKilled => Line::new("worker killed: first later row at the target", "3000"),
            Fault::WorkerFrozen => Line::new("worker frozen: first later row at the target", "4000"),
            _ => Line::new("worker apart from the masters: first row of the next one", "4000"),
        };
        for _ in 0..times {
            let worker = self.rig.worker().await?;
            let names = self.rig.cluster.names(false);
            let way = names.iter().position(|name| *name == worker).and_then(|n| self.ways.get(n));
            let way = || way.with_context(|| format!("no proxy before {worker}"));
            let before = epoch(&self.rig).await?;
            let cluster = &mut self.rig.cluster;
            let begun = Instant::now();
            match fault {
                Fault::WorkerKilled => cluster.kill9(&worker)?,
                Fault::WorkerFrozen => cluster.freeze(&worker)?,
                Fault::WorkerApart => way()?.black_hole(),
                _ => bail!("{fault:?} is none of a worker's"),
            }
            if matches!(fault, Fault::WorkerApart) {
                // It goes on until its lease ends: what counts is the next owner, from its take-over of the target on.
                wait_until(DEADLINE, "another worker to take the target over", || async {
                    Ok(epoch(&self.rig).await? != before)
                })
                .await?;
                let taken = Instant::now();
                line.times.push(taken - begun + probe.failover(taken, DEADLINE).await?);
            } else {
                line.times.push(probe.failover(begun, DEADLINE).await?);
            }
            let cluster = &mut self.rig.cluster;
            match fault {
                Fault::WorkerKilled => cluster.restart(&worker)?,
                Fault::WorkerFrozen => cluster.thaw(&worker)?,
                _ => way()?.heal(),
            }
            within(DEADLINE, "every member to take part", cluster.wait_ready()).await?;
        }
        Ok(line)
    }
}

/// The epoch that owns the target.
async fn epoch(rig: &Rig) -> Result<Option<u64>> {
    rig.at_target(&format!("SELECT epoch FROM dm_meta.{TASK}_lane WHERE stream=0 AND lane=-1")).await
}
