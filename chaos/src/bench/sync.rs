//! Sync beside MariaDB's own replica: backlogs of several shapes, and the lag at a steady rate; all in one run.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dm_tests::{Database, Flavor, compare_databases, wait_until, within};
use mysql_async::{Conn, Row, prelude::Queryable};

use super::{
    database, lag,
    replica::{follow, position, reached, replicate},
    usage::Usage,
    workload::{self, SCHEMA, Workload},
};
use crate::rig::{Rig, TASK};

const DEADLINE: Duration = Duration::from_secs(1800);
/// Rate and time of the lag's measurement.
const TPS: u32 = 500;
const LAG_TIME: Duration = Duration::from_secs(30);

/// What one backlog took.
struct Figures {
    flush: &'static str,
    workload: Workload,
    rows: u64,
    ours: Duration,
    /// MariaDB's replica with 1 and with 4 threads.
    native: [Duration; 2],
    worker_cpu: Duration,
    target_cpu: Duration,
    native_cpu: Duration,
    peak_mib: u64,
}

/// Two copies of the source that follow it natively, with 1 and with 4 threads.
type Replicas = [Database; 2];
const THREADS: [u32; 2] = [1, 4];

/// Prints a table of backlogs of `rows` row changes each, and the lag; with `only`, of the backlogs so called.
pub async fn run(rows: u32, only: Option<&str>) -> Result<()> {
    // A target that others may follow in turn, as ours.
    let logging = || database().line("log-slave-updates=ON");
    let rig = Rig::start_with((Flavor::MariaDb, Flavor::MariaDb), 3, 1, database()).await?;
    let replicas: Replicas = [
        Database::start(Flavor::MariaDb, logging()).await?,
        Database::start(Flavor::MariaDb, logging()).await?,
    ];
    let result = measure(&rig, &replicas, rows, only).await;
    if result.is_err() {
        rig.cluster.keep();
    }
    result.with_context(|| rig.cluster.last_words())
}

async fn measure(rig: &Rig, replicas: &Replicas, rows: u32, only: Option<&str>) -> Result<()> {
    let mut conn = rig.source.conn().await?;
    let at = position(&mut conn, DEADLINE).await?;
    within(DEADLINE, "fill the source", workload::create(&rig.source)).await?;
    rig.start_task_on_lanes(&[SCHEMA]).await?;
    rig.wait_syncing(DEADLINE).await?;
    let mut conns = Vec::new();
    for replica in replicas {
        within(DEADLINE, "start a replica", replicate(&rig.source, replica, &at)).await?;
        conns.push(replica.conn().await?);
    }
    let end = position(&mut conn, DEADLINE).await?;
    for conn in &mut conns {
        within(DEADLINE, "a replica's copy", reached(conn, &end, DEADLINE)).await?;
        conn.query_drop("STOP SLAVE").await?;
    }
    let worker = Usage::of(rig.cluster.member(&rig.worker().await?)?.pid()?);
    println!(
        "{:<8} {:<32} {:>9} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11} {:>8}",
        "flush",
        "transactions of",
        "rows",
        "ours",
        "native 1",
        "native 4",
        "worker CPU",
        "target CPU",
        "native CPU",
        "peak"
    );
    println!("{:<8} {:<32} {:>9} {:>29} {:>35}", "", "", "", "thousand rows/s", "microseconds of CPU a row");
    for (flush, settings, rows) in [("relaxed", [2, 0], rows), ("durable", [1, 1], rows / 10)] {
        for database in [&rig.target, &replicas[0], &replicas[1]] {
            let [log, binlog] = settings;
            let set =
                format!("SET GLOBAL innodb_flush_log_at_trx_commit = {log}, GLOBAL sync_binlog = {binlog}");
            database.run(&[&set]).await?;
        }
        for workload in Workload::ALL.into_iter().filter(|w| only.is_none_or(|name| w.name().contains(name)))
        {
            let figures = backlog(rig, (replicas, &mut conns), &worker, (flush, workload, rows)).await?;
            figures.print();
        }
    }
    if only.is_none() {
        lags(rig, replicas, &mut conns).await?;
    }
    for target in [&rig.target, &replicas[0], &replicas[1]] {
        let diff = within(DEADLINE, "compare", compare_databases(&rig.source, target, &[SCHEMA])).await?;
        ensure!(diff.is_equal(), "not equal after the benchmark: {diff}");
    }
    Ok(())
}

async fn backlog(
    rig: &Rig,
    (replicas, conns): (&Replicas, &mut [Conn]),
    worker: &Usage,
    (flush, workload, rows): (&'static str, Workload, u32),
) -> Result<Figures> {
    // What goes on, for whoever waits or profiles; the figures have standard output for themselves.
    let doing = |what: &str| eprintln!("{flush}, {}: {what}", workload.name());
    rig.cluster.dmctl(&["pause-task", TASK]).await?.success()?;
    doing("the backlog is written");
    let rows = within(DEADLINE, "write the backlog", workload::write(&rig.source, workload, rows)).await?;
    let mut conn = rig.source.conn().await?;
    let end = position(&mut conn, DEADLINE).await?;
    let binlog_end = binlog_end(&mut conn).await?;
    conn.disconnect().await?;

    let target = Usage::of(rig.target.pid()?);
    worker.forget_peak()?;
    let (worker_before, target_before) = (worker.cpu()?, target.cpu()?);
    doing("ours applies it");
    let began = Instant::now();
    rig.cluster.dmctl(&["resume-task", TASK]).await?.success()?;
    applied(rig, binlog_end).await?;
    let ours = began.elapsed();
    let (worker_cpu, target_cpu) = (worker.cpu()? - worker_before, target.cpu()? - target_before);
    let peak_mib = worker.peak_mib()?;

    let mut native = [Duration::ZERO; 2];
    let mut native_cpu = Duration::ZERO;
    for (n, conn) in conns.iter_mut().enumerate() {
        let usage = Usage::of(replicas[n].pid()?);
        let before = usage.cpu()?;
        doing("MariaDB's replica applies it");
        native[n] =
            within(2 * DEADLINE, "MariaDB's replica", follow(conn, THREADS[n], &end, DEADLINE)).await?;
        native_cpu = usage.cpu()? - before;
        conn.query_drop("STOP SLAVE").await?;
    }
    Ok(Figures { flush, workload, rows, ours, native, worker_cpu, target_cpu, native_cpu, peak_mib })
}

impl Figures {
    fn print(&self) {
        let speed = |time: Duration| format!("{:.1}", self.rows as f64 / 1000.0 / time.as_secs_f64());
        let cpu = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6 / self.rows as f64);
        println!(
            "{:<8} {:<32} {:>9} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11} {:>4} MiB",
            self.flush,
            self.workload.name(),
            self.rows,
            speed(self.ours),
            speed(self.native[0]),
            speed(self.native[1]),
            cpu(self.worker_cpu),
            cpu(self.target_cpu),
            cpu(self.native_cpu),
            self.peak_mib
        );
    }
}

/// Ours with the replicas stopped, then each replica with us paused.
async fn lags(rig: &Rig, replicas: &Replicas, conns: &mut [Conn]) -> Result<()> {
    println!(
        "\nlag at {TPS} transactions/s, {} s, milliseconds (a reader every millisecond)",
        LAG_TIME.as_secs()
    );
    println!("{:<36} {:>8} {:>8}", "", "p50", "p99");
    let print = |what: &str, lags: &lag::Lags| {
        let ms = |percent| lags.percentile(percent).as_secs_f64() * 1000.0;
        println!("{what:<36} {:>8.2} {:>8.2}", ms(50), ms(99));
    };
    for (flush, settings) in [("durable", [1, 1]), ("relaxed", [2, 0])] {
        for database in [&rig.target, &replicas[0], &replicas[1]] {
            let [log, binlog] = settings;
            let set =
                format!("SET GLOBAL innodb_flush_log_at_trx_commit = {log}, GLOBAL sync_binlog = {binlog}");
            database.run(&[&set]).await?;
        }
        let measured = lag::measure(&rig.source, &rig.target, TPS, LAG_TIME);
        print(&format!("{flush}: ours, 4 lanes"), &within(DEADLINE, "measure our lag", measured).await?);
        rig.cluster.dmctl(&["pause-task", TASK]).await?.success()?;
        for (n, conn) in conns.iter_mut().enumerate() {
            let mut source = rig.source.conn().await?;
            let end = position(&mut source, DEADLINE).await?;
            source.disconnect().await?;
            within(2 * DEADLINE, "MariaDB's replica", follow(conn, THREADS[n], &end, DEADLINE)).await?;
            let measured = lag::measure(&rig.source, &replicas[n], TPS, LAG_TIME);
            let lags = within(DEADLINE, "measure a replica's lag", measured).await?;
            print(&format!("{flush}: replica, threads: {}", THREADS[n]), &lags);
        }
        for conn in conns.iter_mut() {
            let mut source = rig.source.conn().await?;
            let end = position(&mut source, DEADLINE).await?;
            source.disconnect().await?;
            within(DEADLINE, "MariaDB's replica", reached(conn, &end, DEADLINE)).await?;
            conn.query_drop("STOP SLAVE").await?;
        }
        rig.cluster.dmctl(&["resume-task", TASK]).await?.success()?;
        let mut source = rig.source.conn().await?;
        applied(rig, binlog_end(&mut source).await?).await?;
        source.disconnect().await?;
    }
    // All of them have everything before they are compared.
    let mut source = rig.source.conn().await?;
    let end = position(&mut source, DEADLINE).await?;
    source.disconnect().await?;
    for (n, conn) in conns.iter_mut().enumerate() {
        within(DEADLINE, "MariaDB's replica", follow(conn, THREADS[n], &end, DEADLINE)).await?;
    }
    Ok(())
}

/// Number of the source's last binlog file, and where it ends.
async fn binlog_end(conn: &mut Conn) -> Result<(f64, f64)> {
    let asked = conn.query_first("SHOW MASTER STATUS");
    let row: Option<Row> = within(DEADLINE, "read the binlog's end", asked).await?;
    let row = row.context("the binlog is off")?;
    let (file, pos): (Option<String>, Option<u64>) = (row.get(0), row.get(1));
    let (file, pos) = file.zip(pos).context("the binlog's end")?;
    let number = file.rsplit('.').next().and_then(|n| n.parse().ok()).context("a binlog file's number")?;
    Ok((number, pos as f64))
}

/// Waits until the worker says that everything up to there is applied. Its own page, not `dmctl`, which would start many
/// processes beside what is measured.
async fn applied(rig: &Rig, end: (f64, f64)) -> Result<()> {
    let name = rig.worker().await?;
    let worker = rig.cluster.member(&name)?;
    let label = "node=\"syncer\"";
    wait_until(DEADLINE, "the backlog to be applied", || async {
        let file = worker.metric("dm_syncer_binlog_file", label).await?;
        Ok((file, worker.metric("dm_syncer_binlog_pos", label).await?) == end)
    })
    .await
}
