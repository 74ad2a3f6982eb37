//! What is observed of one subtask.
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dm_proto::worker::{LoadProgress, MetaStage, ProcessError, Stage, StopPoint, SubtaskReport};
use tokio::sync::{mpsc, watch};

use super::{Desired, Order};
use crate::{failure::Failure, unit::sync::SyncStats};

#[derive(Default)]
struct State {
    task_revision: u64,
    resume_serial: u64,
    stage: Stage,
    unit: &'static str,
    errors: Vec<ProcessError>,
    meta_wanted: MetaStage,
    epoch_found: u64,
    taken_over: u64,
    released: bool,
    load: Option<LoadProgress>,
    stopped_at: Option<StopPoint>,
    /// Those that the leader has not forgotten yet.
    operators: BTreeSet<u64>,
    operators_done: BTreeSet<u64>,
}

/// Shared between the subtask's actor, its unit and the reports. Every change wakes the sessions.
pub struct SubtaskStatus {
    task: String,
    state: Mutex<State>,
    bell: Arc<watch::Sender<u64>>,
    /// To the actor that owns the runs.
    orders: mpsc::Sender<Order>,
    /// Progress of the sync unit, read whenever a report is made.
    pub sync: SyncStats,
}

impl SubtaskStatus {
    pub fn new(task: &str, bell: Arc<watch::Sender<u64>>, orders: mpsc::Sender<Order>) -> Self {
        let state = State { stage: Stage::New, ..State::default() };
        Self { task: task.to_owned(), state: Mutex::new(state), bell, orders, sync: SyncStats::default() }
    }

    /// Where a person's orders beside the wish go.
    pub fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    pub fn stage(&self) -> Stage {
        self.lock().stage
    }

    pub fn set_stage(&self, stage: Stage) {
        self.change(|s| s.stage = stage);
    }

    /// Name of the running unit as DM shows it: `Check`, `Load`, `Sync`.
    pub fn set_unit(&self, unit: &'static str) {
        self.change(|s| s.unit = unit);
    }

    pub fn unit(&self) -> &'static str {
        self.lock().unit
    }

    /// Whether the full load runs.
    pub fn loads(&self) -> bool {
        let s = self.lock();
        s.unit == "Load" && s.stage == Stage::Running
    }

    /// The wish that the following observations answer.
    pub fn set_wish(&self, desired: &Desired) {
        self.change(|s| {
            if s.resume_serial != desired.resume_serial {
                // Of the run before; what it says would be meant for the present one.
                s.stopped_at = None;
            }
            s.operators = desired.operators.iter().map(|o| o.id).collect();
            let known = &s.operators;
            s.operators_done.retain(|id| known.contains(id));
            s.task_revision = desired.task_revision;
            s.resume_serial = desired.resume_serial;
        });
    }

    pub fn set_failure(&self, failure: Option<&Failure>) {
        self.change(|s| {
            s.stopped_at = failure.and_then(|f| f.at.clone());
            s.errors = failure.iter().map(|f| (&f.error).into()).collect();
            s.epoch_found = match failure.map(|f| f.next) {
                Some(crate::failure::Next::Fenced(epoch)) => epoch,
                _ => 0,
            };
        });
    }

    /// The operator's event is in the executed set: the leader may forget it.
    pub fn operator_done(&self, id: u64) {
        self.change(|s| {
            s.operators_done.insert(id);
        });
    }

    pub fn has_operator_done(&self, id: u64) -> bool {
        self.lock().operators_done.contains(&id)
    }

    /// Asks the leader to commit a meta stage; `None` ends the asking.
    pub fn set_meta_wanted(&self, wanted: MetaStage) {
        self.change(|s| s.meta_wanted = wanted);
    }

    /// The target has been taken over under this epoch: no former owner can write any more.
    pub fn set_taken_over(&self, epoch: u64) {
        let mut state = self.lock();
        state.taken_over = state.taken_over.max(epoch);
    }

    /// Highest epoch under which this process has taken over; 0 = none.
    pub fn taken_over(&self) -> u64 {
        self.lock().taken_over
    }

    pub fn set_released(&self, released: bool) {
        self.change(|s| s.released = released);
    }

    /// Progress of the load unit, whole.
    pub fn set_load(&self, progress: LoadProgress) {
        // No bell: the sessions look often enough while a load runs.
        self.lock().load = Some(progress);
    }

    pub fn report(&self) -> SubtaskReport {
        let s = self.lock();
        SubtaskReport {
            task: self.task.clone(),
            task_revision: s.task_revision,
            resume_serial: s.resume_serial,
            stage: s.stage.into(),
            unit: s.unit.to_owned(),
            errors: s.errors.clone(),
            meta_wanted: s.meta_wanted.into(),
            epoch_found: s.epoch_found,
            load: s.load.clone(),
            sync: (s.unit == "Sync").then(|| self.sync.progress()),
            released: s.released,
            stopped_at: s.stopped_at.clone(),
            // The unit may hear of the leader's forgetting later than this, and tell it again.
            operators_done: s.operators_done.intersection(&s.operators).copied().collect(),
        }
    }

    fn change(&self, with: impl FnOnce(&mut State)) {
        with(&mut self.lock());
        self.bell.send_modify(|n| *n += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use dm_proto::worker::{BoundSource, ErrorOperator, Subtask};

    use super::*;

    #[test]
    fn what_the_leader_has_forgotten_is_not_reported_again() {
        let status = SubtaskStatus::new("t", Arc::new(watch::channel(0).0), mpsc::channel(1).0);
        let wish = |ids: &[u64]| {
            let operators = ids.iter().map(|&id| ErrorOperator { id, ..ErrorOperator::default() });
            let subtask = Subtask { operators: operators.collect(), ..Subtask::default() };
            Desired::of(&BoundSource::default(), &subtask)
        };
        // The unit may hear of an operator before this does.
        status.operator_done(7);
        assert!(status.report().operators_done.is_empty());
        status.operator_done(8);
        status.set_wish(&wish(&[8, 9]));
        status.operator_done(9);
        assert_eq!(status.report().operators_done, [8, 9]);
        status.set_wish(&wish(&[9]));
        // It has not heard of the forgetting yet.
        status.operator_done(8);
        assert_eq!(status.report().operators_done, [9]);
    }
}
