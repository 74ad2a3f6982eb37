//! The Master service: thin handlers, and the way to the leader.

mod binlog_schema;
mod check;
mod check_task;
mod checktext;
mod desk;
mod forward;
mod handle_error;
mod list_member;
mod offline_member;
mod operate_source;
mod operate_task;
mod query_status;
mod register;
mod rows;
mod service;
mod show_locks;
mod start_task;
mod status_of;
mod wait;

pub use desk::{Desk, subtask_report};
pub use forward::{Call, Forwarder};
pub use service::MasterService;
pub use status_of::percent;

/// Metadata with the number of masters that have passed a call on.
pub const HOPS: &str = "raftdm-hops";
/// Metadata with the incarnation of a worker that registers; decimal.
pub const INCARNATION: &str = "raftdm-incarnation";
/// Metadata of a start-task: `true` lets it take over meta rows that another cluster wrote.
pub const ADOPT_META: &str = "raftdm-adopt-meta";
/// Metadata of a call that may have been carried out before, without the caller having had an answer.
pub const REPEATED: &str = "raftdm-repeated";
/// Metadata that names one call, also when it is sent again; a client may choose it, the first master does otherwise.
pub const REQUEST: &str = "raftdm-request";
/// Metadata of a query-status answer: age in milliseconds of the oldest report in it.
pub const REPORT_AGE: &str = "raftdm-oldest-report-ms";
