//! What all connections of an attachment share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ddl_link::DdlLink;
use crate::detector::Detector;
use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::link::{Answer, Link};
use crate::marks::Done;
use crate::names::Names;
use crate::packet::Packet;
use crate::resume::TargetStats;
use crate::rows;
use crate::spec::TargetSpec;
use crate::spine::Spine;
use crate::tracker::Tracker;
use crate::txn::TxnId;

/// Memory of one attachment; forgotten as a whole when it dies.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tracker: Tracker,
    pub(crate) detector: Detector,
    /// `done` of each lane as last acknowledged.
    pub(crate) lane_done: Vec<Done>,
    pub(crate) spine_done: Done,
    /// The last acknowledged checkpoint.
    pub(crate) checkpointed: ExecutedSet,
    pub(crate) generation: u64,
    /// Executed DDL records that no checkpoint covers yet: transaction and its text in the table.
    pub(crate) ddl_done: Vec<(TxnId, String)>,
    /// Lane rows above our number of lanes wait for the next checkpoint to be retired.
    pub(crate) retire: bool,
    /// Lane of the large transaction that is being applied in parts.
    pub(crate) part_lane: Option<(TxnId, u32)>,
    /// Lanes of load chunks that are being written in pieces.
    pub(crate) chunk_lanes: HashMap<u64, u32>,
    /// Tables of the DDL that is executed beside rows of others.
    pub(crate) ddl_tables: Vec<u64>,
    /// An undecided DDL has to be settled first.
    pub(crate) undecided: bool,
    /// Transactions of the batch whose packet was refused.
    pub(crate) refused: Vec<TxnId>,
    /// The load has finished: this attachment's lanes have no rows any more.
    pub(crate) load_finished: bool,
    pub(crate) in_flight: u64,
    pub(crate) stats: TargetStats,
}

/// What all connections of an attachment share.
pub(crate) struct Shared {
    pub(crate) spec: TargetSpec,
    pub(crate) names: Names,
    pub(crate) attempt: u64,
    state: Mutex<State>,
    failure: Mutex<Option<TargetError>>,
    /// Cancelled when the attachment is dead: every task closes its connection then.
    pub(crate) dead: CancellationToken,
    pub(crate) in_flight: watch::Sender<u64>,
    /// Per lane: number of the last acknowledged batch plus one.
    pub(crate) lane_acked: Vec<watch::Sender<u64>>,
    pub(crate) queue: Arc<Semaphore>,
    /// Held by whoever brings the next piece of the source's order.
    pub(crate) order: tokio::sync::Mutex<()>,
    pub(crate) spine: tokio::sync::Mutex<Spine>,
    /// Taken before lane -1, never after it.
    pub(crate) ddl: tokio::sync::Mutex<DdlLink>,
    /// A DDL is executed beside rows of other tables.
    pub(crate) ddl_open: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(
        spec: TargetSpec,
        names: Names,
        attempt: u64,
        state: State,
        spine: Spine,
        ddl: Link,
    ) -> Self {
        let permits = spec.limits.queue_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            lane_acked: state.lane_done.iter().map(|_| watch::Sender::new(0)).collect(),
            queue: Arc::new(Semaphore::new(permits)),
            names,
            attempt,
            spec,
            state: Mutex::new(state),
            failure: Mutex::new(None),
            dead: CancellationToken::new(),
            in_flight: watch::Sender::new(0),
            order: tokio::sync::Mutex::new(()),
            spine: tokio::sync::Mutex::new(spine),
            ddl: tokio::sync::Mutex::new(DdlLink { link: ddl, busy: false }),
            ddl_open: watch::Sender::new(false),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attachment dies as a whole; the first reason stays.
    pub(crate) fn fail(&self, error: TargetError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() {
            if error.is_refusal() {
                tracing::warn!(
                    source = %self.spec.source_id, task = %self.spec.task, epoch = self.spec.epoch, %error,
                    "the target refused us"
                );
            } else if error != TargetError::Closed {
                tracing::warn!(
                    source = %self.spec.source_id, task = %self.spec.task, epoch = self.spec.epoch, %error,
                    "all target connections are given up"
                );
            }
            *failure = Some(error);
        }
        drop(failure);
        self.dead.cancel();
        self.queue.close();
    }

    pub(crate) fn failure(&self) -> Option<TargetError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The reason of death, for those who found the attachment dead.
    pub(crate) fn reason(&self) -> TargetError {
        self.failure().unwrap_or(TargetError::Closed)
    }

    pub(crate) fn check_alive(&self) -> Result<(), TargetError> {
        if self.dead.is_cancelled() { Err(self.reason()) } else { Ok(()) }
    }

    /// Waits until nothing is in flight, nor a DDL beside it.
    pub(crate) async fn drained(&self) -> Result<(), TargetError> {
        self.ddl_ended().await?;
        let mut in_flight = self.in_flight.subscribe();
        tokio::select! {
            biased;
            () = self.dead.cancelled() => Err(self.reason()),
            waited = in_flight.wait_for(|n| *n == 0) => waited.map(drop).map_err(|_| TargetError::Closed),
        }
    }

    pub(crate) fn set_in_flight(&self, state: &mut State, count: u64) {
        state.in_flight = count;
        self.in_flight.send_replace(count);
    }

    pub(crate) fn set_blocked(&self, why: Option<String>) {
        self.state().stats.blocked = why;
    }

    /// Sends a packet; the same again with jitter after a deadlock or a lock wait. Any other error is the end.
    pub(crate) async fn send(&self, link: &mut Link, packet: &Packet) -> Result<Vec<Answer>, TargetError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            match link.packet(&packet.text, self.spec.limits.packet).await {
                Ok(answers) if answers.len() == packet.statements() => return Ok(answers),
                Ok(answers) => {
                    return Err(TargetError::FenceNotHeld {
                        what: format!("{} answers to {} statements", answers.len(), packet.statements()),
                    });
                }
                Err(e)
                    if matches!(e.error, TargetError::Sql { code: 1213 | 1205, .. })
                        // A trigger or a view of the target may lead to a table that a DDL has: its end is waited for.
                        && (begun.elapsed() < self.spec.limits.retry || *self.ddl_open.borrow()) =>
                {
                    self.state().stats.retries += 1;
                    tracing::debug!(connection = %link.name, error = %e.error, "sending the packet again");
                    let jitter = rand::rng().random_range(0.5..1.5);
                    tokio::time::sleep(pause.mul_f64(jitter)).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Err(e) => {
                    let error = packet.classify(e, &link.name);
                    return Err(self.explain(error).await);
                }
            }
        }
    }

    /// Looks who owns the target after a refusal.
    pub(crate) async fn explain(&self, error: TargetError) -> TargetError {
        if !matches!(error, TargetError::Refused1242 { .. }) {
            return error;
        }
        tracing::warn!(
            source = %self.spec.source_id, task = %self.spec.task, epoch = self.spec.epoch, %error,
            "packet refused by the target's fence (error 1242)"
        );
        let Ok(mut link) = Link::open(&self.spec, "check").await else { return error };
        let row = rows::spine_row(&mut link, &self.spec, &self.names, false).await;
        link.close().await;
        match row {
            Ok(row) if row.epoch > self.spec.epoch => {
                TargetError::Fenced { epoch: self.spec.epoch, epoch_found: row.epoch }
            }
            _ => error,
        }
    }
}
