//! What the cluster has been told to do, as every replica holds it.
use std::collections::BTreeMap;

use dm_proto::worker::{MetaStage, Stage};

use crate::{operators::Operators, requests::Requests};

/// Version of the command set that this program can propose and apply.
pub const CLUSTER_VERSION: u64 = 2;

/// Desired state of the whole cluster. Ordered maps only: iteration is part of determinism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Made at bootstrap; empty before [`dm_proto::raft::InitCluster`] is applied. Targets remember it.
    pub cluster_id: String,
    /// Lowest [`CLUSTER_VERSION`] that every voter supports; a command of a later version may not be proposed.
    pub cluster_version: u64,
    /// Last epoch given to a binding; only grows.
    pub epoch_counter: u64,
    /// Last task revision given out; only grows.
    pub revision_counter: u64,
    /// By worker name.
    pub workers: BTreeMap<String, Worker>,
    /// By source id.
    pub sources: BTreeMap<String, Source>,
    /// By task name; a task without subtasks does not exist.
    pub tasks: BTreeMap<String, Task>,
    /// The last requests that were carried out.
    pub requests: Requests,
}

/// A worker that has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// `host:port` where the leader dials it.
    pub address: String,
    /// Names one process; 0 after the process left explicitly.
    pub incarnation: u64,
}

/// An upstream database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Source YAML as given.
    pub config: String,
    /// The worker process that owns it.
    pub binding: Option<Binding>,
    /// Milliseconds since 1970, from the command.
    pub created_at_ms: u64,
}

/// Ownership of a source by one worker process. The epoch is what a target checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Worker name.
    pub worker: String,
    /// Process of that worker; another incarnation needs a new binding.
    pub incarnation: u64,
    /// Greater than every epoch before it in this cluster.
    pub epoch: u64,
}

/// The subtasks of one task name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// By source id.
    pub subtasks: BTreeMap<String, Subtask>,
}

/// What one task wants of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subtask {
    /// Task YAML as given to the start that made this subtask.
    pub config: String,
    /// Unlike that of every other start of any task.
    pub revision: u64,
    /// Running or paused.
    pub desired: Stage,
    /// How far the target's meta rows have got; only moves forward.
    pub meta: MetaStage,
    /// Meta rows of another cluster id may be taken over.
    pub adopt_meta: bool,
    /// Meta rows of an earlier life are dropped while `meta` is CREATING.
    pub remove_meta: bool,
    /// Overrides every other start point; empty = none.
    pub start_time: String,
    /// Grows with every resume.
    pub resume_serial: u64,
    /// Milliseconds since 1970, from the command.
    pub created_at_ms: u64,
    /// Pending error operators.
    pub operators: Operators,
}

impl State {
    /// Sources bound to the worker named, in order.
    pub fn sources_of<'a>(&'a self, worker: &'a str) -> impl Iterator<Item = (&'a String, &'a Source)> {
        self.sources
            .iter()
            .filter(move |(_, source)| source.binding.as_ref().is_some_and(|b| b.worker == worker))
    }

    /// Tasks that have a subtask on the source.
    pub fn tasks_of<'a>(&'a self, source_id: &'a str) -> impl Iterator<Item = (&'a String, &'a Subtask)> {
        self.tasks
            .iter()
            .filter_map(move |(name, task)| task.subtasks.get(source_id).map(|subtask| (name, subtask)))
    }

    /// Whether the binding still names the process that the worker registered last.
    pub fn binding_is_current(&self, binding: &Binding) -> bool {
        self.workers.get(&binding.worker).is_some_and(|w| w.incarnation == binding.incarnation)
    }
}
