//! What the programs say to each other, and the files people write.

// The generated code refers to other packages by path, so the modules nest as the packages do.
#[allow(clippy::all, missing_docs, rustdoc::all)]
mod generated {
    pub mod pb {
        tonic::include_proto!("pb");
    }
    pub mod raftdm {
        pub mod worker {
            pub mod v1 {
                tonic::include_proto!("raftdm.worker.v1");
            }
        }
        pub mod raft {
            pub mod v1 {
                tonic::include_proto!("raftdm.raft.v1");
            }
        }
        pub mod peer {
            pub mod v1 {
                tonic::include_proto!("raftdm.peer.v1");
            }
        }
    }
}

/// DM's own wire (package `pb`): what `dmctl` and DM's tools speak with a master.
pub use generated::pb;
/// Members of the Raft group among themselves.
pub use generated::raftdm::peer::v1 as peer;
/// Commands and snapshots of the replicated log.
pub use generated::raftdm::raft::v1 as raft;
/// The leader and its workers (our own, versioned).
pub use generated::raftdm::worker::v1 as worker;

pub mod config;
pub mod error;
pub mod net;

/// All wire files as an encoded `FileDescriptorSet`, for printing messages by reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
