//! All target connections of one source.

use std::sync::Arc;

use crate::batch::Batch;
use crate::ddl::{DdlDecision, DdlRecord, DdlStep};
use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::load::LoadChunk;
use crate::resume::{CheckpointUpdate, Resume, StartPoint, TargetStats};
use crate::spec::TargetSpec;

/// Meta stage CREATING: creates database, tables and the bare lane -1 row (epoch 0) where they are missing; idempotent.
/// Needs `may_create`; rows of another cluster need `adopt`.
pub async fn create_meta(spec: &TargetSpec) -> Result<(), TargetError> {
    let _ = spec;
    Err(TargetError::Closed)
}

/// All target connections of one source: opened together, dead together. Cheap to share by reference; methods may be
/// called concurrently, except that `submit`, `ddl`, `begin` are meant for one caller who has the source's order.
#[derive(Debug)]
pub struct Attachment {
    spec: Arc<TargetSpec>,
}

impl Attachment {
    /// Takes over the target: step (0) to (4) of the protocol. Nothing is written for a lower epoch or a foreign
    /// cluster id, and no connection is killed then.
    pub async fn take_over(spec: TargetSpec) -> Result<(Self, Resume), TargetError> {
        let _ = Self { spec: Arc::new(spec) };
        Err(TargetError::Closed)
    }

    /// Queues a batch: chooses its lane and what it waits for. Waits while too many bytes are in flight. Returning Ok
    /// says nothing about its commit; errors of earlier batches come back from any later call.
    pub async fn submit(&self, batch: Batch) -> Result<(), TargetError> {
        let _ = (batch, &self.spec);
        Err(TargetError::Closed)
    }

    /// Waits until every batch is acknowledged.
    pub async fn drain(&self) -> Result<(), TargetError> {
        Err(TargetError::Closed)
    }

    /// Drains, then runs one DDL statement between intent and done.
    pub async fn ddl(&self, step: DdlStep) -> Result<(), TargetError> {
        let _ = step;
        Err(TargetError::Closed)
    }

    /// Compares `SHOW CREATE` now with before; None = a person has to decide.
    pub async fn decide_ddl(&self, record: &DdlRecord) -> Result<Option<DdlDecision>, TargetError> {
        let _ = record;
        Err(TargetError::Closed)
    }

    /// Settles the undecided DDL that the take-over has found.
    pub async fn resolve_ddl(&self, record: &DdlRecord, decision: DdlDecision) -> Result<(), TargetError> {
        let _ = (record, decision);
        Err(TargetError::Closed)
    }

    /// Starts the main stream (first start, or a new generation): one lane -1 packet that stores the start's executed
    /// set as checkpoint and clears low and done of all lanes. Gives the new generation.
    pub async fn begin(&self, start: StartPoint) -> Result<u64, TargetError> {
        let _ = start;
        Err(TargetError::Closed)
    }

    /// "Load finished, main stream starts at this set" in one lane -1 packet; gives the generation. Close this attachment and take over
    /// with [`crate::MAIN_STREAM`] afterwards.
    pub async fn finish_load(&self, start: StartPoint) -> Result<u64, TargetError> {
        let _ = start;
        Err(TargetError::Closed)
    }

    /// Stores all chunk records of a load, before the first read; replaces an earlier plan.
    pub async fn plan_load(&self, chunks: &[LoadChunk], note: &[u8]) -> Result<(), TargetError> {
        let _ = (chunks, note);
        Err(TargetError::Closed)
    }

    /// Empties a table under the fence (restart of a cut load).
    pub async fn empty_table(&self, schema: &str, table: &str) -> Result<(), TargetError> {
        let _ = (schema, table);
        Err(TargetError::Closed)
    }

    /// Writes the merged executed set, and what else changed. Call it every second; without news it sends nothing.
    pub async fn checkpoint(&self, update: CheckpointUpdate) -> Result<(), TargetError> {
        let _ = update;
        Err(TargetError::Closed)
    }

    /// Everything acknowledged so far, also above holes: where to go on after losing only the source (drain first).
    pub fn executed(&self) -> ExecutedSet {
        ExecutedSet::empty(self.spec.mode, 0)
    }

    /// Everything up to the oldest batch that is not acknowledged.
    pub fn low(&self) -> ExecutedSet {
        ExecutedSet::empty(self.spec.mode, 0)
    }

    /// Counters.
    pub fn stats(&self) -> TargetStats {
        TargetStats::default()
    }

    /// The error that killed the attachment, if it is dead.
    pub fn failure(&self) -> Option<TargetError> {
        None
    }

    /// Gives when the attachment is dead.
    pub async fn failed(&self) -> TargetError {
        TargetError::Closed
    }

    /// Drains, writes a last checkpoint, releases the locks and closes every connection. On an error everything is
    /// closed all the same.
    pub async fn close(&self) -> Result<(), TargetError> {
        Err(TargetError::Closed)
    }
}
