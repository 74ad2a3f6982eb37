//! Starts real databases and real clusters for tests, and compares databases.
//!
//! Everything here talks to real processes on free ports of 127.0.0.1, in scratch folders that are kept when a
//! test fails, and waits by observing a state with a deadline, never by sleeping a guessed time.

mod database;
mod ports;
mod process;
mod scratch;
mod wait;

pub use database::{DataCopy, Database, DatabaseOptions, Flavor, Flush};
pub use ports::free_port;
pub use process::{Program, Running};
pub use scratch::{Scratch, cache_dir};
pub use wait::{wait_until, wait_until_value};
