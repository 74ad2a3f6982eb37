//! Worker of the migration cluster: runs the subtasks of the sources that a leader binds to it.

pub mod check;
pub mod downstream;
pub mod failure;
pub mod metrics;
pub mod runtime;
pub mod server;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod source;
pub mod subtask;
#[cfg(feature = "test-switches")]
pub mod test_switches;
pub mod unit;
pub mod upstream;
