//! Metrics under the names that DM's dashboards and alerts use, and our own beside them.
mod sync;
mod worker;

pub use sync::{SubtaskSyncMetrics, SyncMetrics};
pub use worker::Metrics;
