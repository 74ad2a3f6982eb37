//! XA transactions that are prepared at the source, until they are committed or rolled back there.
//!
//! Their rows are visible to others from the commit on, so they take the commit's place in order. Until then they are
//! holes of the executed set: after a restart reading begins before them.
use std::sync::Arc;

use dm_proto::{error::Code, worker::ErrorOperator};
use dm_target::TxnId;

use super::{
    assembler::Transaction,
    operators::replaces_event,
    pipeline::Pipeline,
    spool_room::SpoolRoom,
    stats::Place,
    xid::{Xa, Xid},
};
use crate::failure::Failure;

/// More than this are not held: each is a hole of the executed set, whose text travels with every packet.
const MOST: usize = 1024;
/// So many of them may have a file, which stays open.
const MOST_FILES: usize = 64;
/// A transaction above this gets a file: it may wait for long. So do all that come when those in memory take as much as
/// one that is being read may.
const SMALL_BYTES: u64 = 256 << 10;
/// So many are named in the status.
const SHOWN: usize = 4;

struct Prepared {
    xid: Xid,
    txn: TxnId,
    transaction: Transaction,
}

/// In the order in which they were prepared.
#[derive(Default)]
pub struct Undecided(Vec<Prepared>);

impl Undecided {
    fn hold(
        &mut self,
        xid: Xid,
        txn: TxnId,
        mut transaction: Transaction,
        room: &Arc<SpoolRoom>,
    ) -> Result<(), Failure> {
        if self.0.iter().any(|p| p.xid == xid) {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!("the XA transaction {xid} is prepared a second time and was not decided before"),
            ));
        }
        if self.0.len() >= MOST {
            return Err(self.too_many(&format!("{MOST} XA transactions are prepared and not decided")));
        }
        let held: u64 = self.0.iter().map(|p| p.transaction.events.memory_bytes()).sum();
        let bytes = transaction.events.memory_bytes();
        if bytes > SMALL_BYTES || held + bytes > room.memory_bytes() {
            transaction.events.spill(room)?;
        }
        let files = self.0.iter().filter(|p| p.transaction.events.is_on_disk()).count();
        if transaction.events.is_on_disk() && files >= MOST_FILES {
            return Err(self.too_many(&format!(
                "{files} XA transactions that are too large for memory are prepared and not decided"
            )));
        }
        transaction.events.seal()?;
        self.0.push(Prepared { xid, txn, transaction });
        Ok(())
    }

    /// What helps: one that is decided makes room for the next.
    fn too_many(&self, what: &str) -> Failure {
        let first = self.0.first().map(|p| p.xid.to_string()).unwrap_or_default();
        Failure::new(Code::XaUndecided, format!("{what}, the first is {first}")).workaround(format!(
            "Please decide them at the source: `XA COMMIT {first}` or `XA ROLLBACK {first}` (`XA RECOVER` lists all), then execute `resume-task`."
        ))
    }

    fn take(&mut self, xid: &Xid) -> Option<Prepared> {
        let at = self.0.iter().position(|p| p.xid == *xid)?;
        Some(self.0.remove(at))
    }

    /// Where they begin.
    pub fn starts(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().map(|p| &p.transaction.start)
    }

    /// For people: which they are, and what decides them.
    fn text(&self) -> String {
        let each = self.0.iter().take(SHOWN).map(|p| {
            let (xid, start) = (&p.xid, p.transaction.start.text());
            format!(
                "XA transaction {xid}, prepared at {start}, waits for `XA COMMIT {xid}` or `XA ROLLBACK {xid}` at the source"
            )
        });
        let mut text = each.collect::<Vec<_>>().join("; ");
        if self.0.len() > SHOWN {
            text.push_str(&format!("; and {} more", self.0.len() - SHOWN));
        }
        text
    }
}

impl Pipeline<'_> {
    /// Puts a prepared transaction aside.
    pub(super) fn prepared(&mut self, xid: Xid, txn: TxnId, transaction: Transaction) -> Result<(), Failure> {
        let start = (transaction.start.file.clone(), transaction.start.pos);
        self.undecided.hold(xid, txn.clone(), transaction, &self.room)?;
        let held = self.attachment.hold(&txn, (&start.0, start.1));
        held.map_err(|e| self.target(&e))?;
        self.keeper.dm.hold(&txn);
        self.context.status.sync.set_undecided(self.undecided.text());
        self.pass_by();
        Ok(())
    }

    /// Gives the transaction that decides what it decides: the rows, and the name that joins the set with its own.
    pub(super) fn decide(
        &mut self,
        xa: &Xa,
        transaction: &mut Transaction,
        operator: Option<&ErrorOperator>,
    ) -> Result<Option<TxnId>, Failure> {
        let (Xa::Prepare(xid) | Xa::Commit(xid) | Xa::Rollback(xid)) = xa;
        let prepared = self.undecided.take(xid);
        self.context.status.sync.set_undecided(self.undecided.text());
        match (prepared, xa) {
            (Some(prepared), Xa::Commit(_)) => {
                transaction.events = prepared.transaction.events;
                transaction.checksum = prepared.transaction.checksum;
                Ok(Some(prepared.txn))
            }
            (Some(prepared), _) => Ok(Some(prepared.txn)),
            // It was prepared before this stream began, and nothing of it is here.
            (None, Xa::Rollback(_)) => Ok(None),
            (None, _) if operator.is_some_and(replaces_event) => Ok(None),
            (None, _) => Err(Failure::new(
                Code::XaUndecided,
                format!(
                    "the XA transaction {xid} is committed here, and it was prepared before the place where the task began, or its XA PREPARE was skipped: its rows are not in this stream, nor in what was loaded"
                ),
            )
            .workaround("Please load the tables that it changed anew, or write its rows at the target by hand and skip it.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::unit::sync::spool::Held;

    fn room(memory: u64) -> (tempfile::TempDir, Arc<SpoolRoom>) {
        let dir = tempfile::tempdir().unwrap();
        let room = SpoolRoom::new(dir.path().to_owned(), 1 << 30, memory, Arc::default(), Arc::default());
        (dir, Arc::new(room))
    }

    /// Holds one more, of so many bytes.
    fn hold(
        undecided: &mut Undecided,
        number: usize,
        bytes: usize,
        room: &Arc<SpoolRoom>,
    ) -> Result<(), Failure> {
        let gtrid = number.to_string().into_bytes();
        let xid = Xid { format_id: 1, gtrid, bqual: Vec::new() };
        let mut transaction = Transaction::default();
        transaction.events.push(Held::Event(Bytes::from(vec![0; bytes])), room)?;
        let txn = TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos: number as u64 };
        undecided.hold(xid, txn, transaction, room)
    }

    fn memory(undecided: &Undecided) -> u64 {
        undecided.0.iter().map(|p| p.transaction.events.memory_bytes()).sum()
    }

    #[test]
    fn small_ones_wait_in_memory_up_to_its_bound_and_then_on_disk() {
        let (_dir, room) = room(1 << 20);
        let mut undecided = Undecided::default();
        for number in 0..10 {
            hold(&mut undecided, number, 200 << 10, &room).unwrap();
        }
        assert!((800 << 10..=1 << 20).contains(&memory(&undecided)), "{}", memory(&undecided));
        assert_eq!(undecided.0.iter().filter(|p| p.transaction.events.is_on_disk()).count(), 5);
        // Room is made by a decision.
        undecided.take(&undecided.0[0].xid.clone()).unwrap();
        hold(&mut undecided, 10, 200 << 10, &room).unwrap();
        assert!(!undecided.0.last().unwrap().transaction.events.is_on_disk());
    }

    #[test]
    fn what_is_one_too_many_stops_with_what_to_do() {
        let (_dir, room) = room(16 << 20);
        let mut undecided = Undecided::default();
        for number in 0..MOST {
            hold(&mut undecided, number, 10, &room).unwrap();
        }
        let failure = hold(&mut undecided, MOST, 10, &room).unwrap_err();
        assert!(failure.error.is(Code::XaUndecided));
        assert!(failure.error.message.contains("1024 XA transactions are prepared"), "{failure}");
        assert!(failure.error.workaround.contains("`XA COMMIT X'30',X'',1`"), "{failure:?}");
        let mut undecided = Undecided::default();
        for number in 0..MOST_FILES {
            hold(&mut undecided, number, 300 << 10, &room).unwrap();
            assert!(undecided.0[number].transaction.events.is_on_disk());
        }
        let failure = hold(&mut undecided, MOST_FILES, 300 << 10, &room).unwrap_err();
        assert!(failure.error.message.contains("64 XA transactions that are too large"), "{failure}");
        // A small one needs none.
        hold(&mut undecided, MOST_FILES, 10, &room).unwrap();
    }
}
