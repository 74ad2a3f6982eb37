//! Whole transactions to batches.
use std::collections::HashMap;

use dm_proto::{config::SyncerConfig, error::Code};
use dm_target::{Attachment, Batch, PartMark, TargetError, TxnId};

use super::{changes::Changes, merge::Merger};
use crate::failure::Failure;

/// Least row bound of a batch while behind, whatever the task file says. The fence, the commit and the wake-ups of both sides
/// are paid once for a batch.
const LEAST_ROWS: u64 = 1000;
/// No batch is larger than this, however large packets may be: it bounds what a lane holds.
const MOST_BYTES: usize = 8 << 20;
/// Transactions are collected up to here only: what waits for the lanes has to be several batches.
const COLLECT_BYTES: usize = 2 << 20;

/// Parts that are sent or wait for it: one runs, one is ready.
const PARTS_IN_FLIGHT: u64 = 2;

/// More transactions than a refused batch may have had, with those in flight beside it.
const CAREFUL: u64 = 10_000;

/// Collects transactions; caught up a batch is one, behind it grows to its bounds.
pub struct Batcher {
    /// Transactions of the batch that is being collected.
    txns: Vec<TxnId>,
    merger: Merger,
    /// A change that matches no row stops the task, also where a key says which row is meant.
    strict: bool,
    max_rows: u64,
    max_bytes: usize,
    packet: usize,
    /// Parts that are applied of a transaction that is not.
    parts: HashMap<TxnId, PartMark>,
    /// So many of the next transactions travel alone: the target has refused a batch, and which of it is not known.
    alone: u64,
    /// They join the set with the next transaction.
    joins: Vec<TxnId>,
    /// Batches and empty batches handed over.
    pub handed: u64,
}

/// What has to be known of parts that were applied before.
pub type Applied<'a> = Option<&'a PartMark>;

impl Batcher {
    pub fn new(
        max_allowed_packet: usize,
        syncer: &SyncerConfig,
        parts: Vec<PartMark>,
        careful: bool,
    ) -> Self {
        Self {
            txns: Vec::new(),
            merger: Merger::default(),
            strict: syncer.strict,
            max_rows: u64::from(syncer.batch).max(LEAST_ROWS),
            max_bytes: (max_allowed_packet / 2).min(MOST_BYTES),
            packet: max_allowed_packet,
            parts: parts.into_iter().map(|p| (p.txn.clone(), p)).collect(),
            alone: if careful { CAREFUL } else { 0 },
            joins: Vec::new(),
            handed: 0,
        }
    }

    /// The part of this transaction that is applied already.
    pub fn applied_part(&self, txn: &TxnId) -> Applied<'_> {
        self.parts.get(txn)
    }

    pub fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }

    /// True when the changes of one transaction are more than one packet may hold; once it is `cut`, its parts are smaller,
    /// since each of them is held in several copies.
    pub fn too_large(&self, changes: &Changes, cut: bool) -> bool {
        changes.sql_bytes() > if cut { self.max_bytes.min(COLLECT_BYTES) } else { self.max_bytes }
    }

    /// The target would end the connection at such a packet, again and again: said before it is sent.
    pub fn check_fits(&self, changes: &Changes) -> Result<(), Failure> {
        // What the fence and the record of a batch add to it.
        const REST: usize = 128 << 10;
        if changes.sql_bytes().saturating_add(REST) <= self.packet {
            return Ok(());
        }
        Err(Failure::new(
            Code::EventUnsupported,
            format!(
                "rows of one event are {} bytes of text, more than the target's max_allowed_packet of {} takes",
                changes.sql_bytes(),
                self.packet
            ),
        )
        .workaround("Please set max_allowed_packet of the target to 1G and resume the task."))
    }

    /// Hands over one part of a large transaction; its commit event has been read.
    pub async fn part(
        &mut self,
        attachment: &Attachment,
        txn: &TxnId,
        changes: &mut Changes,
    ) -> Result<(), TargetError> {
        self.flush(attachment).await?;
        attachment.below(PARTS_IN_FLIGHT).await;
        let mut batch = Batch::new();
        batch.part =
            Some(PartMark { txn: txn.clone(), ordinal: changes.ordinal, checksum: changes.checksum });
        let mut merger = Merger::default();
        merger.add(changes, 0);
        merger.move_into(&mut batch, self.strict);
        attachment.submit(batch).await
    }

    /// A transaction that joins the set with the next one that is added.
    pub fn join(&mut self, txn: TxnId) {
        self.joins.push(txn);
    }

    /// Adds a whole transaction, or the rest of one.
    pub async fn add(
        &mut self,
        attachment: &Attachment,
        txn: TxnId,
        changes: &mut Changes,
    ) -> Result<(), TargetError> {
        if self.merger.bytes() + changes.sql_bytes() > self.max_bytes.min(COLLECT_BYTES) {
            self.flush(attachment).await?;
        }
        self.txns.append(&mut self.joins);
        self.merger.add(changes, self.txns.len());
        let large = self.parts.remove(&txn).is_some();
        self.txns.push(txn);
        let alone = self.alone > 0;
        self.alone = self.alone.saturating_sub(1);
        if alone || large || self.merger.rows() >= self.max_rows || self.txns.len() as u64 >= self.max_rows {
            self.flush(attachment).await?;
        }
        Ok(())
    }

    /// Hands over what is there.
    pub async fn flush(&mut self, attachment: &Attachment) -> Result<(), TargetError> {
        if self.is_empty() {
            return Ok(());
        }
        self.handed += 1;
        let mut batch = Batch::new();
        batch.txns = std::mem::take(&mut self.txns);
        self.merger.move_into(&mut batch, self.strict);
        attachment.submit(batch).await
    }
}

/// Compares what is skipped of a transaction with what its part's record says.
pub fn check_part(part: &PartMark, changes: &Changes) -> Result<(), Failure> {
    if part.ordinal == changes.ordinal && part.checksum == changes.checksum {
        return Ok(());
    }
    Err(Failure::new(
        Code::SourceLacksTransactions,
        format!(
            "transaction {} was applied up to its row change {}, and the source now gives other changes for it",
            part.txn, part.ordinal
        ),
    ))
}
