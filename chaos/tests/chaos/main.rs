//! Faults on real servers and processes under continuous writes; afterwards every table is equal, the one without a key
//! included, and the negative controls show that the checkers would notice otherwise.
//!
//! The programs have to be built with their test switches: `cargo build --bins --workspace --features
//! dm-worker/test-switches,dm-master/test-switches`, as `tests/run.sh` does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod controls;
mod demo;
mod failpoints;
mod failpoints_masters;
mod failpoints_workers;
mod kills;
mod late;
mod late_ddl;
mod locks;
mod partitions;
mod pause;
mod plain_build;
mod run;
mod scene;
mod target;
mod target_rows;
mod two_owners;
