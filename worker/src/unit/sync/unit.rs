//! The unit itself: starts, watches, drains.
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dm_binlog::Gtid;
use dm_target::{Attachment, ExecutedSet, Resume, TxnId};
use tracing::warn;

use super::{
    operators::{Recent, stopped},
    pipeline::Pipeline,
    reader::{Reader, connect_binlog},
    schema_keeper::SchemaKeeper,
    start::prepare,
    stats::Place,
    verify::verify,
};
use crate::{
    failure::{Failure, Next},
    metrics::SubtaskSyncMetrics,
    subtask::SubtaskContext,
    unit::{Unit, UnitEnd, target_failure},
};

/// Bound on closing the attachment after an error: the take-over that follows does not need it.
const CLOSE_AFTER_ERROR: Duration = Duration::from_secs(3);

/// Bound on the wait for what was submitted before the end; closing the attachment has one of its own.
const DRAIN: Duration = Duration::from_secs(10);

/// DM's sync unit.
pub struct SyncUnit;

#[tonic::async_trait]
impl Unit for SyncUnit {
    fn name(&self) -> &'static str {
        "Sync"
    }

    async fn run(
        self: Box<Self>,
        context: &SubtaskContext,
        attachment: Attachment,
        resume: Resume,
    ) -> Result<UnitEnd, Failure> {
        context.status.sync.restart();
        let metrics = context.process.metrics.sync.of(&context.task, &context.source_id);
        let target = |e| target_failure(&context.process, &context.task, &context.source_id, &e);
        let keeper = SchemaKeeper::default();
        let counted = AtomicU64::new(0);
        let recent = Recent::default();
        let told = Mutex::new(None);
        let end = tokio::select! {
            biased;
            error = attachment.failed() => Err(target(error)),
            error = keeper.run(&attachment, || observe(context, &attachment, &keeper, &metrics, &counted)) => Err(target(error)),
            end = Box::pin(async {
                let end =
                    Box::pin(follow(context, &attachment, &resume, &keeper, &metrics, &recent, &told)).await;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = end.as_ref().err().cloned();
                drop(keeper.pause().await);
                end
            }) => end,
        };
        match end {
            Ok(()) => {
                // What DM's form of the checkpoint says of a clean stop holds only once everything is applied.
                if let Ok(drained) = tokio::time::timeout(DRAIN, attachment.drain()).await {
                    drained.map_err(target)?;
                }
                keeper.write(&attachment).await.map_err(target)?;
                attachment.close().await.map_err(target)?;
                observe(context, &attachment, &keeper, &metrics, &counted);
                Ok(UnitEnd::Drained)
            }
            Err(failure) => {
                if let Ok(Err(error)) = tokio::time::timeout(CLOSE_AFTER_ERROR, attachment.close()).await {
                    warn!(task = %context.task, source = %context.source_id, %error, "closing after an error");
                }
                let told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
                Err(blame(told.unwrap_or(failure), context, &attachment, &recent))
            }
        }
    }
}

/// Finds the transaction that the target refused. Of a batch of several it is not known which: then they are sent one by
/// one, once.
fn blame(failure: Failure, context: &SubtaskContext, attachment: &Attachment, recent: &Recent) -> Failure {
    // Prepared XA transactions join with the one that decides them; only that one can be refused.
    let refused: Vec<_> = attachment.refused();
    let known: Vec<_> = refused.iter().filter(|txn| recent.start_of(txn).is_some()).cloned().collect();
    let refused = if known.is_empty() { refused } else { known };
    let Some(error) = attachment.failure().filter(|_| !refused.is_empty()) else { return failure };
    // The pipeline hears of it while it is busy with a later transaction.
    let mut failure = target_failure(&context.process, &context.task, &context.source_id, &error);
    let ddl = refused.first().and_then(|txn| recent.ddl_of(txn));
    if let Some(ddl) = &ddl {
        failure = failure.context(format!("execute SQL: [{}]", ddl.sql));
    }
    if failure.next != Next::Person {
        return failure;
    }
    match refused.as_slice() {
        [] => failure,
        [txn] => {
            let Some(start) = recent.start_of(txn) else {
                return failure.context(format!("transaction {txn}"));
            };
            let gtid = match txn {
                TxnId::Gtid(gtid) => Some(gtid),
                TxnId::Position { .. } => None,
            };
            let place = match gtid {
                _ if ddl.is_some() => ddl.map(|ddl| ddl.place).unwrap_or_default(),
                Some(gtid) => format!("startLocation: [position: {}, gtid-set: {gtid}]", start.text()),
                None => format!("startLocation: [position: {}]", start.text()),
            };
            stopped(failure.context(place), context, &start, gtid)
        }
        several => {
            warn!(task = %context.task, source = %context.source_id, transactions = several.len(), error = %failure, "the target refused a batch: its transactions are sent one by one");
            context.status.sync.set_careful();
            failure.next(Next::Retry)
        }
    }
}

/// The source is contacted only now, after the take-over.
async fn follow(
    context: &SubtaskContext,
    attachment: &Attachment,
    resume: &Resume,
    keeper: &SchemaKeeper,
    metrics: &SubtaskSyncMetrics,
    recent: &Recent,
    told: &Mutex<Option<Failure>>,
) -> Result<(), Failure> {
    let beginning = async {
        let start = prepare(context, attachment, resume).await?;
        // The stream first: a reset that comes after the proof was read would go unseen.
        let reader = Reader::start(connect_binlog(context, start.at.clone()).await?);
        match verify(context, &start).await {
            Ok(()) => Ok((start, reader)),
            Err(failure) => {
                reader.stop().await;
                Err(failure)
            }
        }
    };
    let (mut start, mut reader) = tokio::select! {
        begun = beginning => begun?,
        () = context.drain.cancelled() => return Ok(()),
    };
    keeper.dm.start(start.place.clone().unwrap_or_default());
    if start.dm_table {
        // After a first start nothing above it is applied.
        let until = match start.fresh {
            true => None,
            false => {
                let (gtids, file, pos) = start.tables.source().end().await?;
                let by_position = matches!(start.executed, ExecutedSet::Position(_));
                Some((Place { file, pos }, if by_position { String::new() } else { gtids }))
            }
        };
        keeper.dm.begin(context, until);
    } else {
        warn!(task = %context.task, source = %context.source_id, "the target has no table for DM's form of the checkpoint: going back to DM will need a new load");
    }
    let identity = context.identity.text();
    if resume.checkpoint.as_ref().is_some_and(|c| c.source_identity != identity) {
        keeper.set_identity(identity).await;
    }
    let result = match Pipeline::new(context, attachment, keeper, metrics, recent, start, resume) {
        Ok(mut pipeline) => pipeline.run(&mut reader).await,
        Err(failure) => Err(failure),
    };
    // The dead attachment may be seen before the reader has ended; what was being done is known only here.
    *told.lock().unwrap_or_else(PoisonError::into_inner) = result.as_ref().err().cloned();
    reader.stop().await;
    result
}

/// Moves what the attachment knows into progress and metrics.
fn observe(
    context: &SubtaskContext,
    attachment: &Attachment,
    keeper: &SchemaKeeper,
    metrics: &SubtaskSyncMetrics,
    counted: &AtomicU64,
) {
    let stats = attachment.stats();
    let sync = &context.status.sync;
    sync.acknowledged(stats.in_flight, stats.transactions, stats.rows_missed);
    let low = attachment.low();
    sync.applied(keeper.dm.applied(&low));
    if !matches!(low, ExecutedSet::Position(_)) {
        let text = match &low {
            // Without what is applied behind a hole.
            ExecutedSet::MariaDb(set) => set.low().to_string(),
            other => other.to_string(),
        };
        sync.gtids(text.split_once('=').map_or(text.as_str(), |(_, set)| set).to_owned());
    }
    let lag = sync.lag_seconds() as f64;
    metrics.lag_gauge.set(lag);
    metrics.lag.observe(lag);
    let (source, applied) = sync.places();
    metrics.source_file.set(source.file_number());
    metrics.source_pos.set(i64::try_from(source.pos).unwrap_or(i64::MAX));
    metrics.applied_file.set(applied.file_number());
    metrics.applied_pos.set(i64::try_from(applied.pos).unwrap_or(i64::MAX));
    metrics.spool_bytes.set(i64::try_from(sync.spool_bytes()).unwrap_or(i64::MAX));
    metrics.rows_filtered.set(i64::try_from(sync.rows_filtered()).unwrap_or(i64::MAX));
    metrics.rows_missed.set(i64::try_from(stats.rows_missed).unwrap_or(i64::MAX));
    // The attachment counts from 0; what was counted of it before is in the metric already.
    let before = counted.swap(stats.transactions, Ordering::Relaxed);
    metrics.finished_transactions.inc_by(stats.transactions.saturating_sub(before));
}

/// Reads the text of a transaction's name back.
pub fn parse_txn(text: &str, executed: &ExecutedSet) -> Option<TxnId> {
    use dm_binlog::Flavor;
    let gtid = |flavor| Gtid::parse(flavor, text).ok().map(TxnId::Gtid);
    match executed {
        ExecutedSet::MySql(_) => gtid(Flavor::MySql),
        ExecutedSet::MariaDb(_) => gtid(Flavor::MariaDb),
        ExecutedSet::Position(_) => {
            let (generation, rest) = text.split_once('/')?;
            let (file, pos) = rest.rsplit_once(':')?;
            Some(TxnId::Position {
                generation: generation.parse().ok()?,
                file: file.to_owned(),
                pos: pos.parse().ok()?,
            })
        }
    }
}
