//! Which transaction is the proof of the next checkpoint: the newest one that is applied.
use std::sync::{Mutex, PoisonError};

use dm_binlog::Gtid;
use dm_target::{ExecutedSet, TxnId};

use super::proof::{AppliedEvent, SourceProof};

/// A transaction that has been read whole.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub txn: TxnId,
    pub gtid: Option<Gtid>,
    pub before: Option<Gtid>,
    pub server: String,
    pub file: String,
    pub created: u32,
    pub begin: u64,
    pub end: u64,
    pub hash: u64,
    pub committed: u64,
}

impl Candidate {
    fn proof(self) -> SourceProof {
        let text = |gtid: Option<Gtid>| gtid.map(|g| g.to_string()).unwrap_or_default();
        SourceProof {
            server: self.server,
            file: self.file,
            created: self.created,
            applied: Some(AppliedEvent {
                gtid: text(self.gtid),
                before: text(self.before),
                begin: self.begin,
                end: self.end,
                hash: self.hash,
                committed: self.committed,
            }),
        }
    }
}

#[derive(Debug, Default)]
struct Slots {
    /// Waits until it is applied.
    waiting: Option<Candidate>,
    /// The newest one after it.
    newest: Option<Candidate>,
}

/// Two candidates are enough: the one that waits becomes the proof, the newest one waits next.
#[derive(Debug, Default)]
pub struct Witness {
    slots: Mutex<Slots>,
}

impl Witness {
    pub fn offer(&self, candidate: Candidate) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = if slots.waiting.is_none() { &mut slots.waiting } else { &mut slots.newest };
        *slot = Some(candidate);
    }

    /// The newest candidate that is in the set; only an applied transaction may be a proof, since a source may lose in a
    /// crash what was read and not applied.
    pub fn applied(&self, executed: &ExecutedSet) -> Option<SourceProof> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut proof = None;
        while let Some(waiting) = slots.waiting.take_if(|c| executed.contains(&c.txn)) {
            proof = Some(waiting);
            slots.waiting = slots.newest.take();
        }
        proof.map(Candidate::proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(pos: u64) -> Candidate {
        Candidate {
            txn: TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos },
            gtid: None,
            before: None,
            server: String::new(),
            file: "b.000001".to_owned(),
            created: 1,
            begin: pos - 1,
            end: pos,
            hash: 0,
            committed: 0,
        }
    }

    #[test]
    fn the_newest_applied_transaction_is_the_proof_in_the_end() {
        let witness = Witness::default();
        let at = |pos| {
            let proof = witness.applied(&ExecutedSet::up_to_position(1, "b.000001", pos));
            proof.map(|p| p.applied.unwrap().end)
        };
        for pos in 11..=20 {
            witness.offer(candidate(pos));
        }
        assert_eq!(at(10), None);
        assert_eq!(at(15), Some(11));
        witness.offer(candidate(21));
        assert_eq!(at(20), Some(20));
        assert_eq!(at(20), None);
        assert_eq!(at(21), Some(21));
    }
}
