//! Two databases and a cluster between them.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_tests::{
    Cluster, Database, DatabaseOptions, Diff, Flavor, SourceFile, TaskFile, compare_databases, wait_until,
    wait_until_value,
};

/// Name of the one source.
pub const SOURCE: &str = "mysql-replica-01";
/// Name of the one task.
pub const TASK: &str = "migration";

/// How long a copied and followed database may take to be equal once nothing is written any more.
const CATCH_UP: Duration = Duration::from_secs(120);

/// A source, a target and a cluster of real processes.
pub struct Rig {
    // First: it goes before the databases that it talks to.
    pub cluster: Cluster,
    pub source: Database,
    pub target: Database,
}

impl Rig {
    /// Starts everything with an empty source.
    pub async fn start(flavors: (Flavor, Flavor), masters: usize, workers: usize) -> Result<Self> {
        Self::start_with(flavors, masters, workers, DatabaseOptions::default()).await
    }

    /// The same with options for both databases.
    pub async fn start_with(
        (source, target): (Flavor, Flavor),
        masters: usize,
        workers: usize,
        options: DatabaseOptions,
    ) -> Result<Self> {
        let source = Database::start(source, options.clone()).await.context("start the source")?;
        let target = Database::start(target, options).await.context("start the target")?;
        let cluster = Cluster::start(masters, workers).await.context("start the cluster")?;
        Ok(Self { cluster, source, target })
    }

    /// Creates the source and starts the task over these schemas, with the files left in the cluster's folder.
    pub async fn start_task(&self, schemas: &[&str]) -> Result<()> {
        self.cluster
            .create_source(&SourceFile::new(SOURCE, &self.source))
            .await
            .context("operate-source create")?;
        let task = TaskFile::new(TASK, SOURCE, &self.target, schemas);
        self.cluster.start_task(&task).await.context("start-task")
    }

    /// Waits until the full load is done and the binlog is followed.
    pub async fn wait_syncing(&self, deadline: Duration) -> Result<()> {
        self.cluster.wait_subtask(deadline, (TASK, SOURCE), ("Running", "Sync")).await.map(drop)
    }

    /// The worker that serves the source, waited for.
    pub async fn worker(&self) -> Result<String> {
        wait_until_value(Duration::from_secs(30), "the source to be bound", || {
            self.cluster.bound_worker(SOURCE)
        })
        .await
    }

    /// Waits until every table is equal; nothing may be written meanwhile. Gives the last comparison, also an unequal
    /// one after the deadline.
    pub async fn wait_equal(&self, schemas: &[&str]) -> Result<Diff> {
        let mut last = None;
        let equal = wait_until(CATCH_UP, "every table to be equal", || async {
            Ok(compare_databases(&self.source, &self.target, schemas).await?.is_equal())
        })
        .await;
        if let Err(e) = equal {
            let diff = compare_databases(&self.source, &self.target, schemas).await.context(e)?;
            last = Some(diff);
        }
        match last {
            Some(diff) => Ok(diff),
            None => compare_databases(&self.source, &self.target, schemas).await,
        }
    }
}
