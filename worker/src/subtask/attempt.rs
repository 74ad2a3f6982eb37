//! One attempt: from the files and the servers to a running unit.
use std::sync::Arc;

use dm_proto::{
    config::{SourceConfig, SubtaskConfig, TaskConfig, TaskMode},
    error::{Code, Error},
    worker::{DefinitionRequest, MetaStage, Stage},
};
use dm_target::{Attachment, LOAD_STREAM, Resume, TargetError, create_meta, remove_meta};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Desired, SubtaskContext, SubtaskStatus, target_spec::target_spec};
use crate::{
    failure::Failure,
    runtime::Process,
    unit::{
        Unit, UnitEnd,
        load::LoadUnit,
        sync::{DmTables, SyncUnit, edit_definition},
        target_failure,
    },
    upstream::{self, SourceIdentity},
};

/// Everything one attempt starts from.
pub struct Attempt {
    pub process: Arc<Process>,
    pub source_id: String,
    pub task: String,
    pub desired: Desired,
    pub wish: watch::Receiver<Option<Desired>>,
    pub status: Arc<SubtaskStatus>,
    pub drain: CancellationToken,
}

impl Attempt {
    /// Runs the units until the work is finished, drained or failed.
    pub async fn run(self) -> Result<UnitEnd, Failure> {
        let Some(context) = self.until_drained(self.prepare()).await? else { return Ok(UnitEnd::Drained) };
        let Some(()) = self.until_drained(self.meta(&context)).await? else { return Ok(UnitEnd::Drained) };
        let chosen = match self.until_drained(self.choose(&context)).await? {
            None => return Ok(UnitEnd::Drained),
            Some(chosen) => chosen,
        };
        // A full copy has no second life: whoever comes after its end only sees that it is done.
        let Some((unit, attachment, resume)) = chosen else { return Ok(UnitEnd::Finished) };
        let was_load = unit.name() == "Load";
        let end = self.run_unit(&context, unit, attachment, resume).await?;
        if !was_load || end == UnitEnd::Drained || context.subtask.task_mode == TaskMode::Full {
            return Ok(end);
        }
        let Some((attachment, resume)) = self.until_drained(self.main_stream(&context)).await? else {
            return Ok(UnitEnd::Drained);
        };
        self.run_unit(&context, Box::new(SyncUnit), attachment, resume).await
    }

    /// Only takes over, so that no former owner can write any more, and lets go again.
    ///
    /// A paused subtask runs nothing that would do it: a former owner, cut off from the masters and not from the
    /// databases, would write on behind an answer that says that it is paused.
    pub async fn fence(self) -> Result<UnitEnd, Failure> {
        let Some(context) = self.until_drained(self.prepare()).await? else { return Ok(UnitEnd::Drained) };
        let Some((attachment, _)) = self.until_drained(self.main_stream(&context)).await? else {
            return Ok(UnitEnd::Drained);
        };
        if let Err(error) = attachment.close().await {
            warn!(task = %self.task, source = %self.source_id, %error, "closing the connections of a take-over");
        }
        Ok(UnitEnd::Drained)
    }

    /// What happens before a unit runs may be dropped at any point: it leaves nothing behind that a take-over
    /// would not clean up.
    async fn until_drained<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.drain.cancelled() => Ok(None),
        }
    }

    /// Files and the source's identity.
    async fn prepare(&self) -> Result<SubtaskContext, Failure> {
        self.status.set_unit("Check");
        let source = Arc::new(SourceConfig::parse(&self.desired.source_config)?);
        let task = TaskConfig::parse(&self.desired.task_config)?;
        let subtask = Arc::new(subtask_of(&task, &self.source_id)?.with_source(&source));
        if !self.desired.start_time.is_empty() && subtask.task_mode != TaskMode::Incremental {
            let message = "`--start-time` is a start in the binlog, and this task copies the tables first";
            return Err(Failure::new(Code::StartTimeInvalid, message)
                .workaround("Please set `task-mode: incremental`, or start without `--start-time`."));
        }
        let identity = self.identity(&source).await?;
        Ok(SubtaskContext {
            process: Arc::clone(&self.process),
            cluster_id: self.process.cluster_id(),
            epoch: self.desired.epoch,
            source_id: self.source_id.clone(),
            task: self.task.clone(),
            source,
            subtask,
            identity,
            others: task.subtasks.iter().filter(|s| s.source_id != self.source_id).cloned().collect(),
            status: Arc::clone(&self.status),
            wish: self.wish.clone(),
            drain: self.drain.clone(),
        })
    }

    async fn identity(&self, source: &SourceConfig) -> Result<SourceIdentity, Failure> {
        #[cfg(feature = "simulation")]
        if let Some(simulated) = crate::simulation::upstream() {
            return Ok((simulated.identity)(&self.source_id));
        }
        let mut conn = upstream::connect(source).await?;
        let identity = SourceIdentity::read(&mut conn).await?;
        // Read-only connection: how it is closed changes nothing.
        let _ = conn.disconnect().await;
        Ok(identity)
    }

    /// Nothing is written to the target before the leader has committed that it will be; a missing row afterwards
    /// is a loss and not a first start.
    async fn meta(&self, context: &SubtaskContext) -> Result<(), Failure> {
        if self.desired.meta == MetaStage::MetaNone {
            self.wait_for_meta(MetaStage::MetaCreating).await?;
        }
        let created = self.wish.borrow().as_ref().is_some_and(|d| d.meta == MetaStage::MetaCreated);
        if !created {
            let mut spec = target_spec(context, self.desired.adopt_meta);
            spec.may_create = true;
            create_meta(&spec).await.map_err(|e| self.target_error(&e))?;
            // Once the stage is CREATED, an earlier life's rows are no longer meant; a start time overrides them, too.
            if self.desired.remove_meta || !self.desired.start_time.is_empty() {
                remove_meta(&spec).await.map_err(|e| self.target_error(&e))?;
            }
            info!(task = %self.task, source = %self.source_id, "progress tables exist at the target");
            self.wait_for_meta(MetaStage::MetaCreated).await?;
        }
        Ok(())
    }

    async fn wait_for_meta(&self, stage: MetaStage) -> Result<(), Failure> {
        self.status.set_meta_wanted(stage);
        let mut wish = self.wish.clone();
        let seen = wish.wait_for(|d| d.as_ref().is_some_and(|d| d.meta as i32 >= stage as i32)).await;
        self.status.set_meta_wanted(MetaStage::MetaNone);
        match seen {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::internal("the subtask's wish has ended before its meta stage came")),
        }
    }

    /// Takes over and sees in the target's rows what comes next; `None` when nothing does.
    async fn choose(
        &self,
        context: &SubtaskContext,
    ) -> Result<Option<(Box<dyn Unit>, Attachment, Resume)>, Failure> {
        let (attachment, resume) = self.main_stream(context).await?;
        if resume.checkpoint.is_some() && context.subtask.task_mode == TaskMode::Full {
            self.status.set_unit("Load");
            attachment.close().await.map_err(|e| self.target_error(&e))?;
            return Ok(None);
        }
        if resume.checkpoint.is_some() || context.subtask.task_mode == TaskMode::Incremental {
            return Ok(Some((sync_unit(), attachment, resume)));
        }
        // DM has loaded it and has synced it up to here.
        if DmTables::read(context, true).await?.checkpoint.is_some() {
            if context.subtask.task_mode == TaskMode::Full {
                let message = "DM has loaded and synced this source in a task of this name; a full copy would load it again";
                return Err(Failure::new(Code::DmCheckpointUnusable, message));
            }
            return Ok(Some((Box::new(SyncUnit), attachment, resume)));
        }
        // The main stream has not begun: the load comes first, on its own lanes.
        if let Err(error) = attachment.close().await {
            warn!(task = %self.task, source = %self.source_id, %error, "closing the main stream's connections");
        }
        let mut spec = target_spec(context, self.desired.adopt_meta);
        spec.stream = LOAD_STREAM;
        let (attachment, resume) = Attachment::take_over(spec).await.map_err(|e| self.target_error(&e))?;
        Ok(Some((Box::new(LoadUnit), attachment, resume)))
    }

    async fn main_stream(&self, context: &SubtaskContext) -> Result<(Attachment, Resume), Failure> {
        let spec = target_spec(context, self.desired.adopt_meta);
        let taken = Attachment::take_over(spec).await.map_err(|e| self.target_error(&e))?;
        self.status.set_taken_over(self.desired.epoch);
        Ok(taken)
    }

    /// Shows or changes a stored table definition, while nothing runs.
    pub async fn definition(self, request: &DefinitionRequest) -> Result<String, Failure> {
        let unit = self.status.unit();
        let context = self.prepare().await;
        self.status.set_unit(unit);
        let context = context?;
        let (attachment, resume) = self.main_stream(&context).await?;
        let edited = edit_definition(&context, &attachment, &resume, request).await;
        let closed = attachment.close().await.map_err(|e| self.target_error(&e));
        let text = edited?;
        closed.map(|()| text)
    }

    async fn run_unit(
        &self,
        context: &SubtaskContext,
        unit: Box<dyn Unit>,
        attachment: Attachment,
        resume: Resume,
    ) -> Result<UnitEnd, Failure> {
        info!(
            task = %self.task, source = %self.source_id, epoch = self.desired.epoch, unit = unit.name(),
            executed = %resume.executed, "unit starts"
        );
        self.status.set_unit(unit.name());
        self.status.set_stage(Stage::Running);
        self.status.set_failure(None);
        unit.run(context, attachment, resume).await
    }

    fn target_error(&self, error: &TargetError) -> Failure {
        target_failure(&self.process, &self.task, &self.source_id, error)
    }
}

fn sync_unit() -> Box<dyn Unit> {
    #[cfg(feature = "simulation")]
    if let Some(simulated) = crate::simulation::upstream() {
        return (simulated.unit)();
    }
    Box::new(SyncUnit)
}

/// This source's part of a task file, with all rules resolved.
fn subtask_of(task: &TaskConfig, source_id: &str) -> Result<SubtaskConfig, Error> {
    task.subtask(source_id)
        .ok_or_else(|| Code::SubtaskNotFound.error(format!("the task does not name source {source_id}")))
}
