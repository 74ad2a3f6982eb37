//! openraft on sled: log, vote, snapshots, peer network.
//!
//! [`Consensus`] runs one member of a Raft group over a [`Machine`]: commands are opaque bytes, the applied state is
//! in memory, log and vote are on disk before anything is promised to anybody.

mod bootstrap;
mod change;
mod codec;
mod config;
mod consensus;
mod disk;
mod envelope;
mod error;
mod fatal;
mod identity;
mod leadership;
mod machine;
mod member;
mod network;
mod snapshot;
mod stamp;
mod state;
mod store;
mod types;

pub use change::SILENCE;
pub use config::ConsensusConfig;
pub use consensus::{Consensus, Proposed};
pub use error::{EXIT_FATAL, EXIT_REFUSED, FatalError, MembershipError, ProposeError, ReadError, StartError};
pub use machine::{Incompatible, Machine, RestoreError};
pub use member::{Leadership, Member};
#[cfg(feature = "simulation")]
pub use store::MemoryLog;

/// The parts behind [`Consensus`], for this crate's own tests only.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        fatal::Fatality,
        snapshot::SnapshotFolder,
        stamp::DataDir,
        state::AppliedState,
        store::LogStore,
        types::{Command, Entry, LogId, TypeConfig, Vote, log_id},
    };
}
