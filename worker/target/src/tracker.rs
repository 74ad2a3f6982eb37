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

    /// The transaction is applied, and nothing is known of those before it: a former owner has left it undecided.
    pub(crate) fn insert(&mut self, txn: &TxnId) -> Result<(), TargetError> {
        self.low.insert(txn)?;
        self.acked.insert(txn)
    }

    /// The transaction is prepared and not decided, or a DDL beside rows; called in source order, before any later batch enters.
    pub(crate) fn hold(&mut self, txn: &TxnId, start: (&str, u64)) -> Result<(), TargetError> {
        self.low.hold(txn, start)?;
        self.acked.hold(txn, start)
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

#[cfg(test)]
mod tests {
    use dm_binlog::Gtid;
    use proptest::prelude::*;

    use super::Tracker;
    use crate::executed::ExecutedSet;
    use crate::txn::{Mode, TxnId};

    fn txn(i: usize) -> TxnId {
        TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos: i as u64 + 1 }
    }

    proptest! {
        /// However acknowledgements arrive, low never claims what is not acknowledged, and acked claims all that is.
        #[test]
        fn low_counts_only_acknowledged_commits(
            sizes in prop::collection::vec(0_usize..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let mut tracker = Tracker::new(ExecutedSet::empty(Mode::Position, 1));
            let mut next = 0;
            let mut open = Vec::new();
            for size in &sizes {
                let members: Vec<usize> = (next..next + size).collect();
                next += size;
                let number = tracker.push(members.iter().map(|&i| txn(i)).collect(), None).unwrap();
                open.push((number, members));
            }
            let mut acked = vec![false; next];
            for index in &order {
                if open.is_empty() {
                    break;
                }
                let (number, members) = open.remove(index.index(open.len()));
                tracker.ack(number).unwrap();
                prop_assert!(tracker.ack(number).is_err());
                for i in members {
                    acked[i] = true;
                }
                let prefix = acked.iter().take_while(|a| **a).count();
                for (i, &is_acked) in acked.iter().enumerate() {
                    prop_assert_eq!(tracker.acked().contains(&txn(i)), is_acked);
                    prop_assert!(!tracker.low().contains(&txn(i)) || i < prefix);
                }
            }
            prop_assert_eq!(tracker.open(), open.last().map_or(0, |_| tracker.open()));
        }
    }

    /// A DDL that the former attempt left undecided is settled before its stream is read again; a transaction before it is
    /// prepared and not decided.
    #[test]
    fn what_is_settled_early_hides_no_hole() {
        let txn = |seq| TxnId::Gtid(Gtid::MariaDb { domain: 0, server: 1, seq });
        let mut tracker = Tracker::new(ExecutedSet::parse("mariadb=0-1-4;0-1-6:8").unwrap());
        tracker.insert(&txn(9)).unwrap();
        tracker.hold(&txn(5), ("b.000001", 4)).unwrap();
        let number = tracker.push(vec![txn(10)], None).unwrap();
        tracker.ack(number).unwrap();
        for set in [tracker.low(), tracker.acked()] {
            assert!(!set.contains(&txn(5)) && set.contains(&txn(9)) && set.contains(&txn(10)), "{set}");
        }
        let number = tracker.push(vec![txn(5), txn(11)], None).unwrap();
        tracker.ack(number).unwrap();
        assert_eq!(tracker.acked().to_string(), "mariadb=0-1-11");
    }

    #[test]
    fn a_known_transaction_is_not_taken_again() {
        let mut tracker = Tracker::new(ExecutedSet::up_to_position(1, "b.000001", 10));
        assert!(tracker.push(vec![txn(3)], None).is_err());
        assert!(tracker.push(vec![txn(30)], None).is_ok());
    }
}
