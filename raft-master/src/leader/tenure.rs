//! One time in office: from the barrier in one's own term until leadership is lost.
use tokio_util::sync::CancellationToken;

use super::{answered::Answered, latch::Latch, roster::Roster, seen::Pace};

/// What lives and dies with one time in office.
pub struct Tenure {
    /// Raft term; workers obey nothing smaller than the greatest they have seen.
    pub term: u64,
    /// Identity of the cluster, for the workers.
    pub cluster_id: String,
    /// Observed state of the workers.
    pub roster: Roster,
    /// One operation at a time on one task or source.
    pub latch: Latch,
    /// Requests answered in this tenure.
    pub answered: Answered,
    /// Cancelled when it ends.
    pub end: CancellationToken,
}

impl Tenure {
    /// Begins with everything unknown.
    pub fn new(term: u64, cluster_id: String, pace: Pace) -> Self {
        Self {
            term,
            cluster_id,
            roster: Roster::new(pace),
            latch: Latch::default(),
            answered: Answered::default(),
            end: CancellationToken::new(),
        }
    }
}
