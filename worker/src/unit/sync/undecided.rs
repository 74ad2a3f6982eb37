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
    xid::{Xa, Xid},
};
use crate::failure::Failure;

/// More than this are not held: each costs memory and, above a little, a file.
const MOST: usize = 64;
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
            let first = self.0.first().map(|p| p.xid.to_string()).unwrap_or_default();
            return Err(Failure::new(
                Code::XaUndecided,
                format!("{MOST} XA transactions are prepared and not decided, the first is {first}"),
            )
            .workaround(format!(
                "Please decide them at the source: `XA COMMIT {first}` or `XA ROLLBACK {first}` (`XA RECOVER` lists all), then execute `resume-task`."
            )));
        }
        // They may wait for long: not in memory.
        transaction.events.spill(room)?;
        transaction.events.seal()?;
        self.0.push(Prepared { xid, txn, transaction });
        Ok(())
    }

    fn take(&mut self, xid: &Xid) -> Option<Prepared> {
        let at = self.0.iter().position(|p| p.xid == *xid)?;
        Some(self.0.remove(at))
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
        let end = transaction.end.clone();
        self.undecided.hold(xid, txn.clone(), transaction, &self.room)?;
        let held = self.attachment.hold(&txn, (&start.0, start.1));
        held.map_err(|e| self.target(&e))?;
        self.context.status.sync.set_undecided(self.undecided.text());
        self.pass_by(end);
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
                    "the XA transaction {xid} is committed here and was prepared before the place where the task began: its rows are not in this stream, nor in what was loaded"
                ),
            )
            .workaround("Please load the tables that it changed anew, or write its rows at the target by hand and skip it.")),
        }
    }
}
