//! Three real dm-master processes and workers that are scripted at the protocol's other end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod cluster;
mod failover;
mod fake_worker;
mod files;
mod life;
mod stopping;
mod wait;
