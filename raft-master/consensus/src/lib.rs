//! openraft on sled: log, vote, snapshots, peer network.
//!
//! [`Consensus`] runs one member of a Raft group over a [`Machine`]: commands are opaque bytes, the applied state is
//! in memory, log and vote are on disk before anything is promised to anybody.

mod config;
mod consensus;
mod error;
mod machine;
mod member;

pub use config::ConsensusConfig;
pub use consensus::{Consensus, Proposed};
pub use error::{EXIT_FATAL, EXIT_REFUSED, FatalError, MembershipError, ProposeError, ReadError, StartError};
pub use machine::{Incompatible, Machine, RestoreError};
pub use member::{Leadership, Member};
