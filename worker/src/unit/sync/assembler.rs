//! From single events to whole transactions. Pure: no socket, no clock.
use bytes::Bytes;
use dm_binlog::{
    Event, EventHeader, Gtid, QueryEvent, StatusVars,
    maria_flags::{EXTRA_ROLLBACK_ALTER, EXTRA_START_ALTER},
};
use dm_proto::{error::Code, worker::ErrorOperator};
use dm_schema::{
    SqlMode,
    ddl::{DdlKind, DdlStatement, parse},
};

use super::{operators, stats::Place, text};
use crate::failure::Failure;

/// Events of one transaction that are held until its commit is read, in bytes. Beyond it the task stops; nothing of
/// the transaction has been applied then.
pub const MAX_TRANSACTION_BYTES: usize = 512 << 20;

/// A statement with the session state that matters for running it again.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    /// The default schema.
    pub schema: String,
    pub statements: Vec<DdlStatement>,
    pub sql_mode: SqlMode,
    pub timestamp: u32,
    pub microseconds: u32,
    pub time_zone: Option<String>,
    pub collation_server: Option<u16>,
    /// It is in a character set that is not read here; what is not ASCII has been replaced.
    pub garbled: bool,
}

/// One source transaction whose end has been read.
#[derive(Debug, Default)]
pub struct Transaction {
    /// `None` in position mode: its end names it.
    pub gtid: Option<Gtid>,
    /// Source time of its first event.
    pub timestamp: u32,
    /// Start and end of it in the binlog.
    pub start: Place,
    pub end: Place,
    /// TABLE_MAP and row events as they came.
    pub events: Vec<Bytes>,
    /// The statement before the rows (or without any).
    pub ddl: Option<Statement>,
    /// What a person wants done with it.
    pub operator: Option<ErrorOperator>,
    /// Text of its first statement, read or not, where the operator makes it void.
    pub passed: String,
    bytes: usize,
    /// Savepoints by name: number and bytes of the events before them.
    savepoints: Vec<(String, usize, usize)>,
    /// BEGIN was seen, or the group's head says that there will be none.
    pub(super) begun: bool,
    pub(super) standalone: bool,
    /// Nothing of it is carried out; it only has a name that joins the executed set.
    void: bool,
}

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

impl Transaction {
    /// Servers cut what was rolled back out of the transaction, but not where a temporary table was made in it: then the
    /// rows are all there, and `ROLLBACK TO` after them. False for a savepoint that was never set.
    fn savepoint(&mut self, text: &str) -> bool {
        let words: Vec<&str> = text.split_whitespace().collect();
        let name = words.last().map(|w| w.trim_matches('`').to_lowercase()).unwrap_or_default();
        let first = words.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
        let known = self.savepoints.iter().rposition(|(n, _, _)| *n == name);
        match (first.as_str(), known) {
            ("SAVEPOINT", _) => {
                self.savepoints.retain(|(n, _, _)| *n != name);
                self.savepoints.push((name, self.events.len(), self.bytes));
                true
            }
            ("ROLLBACK", Some(at)) => {
                let (_, events, bytes) = self.savepoints[at].clone();
                self.events.truncate(events);
                self.bytes = bytes;
                self.savepoints.truncate(at + 1);
                true
            }
            ("ROLLBACK", None) => false,
            _ => true,
        }
    }
}

/// Holds the transaction that is being read.
#[derive(Debug, Default)]
pub struct Assembler {
    pub(super) open: Option<Transaction>,
    place: Place,
    /// Where the last event began.
    event: Place,
    operators: std::sync::Arc<[ErrorOperator]>,
}

impl Assembler {
    /// Begins reading at this file; the stream's own first event says so too.
    pub fn new(file: &str, pos: u64) -> Self {
        Self { place: Place { file: file.to_owned(), pos }, ..Self::default() }
    }

    /// Where the next event begins.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Looked for from the next event on.
    pub fn set_operators(&mut self, operators: std::sync::Arc<[ErrorOperator]>) {
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
        if let Some(next) = header.next_position() {
            self.place.pos = u64::from(next);
            // Where the source leaves out transactions that we have, events do not follow on each other.
            if let Some(start) = next.checked_sub(header.event_size) {
                before.pos = u64::from(start);
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
            }
            return Ok(None);
        }
        if let Event::Format(_) = event {
            // What was open belongs to a server that died in the middle of writing it: it was never committed.
            if !header.is_artificial() {
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
                if gtid.xid.is_some() {
                    return Err(self.unsupported(header, "an XA transaction"));
                }
                if let Some(open) = &mut self.open {
                    // Both halves of a two-phase ALTER carry the statement: the one that commits it runs.
                    open.void = gtid.flags_extra & (EXTRA_START_ALTER | EXTRA_ROLLBACK_ALTER) != 0;
                }
                Ok(None)
            }
            Event::Query(query) => self.query(header, query, before),
            Event::Xid(_) => self.finish(header).map(Some),
            Event::TableMap(_) | Event::Rows(_) => self.row_event(header, event, raw),
            Event::Payload(payload) => {
                self.current(header, before);
                self.payload(header, payload)
            }
            Event::XaPrepare(_) => Err(self.unsupported(header, "an XA transaction")),
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
            "COMMIT" => return self.finish(header).map(Some),
            "ROLLBACK" => {
                if let Some(open) = &mut self.open {
                    open.void = true;
                }
                return self.finish(header).map(Some);
            }
            _ => {}
        }
        let current = self.current(header, start);
        let statement = statement(query, &text, garbled, header)?;
        let kind = statement.statements.first().map(|s| s.kind);
        match kind {
            Some(DdlKind::Savepoint) => {
                if current.savepoint(&text) {
                    return Ok(None);
                }
                return Err(self.unsupported(header, &format!("an unknown savepoint: {}", short(&text))));
            }
            Some(DdlKind::Xa(_)) => return Err(self.unsupported(header, "an XA transaction")),
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
            return self.finish(header).map(Some);
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

    fn row_event(
        &mut self,
        header: &EventHeader,
        event: &Event<'_>,
        raw: &Bytes,
    ) -> Result<Option<Transaction>, Failure> {
        let place = self.place.text();
        let Some(open) = &mut self.open else {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!(
                    "a row event at {place} belongs to no transaction: the start position is in the middle of one"
                ),
            ));
        };
        open.bytes += raw.len();
        if open.bytes > MAX_TRANSACTION_BYTES {
            return Err(self.too_large());
        }
        open.events.push(raw.clone());
        let ends = matches!(event, Event::Rows(rows) if rows.ends_statement());
        if open.standalone && !open.begun && ends { self.finish(header).map(Some) } else { Ok(None) }
    }

    pub(super) fn finish(&mut self, header: &EventHeader) -> Result<Transaction, Failure> {
        let Some(mut transaction) = self.open.take() else {
            return Err(Failure::new(
                Code::BinlogCorrupt,
                format!("a commit at {} belongs to no transaction", self.place.text()),
            ));
        };
        if header.next_position().is_none() {
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
        Ok(transaction)
    }

    pub(super) fn too_large(&self) -> Failure {
        Failure::new(
            Code::EventUnsupported,
            format!(
                "the transaction is larger than {} MiB, which this version can't hold; nothing of it was applied",
                MAX_TRANSACTION_BYTES >> 20
            ),
        )
        .workaround("Please exclude the table, or load anew after it.")
    }

    fn unsupported(&self, header: &EventHeader, what: &str) -> Failure {
        Failure::new(
            Code::EventUnsupported,
            format!("the binlog has {what} (event type {})", header.type_code),
        )
    }
}

pub(super) fn statement(
    query: &QueryEvent<'_>,
    text: &str,
    garbled: bool,
    header: &EventHeader,
) -> Result<Statement, Failure> {
    let vars: &StatusVars<'_> = &query.vars;
    let sql_mode = SqlMode::from_bits(vars.sql_mode.unwrap_or(0));
    let schema = String::from_utf8_lossy(query.schema);
    let statements = parse(text, sql_mode, &schema).map_err(|e| {
        Failure::new(
            Code::DdlUnparseable,
            format!("origin SQL: [{}]: the statement can't be understood", short(text)),
        )
        .cause(e)
    })?;
    Ok(Statement {
        sql: text.to_owned(),
        schema: schema.into_owned(),
        statements,
        sql_mode,
        timestamp: header.timestamp,
        microseconds: vars.microseconds.unwrap_or(0).min(999_999),
        garbled,
        time_zone: vars.time_zone.map(|z| String::from_utf8_lossy(z).into_owned()),
        collation_server: vars.collation_server,
    })
}

/// Statements in messages are cut to a bearable length.
pub fn short(sql: &str) -> String {
    const LONGEST: usize = 400;
    match sql.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &sql[..at]),
        None => sql.to_owned(),
    }
}

#[cfg(test)]
#[path = "assembler_tests.rs"]
mod tests;
