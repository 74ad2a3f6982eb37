//! What a subtask that has ended waits for before it starts again.
use std::time::Duration;

use dm_proto::worker::Stage;
use tokio::time::Instant;

use super::Desired;
use crate::failure::{Failure, Next};

/// This many identical failures in a row end the quick retrying.
const IDENTICAL_FAILURES: u32 = 5;
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// What a server that is back may have to wait for us at most.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A run that was healthy for this long starts the count of identical failures anew. Pauses begin anew much earlier: a run
/// that lasted longer than the longest of them was worth its start.
const HEALTHY: Duration = Duration::from_secs(60);

/// Condition for the next start.
#[derive(Debug)]
pub enum Gate {
    Open,
    /// The unit has done all it had to do.
    Finished(Desired),
    /// A pause before the next attempt.
    Until(Instant),
    /// A resume or another configuration.
    Person(Desired),
    /// A binding with a higher epoch than this one, which the target knows.
    Epoch(u64),
    /// Two more messages of a leader under the same binding.
    Confirmation,
}

impl Gate {
    /// What the committed wish alone opens.
    pub fn opened_by(&self, desired: &Desired) -> bool {
        match self {
            Self::Open => true,
            Self::Finished(then) => !then.same_run(desired),
            Self::Person(then) => !then.same_run(desired) || then.resume_serial != desired.resume_serial,
            Self::Epoch(found) => desired.epoch > *found,
            Self::Until(at) => Instant::now() >= *at,
            Self::Confirmation => false,
        }
    }
}

/// Counts failures in a row and chooses the next pause.
#[derive(Debug, Default)]
pub struct Retries {
    last: Option<Failure>,
    identical: u32,
    attempts: u32,
}

impl Retries {
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether anything has failed since the last reset.
    pub fn failed(&self) -> bool {
        self.last.is_some()
    }

    /// The pause before the next attempt.
    fn pause(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= BACKOFF_MAX {
            self.attempts = 0;
        }
        let pause = BACKOFF_FIRST.saturating_mul(2u32.saturating_pow(self.attempts.min(16)));
        self.attempts = self.attempts.saturating_add(1);
        pause.min(BACKOFF_MAX)
    }

    /// The gate after a failed run, and the stage to show meanwhile.
    pub fn after(&mut self, failure: &Failure, ran_for: Duration, desired: &Desired) -> (Gate, Stage) {
        if ran_for >= HEALTHY {
            self.reset();
        }
        self.identical =
            if self.last.as_ref().is_some_and(|l| l.same_as(failure)) { self.identical + 1 } else { 1 };
        self.last = Some(failure.clone());
        let gate = Gate::Until(Instant::now() + self.pause(ran_for));
        let stuck = self.identical >= IDENTICAL_FAILURES;
        match failure.next {
            Next::Person => (Gate::Person(desired.clone()), Stage::Paused),
            Next::Fenced(epoch) => (Gate::Epoch(epoch), Stage::New),
            Next::Kicked => (Gate::Confirmation, Stage::Running),
            Next::Retry if stuck => (Gate::Person(desired.clone()), Stage::Paused),
            // Shown as paused, but it resumes by itself when the other side is back.
            Next::Unreachable if stuck => (gate, Stage::Paused),
            Next::Retry | Next::Unreachable => (gate, Stage::Running),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dm_proto::{error::Code, worker::MetaStage};

    fn desired(epoch: u64, resume_serial: u64) -> Desired {
        Desired {
            epoch,
            source_config: "".into(),
            task_config: "".into(),
            task_revision: 1,
            stage: Stage::Running,
            meta: MetaStage::MetaCreated,
            adopt_meta: false,
            resume_serial,
            remove_meta: false,
            start_time: String::new(),
            operators: std::sync::Arc::default(),
        }
    }

    #[test]
    fn identical_failures_stop_the_retrying_until_a_resume() {
        let mut retries = Retries::default();
        let failure = Failure::new(Code::BinlogRead, "again").next(Next::Retry);
        for _ in 1..IDENTICAL_FAILURES {
            let (gate, stage) = retries.after(&failure, Duration::ZERO, &desired(1, 0));
            assert!(matches!(gate, Gate::Until(_)));
            assert_eq!(stage, Stage::Running);
        }
        let (gate, stage) = retries.after(&failure, Duration::ZERO, &desired(1, 0));
        assert_eq!(stage, Stage::Paused);
        assert!(!gate.opened_by(&desired(1, 0)));
        assert!(gate.opened_by(&desired(1, 1)));
    }

    #[test]
    fn an_unreachable_server_is_tried_for_ever() {
        let mut retries = Retries::default();
        let failure = Failure::new(Code::DatabaseOpen, "gone").next(Next::Unreachable);
        for _ in 0..100 {
            assert!(matches!(retries.after(&failure, Duration::ZERO, &desired(1, 0)).0, Gate::Until(_)));
        }
    }

    #[test]
    fn pauses_grow_only_while_nothing_runs() {
        let mut retries = Retries::default();
        let pauses: Vec<u128> = (0..8).map(|_| retries.pause(Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        // Lost again, half a minute later: it is tried at once.
        assert_eq!(retries.pause(Duration::from_secs(30)), BACKOFF_FIRST);
        assert_eq!(retries.pause(Duration::from_secs(1)), 2 * BACKOFF_FIRST);
        // A poisoned transaction that is reached late is counted all the same.
        let poison = Failure::new(Code::BinlogRead, "again").next(Next::Retry);
        for _ in 1..IDENTICAL_FAILURES {
            assert!(matches!(
                retries.after(&poison, Duration::from_secs(30), &desired(1, 0)).0,
                Gate::Until(_)
            ));
        }
        assert_eq!(retries.after(&poison, Duration::from_secs(30), &desired(1, 0)).1, Stage::Paused);
    }

    #[test]
    fn a_fenced_subtask_waits_for_a_higher_epoch() {
        let failure = Failure::new(Code::Fenced, "fenced").next(Next::Fenced(7));
        let (gate, _) = Retries::default().after(&failure, Duration::ZERO, &desired(3, 0));
        assert!(!gate.opened_by(&desired(7, 9)));
        assert!(gate.opened_by(&desired(8, 0)));
    }
}
