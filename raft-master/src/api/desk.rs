//! Where a handler works: at the leader, after a read barrier.
use std::sync::Arc;
use std::time::Instant;

use dm_proto::{raft::command::Body, worker::SubtaskReport};
use dm_state::{Binding, Condition, State};
use tokio::time::timeout;

use crate::{
    leader::{Seen, Tenure},
    node::{Committed, Node},
    problem::Problem,
};

/// A handler's access to the leader's state; what it reads at first is linearizable.
#[derive(Clone)]
pub struct Desk {
    /// This master.
    pub node: Arc<Node>,
    /// Its running tenure.
    pub tenure: Arc<Tenure>,
    /// Name of the call that is served; empty for none.
    call: String,
}

impl Desk {
    /// Fails with [`Problem::NotLeader`] where this member does not lead, or can't prove it.
    pub async fn open(node: &Arc<Node>) -> Result<Self, Problem> {
        if !node.consensus.leadership().borrow().is_leader {
            return Err(Problem::NotLeader);
        }
        // Leading without a tenure: it is just being taken up.
        let mut tenures = node.tenure.subscribe();
        let patience = node.settings.timing.election_patience;
        let tenure = match timeout(patience, tenures.wait_for(Option::is_some)).await {
            Ok(Ok(tenure)) => tenure.clone(),
            _ => None,
        };
        let Some(tenure) = tenure else {
            return Err(Problem::Unknown("the leader's duties are not taken up yet".into()));
        };
        if !node.consensus.quorum_fresh() {
            return Err(Problem::Unknown("no majority confirms the leader".into()));
        }
        // A majority that is there answers in milliseconds; consensus itself would wait for it much longer.
        match timeout(patience / 2, node.consensus.read_barrier()).await {
            Ok(barrier) => barrier?,
            Err(_) => return Err(Problem::Unknown("no majority confirms the leader in time".into())),
        };
        Ok(Self { node: node.clone(), tenure, call: String::new() })
    }

    /// The same, for a call of a client.
    #[must_use]
    pub fn for_call(self, name: &str) -> Self {
        Self { call: name.to_owned(), ..self }
    }

    /// Commits a command.
    pub async fn propose(&self, body: Body) -> Result<Committed, Problem> {
        if self.call.is_empty() {
            return self.node.propose(body).await;
        }
        self.node.propose_for(&self.call, body).await
    }

    /// Reads the applied state.
    pub fn state<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        self.node.state(|state, _| read(state))
    }

    /// The binding of a source, if it names the process that the worker registered last.
    pub fn binding(&self, source_id: &str) -> Option<Binding> {
        self.state(|state| {
            let binding = state.sources.get(source_id).and_then(|s| s.binding.clone());
            binding.filter(|b| state.binding_is_current(b))
        })
    }

    /// What has been observed of the process that owns the source.
    pub fn owner(&self, binding: &Binding) -> Option<Seen> {
        self.tenure.roster.get(&binding.worker).filter(|seen| seen.incarnation == binding.incarnation)
    }

    /// Whether the owner is taken for dead.
    pub fn is_dead(&self, binding: &Binding) -> bool {
        self.tenure.roster.condition(&binding.worker, Instant::now()) == Condition::Dead
    }
}

/// The owner's last report on one of its subtasks, when it is about this binding.
pub fn subtask_report<'a>(
    seen: &'a Seen,
    source_id: &str,
    epoch: u64,
    task: &str,
) -> Option<&'a SubtaskReport> {
    let (report, _) = seen.report.as_ref()?;
    let source = report.sources.iter().find(|s| s.source_id == source_id && s.epoch == epoch)?;
    source.subtasks.iter().find(|s| s.task == task)
}
