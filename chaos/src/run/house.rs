//! Everything that a run breaks, and the ways between.
use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use dm_tests::{
    Cluster, ClusterOptions, Database, DatabaseOptions, Disk, Flavor, Network, Proxy, SourceFile, TaskFile,
    Workload, WorkloadOptions, clocks_can_move, free_port, wait_until, within,
};
use mysql_async::prelude::Queryable;

use super::{definer::Definer, shards, shards::Shards};
use crate::probe::{Probe, create_table};

/// Name of the task over all sources.
pub const TASK: &str = "migration";
/// Bound on whatever is waited for while nothing is broken.
pub const CALM: Duration = Duration::from_secs(120);

const MASTERS: usize = 3;
const WORKERS: usize = 3;
const LANES: u32 = 4;
/// Size of each member's disk.
const DISK_MIB: u64 = 256;
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

/// Two sources (MariaDB and MySQL; the second one's ledger has no unique key), one target (MariaDB), three masters and
/// three workers, with a proxy in each way that can break.
pub struct House {
    // First: it goes before the databases that it talks to.
    pub cluster: Cluster,
    pub origins: Vec<Origin>,
    pub target: Database,
    pub to_target: Proxy,
    /// The masters' way to each worker.
    pub sessions: Vec<(String, Proxy)>,
    /// Each member's folder is a file system of its own.
    pub disks: bool,
    /// Each member's clock can be moved.
    pub clocks: bool,
    /// Members that may end by themselves, since their disk failed; [`House::whole`] starts them again.
    pub may_end: BTreeSet<String>,
}

/// Who writes, per source.
pub struct Load {
    pub writers: Vec<Workload>,
    pub probes: Vec<Probe>,
    pub definers: Vec<Definer>,
    pub shards: Vec<Shards>,
}

impl House {
    /// A network for the masters of a house; an error where the machine does not allow it.
    pub async fn network(seed: u64) -> Result<Network> {
        Network::start(MASTERS, seed).await
    }

    /// Starts everything, with an empty task that is in sync. Without a network the masters talk to each other directly.
    pub async fn start(network: Option<Network>) -> Result<Self> {
        let network = network.map(Arc::new);
        let host = network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.host());
        let disks = match Disk::check() {
            Ok(()) => true,
            Err(error) => {
                println!("==> NOT TESTED: faults of disks, because {error:#}");
                false
            }
        };
        let clocks = clocks_can_move();
        if !clocks {
            println!("==> NOT TESTED: clocks that jump, because libfaketime is not installed");
        }
        let ports: Vec<u16> = (0..WORKERS).map(|_| free_port()).collect();
        let mut sessions = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            sessions.push((format!("w{}", n + 1), Proxy::start_on(host, *port).await?));
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
            shards::create(&mut conn).await?;
            conn.disconnect().await?;
            let way = Proxy::start(database.port()).await?;
            origins.push(Origin { id, schema, database, way });
        }
        let options = ClusterOptions {
            masters: MASTERS,
            workers: WORKERS,
            worker_ports: ports.into_iter().zip(sessions.iter().map(|(_, s)| s.port())).collect(),
            disks: disks.then_some(DISK_MIB),
            clocks,
            network,
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start_with(options).await.context("the cluster")?;
        let house =
            Self { cluster, origins, target, to_target, sessions, disks, clocks, may_end: BTreeSet::new() };
        house.start_task().await?;
        Ok(house)
    }

    async fn start_task(&self) -> Result<()> {
        // What it names is replaced below: a list for each source, or a DROP at one would be refused for the sake of tables that
        // the others might have.
        let mut task = TaskFile::new(TASK, "", &self.target, &[]);
        task.extra.push(shards::ROUTES.to_owned());
        task.sources = self.origins.iter().map(|o| o.id.clone()).collect();
        task.target_port = self.to_target.port();
        for origin in &self.origins {
            let mut file = SourceFile::new(&origin.id, &origin.database);
            file.port = origin.way.port();
            self.cluster.create_source(&file).await?;
        }
        let mut yaml = task.yaml();
        for origin in &self.origins {
            let list = "    block-allow-list: \"ours\"\n";
            let own = format!(
                "    block-allow-list: \"{}\"\n    route-rules: [\"shards\"]\n    syncer-thread: {LANES}\n",
                origin.id
            );
            yaml = yaml.replacen(list, &own, 1);
            let lists = "block-allow-list:\n";
            let own =
                format!("{lists}  {}:\n    do-dbs: [{}, {}]\n", origin.id, origin.schema, shards::SCHEMA);
            yaml = yaml.replacen(&format!("\n{lists}"), &format!("\n{own}"), 1);
        }
        let yaml = yaml.replace("  ours:\n    do-dbs: []\n", "");
        let file = self.cluster.write(&format!("{TASK}.yaml"), &yaml)?;
        self.cluster.dmctl(&["start-task", &file.display().to_string()]).await?.success()?;
        for origin in &self.origins {
            self.cluster.wait_subtask(CALM, (TASK, &origin.id), ("Running", "Sync")).await?;
        }
        Ok(())
    }

    /// Starts the writers of every source.
    pub async fn write(&self) -> Result<Load> {
        let mut load =
            Load { writers: Vec::new(), probes: Vec::new(), definers: Vec::new(), shards: Vec::new() };
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
            load.writers.push(Workload::start(origin.database.opts(), options).await?);
            load.probes.push(Probe::start(origin.database.opts(), self.target.opts(), &origin.schema).await?);
            load.definers.push(Definer::start(origin.database.opts(), &origin.schema, seed));
            load.shards.push(Shards::start(origin.database.opts(), seed));
        }
        Ok(load)
    }

    /// Those that have ended by themselves, and may.
    fn ended(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        for name in &self.may_end {
            if let Some(status) = self.cluster.member_mut(name)?.ended()? {
                // A panic or a signal is a fault of its own.
                ensure!(status.code().is_some_and(|code| code < 100), "{name} ended: {status}");
                ended.push(name.clone());
            }
        }
        Ok(ended)
    }

    async fn ready(&mut self) -> Result<()> {
        loop {
            for name in self.ended()? {
                self.cluster.restart(&name)?;
            }
            match self.cluster.wait_ready().await {
                Ok(()) => return Ok(()),
                // One of those has ended meanwhile.
                Err(error) if self.ended()?.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Waits until all masters and workers take part, and every subtask runs in sync.
    pub async fn whole(&mut self) -> Result<()> {
        within(CALM, "every member to take part", self.ready()).await?;
        for origin in &self.origins {
            let what = format!("the subtask of {} to run", origin.id);
            wait_until(CALM, &what, || async {
                let status = self.cluster.subtask(TASK, &origin.id).await?.context("nobody runs it")?;
                ensure!(status["stage"] == "Running" && status["unit"] == "Sync", "it is: {status}");
                Ok(true)
            })
            .await?;
        }
        Ok(())
    }
}
