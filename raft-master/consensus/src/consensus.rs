//! One running member of the group.
use std::future::Future;

use tokio::sync::watch;

use crate::{
    ConsensusConfig, FatalError, Leadership, Machine, Member, MembershipError, ProposeError, ReadError, StartError,
};

/// A committed command's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its place in the log; also a revision of the state that contains it.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// What the machine answered.
    pub response: Vec<u8>,
}

/// One running member of the group; clones share it.
pub struct Consensus<M: Machine> {
    machine: std::sync::Arc<std::sync::RwLock<M>>,
}

impl<M: Machine> Clone for Consensus<M> {
    fn clone(&self) -> Self {
        Self { machine: self.machine.clone() }
    }
}

impl<M: Machine> Consensus<M> {
    /// Opens the data directory, starts the member and its peer service.
    pub async fn start(_config: ConsensusConfig, _machine: M) -> Result<Self, StartError> {
        Err(StartError::Engine("not built yet".into()))
    }
    /// This member's id.
    pub fn node_id(&self) -> u64 {
        0
    }
    /// The group's id, once known: 32 hexadecimal digits, made at bootstrap, the same on every member.
    pub fn cluster_id(&self) -> Option<String> {
        None
    }
    /// The group's id as a watch.
    pub fn cluster_id_watch(&self) -> watch::Receiver<Option<String>> {
        watch::channel(None).1
    }
    /// Proposes a command and waits until it is committed and applied here.
    pub async fn propose(&self, _command: Vec<u8>) -> Result<Proposed, ProposeError> {
        Err(ProposeError::Fatal(String::new()))
    }
    /// Linearizable read (ReadIndex).
    pub async fn read_barrier(&self) -> Result<u64, ReadError> {
        Err(ReadError::Fatal(String::new()))
    }
    /// Calls `f` with the state and the log index it contains.
    pub fn with_state<R>(&self, f: impl FnOnce(&M, u64) -> R) -> R {
        let guard = self.machine.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(&guard, 0)
    }
    /// The log index the state contains.
    pub fn applied(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        watch::channel(Leadership::default()).1
    }
    /// All members.
    pub fn members(&self) -> Vec<Member> {
        Vec::new()
    }
    /// Whether this member leads and a majority confirmed it within the last `election_max`.
    pub fn quorum_fresh(&self) -> bool {
        false
    }
    /// Hands leadership to `to`, or to the most up-to-date voter.
    pub async fn transfer_leader(&self, _to: Option<u64>) -> Result<(), MembershipError> {
        Err(MembershipError::Fatal(String::new()))
    }
    /// Adds a member.
    pub async fn add_member(&self, _member: Member) -> Result<(), MembershipError> {
        Err(MembershipError::Fatal(String::new()))
    }
    /// Removes a member.
    pub async fn remove_member(&self, _id: u64) -> Result<(), MembershipError> {
        Err(MembershipError::Fatal(String::new()))
    }
    /// Ends when the process must end.
    pub fn fatal(&self) -> impl Future<Output = FatalError> + Send + 'static {
        std::future::pending()
    }
    /// Stops everything.
    pub async fn shutdown(&self) {}
}
