//! The load unit: copies the tables as one consistent snapshot of the source sees them.
//!
//! A reader streams the tables chunk by chunk from the snapshot's connection; the target's lanes write them. Every piece
//! commits with the record of its chunk, under the fence. When everything is in, one packet says "load finished, the main
//! stream starts at the snapshot's position". A load that was cut starts over: it empties what it filled itself, where
//! that can be told for certain, and stops otherwise.
mod chunks;
mod copy;
mod deadline;
mod definitions;
mod dialect;
mod plan;
mod progress;
mod snapshot;

use std::{sync::Arc, time::Duration};

use dm_proto::error::{Code, Scope};
use dm_target::{Attachment, LoadState, Resume, StartPoint};
use mysql_async::{Conn, prelude::Queryable};
use tracing::{info, warn};

use self::{
    copy::Copied,
    deadline::{ANSWER, within},
    plan::{Note, NotedTarget, Plan},
    progress::Progress,
    snapshot::{Snapshot, SnapshotPosition},
};
pub use self::{definitions::no_extract_target, dialect::translate};
use super::{Unit, UnitEnd, rules::Rules, start_point, target_failure};
use crate::{
    failure::{Failure, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// DM's dump and load units in one.
pub struct LoadUnit;

#[tonic::async_trait]
impl Unit for LoadUnit {
    fn name(&self) -> &'static str {
        "Load"
    }

    async fn run(
        self: Box<Self>,
        context: &SubtaskContext,
        attachment: Attachment,
        resume: Resume,
    ) -> Result<UnitEnd, Failure> {
        let load = Load { context, attachment: &attachment, progress: Arc::new(Progress::new()) };
        let end = tokio::select! {
            biased;
            () = context.drain.cancelled() => Ok(UnitEnd::Drained),
            error = attachment.failed() => Err(load.target(&error)),
            end = load.run(resume) => end,
        };
        load.show();
        let closed = attachment.close().await.map_err(|e| load.target(&e));
        let end = end?;
        closed?;
        Ok(end)
    }
}

struct Load<'a> {
    context: &'a SubtaskContext,
    attachment: &'a Attachment,
    progress: Arc<Progress>,
}

impl Load<'_> {
    async fn run(&self, resume: Resume) -> Result<UnitEnd, Failure> {
        let reporter = async {
            loop {
                self.show();
                tokio::time::sleep(PROGRESS_EVERY).await;
            }
        };
        tokio::select! {
            biased;
            end = self.load(resume) => end,
            () = reporter => Ok(UnitEnd::Drained),
        }
    }

    async fn load(&self, resume: Resume) -> Result<UnitEnd, Failure> {
        let rules = Rules::new(&self.context.subtask)?;
        if let Some(record) = &resume.undecided_ddl {
            self.settle(record).await?;
        }
        let before = match &resume.load {
            Some(state) if state.planned => Some(self.start_over(state).await?),
            _ => None,
        };
        let flavor = self.context.identity.flavor;
        let mut snapshot = Snapshot::open(&upstream::opts(&self.context.source), flavor).await?;
        let place = &snapshot.position;
        info!(task = %self.context.task, source = %self.context.source_id, file = %place.file, pos = place.pos, gtid = %place.gtid_set, method = snapshot.method, "snapshot opened");
        self.progress.set_snapshot(format!(
            "{}: ({}, {}), gtid-set: {}",
            snapshot.method, place.file, place.pos, place.gtid_set
        ));
        let plan = Plan::make(&mut snapshot.conn, flavor, &rules).await?;
        definitions::has_extracted(self.context, &plan).await?;
        let note = self.note(&plan, place, before.as_ref()).await?;
        let encoded = serde_json::to_vec(&note).map_err(|e| Failure::internal(e.to_string()))?;
        self.attachment.plan_load(&plan.records(), &encoded).await.map_err(|e| self.target(&e))?;
        definitions::create(self.context, self.attachment, &plan).await?;
        let Copied { rows, bytes } =
            copy::copy(self.context, self.attachment, &mut snapshot.conn, &plan, &self.progress, &resume)
                .await?;
        self.attachment.drain().await.map_err(|e| self.target(&e))?;
        definitions::still_the_same(self.context, &plan).await?;
        let place = snapshot.position.clone();
        snapshot.close().await?;
        self.finish(&place, &plan).await?;
        info!(task = %self.context.task, source = %self.context.source_id, rows, bytes, tables = plan.tables.len(), "load finished");
        Ok(UnitEnd::Finished)
    }

    /// The load's own DDL can all be run again: they only create what is missing.
    async fn settle(&self, record: &dm_target::DdlRecord) -> Result<(), Failure> {
        let decision = self.attachment.decide_ddl(record).await.map_err(|e| self.target(&e))?;
        let decision = decision.ok_or_else(|| {
            Failure::internal(format!(
                "a DDL of the load can't be settled: {}",
                String::from_utf8_lossy(&record.sql)
            ))
        })?;
        self.attachment.resolve_ddl(record, decision).await.map_err(|e| self.target(&e))
    }

    /// Empties what the cut load filled, or says why that can't be done.
    async fn start_over(&self, state: &LoadState) -> Result<Note, Failure> {
        let note: Note = serde_json::from_slice(&state.note).map_err(|e| {
            Failure::new(Code::CheckpointBroken, "the record of the cut load can't be read").cause(e)
        })?;
        let written = state.chunks.iter().any(|c| c.pieces > 0);
        if written && let Some(target) = note.targets.iter().find(|t| !t.may_empty) {
            let (task, source) = (&self.context.task, &self.context.source_id);
            return Err(Failure::new(
                Code::LoadNotRestartable,
                format!(
                    "the load of task {task} from source {source} was cut, and {} was not empty before it or is fed by more than one table: its rows can't be told apart",
                    dm_schema::TableName::new(&target.schema, &target.table)
                ),
            )
            .workaround(format!(
                "Please run stop-task {task}, remove the copied rows at the target, and start-task --remove-meta."
            )));
        }
        for target in note.targets.iter().filter(|t| written && t.may_empty) {
            warn!(task = %self.context.task, source = %self.context.source_id, schema = %target.schema, table = %target.table, "the load was cut and starts over: the table is emptied");
            self.attachment.empty_table(&target.schema, &target.table).await.map_err(|e| self.target(&e))?;
        }
        Ok(note)
    }

    /// Looks which targets are absent or empty; a cut load's own tables are, since they have just been emptied.
    async fn note(
        &self,
        plan: &Plan,
        place: &SnapshotPosition,
        before: Option<&Note>,
    ) -> Result<Note, Failure> {
        let mut conn = upstream::connect_target(&self.context.subtask).await?;
        let mut note =
            Note { snapshot: format!("{} {} {}", place.file, place.pos, place.gtid_set), ..Note::default() };
        for table in &plan.tables {
            let target = &table.target;
            if note.targets.iter().any(|t| t.schema == target.schema && t.table == target.table) {
                continue;
            }
            // What was not ours to empty before is not ours now, although nothing may be in it at the moment.
            let was_ours = before.is_none_or(|n| {
                n.targets.iter().all(|t| t.may_empty || t.schema != target.schema || t.table != target.table)
            });
            let alone = self.context.others.is_empty() && plan.feeders(target) == 1;
            let empty = is_empty(&mut conn, &target.quoted()).await?;
            if alone && !empty && table.model.identity_key().is_none() {
                return Err(not_twice(target));
            }
            let may_empty = was_ours && alone && empty;
            note.targets.push(NotedTarget {
                schema: target.schema.clone(),
                table: target.table.clone(),
                may_empty,
            });
        }
        conn.disconnect()
            .await
            .map_err(|e| from_mysql(&e, Scope::Downstream, "close a connection to the target"))?;
        Ok(note)
    }

    async fn finish(&self, place: &SnapshotPosition, plan: &Plan) -> Result<(), Failure> {
        let models = plan.tables.iter().map(|t| (t.source.clone(), t.create.clone()));
        let start: StartPoint =
            start_point(self.context, &place.file, place.pos, &place.gtid_set, models).await?;
        self.attachment.finish_load(start).await.map_err(|e| self.target(&e))?;
        Ok(())
    }

    fn show(&self) {
        self.context.status.set_load(self.progress.report(self.attachment.stats().rows));
    }

    fn target(&self, error: &dm_target::TargetError) -> Failure {
        target_failure(&self.context.process, &self.context.task, &self.context.source_id, error)
    }
}

/// A key refuses rows that are there already; without one they would come twice, unseen.
fn not_twice(target: &dm_schema::TableName) -> Failure {
    Failure::new(
        Code::LoadFailed,
        format!("{target} has rows at the target and no key: those copied now could not be told from them"),
    )
    .scope(Scope::Downstream)
    .workaround(format!(
        "Please empty {target} at the target if it holds an earlier copy, then execute `resume-task`."
    ))
}

/// Absent counts as empty.
async fn is_empty(conn: &mut Conn, quoted: &str) -> Result<bool, Failure> {
    let doing = format!("look whether {quoted} is empty");
    let looking = async {
        match conn.query_first::<u8, _>(format!("SELECT 1 FROM {quoted} LIMIT 1")).await {
            Ok(row) => Ok(row.is_none()),
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1049 | 1146) => Ok(true),
            Err(e) => Err(from_mysql(&e, Scope::Downstream, doing.clone())),
        }
    };
    within(&doing, ANSWER, looking).await.map_err(|failure| failure.scope(Scope::Downstream))
}
