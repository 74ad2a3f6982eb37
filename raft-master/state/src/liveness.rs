//! What the leader believes about the workers, as the scheduler needs it.
use std::collections::{BTreeMap, BTreeSet};

/// Input of the scheduler beside the state. Clocks have been turned into conditions before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// By worker name; a registered worker that is absent is [`Condition::Unknown`].
    pub workers: BTreeMap<String, WorkerLiveness>,
    /// By source id: (epoch of the binding whose worker said so, higher epoch that it found in a target).
    pub epochs_found: BTreeMap<String, (u64, u64)>,
    /// Sources that have moved too often of late; their bindings stay as they are.
    pub held: BTreeSet<String>,
}

/// Condition of the process with this incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLiveness {
    /// Process that the condition is about.
    pub incarnation: u64,
    /// What is believed.
    pub condition: Condition,
}

/// Belief about a worker process. Wrong beliefs cost time, never rows: the target's fence decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing heard yet by this leader, not for long: neither dead nor free.
    Unknown,
    /// Has a session and was heard within the lease.
    Live,
    /// Has a session and says that it is leaving: keeps what it has, gets nothing new.
    Leaving,
    /// Drained, released everything, about to exit.
    Released,
    /// Its process is gone, or it was silent for a lease.
    Dead,
}

impl Liveness {
    /// Condition of a worker process; another incarnation than the one observed is unknown.
    pub fn condition(&self, worker: &str, incarnation: u64) -> Condition {
        match self.workers.get(worker) {
            Some(w) if w.incarnation == incarnation => w.condition,
            _ => Condition::Unknown,
        }
    }
}
