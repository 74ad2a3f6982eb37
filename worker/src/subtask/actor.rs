//! The life of one subtask on this worker: moves what runs towards what is wanted.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dm_proto::{
    error::Code,
    worker::{MetaStage, Stage},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Attempt, Desired, Order, SubtaskStatus,
    gate::{Gate, Retries},
};
use crate::{failure::Failure, runtime::Process, unit::UnitEnd};

/// Bound on draining and checkpointing when a run is asked to end; then it is dropped, which closes its connections.
/// Nothing is lost by that: the target's own rows say what was applied.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

type RunResult = Result<UnitEnd, Failure>;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The units.
    Units,
    /// Only a take-over, so that no former owner can write any more.
    Fence,
}

impl Work {
    /// What this wish needs from an owner who has taken over up to the epoch `taken_over`.
    fn of(wish: &Desired, taken_over: u64) -> Option<Self> {
        match wish.stage {
            Stage::Running => Some(Self::Units),
            // Before the rows exist nobody has been allowed to write anything.
            Stage::Paused if wish.meta == MetaStage::MetaCreated && taken_over < wish.epoch => {
                Some(Self::Fence)
            }
            _ => None,
        }
    }
}

struct Run {
    work: Work,
    desired: Desired,
    drain: CancellationToken,
    handle: JoinHandle<RunResult>,
    started: Instant,
}

/// Owns the runs of one (source, task), one after another, never two at a time.
pub struct SubtaskActor {
    process: Arc<Process>,
    source_id: String,
    task: String,
    wish: watch::Receiver<Option<Desired>>,
    inbox: mpsc::Receiver<Order>,
    status: Arc<SubtaskStatus>,
    run: Option<Run>,
    /// What the last run was for; the gate is about that.
    work: Work,
    gate: Gate,
    retries: Retries,
}

impl SubtaskActor {
    pub fn new(
        process: Arc<Process>,
        source_id: &str,
        task: &str,
        wish: watch::Receiver<Option<Desired>>,
        inbox: mpsc::Receiver<Order>,
        status: Arc<SubtaskStatus>,
    ) -> Self {
        Self {
            process,
            source_id: source_id.to_owned(),
            task: task.to_owned(),
            wish,
            inbox,
            status,
            run: None,
            work: Work::Units,
            gate: Gate::Open,
            retries: Retries::default(),
        }
    }

    /// Reconciles until the wish is withdrawn or the process ends; everything is released then.
    pub async fn run(mut self) {
        loop {
            let wish = self.wish.borrow_and_update().clone();
            let stopping = self.process.stopping();
            let wanted = wish.as_ref().filter(|_| !stopping);
            if let Some(run) = &self.run {
                let same = |d: &&Desired| {
                    Work::of(d, self.status.taken_over()) == Some(run.work) && d.same_run(&run.desired)
                };
                if wanted.filter(same).is_none() {
                    self.stop(wish.as_ref()).await;
                }
            }
            let Some(wish) = wish.filter(|_| !stopping) else { break };
            self.status.set_wish(&wish);
            match Work::of(&wish, self.status.taken_over()) {
                Some(work) if self.run.is_none() => self.try_start(&wish, work),
                Some(_) => {}
                None if wish.stage == Stage::Stopped => self.rest(Stage::Stopped),
                None => self.rest(Stage::Paused),
            }
            self.publish_state();
            self.wait().await;
        }
        self.rest(Stage::Stopped);
        self.process.metrics.forget_subtask(&self.task, &self.source_id);
    }

    /// Nothing runs and nothing is wanted to.
    fn rest(&mut self, stage: Stage) {
        // A resume starts with a clean slate; the last error stays visible while paused.
        if stage == Stage::Stopped {
            self.status.set_failure(None);
        }
        if !matches!(self.gate, Gate::Finished(_)) {
            self.gate = Gate::Open;
        }
        self.retries.reset();
        self.status.set_stage(stage);
        self.status.set_meta_wanted(MetaStage::MetaNone);
        self.status.set_released(true);
    }

    fn try_start(&mut self, wish: &Desired, work: Work) {
        if self.work != work {
            self.work = work;
            self.gate = Gate::Open;
            self.retries.reset();
        }
        if !self.gate.opened_by(wish) {
            return;
        }
        if matches!(self.gate, Gate::Person(_) | Gate::Finished(_)) {
            self.retries.reset();
        }
        self.gate = Gate::Open;
        self.status.set_released(false);
        // Shown as running once a unit runs; while attempts repeat, the stage stays with the error that it shows.
        match (work, self.status.stage()) {
            // It reports paused once nobody else can write, or the other side is away for long.
            (Work::Fence, Stage::Paused) if self.retries.failed() => {}
            (Work::Fence, _) => self.status.set_stage(Stage::Pausing),
            (Work::Units, Stage::Running) => {}
            (Work::Units, Stage::Paused | Stage::Stopped) => self.status.set_stage(Stage::Resuming),
            (Work::Units, _) => self.status.set_stage(Stage::New),
        }
        let drain = CancellationToken::new();
        let attempt = self.attempt(wish, drain.clone());
        info!(task = %self.task, source = %self.source_id, epoch = wish.epoch, ?work, "subtask starts");
        let handle = match work {
            Work::Units => tokio::spawn(attempt.run()),
            Work::Fence => tokio::spawn(attempt.fence()),
        };
        self.run = Some(Run { work, desired: wish.clone(), drain, handle, started: Instant::now() });
    }

    /// Drain, checkpoint, release; past the deadline the run is dropped.
    async fn stop(&mut self, wish: Option<&Desired>) {
        let Some(mut run) = self.run.take() else { return };
        self.status.set_stage(match wish.map(|d| d.stage) {
            Some(Stage::Running) => Stage::Resuming,
            Some(Stage::Paused) => Stage::Pausing,
            _ => Stage::Stopping,
        });
        run.drain.cancel();
        let ended = tokio::time::timeout(STOP_DEADLINE, &mut run.handle).await;
        match ended {
            Ok(Ok(Ok(_))) => {
                self.status.set_failure(None);
                info!(task = %self.task, source = %self.source_id, epoch = run.desired.epoch, "subtask drained and released");
            }
            Ok(Ok(Err(failure))) => {
                warn!(task = %self.task, source = %self.source_id, error = %failure, "subtask ended with an error while stopping");
                self.status.set_failure(Some(&failure));
            }
            Ok(Err(panic)) => {
                warn!(task = %self.task, source = %self.source_id, error = %panic, "subtask broke while stopping");
            }
            Err(_) => {
                run.handle.abort();
                // Joining is what proves that its connections are closed.
                let _ = run.handle.await;
                warn!(task = %self.task, source = %self.source_id, "subtask did not drain in time and was dropped");
            }
        }
        self.gate = Gate::Open;
        self.retries.reset();
    }

    /// Until something changes: the wish, the run, the gate, the process.
    async fn wait(&mut self) {
        let shutdown = self.process.shutdown.clone();
        if let Some(run) = &mut self.run {
            tokio::select! {
                _ = self.wish.changed() => {}
                () = shutdown.cancelled() => {}
                Some(order) = self.inbox.recv() => order.refuse_running(),
                ended = &mut run.handle => {
                    let result = ended.unwrap_or_else(|e| Err(Failure::new(Code::Internal, format!("the unit broke: {e}"))));
                    self.ended(result);
                }
            }
            return;
        }
        let gate = async {
            match &self.gate {
                Gate::Until(at) => tokio::time::sleep_until(*at).await,
                Gate::Confirmation => self.process.contact.confirmed().await,
                _ => std::future::pending().await,
            }
        };
        let order = tokio::select! {
            _ = self.wish.changed() => None,
            () = shutdown.cancelled() => None,
            Some(order) = self.inbox.recv() => Some(order),
            () = gate => {
                self.gate = Gate::Open;
                None
            }
        };
        if let Some(order) = order {
            self.obey(order).await;
        }
    }

    /// Nothing runs: the order has the target for itself.
    async fn obey(&mut self, order: Order) {
        let wish = self.wish.borrow().clone();
        let Some(desired) = wish.filter(|_| self.status.stage() == Stage::Paused) else {
            return order.refuse_running();
        };
        let attempt = self.attempt(&desired, CancellationToken::new());
        order.carry_out(attempt).await;
    }

    fn attempt(&self, desired: &Desired, drain: CancellationToken) -> Attempt {
        Attempt {
            process: Arc::clone(&self.process),
            source_id: self.source_id.clone(),
            task: self.task.clone(),
            desired: desired.clone(),
            wish: self.wish.clone(),
            status: Arc::clone(&self.status),
            drain,
        }
    }

    fn ended(&mut self, result: RunResult) {
        let Some(run) = self.run.take() else { return };
        match result {
            Ok(_) if run.work == Work::Fence => {
                info!(task = %self.task, source = %self.source_id, epoch = run.desired.epoch, "no former owner can write any more");
                // An error of the units, from before the pause, stays visible.
                if self.retries.failed() {
                    self.status.set_failure(None);
                }
                self.gate = Gate::Open;
            }
            Ok(UnitEnd::Finished) => {
                info!(task = %self.task, source = %self.source_id, "subtask finished");
                self.status.set_failure(None);
                self.status.set_stage(Stage::Finished);
                self.gate = Gate::Finished(run.desired);
            }
            Ok(UnitEnd::Drained) => self.gate = Gate::Open,
            Err(failure) => {
                warn!(task = %self.task, source = %self.source_id, epoch = run.desired.epoch, error = %failure, "subtask failed");
                self.process.metrics.exited_with_error(
                    &self.task,
                    &self.source_id,
                    self.status.unit(),
                    &failure,
                );
                let (gate, stage) = self.retries.after(&failure, run.started.elapsed(), &run.desired);
                self.gate = gate;
                self.status.set_failure(Some(&failure));
                // Paused with an error is for a person; until then a former owner may still write.
                let pausing = run.work == Work::Fence && stage != Stage::Paused;
                self.status.set_stage(if pausing { Stage::Pausing } else { stage });
            }
        }
        self.status.set_released(true);
    }

    fn publish_state(&self) {
        self.process.metrics.task_state(&self.task, &self.source_id, self.status.stage());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_subtask_takes_over_once_per_binding_and_only_where_somebody_may_have_written() {
        let wish = |stage, meta, epoch| Desired {
            epoch,
            source_config: "".into(),
            task_config: "".into(),
            task_revision: 1,
            stage,
            meta,
            adopt_meta: false,
            resume_serial: 0,
            remove_meta: false,
            start_time: String::new(),
            operators: Arc::default(),
        };
        let (paused, created) = (Stage::Paused, MetaStage::MetaCreated);
        assert_eq!(Work::of(&wish(paused, created, 5), 4), Some(Work::Fence));
        assert_eq!(Work::of(&wish(paused, created, 5), 5), None, "it has run, or fenced, under this binding");
        assert_eq!(Work::of(&wish(paused, MetaStage::MetaCreating, 5), 0), None);
        assert_eq!(Work::of(&wish(Stage::Running, created, 5), 5), Some(Work::Units));
        assert_eq!(Work::of(&wish(Stage::Stopped, created, 5), 0), None);
    }
}
