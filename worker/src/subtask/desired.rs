//! What the leader wants of one subtask.
use std::sync::Arc;

use dm_proto::worker::{BoundSource, ErrorOperator, MetaStage, Stage, Subtask};

/// One subtask's part of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub epoch: u64,
    pub source_config: Arc<str>,
    pub task_config: Arc<str>,
    pub task_revision: u64,
    pub stage: Stage,
    pub meta: MetaStage,
    pub adopt_meta: bool,
    pub resume_serial: u64,
    /// The meta tables of an earlier life are dropped first.
    pub remove_meta: bool,
    /// Overrides every other start point; empty = none.
    pub start_time: String,
    /// Pending error operators; a run looks at them as they come and go.
    pub operators: Arc<[ErrorOperator]>,
}

impl Desired {
    pub fn of(source: &BoundSource, subtask: &Subtask) -> Self {
        Self {
            epoch: source.epoch,
            source_config: source.config.as_str().into(),
            task_config: subtask.config.as_str().into(),
            task_revision: subtask.task_revision,
            stage: subtask.desired(),
            meta: subtask.meta(),
            adopt_meta: subtask.adopt_meta,
            resume_serial: subtask.resume_serial,
            remove_meta: subtask.remove_meta,
            start_time: subtask.start_time.clone(),
            operators: subtask.operators.clone().into(),
        }
    }

    /// A run goes on as long as all this stays the same; the rest is observed by it while it runs.
    pub fn same_run(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.task_revision == other.task_revision
            && self.source_config == other.source_config
            && self.task_config == other.task_config
            && self.adopt_meta == other.adopt_meta
    }
}
