//! Units: the stages of one subtask's work.
//!
//! A unit gets a fresh attachment (a take-over has just been done) and what it found. It runs until it has finished,
//! is asked to drain, or fails; it owns every task that it starts and leaves none behind. After an error it is never
//! continued: the next attempt takes over anew and goes on from the target's own rows.
pub mod expression_rules;
pub mod load;
pub mod rules;
mod start;
pub mod sync;
mod target_error;

pub use start::start_point;
pub use target_error::target_failure;

use dm_target::{Attachment, Resume};

use crate::{failure::Failure, subtask::SubtaskContext};

/// How a unit ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitEnd {
    /// All its work is done and recorded in the target; the next unit may start.
    Finished,
    /// `context.drain` was cancelled: everything submitted is committed, the checkpoint is written, the attachment
    /// closed.
    Drained,
}

/// One stage of the work.
#[tonic::async_trait]
pub trait Unit: Send {
    /// DM's name of it in `query-status`: `Load`, `Sync`.
    fn name(&self) -> &'static str;

    /// Runs on a fresh attachment, which the unit closes before it returns without an error.
    async fn run(
        self: Box<Self>,
        context: &SubtaskContext,
        attachment: Attachment,
        resume: Resume,
    ) -> Result<UnitEnd, Failure>;
}
