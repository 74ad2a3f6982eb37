//! Where the stream begins, and whether the source is still the one that was followed.
use dm_binlog::{Flavor, Gtid};
use dm_proto::{error::Code, worker::OperatorKind};
use dm_replication::StartAt;
use dm_target::{Attachment, DdlDecision, DdlRecord, ExecutedSet, Resume, ResumePoint, TargetError, TxnId};
use tracing::{info, warn};

use super::{
    begin::{begin, begin_from},
    dm_checkpoint::DmTables,
    operators::{Operators, find, gave, stopped},
    proof::SourceProof,
    reader::{gtid_start, position_start},
    safe_mode::{SafeMode, Window},
    source_gtids::SourceGtids,
    stats::Place,
    stored_tables::StoredTables,
    tables::Tables,
};
use crate::{failure::Failure, subtask::SubtaskContext, unit::target_failure};

/// Everything the pipeline starts from.
pub struct Start {
    pub at: StartAt,
    /// Members are skipped.
    pub executed: ExecutedSet,
    /// DDL statements that ran, of transactions that are not in the set yet.
    pub done_ddl: Vec<DdlRecord>,
    pub tables: Tables,
    /// What the source had when it was followed before.
    pub proof: Option<SourceProof>,
    pub generation: u64,
    /// Says what may have been applied before the stream began.
    pub safe_mode: SafeMode,
    /// Where the stream begins, as far as it is known.
    pub place: Option<Place>,
    /// Nothing above the start is applied.
    pub fresh: bool,
    /// DM's form of the checkpoint is there to be kept up to date.
    pub dm_table: bool,
}

/// Reads the target's rows and asks the source.
pub async fn prepare(
    context: &SubtaskContext,
    attachment: &Attachment,
    resume: &Resume,
) -> Result<Start, Failure> {
    let target = |e: &TargetError| target_failure(&context.process, &context.task, &context.source_id, e);
    let dm = DmTables::read(context, resume.checkpoint.is_none()).await?;
    let dm_table = dm.present;
    let Some(checkpoint) = &resume.checkpoint else {
        return begin(context, attachment, &dm).await;
    };
    if let Some(ahead) = dm.checkpoint.as_ref().filter(|c| c.is_ahead_of(&resume.executed)) {
        warn!(task = %context.task, source = %context.source_id, ours = %resume.executed, "DM has gone on from our checkpoint since: the stream begins anew where it has stopped");
        return begin_from(context, attachment, &dm, ahead).await;
    }
    let mut executed = resume.executed.clone();
    let mut done_ddl = resume.done_ddl.clone();
    let stored = StoredTables::decode(&checkpoint.schemas)?;
    if let Some(record) = &resume.undecided_ddl {
        let start = stored.pending.as_ref().filter(|p| p.transaction == record.txn_text);
        let start = start.map(|p| Place { file: p.file.clone(), pos: p.pos }).unwrap_or_default();
        let gtid = match &record.txn {
            Some(TxnId::Gtid(gtid)) => Some(gtid),
            _ => None,
        };
        let settled = settle(context, attachment, record, &start, gtid).await;
        match (settled.map_err(|f| stopped(f, context, &start, gtid))?, &record.txn) {
            (Settled::Forgotten, _) => {}
            (Settled::Done, Some(txn)) if record.last => executed.insert(txn).map_err(|e| target(&e))?,
            (Settled::Done, _) => done_ddl.push(DdlRecord { done: true, ..record.clone() }),
        }
    }
    let (stored, _) = settle_pending(stored, &executed);
    let tables = Tables::new(context, stored)?;
    same_mode(context, &executed)?;
    match &executed {
        ExecutedSet::MySql(_) | ExecutedSet::MariaDb(_) => source_has(context, &executed).await?,
        ExecutedSet::Position(_) => {
            let now = context.identity.text();
            if checkpoint.source_identity != now {
                return Err(Failure::new(
                    Code::SourceIdentityChanged,
                    format!(
                        "positions of server {} mean nothing on server {now}, which is behind the source's address now",
                        checkpoint.source_identity
                    ),
                ));
            }
        }
    }
    let proof = SourceProof::parse(&checkpoint.position_proof)?;
    let at = match executed.resume_point() {
        ResumePoint::Gtid(set) => gtid_start(set),
        ResumePoint::Position(Some((file, pos))) => position_start(&file, pos),
        ResumePoint::Position(None) => {
            return Err(Failure::new(Code::CheckpointBroken, "the checkpoint has no position to start from"));
        }
    };
    let place = match &at {
        StartAt::Position { file, pos } => Some(Place { file: file.clone(), pos: *pos }),
        StartAt::Gtid(_) => None,
    };
    let safe_mode = SafeMode::new(context, Window::parse(&checkpoint.windows)?)?;
    Ok(Start {
        at,
        executed,
        done_ddl,
        tables,
        proof,
        generation: resume.generation,
        safe_mode,
        place,
        fresh: false,
        dm_table,
    })
}

/// A source that lacks a transaction that we applied is another one, or has lost it.
async fn source_has(context: &SubtaskContext, applied: &ExecutedSet) -> Result<(), Failure> {
    let missing = SourceGtids::read(context).await?.missing(applied);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::SourceLacksTransactions,
        format!("the source lacks transactions that are applied at the target: {missing}"),
    ))
}

/// A stream goes on as it began, also where the source has got GTIDs since; what is named by GTID needs a source that
/// gives them.
fn same_mode(context: &SubtaskContext, executed: &ExecutedSet) -> Result<(), Failure> {
    let flavor = match executed {
        ExecutedSet::Position(_) => {
            if context.source.enable_gtid && context.gtid_mode() {
                warn!(task = %context.task, source = %context.source_id, "the task began by position and goes on so; to change to GTIDs: pause-task, put the position that query-status shows into `meta`, stop-task, start-task --remove-meta");
            }
            return Ok(());
        }
        ExecutedSet::MySql(_) => Flavor::MySql,
        ExecutedSet::MariaDb(_) => Flavor::MariaDb,
    };
    if context.identity.flavor != flavor {
        return Err(Failure::new(
            Code::SourceIdentityChanged,
            format!(
                "the task has followed a {flavor} source, the server behind its address is {}",
                context.identity.flavor
            ),
        ));
    }
    if context.identity.has_gtids() {
        return Ok(());
    }
    let (code, setting) = match flavor {
        Flavor::MySql => (Code::CheckGtidMode, "gtid_mode"),
        Flavor::MariaDb => (Code::GtidStrictModeOff, "gtid_strict_mode"),
    };
    Err(Failure::new(
        code,
        format!("the task names transactions by GTID, and {setting} of the source was switched off"),
    )
    .workaround(format!("Please set {setting}=ON at the source again, then execute `resume-task`.")))
}

/// What became of an undecided DDL.
enum Settled {
    /// It counts as executed.
    Done,
    /// Its transaction is met again.
    Forgotten,
}

/// A DDL whose outcome the former owner did not record.
async fn settle(
    context: &SubtaskContext,
    attachment: &Attachment,
    record: &DdlRecord,
    start: &Place,
    gtid: Option<&Gtid>,
) -> Result<Settled, Failure> {
    let target = |e: TargetError| target_failure(&context.process, &context.task, &context.source_id, &e);
    let sql = String::from_utf8_lossy(&record.sql).into_owned();
    let (task, source) = (&context.task, &context.source_id);
    let pending = Operators::new(context.wish.clone());
    let operator = find(pending.list(), start, gtid).cloned();
    let kind = operator.as_ref().map(|o| o.kind());
    if kind == Some(OperatorKind::OperatorSkip) {
        warn!(%task, %source, transaction = %record.txn_text, place = %start.text(), ddl = %sql, "an undecided DDL is skipped by an operator: it counts as executed");
        attachment.resolve_ddl(record, DdlDecision::Skip).await.map_err(target)?;
        if record.last
            && let Some(operator) = &operator
        {
            // The source may not send the event again.
            context.status.operator_done(operator.id);
        }
        return Ok(Settled::Done);
    }
    warn!(%task, %source, ddl = %sql, "the outcome of a DDL is not recorded: looking at the target's definitions");
    let decision = attachment.decide_ddl(record).await.map_err(target)?;
    // The event's own statement, for which a person gives others now.
    let void = operator.as_ref().is_some_and(|o| !gave(o, record.ordinal));
    let replaced = kind == Some(OperatorKind::OperatorReplace);
    let run = matches!(decision, Some(DdlDecision::Run | DdlDecision::Skip));
    if void && (run || (replaced && decision.is_none())) {
        warn!(%task, %source, transaction = %record.txn_text, ddl = %sql, "an operator stands in the place of an undecided DDL");
        attachment.forget_ddl(record).await.map_err(target)?;
        return Ok(Settled::Forgotten);
    }
    let Some(decision) = decision else {
        return Err(Failure::new(
            Code::DdlUndecided,
            format!("it is not known whether this statement was executed at the target: {sql}"),
        )
        .workaround("Please look at the target. If it was executed, or is not wanted, skip it; if not, replace it with this statement or with one that does the rest of it."));
    };
    info!(%task, %source, ?decision, "the DDL is settled");
    if decision == DdlDecision::Run && record.txn.is_some() {
        // The stream comes to it again, and rows of other tables need not wait for it then.
        attachment.forget_ddl(record).await.map_err(target)?;
        return Ok(Settled::Forgotten);
    }
    let resolved = attachment.resolve_ddl(record, decision).await;
    resolved.map_err(|e| target(e).context(format!("execute SQL: [{sql}]")))?;
    if let Some(operator) = operator.filter(|_| record.last) {
        context.status.operator_done(operator.id);
    }
    Ok(Settled::Done)
}

/// A DDL that was about to run when the definitions were stored: it has run if its transaction is in the set.
pub fn settle_pending(mut stored: StoredTables, executed: &ExecutedSet) -> (StoredTables, bool) {
    let Some(pending) = stored.pending.take() else { return (stored, false) };
    let ran =
        super::unit::parse_txn(&pending.transaction, executed).is_some_and(|txn| executed.contains(&txn));
    if !ran {
        return (stored, false);
    }
    stored.tables.retain(|t| {
        !pending.gone.iter().any(|(s, n)| *s == t.schema && *n == t.table)
            && !pending.after.iter().any(|a| a.name() == t.name())
    });
    stored.tables.extend(pending.after);
    stored.online = pending.online.unwrap_or(stored.online);
    (stored, true)
}
