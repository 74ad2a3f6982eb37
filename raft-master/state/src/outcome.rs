//! Short ways to build commands and their outcomes.
use dm_proto::raft;
use raft::{Command, Outcome, command::Body};

/// DM's error codes that applying a command can answer.
pub mod code {
    /// A worker with this name exists.
    pub const WORKER_EXISTS: i32 = 46003;
    /// No such worker.
    pub const WORKER_NOT_EXIST: i32 = 46004;
    /// The worker is online.
    pub const WORKER_ONLINE: i32 = 46005;
    /// A state does not allow this change (also a compare-and-swap that lost).
    pub const INVALID_TRANSITION: i32 = 46006;
    /// A source with this id exists.
    pub const SOURCE_EXISTS: i32 = 46007;
    /// No such source.
    pub const SOURCE_NOT_EXIST: i32 = 46008;
    /// The source still has tasks.
    pub const SOURCE_HAS_TASKS: i32 = 46010;
    /// The subtask exists.
    pub const SUBTASK_EXISTS: i32 = 46014;
    /// The stage can't be set.
    pub const STAGE_INVALID: i32 = 46015;
    /// No such task, or not on these sources.
    pub const TASK_NOT_EXIST: i32 = 46018;
    /// An operation that is not known, or not in this form.
    pub const OPERATION_INVALID: i32 = 38041;
    /// The cluster was initialised with another id.
    pub const FOREIGN_CLUSTER: i32 = 38038;
}

/// A command with the proposer's time (milliseconds since 1970).
pub fn command(proposed_at_ms: u64, body: Body) -> Command {
    Command { proposed_at_ms, request: Vec::new(), body: Some(body) }
}

/// The command holds now; `epoch` only for a binding.
pub fn done(changed: bool, epoch: u64) -> Outcome {
    Outcome { result: Some(raft::outcome::Result::Done(raft::Done { changed, epoch })) }
}

/// The command changed nothing; why.
pub fn refused(code: i32, message: impl Into<String>) -> Outcome {
    Outcome { result: Some(raft::outcome::Result::Refused(raft::Refused { code, message: message.into() })) }
}
