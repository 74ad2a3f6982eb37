//! The engine's type parameters: opaque commands, random node ids, one leader per term.
use std::fmt;

use openraft::{alias, impls::leader_id_std, vote::leader_id_std::CommittedLeaderId};

/// A command as bytes; what it means only the machine knows.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Command(pub Vec<u8>);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: commands carry passwords.
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What every member knows of every other.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeerNode {
    /// The operator's name.
    pub name: String,
    /// `host:port` of the peer service.
    pub peer_addr: String,
    /// `host:port` for clients.
    pub client_addr: String,
}

impl fmt::Display for PeerNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.peer_addr)
    }
}

openraft::declare_raft_types!(
    /// Term alone names a leader (`leader_id_std`), so that the term fences old leaders outside of Raft too.
    pub TypeConfig:
        D = Command,
        R = Vec<u8>,
        Node = PeerNode,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
);

pub type LogId = alias::LogIdOf<TypeConfig>;
pub type Vote = alias::VoteOf<TypeConfig>;
pub type Entry = alias::EntryOf<TypeConfig>;
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub type Membership = openraft::Membership<u64, PeerNode>;
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
/// A whole snapshot in memory: the control plane's state is small.
pub type SnapshotData = bytes::Bytes;
pub type Snapshot = alias::SnapshotOf<TypeConfig, SnapshotData>;

/// A log id of a term and index.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term), index)
}
