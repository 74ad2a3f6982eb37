//! Starts real databases and real clusters for tests, and compares databases.
//!
//! Everything here talks to real processes on free ports of 127.0.0.1 (or in namespaces of a [`Network`]), in scratch folders that are kept when a
//! test fails, and waits by observing a state with a deadline, never by sleeping a guessed time.

mod cluster;
mod compare;
mod database;
mod disk;
mod network;
mod ports;
mod process;
mod proxy;
mod scratch;
mod wait;
mod workload;

pub use cluster::{Cluster, ClusterOptions, DmctlOutput, Member, SourceFile, TaskFile, clocks_can_move};
pub use compare::{Diff, TableDiff, compare, compare_databases};
pub use database::{DataCopy, Database, DatabaseOptions, Flavor, Flush};
pub use disk::Disk;
pub use network::{HOST, Link, Network};
pub use ports::free_port;
pub use process::{Program, Running};
pub use proxy::Proxy;
pub use scratch::{Scratch, cache_dir};
pub use wait::{wait_until, wait_until_value, within};
pub use workload::{Workload, WorkloadCounts, WorkloadOptions, check_workload};
