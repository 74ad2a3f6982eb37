//! One time in office: from the barrier in one's own term until leadership is lost.
use std::time::Instant;

use dm_state::State;
use tokio_util::sync::CancellationToken;

use super::{answered::Answered, latch::Latch, roster::Roster, seen::Pace};

/// What lives and dies with one time in office.
pub struct Tenure {
    /// Raft term; workers obey nothing smaller than the greatest they have seen.
    pub term: u64,
    /// When it began.
    pub began: Instant,
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
    /// Begins with every worker unknown; one that the roster did not know at all would pass for dead.
    pub fn new(term: u64, cluster_id: String, pace: Pace, state: &State) -> Self {
        let (roster, began) = (Roster::new(pace), Instant::now());
        roster.follow(state, began);
        Self {
            term,
            began,
            cluster_id,
            roster,
            latch: Latch::default(),
            answered: Answered::default(),
            end: CancellationToken::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dm_proto::raft::{RegisterWorker, command::Body};
    use dm_state::{Condition, apply, command};

    use super::*;

    #[test]
    fn nobody_is_dead_when_a_tenure_begins() {
        let mut state = State::default();
        let body = RegisterWorker { name: "w".into(), address: "a:1".into(), incarnation: 7 };
        apply(&mut state, &command(0, Body::RegisterWorker(body))).unwrap();
        let pace = Pace { lease: Duration::from_secs(3), damping: Duration::from_millis(300) };
        let tenure = Tenure::new(1, "c".into(), pace, &state);
        assert_eq!(tenure.roster.condition("w", tenure.began), Condition::Unknown);
        assert_eq!(tenure.roster.condition("stranger", tenure.began), Condition::Dead);
    }
}
