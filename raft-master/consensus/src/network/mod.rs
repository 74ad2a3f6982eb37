//! Members among themselves: gRPC on a port of their own.

mod channels;
mod client;
mod server;

pub use channels::{Channels, Purpose, peer_client};
pub use client::NetworkFactory;
pub use server::{PeerService, serve};

/// Bound of one message: a megabyte of entries, one more entry, and what is around them.
pub const MAX_MESSAGE: usize = 32 << 20;
/// Bytes of one chunk of a snapshot.
pub const SNAPSHOT_CHUNK: usize = 1 << 20;
/// Bound of a snapshot as a whole.
pub const MAX_SNAPSHOT: u64 = 1 << 30;
