//! What a unit may know and use of its subtask.
use std::sync::Arc;

use dm_proto::config::{SourceConfig, SubtaskConfig};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Desired, SubtaskStatus};
use crate::{
    runtime::Process,
    unit::sync::{MEMORY_BYTES, SpoolRoom},
    upstream::SourceIdentity,
};

/// One attempt's surroundings; everything in it stays the same while the attempt lives.
pub struct SubtaskContext {
    pub process: Arc<Process>,
    pub cluster_id: String,
    /// Epoch of the binding.
    pub epoch: u64,
    pub source_id: String,
    pub task: String,
    pub source: Arc<SourceConfig>,
    pub subtask: Arc<SubtaskConfig>,
    /// The server behind the source's address, as seen at the beginning of the attempt.
    pub identity: SourceIdentity,
    /// The task's parts for its other sources, which may feed the same target tables.
    pub others: Vec<SubtaskConfig>,
    pub status: Arc<SubtaskStatus>,
    /// The leader's wish as it changes while the attempt runs.
    pub wish: watch::Receiver<Option<Desired>>,
    /// Cancelled when the unit has to drain, checkpoint and end.
    pub drain: CancellationToken,
}

impl SubtaskContext {
    /// Where large transactions wait for their commit.
    pub fn spool_room(&self) -> Arc<SpoolRoom> {
        let (settings, total) = (&self.process.settings, Arc::clone(&self.process.spool_bytes));
        let (dir, limit) = (settings.data_dir.clone(), settings.spool_limit_bytes);
        Arc::new(SpoolRoom::new(dir, limit, MEMORY_BYTES, total, self.status.sync.spool_counter()))
    }

    /// Whether transactions are named by GTID: the default wherever the source has them.
    pub fn gtid_mode(&self) -> bool {
        self.identity.has_gtids()
    }
}
