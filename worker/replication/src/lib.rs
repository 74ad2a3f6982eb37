//! MySQL and MariaDB replication client: one TCP connection that authenticates as a replica, asks for the
//! binlog from a GTID set or a position, and hands out whole events as the server sent them.
//!
//! Decoding is `dm-binlog`'s work. There is no reconnect here: the caller knows what it has applied and
//! starts a new client there.

mod auth;
mod client;
mod config;
mod connection;
mod dump;
mod error;
mod greeting;
mod packet;
mod result_set;

pub use client::BinlogClient;
pub use config::{Password, ReplicationConfig, StartAt};
pub use connection::{Connection, TextRow};
pub use error::{ReplicationError, ReplicationErrorKind, Verdict};
