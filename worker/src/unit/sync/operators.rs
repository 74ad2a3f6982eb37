//! Error operators of one attempt: which of them meets a transaction, and what a stop says about them.
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use dm_binlog::Gtid;
use dm_proto::{
    error::{Code, Verdict},
    worker::{ErrorOperator, OperatorKind, StopPoint},
};
use dm_target::TxnId;
use tokio::sync::watch;

use super::stats::Place;
use crate::{
    failure::{Failure, Next},
    subtask::{Desired, SubtaskContext},
};

/// Places of the last transactions are kept for this many; a transaction that the target refuses is among them.
const RECENT: usize = 16 << 10;

/// The pending operators, as the leader's last word has them.
pub struct Operators {
    wish: watch::Receiver<Option<Desired>>,
    list: Arc<[ErrorOperator]>,
}

impl Operators {
    pub fn new(wish: watch::Receiver<Option<Desired>>) -> Self {
        let mut operators = Self { wish, list: Arc::default() };
        operators.read();
        operators
    }

    fn read(&mut self) {
        let list = self.wish.borrow_and_update().as_ref().map(|d| Arc::clone(&d.operators));
        // A withdrawn wish ends the run; until then nothing is new.
        if let Some(list) = list {
            self.list = list;
        }
    }

    /// Looks for news; costs next to nothing without any.
    pub fn refresh(&mut self) -> Option<&Arc<[ErrorOperator]>> {
        if !self.wish.has_changed().unwrap_or(false) {
            return None;
        }
        self.read();
        Some(&self.list)
    }

    pub fn list(&self) -> &Arc<[ErrorOperator]> {
        &self.list
    }

    /// Operators by place that the stream has gone past without meeting them: nothing begins there.
    pub fn passed(&self, place: &Place) -> impl Iterator<Item = &ErrorOperator> {
        let number = place.file_number();
        let pos = place.pos;
        self.list.iter().filter(move |o| {
            let file = Place { file: o.file.clone(), pos: o.pos }.file_number();
            o.gtid.is_empty() && (file, o.pos) < (number, pos)
        })
    }
}

/// The operator for a transaction of this name, or for an event that begins here.
pub fn find<'a>(list: &'a [ErrorOperator], at: &Place, gtid: Option<&Gtid>) -> Option<&'a ErrorOperator> {
    let gtid = gtid.map(ToString::to_string);
    list.iter().find(|o| match o.gtid.is_empty() {
        true => o.file == at.file && o.pos == at.pos,
        false => gtid.as_ref() == Some(&o.gtid),
    })
}

/// Where the event's own text is not needed, and so need not be understood.
pub fn replaces_event(operator: &ErrorOperator) -> bool {
    matches!(operator.kind(), OperatorKind::OperatorSkip | OperatorKind::OperatorReplace)
}

/// Number of a given statement in its transaction: above those of the event's own, and another for every operator.
pub fn ordinal(operator: &ErrorOperator, number: usize) -> u32 {
    let id = u32::try_from(operator.id & 0x3F_FFFF).unwrap_or(0);
    (1 << 30) | (id << 8) | u32::try_from(number.min(255)).unwrap_or(255)
}

/// Whether a record is of a statement that this operator gave.
pub fn gave(operator: &ErrorOperator, record: u32) -> bool {
    record >> 8 == ordinal(operator, 0) >> 8
}

/// Whether it is about what stands in an event, and not about the stream, the source's server or the target.
pub fn is_of_one_event(failure: &Failure) -> bool {
    let others = [Code::BinlogCorrupt, Code::BinlogRead, Code::SourceIdentityChanged, Code::PacketRefused];
    !others.iter().any(|c| failure.error.is(*c))
}

/// Puts the place and the commands that end it to an error about one transaction.
pub fn stopped(failure: Failure, context: &SubtaskContext, at: &Place, gtid: Option<&Gtid>) -> Failure {
    let code = &failure.error;
    let ends = matches!(failure.next, Next::Person | Next::Retry) && code.verdict != Verdict::Fatal;
    if at.file.is_empty() || !ends || !is_of_one_event(&failure) {
        return failure;
    }
    let (task, source) = (&context.task, &context.source_id);
    let place = format!("{}:{}", at.file, at.pos);
    let commands = format!(
        "To skip it: `dmctl binlog skip {task} --binlog-pos {place} -s {source}`; to run other statements in its place: \
         `dmctl binlog replace {task} --binlog-pos {place} -s {source} \"SQL;\"`."
    );
    let workaround = match failure.error.workaround.as_ref() {
        "" => commands,
        given => format!("{given} {commands}"),
    };
    let gtid = gtid.map(ToString::to_string).unwrap_or_default();
    failure.workaround(workaround).at(StopPoint { file: at.file.clone(), pos: at.pos, gtid })
}

/// A DDL that is executed while the stream goes on.
#[derive(Clone)]
pub struct OpenDdl {
    pub txn: TxnId,
    /// What is executed at the target.
    pub sql: String,
    /// In DM's form.
    pub place: String,
    /// Where its transaction begins.
    pub start: Place,
}

/// Where the last transactions began, by name; and the last DDL.
#[derive(Default)]
pub struct Recent(Mutex<VecDeque<(TxnId, Place)>>, Mutex<Option<OpenDdl>>);

impl Recent {
    pub fn note(&self, txn: &TxnId, start: &Place) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((txn.clone(), start.clone()));
    }

    pub fn begin_ddl(&self, ddl: OpenDdl) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(ddl);
    }

    /// The last DDL that was begun while the stream went on, if it is of this transaction.
    pub fn ddl_of(&self, txn: &TxnId) -> Option<OpenDdl> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|ddl| ddl.txn == *txn)
    }

    pub fn start_of(&self, txn: &TxnId) -> Option<Place> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = recent.iter().rev().find(|(known, _)| known == txn).map(|(_, place)| place.clone());
        noted.or_else(|| self.ddl_of(txn).map(|ddl| ddl.start))
    }

    /// Where the last DDL that was begun while the stream went on begins.
    pub fn ddl_start(&self) -> Option<Place> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|ddl| ddl.start.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_operators_have_numbers_of_their_own() {
        let (a, b) = (
            ErrorOperator { id: 7, ..ErrorOperator::default() },
            ErrorOperator { id: 8, ..ErrorOperator::default() },
        );
        assert!(gave(&a, ordinal(&a, 0)) && gave(&a, ordinal(&a, 254)));
        assert!(!gave(&a, ordinal(&b, 0)) && !gave(&a, 3));
    }

    /// A DDL may take hours, and fail after many later transactions.
    #[test]
    fn the_place_of_a_ddl_is_known_while_it_is_executed() {
        let txn = |pos| TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos };
        let start = Place { file: "b.000001".to_owned(), pos: 4 };
        let recent = Recent::default();
        recent.note(&txn(5), &start);
        recent.begin_ddl(OpenDdl {
            txn: txn(5),
            sql: String::new(),
            place: String::new(),
            start: start.clone(),
        });
        for pos in 6..30_000 {
            recent.note(&txn(pos), &Place { file: "b.000001".to_owned(), pos: pos - 1 });
        }
        assert_eq!(recent.start_of(&txn(5)), Some(start));
        assert_eq!(recent.start_of(&txn(7)), None);
    }

    #[test]
    fn a_name_counts_more_than_a_place() {
        let place = |pos| Place { file: "b.000001".to_owned(), pos };
        let of = |pos, gtid: &str| ErrorOperator {
            file: "b.000001".to_owned(),
            pos,
            gtid: gtid.to_owned(),
            ..ErrorOperator::default()
        };
        let list = [of(4, ""), of(100, "0-1-7")];
        let gtid = Gtid::parse(dm_binlog::Flavor::MariaDb, "0-1-7").unwrap();
        assert_eq!(find(&list, &place(4), None).map(|o| o.pos), Some(4));
        assert_eq!(find(&list, &place(100), None), None, "another server's position");
        assert_eq!(find(&list, &place(900), Some(&gtid)).map(|o| o.pos), Some(100));
    }
}
