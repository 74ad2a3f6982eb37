//! Everything that a run breaks, and the ways between.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_tests::{
    Cluster, ClusterOptions, Database, DatabaseOptions, Flavor, Proxy, SourceFile, TaskFile, Workload,
    WorkloadOptions, free_port, wait_until, within,
};
use mysql_async::prelude::Queryable;

use crate::probe::{Probe, create_table};

/// Name of the task over all sources.
pub const TASK: &str = "migration";
/// Bound on whatever is waited for while nothing is broken.
pub const CALM: Duration = Duration::from_secs(120);

const MASTERS: usize = 3;
const WORKERS: usize = 3;
const LANES: u32 = 4;
/// What each source's writers try to keep up.
const TPS: u32 = 200;

/// One source.
pub struct Origin {
    pub id: String,
    pub schema: String,
    pub database: Database,
    /// Workers reach it through this.
    pub way: Proxy,
}

/// Two sources (MariaDB and MySQL; the second one's ledger has no unique key), one target (MariaDB), three masters and three workers, with a proxy in each way that can
/// break. The masters talk to each other directly.
pub struct House {
    // First: it goes before the databases that it talks to.
    pub cluster: Cluster,
    pub origins: Vec<Origin>,
    pub target: Database,
    pub to_target: Proxy,
    /// The masters' way to each worker.
    pub sessions: Vec<(String, Proxy)>,
}

/// Who writes, per source.
pub struct Load {
    pub writers: Vec<Workload>,
    pub probes: Vec<Probe>,
}

impl House {
    /// Starts everything, with an empty task that is in sync.
    pub async fn start() -> Result<Self> {
        let ports: Vec<u16> = (0..WORKERS).map(|_| free_port()).collect();
        let mut sessions = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            sessions.push((format!("w{}", n + 1), Proxy::start(*port).await?));
        }
        let target =
            Database::start(Flavor::MariaDb, DatabaseOptions::default()).await.context("the target")?;
        let to_target = Proxy::start(target.port()).await?;
        let mut origins = Vec::new();
        for (n, flavor) in [Flavor::MariaDb, Flavor::MySql].into_iter().enumerate() {
            let database = Database::start(flavor, DatabaseOptions::default()).await.context("a source")?;
            let (id, schema) = (format!("source-{}", n + 1), format!("work{}", n + 1));
            let mut conn = database.conn().await?;
            conn.query_drop(format!("CREATE DATABASE {schema}")).await?;
            create_table(&mut conn, &schema).await?;
            conn.disconnect().await?;
            let way = Proxy::start(database.port()).await?;
            origins.push(Origin { id, schema, database, way });
        }
        let options = ClusterOptions {
            masters: MASTERS,
            workers: WORKERS,
            worker_ports: ports.into_iter().zip(sessions.iter().map(|(_, s)| s.port())).collect(),
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start_with(options).await.context("the cluster")?;
        let house = Self { cluster, origins, target, to_target, sessions };
        house.start_task().await?;
        Ok(house)
    }

    async fn start_task(&self) -> Result<()> {
        // One pattern that every source has something for: a name that a source lacks is a warning.
        let mut task = TaskFile::new(TASK, "", &self.target, &["~^work[0-9]$"]);
        task.sources = self.origins.iter().map(|o| o.id.clone()).collect();
        task.target_port = self.to_target.port();
        for origin in &self.origins {
            let mut file = SourceFile::new(&origin.id, &origin.database);
            file.port = origin.way.port();
            self.cluster.create_source(&file).await?;
        }
        let list = "    block-allow-list: \"ours\"\n";
        let yaml = task.yaml().replace(list, &format!("{list}    syncer-thread: {LANES}\n"));
        let file = self.cluster.write(&format!("{TASK}.yaml"), &yaml)?;
        self.cluster.dmctl(&["start-task", &file.display().to_string()]).await?.success()?;
        for origin in &self.origins {
            self.cluster.wait_subtask(CALM, (TASK, &origin.id), ("Running", "Sync")).await?;
        }
        Ok(())
    }

    /// Starts the writers of every source.
    pub async fn write(&self) -> Result<Load> {
        let (mut writers, mut probes) = (Vec::new(), Vec::new());
        for (seed, origin) in (1..).zip(&self.origins) {
            let options = WorkloadOptions {
                schema: origin.schema.clone(),
                tps: TPS,
                connections: 4,
                seed,
                // Rare enough that the others keep all lanes busy side by side.
                heap_in: 10,
                keyless: seed % 2 == 0,
            };
            writers.push(Workload::start(origin.database.opts(), options).await?);
            probes.push(Probe::start(origin.database.opts(), self.target.opts(), &origin.schema).await?);
        }
        Ok(Load { writers, probes })
    }

    /// Waits until all masters and workers take part, and every subtask runs in sync.
    pub async fn whole(&mut self) -> Result<()> {
        within(CALM, "every member to take part", self.cluster.wait_ready()).await?;
        for origin in &self.origins {
            let what = format!("the subtask of {} to run", origin.id);
            wait_until(CALM, &what, || async {
                let status = self.cluster.subtask(TASK, &origin.id).await?.context("nobody runs it")?;
                anyhow::ensure!(status["stage"] == "Running" && status["unit"] == "Sync", "it is: {status}");
                Ok(true)
            })
            .await?;
        }
        Ok(())
    }
}
