//! The replication client and the decoder against both real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod connection;
mod defects;
mod fidelity;
mod stream;
mod support;
