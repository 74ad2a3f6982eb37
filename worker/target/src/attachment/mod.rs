//! All target connections of one source.

mod beside;
mod former;
mod proof;
mod take_over;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::batch::Batch;
use crate::ddl::{DdlClass, DdlDecision, DdlRecord, DdlStep};
use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::lane::Work;
use crate::literal::ident;
use crate::load::LoadChunk;
use crate::resume::{CheckpointUpdate, Resume, StartPoint, TargetStats};
use crate::shared::{Shared, State};
use crate::spec::TargetSpec;
use crate::txn::TxnId;

/// All target connections of one source: opened together, dead together. Methods may be called concurrently;
/// `submit`, `ddl`, `begin` and `finish_load` are for the one caller who has the source's order.
pub struct Attachment {
    shared: Arc<Shared>,
    lanes: Mutex<Option<Vec<UnboundedSender<Work>>>>,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("source_id", &self.shared.spec.source_id)
            .field("epoch", &self.shared.spec.epoch)
            .field("attempt", &self.shared.attempt)
            .finish_non_exhaustive()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.shared.fail(TargetError::Closed);
    }
}

impl Attachment {
    /// Takes over the target: step (0) to (4) of the protocol. For a lower epoch or a foreign cluster id nothing is
    /// written and no connection is killed.
    pub async fn take_over(spec: TargetSpec) -> Result<(Self, Resume), TargetError> {
        Box::pin(take_over::take_over(spec)).await
    }

    /// Queues a batch: chooses its lane and what it waits for. Waits while too many bytes are in flight. Returning Ok
    /// says nothing about its commit; errors of earlier batches come back from any later call.
    pub async fn submit(&self, batch: Batch) -> Result<(), TargetError> {
        let shared = &self.shared;
        let _order = shared.order.lock().await;
        let weight = batch.weight().min(shared.spec.limits.queue_bytes).max(1);
        let permits = u32::try_from(weight).unwrap_or(u32::MAX);
        let permit = match Arc::clone(&shared.queue).try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(_) => tokio::select! {
                biased;
                () = shared.dead.cancelled() => return Err(shared.reason()),
                permit = Arc::clone(&shared.queue).acquire_many_owned(permits) => {
                    permit.map_err(|_| shared.reason())?
                }
            },
        };
        shared.check_alive()?;
        // From here on nothing waits: a batch is either queued whole or not at all.
        let mut state = shared.state();
        check_ready(&state)?;
        if batch.tables.iter().any(|t| state.ddl_tables.contains(t)) && !shared.spec.breaks_ddl_order() {
            return Err(TargetError::Misuse {
                message: "rows of a table were submitted while its DDL is executed".to_owned(),
            });
        }
        let whole = batch.part.is_none() && batch.chunk.is_none();
        if !whole && !batch.txns.is_empty() {
            return Err(TargetError::Misuse {
                message: "a part or a chunk completes no transaction".to_owned(),
            });
        }
        let number = state.tracker.push(batch.txns.clone(), Some(permit))?;
        // The end of a transaction whose parts are on their way joins with them, even if nothing is left of it.
        if batch.has_no_statements() && forced_lane(&state, &batch).is_none() {
            // Nothing of it is in the target, so nothing can be lost: after a crash it is read and filtered again.
            let count = state.tracker.ack(number)?;
            state.stats.transactions += count;
            return Ok(());
        }
        let forced = forced_lane(&state, &batch);
        let bytes = batch.sql_bytes();
        let placement = state.detector.place(number, (&batch.tokens, &batch.tables), bytes, forced);
        remember_lane(&mut state, &batch, placement.lane);
        let in_flight = state.in_flight + 1;
        shared.set_in_flight(&mut state, in_flight);
        let work = Work { number, batch, waits: placement.waits, bytes };
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // Sent under the lock: a lane's queue is in source order.
        let sent =
            lanes.as_ref().and_then(|l| l.get(placement.lane as usize)).is_some_and(|l| l.send(work).is_ok());
        if sent { Ok(()) } else { Err(shared.reason()) }
    }

    /// Waits until fewer batches are in flight than there are lanes, or the attachment is dead: the time to cut the next
    /// batch. Cut earlier, it would only wait behind others, and stay small.
    pub async fn idle_lane(&self) {
        self.below(u64::from(self.shared.spec.lanes)).await;
    }

    /// Waits until fewer than so many batches are in flight, or the attachment is dead. Parts of one transaction run one
    /// after the other: more than a few of them would only take memory.
    pub async fn below(&self, batches: u64) {
        let mut in_flight = self.shared.in_flight.subscribe();
        tokio::select! {
            biased;
            () = self.shared.dead.cancelled() => {}
            // The sender lives as long as the attachment.
            _ = in_flight.wait_for(|n| *n < batches) => {}
        }
    }

    /// A transaction that is prepared and not decided has been read: it stays a hole in the executed set until it joins
    /// with the batch of the one that decides it. Called in source order. `start` is where it begins in the binlog, by file
    /// and position.
    pub fn hold(&self, txn: &TxnId, start: (&str, u64)) -> Result<(), TargetError> {
        self.shared.check_alive()?;
        self.shared.state().tracker.hold(txn, start)
    }

    /// Waits until every batch is acknowledged, and a DDL beside them is done.
    pub async fn drain(&self) -> Result<(), TargetError> {
        self.shared.drained().await
    }

    /// Drains, then runs one DDL statement between intent and done.
    pub async fn ddl(&self, step: DdlStep) -> Result<(), TargetError> {
        let _order = self.shared.order.lock().await;
        check_ready(&self.shared.state())?;
        self.shared.drained().await?;
        if let Some(txn) = &step.txn
            && self.shared.state().tracker.acked().contains(txn)
        {
            return Err(TargetError::Misuse { message: format!("the DDL of {txn} is applied already") });
        }
        self.shared.run_ddl(step).await
    }

    /// Compares `SHOW CREATE` now with before; None = a person has to decide.
    pub async fn decide_ddl(&self, record: &DdlRecord) -> Result<Option<DdlDecision>, TargetError> {
        self.shared.judge_ddl(record).await
    }

    /// Settles the undecided DDL that the take-over has found.
    pub async fn resolve_ddl(&self, record: &DdlRecord, decision: DdlDecision) -> Result<(), TargetError> {
        self.shared.settle_ddl(record, decision).await
    }

    /// Drains, then lets a transaction join the executed set without running anything of it: a person skips it. Also
    /// where statements of it have run, and where one of them is undecided.
    pub async fn skip(&self, txn: &TxnId) -> Result<(), TargetError> {
        let _order = self.shared.order.lock().await;
        check_ready(&self.shared.state())?;
        self.shared.drained().await?;
        if self.shared.state().tracker.acked().contains(txn) {
            return Err(TargetError::Misuse { message: format!("{txn} is applied already") });
        }
        self.shared.with_spine(async |shared, spine| shared.join_skipped(spine, txn).await).await
    }

    /// Removes the record of the undecided DDL that the take-over has found: a person has other statements run in its
    /// place. Its transaction does not join the set.
    pub async fn forget_ddl(&self, record: &DdlRecord) -> Result<(), TargetError> {
        self.shared.with_spine(async |shared, spine| shared.forget_undecided(spine, record).await).await
    }

    /// The transactions of the batch whose packet the target refused, if that is why the attachment is dead: one of
    /// them can't be applied.
    pub fn refused(&self) -> Vec<TxnId> {
        self.shared.state().refused.clone()
    }

    /// Starts the main stream (first start, or a new generation): one lane -1 packet that stores the start's executed
    /// set as checkpoint and clears low and done of all lanes. Gives the new generation, which the names of positions
    /// have to carry. What was undecided is forgotten with everything else that was before.
    pub async fn begin(&self, start: StartPoint) -> Result<u64, TargetError> {
        self.start(start, false).await
    }

    /// "Load finished, main stream starts at this set" in one lane -1 packet; refused unless every chunk is recorded
    /// as done. Gives the generation. Close this attachment then, and take over with [`crate::MAIN_STREAM`].
    pub async fn finish_load(&self, start: StartPoint) -> Result<u64, TargetError> {
        self.start(start, true).await
    }

    async fn start(&self, start: StartPoint, finish: bool) -> Result<u64, TargetError> {
        let _order = self.shared.order.lock().await;
        // To a start anew an undecided DDL does not matter: its record goes with all that was before.
        let check = if finish { check_ready } else { check_loading };
        check(&self.shared.state())?;
        self.shared.drained().await?;
        self.shared.with_spine(async |shared, spine| shared.start_main(spine, start, finish).await).await
    }

    /// Stores all chunk records of a load, before the first read; replaces an earlier plan.
    pub async fn plan_load(&self, chunks: &[LoadChunk], note: &[u8]) -> Result<(), TargetError> {
        let _order = self.shared.order.lock().await;
        self.shared.drained().await?;
        self.shared.with_spine(async |shared, spine| shared.write_plan(spine, chunks, note).await).await
    }

    /// Empties a table under the fence (restart of a cut load).
    pub async fn empty_table(&self, schema: &str, table: &str) -> Result<(), TargetError> {
        self.ddl(DdlStep {
            txn: None,
            ordinal: 0,
            last: false,
            sql: format!("TRUNCATE TABLE {}.{}", ident(schema), ident(table)).into_bytes(),
            class: DdlClass::Repeatable,
            objects: Vec::new(),
            session: Vec::new(),
            beside: false,
        })
        .await
    }

    /// Writes the merged executed set, and what else changed. Call it every second; without news it sends nothing.
    pub async fn checkpoint(&self, update: CheckpointUpdate) -> Result<(), TargetError> {
        self.shared.checkpoint(update).await
    }

    /// Everything acknowledged so far, also above holes: where to go on after losing only the source (drain first).
    pub fn executed(&self) -> ExecutedSet {
        self.shared.state().tracker.acked().clone()
    }

    /// Everything up to the oldest batch that is not acknowledged.
    pub fn low(&self) -> ExecutedSet {
        self.shared.state().tracker.low().clone()
    }

    /// The generation of the rows.
    pub fn generation(&self) -> u64 {
        self.shared.state().generation
    }

    /// Counters.
    pub fn stats(&self) -> TargetStats {
        let state = self.shared.state();
        let ddl = u64::from(*self.shared.ddl_open.borrow());
        TargetStats { in_flight: state.in_flight + ddl, ..state.stats.clone() }
    }

    /// The error that killed the attachment, if it is dead.
    pub fn failure(&self) -> Option<TargetError> {
        self.shared.failure()
    }

    /// Waits until the attachment is dead, and says why.
    pub async fn failed(&self) -> TargetError {
        self.shared.dead.cancelled().await;
        self.shared.reason()
    }

    /// Drains, writes a last checkpoint, releases the locks and closes every connection. On an error everything is
    /// closed all the same.
    pub async fn close(&self) -> Result<(), TargetError> {
        let deadline = self.shared.spec.limits.close;
        let late = |what: &str| TargetError::Timeout { what: what.to_owned(), after: deadline };
        let ending = async {
            let _order = self.shared.order.lock().await;
            self.shared.drained().await?;
            if !self.shared.state().load_finished {
                self.shared.checkpoint(CheckpointUpdate::default()).await?;
            }
            Ok(())
        };
        let outcome = match timeout(deadline, ending).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late("draining before the end")),
        };
        // Without senders the lanes end by themselves and close politely.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.fail(outcome.clone().err().unwrap_or(TargetError::Closed));
        let mut tasks = self.tasks.lock().await;
        let joined = timeout(deadline, async { while tasks.join_next().await.is_some() {} }).await;
        if joined.is_err() {
            tasks.shutdown().await;
        }
        self.shared.ddl.lock().await.link.shut().await;
        self.shared.spine.lock().await.link.shut().await;
        outcome
    }
}

fn check_ready(state: &State) -> Result<(), TargetError> {
    if state.undecided {
        let message = "an undecided DDL has to be settled first".to_owned();
        return Err(TargetError::Misuse { message });
    }
    check_loading(state)
}

fn check_loading(state: &State) -> Result<(), TargetError> {
    if state.load_finished {
        let message = "the load has finished; take over with the main stream".to_owned();
        return Err(TargetError::Misuse { message });
    }
    Ok(())
}

/// Parts of one transaction and pieces of one chunk run one after another on one lane.
fn forced_lane(state: &State, batch: &Batch) -> Option<u32> {
    if let Some(mark) = &batch.chunk {
        return state.chunk_lanes.get(&mark.chunk).copied();
    }
    let concerns =
        |txn: &TxnId| batch.part.as_ref().is_some_and(|p| p.txn == *txn) || batch.txns.contains(txn);
    if let Some((open, lane)) = &state.part_lane
        && concerns(open)
    {
        return Some(*lane);
    }
    // A part that an earlier attachment has applied: its mark is on this lane.
    let marked = state.lane_done.iter().position(|d| d.part.as_ref().is_some_and(|p| concerns(&p.txn)));
    // A new large transaction must not write over the mark of another one, which an earlier attachment has left (a
    // switched source may log them in another order); a take-over opens one lane more than there are marks.
    let free = || state.lane_done.iter().position(|d| d.part.is_none());
    let lane = match marked {
        None if batch.part.is_some() && state.lane_done.iter().any(|d| d.part.is_some()) => free(),
        marked => marked,
    };
    u32::try_from(lane?).ok()
}

fn remember_lane(state: &mut State, batch: &Batch, lane: u32) {
    if let Some(mark) = &batch.chunk {
        if mark.last {
            state.chunk_lanes.remove(&mark.chunk);
        } else {
            state.chunk_lanes.insert(mark.chunk, lane);
        }
    } else {
        state.part_lane = batch.part.as_ref().map(|p| (p.txn.clone(), lane));
    }
}
