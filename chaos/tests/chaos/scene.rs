//! One source, one target, a cluster between them, and writers that never pause.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::{Rig, SOURCE, TASK};
use dm_tests::{
    Cluster, ClusterOptions, Database, DatabaseOptions, Flavor, Flush, Network, Proxy, Scratch, SourceFile,
    TaskFile, Workload, WorkloadOptions, check_workload, free_port, wait_until, wait_until_value, within,
};
use mysql_async::prelude::Queryable as _;

/// The migrated schema.
pub const SCHEMA: &str = "work";
/// Bound on everything that is waited for.
pub const LONG: Duration = Duration::from_secs(90);
/// Bound on a whole scene, which takes less than a minute: a scene that hangs says what its processes said last.
const SCENE: Duration = Duration::from_secs(8 * 60);
/// What the writers try to keep up over four connections; at least 500 are wanted.
const TPS: u32 = 600;
/// Newest serial of each writer.
const SERIALS: &str = "SELECT writer, MAX(serial) FROM work.ledger GROUP BY writer ORDER BY writer";

/// What a scene consists of.
pub struct Setup {
    pub source: Flavor,
    pub target: Flavor,
    pub masters: usize,
    /// The masters are in a network whose links can be cut.
    pub network: bool,
    /// What the target's commits survive.
    pub flush: Flush,
    /// Switches of every worker (`RAFT_DM_BROKEN`).
    pub broken: &'static str,
    /// The masters' `lease-ttl`.
    pub lease: &'static str,
    /// After how many log entries a master makes a snapshot.
    pub snapshot_every: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            source: Flavor::MariaDb,
            target: Flavor::MariaDb,
            masters: 1,
            network: false,
            flush: Flush::Relaxed,
            broken: "",
            lease: "3s",
            snapshot_every: 5000,
        }
    }
}

/// What happens in a scene, for no longer than it may still take ([`Scene::left`]).
pub async fn bounded<T>(left: Duration, happens: impl Future<Output = Result<T>>) -> Result<T> {
    within(left, "the scene", happens).await
}

/// Everything that runs. Two workers, `w1` and `w2`; one of them serves the source. The worker talks to the target
/// through a proxy, everybody else directly.
pub struct Scene {
    pub rig: Rig,
    pub proxy: Proxy,
    /// The way from the masters to `w1` and to `w2`.
    sessions: [Proxy; 2],
    pub load: Option<Workload>,
    /// Transactions of earlier writers, and how long they took.
    written: (u64, Duration),
    writing_since: Instant,
    /// When it has to be over.
    end: Instant,
    holds: Scratch,
}

impl Scene {
    /// Starts everything, and returns when the load is done, the binlog is followed and all four lanes are at work.
    pub async fn start(setup: Setup) -> Result<Self> {
        let end = Instant::now() + SCENE;
        let holds = Scratch::new("holds")?;
        let lease = holds.path().join("master.toml");
        std::fs::write(&lease, format!("lease-ttl = \"{}\"\n", setup.lease))?;
        for member in ["w1", "w2", "m1", "m2", "m3", "m4"] {
            std::fs::create_dir(holds.path().join(member))?;
        }
        let ports = [free_port(), free_port()];
        let network = if setup.network {
            let network = within(LONG, "start a network", Network::start(setup.masters, 0)).await?;
            Some(Arc::new(network))
        } else {
            None
        };
        let host = network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.host());
        let sessions = [Proxy::start_on(host, ports[0]).await?, Proxy::start_on(host, ports[1]).await?];
        let cluster = ClusterOptions {
            masters: setup.masters,
            workers: 2,
            worker_ports: ports.into_iter().zip(sessions.iter().map(Proxy::port)).collect(),
            network,
            master_args: vec![format!("--config={}", lease.display())],
            env: vec![
                ("RAFT_DM_BROKEN".to_owned(), setup.broken.to_owned()),
                ("RAFT_DM_HOLD_DIR".to_owned(), holds.path().display().to_string()),
                ("RAFT_DM_SNAPSHOT_EVERY".to_owned(), setup.snapshot_every.to_string()),
            ],
            ..ClusterOptions::default()
        };
        let at_target = DatabaseOptions { flush: setup.flush, ..DatabaseOptions::default() };
        let starting = async {
            tokio::try_join!(
                Database::start(setup.source, DatabaseOptions::default()),
                Database::start(setup.target, at_target),
                Cluster::start_with(cluster),
            )
        };
        let (source, target, cluster) = within(SCENE, "servers and cluster to start", starting).await?;
        source.run(&["CREATE DATABASE work", "CREATE TABLE work.proof (a INT, b VARCHAR(32))"]).await?;
        let proxy = Proxy::start(target.port()).await?;
        let rig = Rig { cluster, source, target };
        let mut scene = Self {
            rig,
            proxy,
            sessions,
            load: None,
            written: (0, Duration::ZERO),
            writing_since: Instant::now(),
            end,
            holds,
        };
        let begun = within(scene.left(), "the beginning of the scene", scene.begin()).await;
        scene.explained(begun)?;
        Ok(scene)
    }

    async fn begin(&mut self) -> Result<()> {
        for member in ["w1", "w2", "m1"] {
            let log = self.rig.cluster.member(member)?.log_text()?;
            ensure!(
                log.contains("this build has test switches"),
                "{member} is built without its test switches: \
                 cargo build --bins --workspace --features dm-worker/test-switches,dm-master/test-switches"
            );
        }
        self.write().await?;
        let cluster = &self.rig.cluster;
        cluster.create_source(&SourceFile::new(SOURCE, &self.rig.source)).await?;
        let mut task = TaskFile::new(TASK, SOURCE, &self.rig.target, &[SCHEMA]);
        task.target_port = self.proxy.port();
        self.rig.start_on_lanes(&task).await?;
        self.rig.wait_syncing(LONG).await?;
        self.flow(500).await?;
        self.rig.wait_lanes(LONG).await
    }

    /// How long the scene may still take.
    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The way from the masters to a worker.
    pub fn session(&self, worker: &str) -> &Proxy {
        &self.sessions[usize::from(worker == "w2")]
    }

    /// Starts the writers.
    pub async fn write(&mut self) -> Result<()> {
        let options = WorkloadOptions {
            schema: SCHEMA.to_owned(),
            tps: TPS,
            connections: 4,
            seed: self.written.0,
            // Rare enough that the other transactions keep all lanes busy side by side.
            heap_in: 20,
            ..WorkloadOptions::default()
        };
        self.load = Some(Workload::start(self.rig.source.opts(), options).await?);
        self.writing_since = Instant::now();
        Ok(())
    }

    /// Stops the writers.
    pub async fn rest(&mut self) -> Result<()> {
        let load = self.load.take().context("nobody writes")?;
        let counts = load.stop().await?;
        self.written.0 += counts.transactions;
        self.written.1 += self.writing_since.elapsed();
        Ok(())
    }

    /// Lets the writers commit so many transactions more, and waits until the target has everything that was
    /// committed by then.
    pub async fn flow(&self, transactions: u64) -> Result<()> {
        if let Some(load) = &self.load {
            let until = load.committed() + transactions;
            wait_until(LONG, "the writers to go on", async || Ok(load.committed() >= until)).await?;
        }
        let mut source = self.rig.source.conn().await?;
        let now: Vec<(u32, u64)> = within(LONG, "the source's serials", source.query(SERIALS)).await?;
        let target = tokio::sync::Mutex::new(self.rig.target.conn().await?);
        wait_until(LONG, "the target to follow", async || {
            let there: Vec<(u32, u64)> = target.lock().await.query(SERIALS).await?;
            ensure!(
                there.len() == now.len() && there.iter().zip(&now).all(|(t, n)| t.1 >= n.1),
                "serials at the source {now:?}, at the target {there:?}"
            );
            Ok(true)
        })
        .await
    }

    /// Runs one query with one value at the target.
    pub async fn at_target<T>(&self, sql: &str) -> Result<Option<T>>
    where
        T: mysql_async::prelude::FromRow + Send + 'static,
    {
        self.rig.at_target(sql).await
    }

    /// (epoch, attempt) of lane -1 at the target: who owns it.
    pub async fn owner(&self) -> Result<(u64, u64)> {
        let sql = format!("SELECT epoch, attempt FROM dm_meta.{TASK}_lane WHERE stream=0 AND lane=-1");
        self.at_target(&sql).await?.context("no row of lane -1")
    }

    /// Waits until the target is owned by another attempt than this one.
    pub async fn taken_over(&self, from: (u64, u64)) -> Result<(u64, u64)> {
        wait_until_value(LONG, "a take-over", async || Ok(Some(self.owner().await?).filter(|o| *o != from)))
            .await
    }

    /// Waits until the source is bound to another worker than this one.
    pub async fn bound_elsewhere(&self, from: &str) -> Result<String> {
        wait_until_value(LONG, "the source to be bound elsewhere", async || {
            Ok(self.rig.cluster.bound_worker(SOURCE).await?.filter(|w| w != from))
        })
        .await
    }

    /// Waits for a text in a worker's log, behind byte `from`.
    pub async fn logged(&self, worker: &str, from: usize, texts: &[&str]) -> Result<String> {
        wait_until_value(LONG, format!("{texts:?} in the log of {worker}"), async || {
            let log = self.rig.cluster.member(worker)?.log_text()?;
            let new = log.get(from..).unwrap_or_default();
            let found = new.lines().find(|line| texts.iter().all(|t| line.contains(t)));
            Ok(found.map(str::to_owned))
        })
        .await
    }

    /// Length of a worker's log.
    pub fn log_length(&self, worker: &str) -> Result<usize> {
        Ok(self.rig.cluster.member(worker)?.log_text()?.len())
    }

    /// Files that arm a failpoint of a worker or a master and tell that it holds.
    pub fn hold_files(&self, member: &str, failpoint: &str) -> (PathBuf, PathBuf) {
        let dir = self.holds.path().join(member);
        (dir.join(failpoint), dir.join(format!("{failpoint}.held")))
    }

    /// Stops the writers, waits until every table is equal and checks what the writers promise.
    pub async fn finish(mut self, what: &str) -> Result<()> {
        let checked = within(self.left(), "the end of the scene", self.check(what)).await;
        self.explained(checked)
    }

    async fn check(&mut self, what: &str) -> Result<()> {
        self.rest().await?;
        let began = Instant::now();
        self.flow(0).await?;
        let diff = self.rig.wait_equal(&[SCHEMA]).await?;
        ensure!(diff.is_equal(), "{diff}");
        let caught_up = began.elapsed();
        let wrong = check_workload(self.rig.target.opts(), SCHEMA).await?;
        ensure!(wrong.is_empty(), "{wrong:?}");
        let heap: Option<u64> = self.at_target("SELECT COUNT(*) FROM work.heap").await?;
        let (transactions, time) = self.written;
        let rate = transactions as f64 / time.as_secs_f64();
        println!(
            "{what}: {transactions} transactions, {rate:.0}/s; equal {} ms after the last one: {} rows, {heap:?} without a key",
            caught_up.as_millis(),
            diff.rows_compared,
        );
        Ok(())
    }

    /// Keeps the folders and adds the last log lines to an error.
    pub fn explained<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            self.rig.cluster.keep();
        }
        let cluster = &self.rig.cluster;
        outcome.with_context(|| format!("logs in {}\n{}", cluster.dir().display(), cluster.last_words()))
    }
}
