//! The crate's tests against real disks, sockets and processes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bit_flips;
mod cluster;
mod crash;
mod disk_full;
mod disk_hung;
mod ledger;
mod lifecycle;
mod membership;
mod nodes;
mod storage;
