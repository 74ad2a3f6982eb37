//! What has to hold once everything is healed.
use anyhow::{Context, Result};
use dm_tests::{check_workload, compare_databases, wait_until, within};
use mysql_async::prelude::Queryable;
use serde::Serialize;

use super::{
    audit,
    history::Operators,
    house::{CALM, House, Load, TASK},
    shards,
    timeline::Timeline,
};

/// What the checks counted and found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Transactions that the sources answered as committed.
    pub transactions: u64,
    /// DDLs that the sources answered as done.
    pub ddls: u64,
    /// Rows compared at both ends.
    pub rows: u64,
    /// Operations of the control plane's clients that were answered, and those that were not.
    pub operations: (usize, usize),
    /// Writes of lane rows in the target's binlog.
    pub lane_writes: u64,
    /// Seconds from the last write until every table was equal.
    pub converged: f64,
    pub findings: Vec<String>,
}

pub struct Checks<'a> {
    pub house: &'a mut House,
    pub timeline: &'a Timeline,
}

impl Checks<'_> {
    /// All of them; what is wrong is in the summary, an error means that a check itself could not be made.
    pub async fn run(self, load: Load, operators: Operators) -> Result<Summary> {
        let mut summary = Summary::default();
        self.timeline.note("the writers stop".to_owned());
        for probe in load.probes {
            probe.stop().await?;
        }
        for shards in load.shards {
            shards.stop().await?;
        }
        for definer in load.definers {
            summary.ddls += definer.stop().await?;
        }
        for writers in load.writers {
            summary.transactions += writers.stop().await?.transactions;
        }
        let stopped = std::time::Instant::now();
        if let Err(error) = self.house.whole().await {
            summary.findings.push(format!("stuck: {error:#}"));
            return Ok(summary);
        }
        self.equal(&mut summary).await?;
        summary.converged = stopped.elapsed().as_secs_f64();
        self.timeline.note(format!("compared: {} rows", summary.rows));
        let history = operators.stop().await?;
        summary.operations = history.counts();
        summary.findings.extend(history.findings());
        let audit = audit::read(&self.house.target).await?;
        summary.lane_writes = audit.writes;
        summary.findings.extend(audit.findings);
        self.timeline.note(format!("audited: {} writes of lane rows", summary.lane_writes));
        self.nothing_left(&mut summary).await?;
        Ok(summary)
    }

    /// Every table equal, every writer's serials whole, every sum kept, every shard's rows in the merged table.
    async fn equal(&self, summary: &mut Summary) -> Result<()> {
        let sources = || self.house.origins.iter().map(|origin| origin.database.opts()).collect();
        let differences = || shards::differences(sources(), self.house.target.opts());
        let merged = wait_until(CALM, "the merged table to be equal", || async {
            Ok(differences().await?.is_empty())
        })
        .await;
        if merged.is_err() {
            summary.findings.extend(differences().await?);
        }
        for origin in &self.house.origins {
            let schemas = [origin.schema.as_str()];
            let compare = || compare_databases(&origin.database, &self.house.target, &schemas);
            let what = format!("every table of {} to be equal", origin.id);
            let equal = wait_until(CALM, &what, || async { Ok(compare().await?.is_equal()) }).await;
            let diff = within(CALM, "the last comparison", compare()).await?;
            summary.rows += diff.rows_compared;
            if equal.is_err() || !diff.is_equal() {
                summary.findings.push(format!("{}: {diff}", origin.id));
            }
            for (whose, server) in [("source", &origin.database), ("target", &self.house.target)] {
                let wrong = check_workload(server.opts(), &origin.schema).await?;
                summary
                    .findings
                    .extend(wrong.into_iter().map(|w| format!("{} at the {whose}: {w}", origin.id)));
            }
        }
        Ok(())
    }

    /// After stop-task nothing of the task is left at the target: no connection, no lock, no transaction.
    async fn nothing_left(&self, summary: &mut Summary) -> Result<()> {
        self.house.cluster.dmctl(&["stop-task", TASK]).await?.success().context("stop-task")?;
        let conn = self.house.target.conn().await?;
        let others = "SELECT COUNT(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND command <> 'Daemon'";
        let conn = tokio::sync::Mutex::new(conn);
        let none = wait_until(CALM, "no connection to be left at the target after stop-task", async || {
            let left: Option<u64> = conn.lock().await.query_first(others).await?;
            anyhow::ensure!(left == Some(0), "there are {left:?}");
            Ok(true)
        })
        .await;
        if let Err(error) = none {
            summary.findings.push(format!("{error:#}"));
        }
        let conn = conn.into_inner();
        within(CALM, "close a connection", conn.disconnect()).await
    }
}
