//! Which batches are acknowledged, in source order.

use std::collections::VecDeque;

use tokio::sync::OwnedSemaphorePermit;

use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::txn::TxnId;

#[derive(Debug)]
struct Slot {
    txns: Vec<TxnId>,
    acked: bool,
    /// Its share of the queue's bytes, given back when nothing before it is open either.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Batches in source order and what is acknowledged of them; pure.
#[derive(Debug)]
pub(crate) struct Tracker {
    front: u64,
    window: VecDeque<Slot>,
    /// Everything up to the first batch that is not acknowledged; counts only commits acknowledged in this attachment
    /// or read at its take-over.
    low: ExecutedSet,
    /// Everything acknowledged.
    acked: ExecutedSet,
}

impl Tracker {
    /// Begins with what the take-over has read.
    pub(crate) fn new(executed: ExecutedSet) -> Self {
        Self { front: 0, window: VecDeque::new(), low: executed.without_explicit(), acked: executed }
    }

    /// Begins anew with another set; nothing may be open.
    pub(crate) fn restart(&mut self, executed: ExecutedSet) {
        debug_assert!(self.window.is_empty());
        self.low = executed.without_explicit();
        self.acked = executed;
    }

    /// A batch enters in source order; gives its number.
    pub(crate) fn push(
        &mut self,
        txns: Vec<TxnId>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<u64, TargetError> {
        if let Some(known) = txns.iter().find(|t| self.acked.contains(t)) {
            return Err(TargetError::Misuse {
                message: format!("transaction {known} is applied already and was submitted again"),
            });
        }
        self.window.push_back(Slot { txns, acked: false, _permit: permit });
        Ok(self.front + self.window.len() as u64 - 1)
    }

    /// The batch's commit is acknowledged; gives how many transactions it had.
    pub(crate) fn ack(&mut self, number: u64) -> Result<u64, TargetError> {
        let index = number.checked_sub(self.front).and_then(|i| usize::try_from(i).ok());
        let slot = index.and_then(|i| self.window.get_mut(i)).filter(|s| !s.acked);
        let Some(slot) = slot else {
            return Err(TargetError::Misuse { message: format!("batch {number} was acknowledged twice") });
        };
        slot.acked = true;
        let count = slot.txns.len() as u64;
        if number != self.front {
            for txn in &slot.txns {
                self.acked.insert(txn)?;
            }
        }
        while self.window.front().is_some_and(|s| s.acked) {
            let Some(slot) = self.window.pop_front() else { break };
            self.front += 1;
            for txn in &slot.txns {
                self.low.advance(txn)?;
                self.acked.advance(txn)?;
            }
        }
        Ok(count)
    }

    pub(crate) fn low(&self) -> &ExecutedSet {
        &self.low
    }

    pub(crate) fn acked(&self) -> &ExecutedSet {
        &self.acked
    }

    /// Batches that are not acknowledged, or wait for one before them.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.window.len()
    }
}
