//! The sources bound to this worker.
mod bound;
mod manager;

pub use manager::SourceManager;
