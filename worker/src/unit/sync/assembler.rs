//! From single events to whole transactions. No socket, no clock; events of large transactions go to a [`spool`](super::spool).
use std::sync::Arc;

use bytes::Bytes;
use dm_binlog::{
    ChecksumAlgorithm, Event, EventHeader, Flavor, Gtid, QueryEvent, RowsEvent, TableMap,
    maria_flags::{EXTRA_ROLLBACK_ALTER, EXTRA_START_ALTER},
};
use dm_proto::{error::Code, worker::ErrorOperator};
use dm_schema::ddl::DdlKind;

pub(super) use super::transaction::statement;
pub use super::transaction::{Statement, Transaction, short};
use super::{
    excluded::Excluded,
    far, operators,
    reader::damaged,
    spool::{Held, Passed},
    spool_room::SpoolRoom,
    stats::Place,
    text,
};
use crate::failure::Failure;

/// What the first event of a group says of its rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    /// BEGIN may follow, or a single statement.
    Open,
    /// Ends with a commit; there is no BEGIN event.
    Begun,
    /// The next event is the whole of it.
    Standalone,
}

/// Holds the transaction that is being read.
#[derive(Default)]
pub struct Assembler {
    pub(super) open: Option<Transaction>,
    place: Place,
    /// Where the last event began.
    event: Place,
    /// The last event said where it ends.
    placed: bool,
    /// The source left out something in this file, and so it may be in a later 4 GiB than it seems to be.
    gap: bool,
    operators: Arc<[ErrorOperator]>,
    excluded: Option<Excluded>,
    /// The source is a MariaDB.
    pub(super) mariadb: bool,
    room: Arc<SpoolRoom>,
    /// Of the events that come now.
    checksum: Option<ChecksumAlgorithm>,
}

impl Assembler {
    /// Begins reading at this file; the stream's own first event says so too. Large transactions take of `room`.
    pub fn new(file: &str, pos: u64, room: Arc<SpoolRoom>) -> Self {
        Self { place: Place { file: file.to_owned(), pos }, room, ..Self::default() }
    }

    /// Which server wrote the binlog, for what it took for a comment.
    pub fn set_flavor(&mut self, flavor: Flavor) {
        self.mariadb = flavor == Flavor::MariaDb;
    }

    /// Rows of these tables are counted and not kept.
    pub fn exclude(&mut self, excluded: Excluded) {
        self.excluded = Some(excluded);
    }

    /// Where the next event begins.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The place may be 4 GiB, or a multiple of it, further than it seems.
    pub fn is_vague(&self) -> bool {
        self.gap
    }

    /// It is not: the file is not so large.
    pub fn set_sure(&mut self) {
        self.gap = false;
    }

    /// Looked for from the next event on.
    pub fn set_operators(&mut self, operators: Arc<[ErrorOperator]>) {
        self.operators = operators;
    }

    /// Where what is being read begins: the open transaction, else the last event; and the former's name.
    pub fn start(&self) -> (&Place, Option<&Gtid>) {
        match &self.open {
            Some(open) => (&open.start, open.gtid.as_ref()),
            None => (&self.event, None),
        }
    }

    fn operator(&self, at: &Place, gtid: Option<&Gtid>) -> Option<ErrorOperator> {
        if self.operators.is_empty() { None } else { operators::find(&self.operators, at, gtid).cloned() }
    }

    /// The name of the file has come; an event that can't hold a change.
    fn moved(&mut self, header: &EventHeader) -> Place {
        let mut before = self.place.clone();
        let bits = far::end_bits(header, before.pos);
        self.placed = bits.is_some();
        if let Some(bits) = bits {
            self.place.pos = far::onward(before.pos, bits);
            // Where the source leaves out transactions that we have, events do not follow on each other.
            if let Some(start) = self.place.pos.checked_sub(u64::from(header.event_size)) {
                self.gap |= start > before.pos;
                before.pos = start;
            }
        }
        self.event.clone_from(&before);
        if !self.operators.is_empty() && self.open.as_ref().is_some_and(|t| t.operator.is_none()) {
            let met = self.operator(&before, None);
            if let Some(open) = &mut self.open {
                open.operator = met;
            }
        }
        before
    }

    /// Takes one event; gives a transaction when its end was read.
    pub fn step(
        &mut self,
        header: &EventHeader,
        event: &Event<'_>,
        raw: &Bytes,
    ) -> Result<Option<Transaction>, Failure> {
        self.take(header, event, raw).map_err(|failure| self.located(failure))
    }

    /// Puts in front where the open transaction begins and how far was read, in DM's form.
    pub fn located(&self, failure: Failure) -> Failure {
        let end = self.place.text();
        let open = self.open.as_ref();
        let start = open.map_or_else(|| end.clone(), |t| t.start.text());
        let gtid = open.and_then(|t| t.gtid.as_ref()).map(ToString::to_string).unwrap_or_default();
        failure.context(format!(
            "startLocation: [position: {start}, gtid-set: {gtid}], endLocation: [position: {end}, gtid-set: {gtid}]"
        ))
    }

    /// As [`Assembler::step`]; what it says of an error names no place.
    pub(super) fn take(
        &mut self,
        header: &EventHeader,
        event: &Event<'_>,
        raw: &Bytes,
    ) -> Result<Option<Transaction>, Failure> {
        if let Event::Rotate(rotate) = event {
            let file = String::from_utf8_lossy(rotate.file);
            if self.place.file != file {
                self.place = Place { file: file.into_owned(), pos: rotate.position };
                self.gap = false;
            }
            return Ok(None);
        }
        if let Event::Format(format) = event {
            self.checksum = Some(format.checksum);
            // What was open belongs to a server that died in the middle of writing it: it was never committed.
            if !header.is_artificial() {
                if let Some(end) = header.next_position().filter(|_| self.place.pos == 4) {
                    self.place.pos = u64::from(end);
                }
                self.open = None;
            }
            return Ok(None);
        }
        let before = self.moved(header);
        if self.open.is_none() && matches!(event, Event::Query(_)) && self.operator(&before, None).is_some() {
            // A source that writes no heads: the statement itself begins it.
            self.current(header, before.clone());
        }
        if self.lenient() {
            return self.pass(header, event);
        }
        match event {
            Event::Gtid(gtid) => self.begin(gtid.gtid.clone(), header, before, Head::Open),
            Event::AnonymousGtid(_) => self.begin(None, header, before, Head::Open),
            Event::MariaGtid(gtid) => {
                let head = if gtid.is_standalone() { Head::Standalone } else { Head::Begun };
                self.begin(Some(gtid.gtid.clone()), header, before, head)?;
                if self.lenient() {
                    return Ok(None);
                }
                if let Some(open) = &mut self.open {
                    // Both halves of a two-phase ALTER carry the statement: the one that commits it runs.
                    open.void = gtid.flags_extra & (EXTRA_START_ALTER | EXTRA_ROLLBACK_ALTER) != 0;
                }
                Ok(None)
            }
            Event::Query(query) => self.query(header, query, before),
            Event::Xid(_) => self.finish().map(Some),
            Event::TableMap(map) => {
                if !self.excluded(map) {
                    self.hold(Held::Event(raw.clone()))?;
                }
                Ok(None)
            }
            Event::Rows(rows) => self.rows(rows, raw),
            Event::Payload(payload) => {
                self.current(header, before);
                self.payload(header, payload)
            }
            Event::XaPrepare(prepare) => self.xa_prepare(prepare),
            Event::Incident(incident) => {
                Err(Failure::new(Code::BinlogCorrupt, "the source says that its binlog lost events")
                    .cause(&incident.message))
            }
            // They belong to the statement that follows, which is refused if it changes data.
            Event::IntVar(_) | Event::Rand(_) | Event::UserVar(_) => Ok(None),
            other if other.carries_data() => {
                Err(self.unsupported(header, &format!("an event of type {}", header.type_code)))
            }
            _ => Ok(None),
        }
    }

    fn begin(
        &mut self,
        gtid: Option<Gtid>,
        header: &EventHeader,
        start: Place,
        head: Head,
    ) -> Result<Option<Transaction>, Failure> {
        if self.open.is_some() {
            return Err(self.no_end());
        }
        self.open = Some(Transaction {
            operator: self.operator(&start, gtid.as_ref()),
            gtid,
            timestamp: header.timestamp,
            start,
            standalone: head == Head::Standalone,
            begun: head == Head::Begun,
            ..Transaction::default()
        });
        Ok(None)
    }

    pub(super) fn no_end(&self) -> Failure {
        let start = self.open.as_ref().map(|open| open.start.text()).unwrap_or_default();
        Failure::new(
            Code::BinlogCorrupt,
            format!("a transaction began at {start} and has no end before {}", self.place.text()),
        )
    }

    /// The open transaction; a stream may begin without a head only where there are no GTID events at all.
    fn current(&mut self, header: &EventHeader, start: Place) -> &mut Transaction {
        let operator = if self.open.is_none() { self.operator(&start, None) } else { None };
        self.open.get_or_insert_with(|| Transaction {
            timestamp: header.timestamp,
            operator,
            start,
            ..Transaction::default()
        })
    }

    fn query(
        &mut self,
        header: &EventHeader,
        query: &QueryEvent<'_>,
        start: Place,
    ) -> Result<Option<Transaction>, Failure> {
        let (text, garbled) = text::of_query(query);
        match text.trim() {
            "BEGIN" => {
                self.current(header, start).begun = true;
                return Ok(None);
            }
            "COMMIT" => return self.finish().map(Some),
            "ROLLBACK" => {
                if let Some(open) = &mut self.open {
                    open.void = true;
                }
                return self.finish().map(Some);
            }
            _ => {}
        }
        let mariadb = self.mariadb;
        let current = self.current(header, start);
        let statement = statement(query, &text, garbled, mariadb, header)?;
        let kind = statement.statements.first().map(|s| s.kind);
        match kind {
            Some(DdlKind::Savepoint) => {
                if current.savepoint(&text)? {
                    return Ok(None);
                }
                return Err(self.unsupported(header, &format!("an unknown savepoint: {}", short(&text))));
            }
            Some(DdlKind::Xa(verb)) => return self.xa_statement(header, verb, &text),
            Some(DdlKind::StatementDml) => {
                return Err(Failure::new(
                    Code::DmlStatement,
                    format!("a change was logged as a statement, origin SQL: [{}]", short(&text)),
                ));
            }
            _ => {}
        }
        // CREATE TABLE .. SELECT: the table, then its rows, in one group that a commit ends.
        let creates = statement.statements.iter().all(|s| s.rows_follow || s.kind == DdlKind::CreateTable);
        let first = current.ddl.is_none() && current.events.is_empty();
        if !current.begun && first {
            current.ddl = Some(statement);
            return self.finish().map(Some);
        }
        if creates && first {
            current.ddl = Some(statement);
            return Ok(None);
        }
        // Otherwise only what leaves no trace in data may come inside a transaction.
        if matches!(kind, Some(DdlKind::Skip(_))) {
            return Ok(None);
        }
        Err(self.unsupported(header, &format!("a DDL inside a transaction: {}", short(&text))))
    }

    fn excluded(&mut self, map: &Arc<TableMap>) -> bool {
        self.excluded.as_mut().is_some_and(|excluded| excluded.has(map))
    }

    fn rows(&mut self, rows: &RowsEvent<'_>, raw: &Bytes) -> Result<Option<Transaction>, Failure> {
        let ends_statement = rows.ends_statement();
        let held = if self.excluded(&rows.table) {
            let (kind, table) = (rows.kind, Arc::clone(&rows.table));
            Held::Passed(Passed { kind, rows: count(rows)?, table, ends_statement })
        } else {
            Held::Event(raw.clone())
        };
        self.hold(held)?;
        let ends = self.open.as_ref().is_some_and(|open| open.standalone && !open.begun && ends_statement);
        if ends { self.finish().map(Some) } else { Ok(None) }
    }

    fn hold(&mut self, held: Held) -> Result<(), Failure> {
        let Some(open) = &mut self.open else {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!(
                    "a row event at {} belongs to no transaction: the start position is in the middle of one",
                    self.place.text()
                ),
            ));
        };
        open.events.push(held, &self.room)
    }

    pub(super) fn finish(&mut self) -> Result<Transaction, Failure> {
        let Some(mut transaction) = self.open.take() else {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!("a commit at {} belongs to no transaction", self.place.text()),
            ));
        };
        if !self.placed {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!("the end of the transaction at {} has no position", transaction.start.text()),
            ));
        }
        transaction.end = self.place.clone();
        if transaction.void {
            transaction.events.clear();
            transaction.ddl = None;
        }
        transaction.events.seal()?;
        transaction.checksum = self.checksum;
        Ok(transaction)
    }

    pub(super) fn unsupported(&self, header: &EventHeader, what: &str) -> Failure {
        Failure::new(
            Code::EventUnsupported,
            format!("the binlog has {what} (event type {})", header.type_code),
        )
    }
}

/// Row changes of an event that is not kept.
fn count(rows: &RowsEvent<'_>) -> Result<u64, Failure> {
    let broken = |e| damaged("rows that are not replicated", e);
    let mut cursor = rows.cursor(&[]);
    let mut count = 0;
    while cursor.advance().map_err(broken)?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
#[path = "assembler_tests.rs"]
mod tests;
