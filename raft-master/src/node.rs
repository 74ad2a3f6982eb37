//! One master as its parts see it.
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use dm_consensus::Consensus;
use dm_proto::raft::{self, command::Body, outcome};
use dm_state::State;
use prost::Message;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    leader::Tenure,
    machine::ClusterMachine,
    metrics::Metrics,
    problem::{Problem, refusal},
    settings::Settings,
};

/// Shared by the duties of a leader, the API and HTTP.
pub struct Node {
    /// Validated settings.
    pub settings: Settings,
    /// The replicated state.
    pub consensus: Consensus<ClusterMachine>,
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// Set while this member leads and its duties run.
    pub tenure: watch::Sender<Option<Arc<Tenure>>>,
    /// The process is about to stop.
    pub stopping: CancellationToken,
}

/// A command that is committed and applied here.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// Its place in the log.
    pub index: u64,
    /// Whether it changed anything.
    pub changed: bool,
    /// Epoch, for a binding.
    pub epoch: u64,
}

/// Milliseconds since 1970. Goes into commands and answers; no decision of correctness rests on it.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Node {
    /// Commits a command and waits until it is applied here.
    pub async fn propose(&self, body: Body) -> Result<Committed, Problem> {
        self.commit(dm_state::command(now_ms(), body)).await
    }

    /// The same for a call of a client, which may come again: what it changes, it changes once.
    pub async fn propose_for(&self, call: &str, body: Body) -> Result<Committed, Problem> {
        let mut command = dm_state::command(now_ms(), body);
        // One call may change several things.
        let change = raft::Command { proposed_at_ms: 0, ..command.clone() }.encode_to_vec();
        command.request = format!("{call} {:08x}", crc32fast::hash(&change)).into_bytes();
        self.commit(command).await
    }

    async fn commit(&self, command: raft::Command) -> Result<Committed, Problem> {
        let proposed = self.consensus.propose(command.encode_to_vec()).await?;
        let outcome = raft::Outcome::decode(&proposed.response[..])
            .map_err(|e| Problem::Unknown(format!("the outcome cannot be decoded: {e}")))?;
        match outcome.result {
            Some(outcome::Result::Done(done)) => {
                Ok(Committed { index: proposed.index, changed: done.changed, epoch: done.epoch })
            }
            Some(outcome::Result::Refused(r)) => Err(Problem::Refused(refusal(r.code, r.message))),
            None => Err(Problem::Unknown("the outcome is empty".into())),
        }
    }

    /// Reads the applied state, and the log index that it contains.
    pub fn state<R>(&self, read: impl FnOnce(&State, u64) -> R) -> R {
        self.consensus.with_state(|machine, index| read(machine.state(), index))
    }

    /// The running tenure, if this member leads.
    pub fn tenure(&self) -> Option<Arc<Tenure>> {
        self.tenure.borrow().clone()
    }
}
