//! Two databases and a cluster between them.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_tests::{
    Cluster, ClusterOptions, Database, DatabaseOptions, Diff, Flavor, SourceFile, TaskFile,
    compare_databases, wait_until, wait_until_value, within,
};
use mysql_async::prelude::Queryable as _;

/// Name of the one source.
pub const SOURCE: &str = "mysql-replica-01";
/// Name of the one task.
pub const TASK: &str = "migration";

/// `syncer-thread` of [`Rig::start_on_lanes`].
pub const LANES: u64 = 4;

/// How long a server may take for one small query.
const ANSWER: Duration = Duration::from_secs(60);

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
        let cluster = ClusterOptions { masters, workers, ..ClusterOptions::default() };
        Self::start_cluster((source, target), cluster, options).await
    }

    /// The same with options for the cluster.
    pub async fn start_cluster(
        (source, target): (Flavor, Flavor),
        cluster: ClusterOptions,
        options: DatabaseOptions,
    ) -> Result<Self> {
        let source = Database::start(source, options.clone()).await.context("start the source")?;
        let target = Database::start(target, options).await.context("start the target")?;
        let cluster = Cluster::start_with(cluster).await.context("start the cluster")?;
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

    /// Creates the source and starts the task over these schemas with four lanes.
    pub async fn start_task_on_lanes(&self, schemas: &[&str]) -> Result<()> {
        let source = SourceFile::new(SOURCE, &self.source);
        self.cluster.create_source(&source).await.context("operate-source create")?;
        self.start_on_lanes(&TaskFile::new(TASK, SOURCE, &self.target, schemas)).await
    }

    /// Starts a task of the one source whose binlog is applied by four lanes side by side.
    pub async fn start_on_lanes(&self, task: &TaskFile) -> Result<()> {
        let list = "    block-allow-list: \"ours\"\n";
        let yaml = task.yaml().replace(list, &format!("{list}    syncer-thread: {LANES}\n"));
        let file = self.cluster.write(&format!("{}.yaml", task.name), &yaml)?;
        self.cluster
            .dmctl(&["start-task", &file.display().to_string()])
            .await?
            .success()
            .context("start-task")?;
        Ok(())
    }

    /// Waits until every lane of the task has committed something.
    pub async fn wait_lanes(&self, deadline: Duration) -> Result<()> {
        let sql = format!("SELECT COUNT(*) FROM dm_meta.{TASK}_lane WHERE stream=0 AND lane>=0 AND seq>0");
        wait_until(deadline, "every lane at work", || async {
            Ok(self.at_target::<u64>(&sql).await? == Some(LANES))
        })
        .await
    }

    /// Runs one query with one value at the target.
    pub async fn at_target<T>(&self, sql: &str) -> Result<Option<T>>
    where
        T: mysql_async::prelude::FromRow + Send + 'static,
    {
        let mut conn = self.target.conn().await?;
        within(ANSWER, format!("at the target: {sql}"), conn.query_first(sql)).await
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
        let compare = || compare_databases(&self.source, &self.target, schemas);
        let equal =
            wait_until(CATCH_UP, "every table to be equal", || async { Ok(compare().await?.is_equal()) })
                .await;
        let last = within(CATCH_UP, "the last comparison", compare());
        match equal {
            Ok(()) => last.await,
            Err(e) => last.await.context(e),
        }
    }
}
