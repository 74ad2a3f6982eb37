//! Where the stream begins, and whether the source is still the one that was followed.
use dm_binlog::{Decoder, Event, Flavor, Gtid, GtidSet};
use dm_proto::{
    config::StartPosition,
    error::{Code, Scope},
    worker::OperatorKind,
};
use dm_replication::StartAt;
use dm_schema::TableName;
use dm_target::{Attachment, DdlDecision, DdlRecord, ExecutedSet, Resume, ResumePoint, TargetError, TxnId};
use mysql_async::prelude::Queryable;
use tracing::{info, warn};

use super::{
    operators::{Operators, find, gave, stopped},
    proof::SourceProof,
    reader::{connect_binlog, damaged, gtid_start, next_event, position_start},
    safe_mode::{SafeMode, Window},
    source_gtids::SourceGtids,
    stats::Place,
    stored_tables::StoredTables,
    tables::Tables,
};
use crate::{
    failure::{Failure, from_mysql},
    subtask::SubtaskContext,
    unit::{start_point, target_failure},
    upstream,
};

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
}

/// Reads the target's rows and asks the source.
pub async fn prepare(
    context: &SubtaskContext,
    attachment: &Attachment,
    resume: &Resume,
) -> Result<Start, Failure> {
    let target = |e: &TargetError| target_failure(&context.process, &context.task, &context.source_id, e);
    let Some(checkpoint) = &resume.checkpoint else {
        return begin(context, attachment).await;
    };
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
    let safe_mode = SafeMode::new(context, Window::parse(&checkpoint.windows)?)?;
    Ok(Start { at, executed, done_ddl, tables, proof, generation: resume.generation, safe_mode })
}

/// First start of the main stream, at the position of the task file.
async fn begin(context: &SubtaskContext, attachment: &Attachment) -> Result<Start, Failure> {
    let Some(start) = &context.subtask.start else {
        return Err(Failure::new(Code::MetaMissing, "the task has no position to start from"));
    };
    let (file, pos) = (start.file.clone().unwrap_or_default(), start.pos.max(4));
    let gtids = if context.gtid_mode() { gtids_of(context, start, &file, pos).await? } else { String::new() };
    let none: [(TableName, String); 0] = [];
    let point = start_point(context, &file, pos, &gtids, none).await?;
    let proof = SourceProof::parse(&point.position_proof)?;
    let mut executed = point.executed.clone();
    let generation = attachment
        .begin(point)
        .await
        .map_err(|e| target_failure(&context.process, &context.task, &context.source_id, &e))?;
    let at = match executed.resume_point() {
        ResumePoint::Gtid(set) => gtid_start(set),
        ResumePoint::Position(_) => {
            executed = ExecutedSet::up_to_position(generation, &file, pos);
            position_start(&file, pos)
        }
    };
    info!(task = %context.task, source = %context.source_id, start = %executed, generation, "the stream begins at the task's start position");
    let tables = Tables::new(context, StoredTables::default())?;
    Ok(Start {
        at,
        executed,
        done_ddl: Vec::new(),
        tables,
        proof,
        generation,
        safe_mode: SafeMode::new(context, None)?,
    })
}

/// The GTID set before a position; a set given by a person counts as it is.
async fn gtids_of(
    context: &SubtaskContext,
    start: &StartPosition,
    file: &str,
    pos: u64,
) -> Result<String, Failure> {
    if let Some(set) = &start.gtid {
        return Ok(set.clone());
    }
    match context.identity.flavor {
        Flavor::MariaDb => {
            let mut conn = upstream::connect(&context.source).await?;
            let sql = format!("SELECT BINLOG_GTID_POS({}, {pos})", dm_schema::quote_string(file));
            let set: Option<Option<String>> = conn.query_first(sql).await.map_err(|e| {
                from_mysql(&e, Scope::Upstream, "fail to ask for the GTIDs of the start position")
            })?;
            // Nothing comes back for a file that does not exist; the empty text is the very beginning.
            set.flatten().ok_or_else(|| {
                Failure::new(Code::PositionBeyondEnd, format!("the source has no position ({file}, {pos})"))
            })
        }
        Flavor::MySql => scan(context, file, pos).await,
    }
}

/// MySQL: every GTID before the position stands in the file's head and its events.
async fn scan(context: &SubtaskContext, file: &str, pos: u64) -> Result<String, Failure> {
    let mut client = connect_binlog(context, position_start(file, 4)).await?;
    let mut decoder = Decoder::new(Flavor::MySql);
    let mut set = GtidSet::new(Flavor::MySql);
    let mut at = 4;
    while at < pos {
        let bytes = next_event(&mut client).await?;
        let place = || Place { file: file.to_owned(), pos: at }.text();
        let (header, event) = decoder.decode(&bytes).map_err(|e| damaged(place(), e))?;
        match &event {
            Event::PreviousGtids(before) => set.union(&GtidSet::MySql(before.clone())),
            Event::Gtid(gtid) => {
                if let Some(gtid) = &gtid.gtid {
                    set.add(gtid);
                }
            }
            Event::Rotate(rotate) if rotate.file != file.as_bytes() => break,
            _ => {}
        }
        at = header.next_position().map_or(at, u64::from);
    }
    client.close().await;
    if at != pos {
        return Err(Failure::new(
            Code::PositionBeyondEnd,
            format!(
                "({file}, {pos}) is not the end of an event of the source's binlog; the next one is at {at}"
            ),
        ));
    }
    Ok(set.to_string())
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
        ExecutedSet::Position(_) => return Ok(()),
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
    /// Its transaction is met again, with an operator.
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
    (stored, true)
}
