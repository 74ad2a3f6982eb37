//! One transaction of the source, as it is put together.
use dm_binlog::{ChecksumAlgorithm, EventHeader, Gtid, QueryEvent, StatusVars};
use dm_proto::{error::Code, worker::ErrorOperator};
use dm_schema::{
    SqlMode,
    ddl::{DdlError, DdlStatement, parse},
    lex::open_comments,
};

use super::{
    spool::{Spool, SpoolMark},
    stats::Place,
    xid::Xa,
};
use crate::failure::Failure;

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
    /// TABLE_MAP and row events.
    pub events: Spool,
    /// Of its events.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The statement before the rows (or without any).
    pub ddl: Option<Statement>,
    /// What it is to an XA transaction.
    pub xa: Option<Xa>,
    /// What a person wants done with it.
    pub operator: Option<ErrorOperator>,
    /// Text of its first statement, read or not, where the operator makes it void.
    pub passed: String,
    /// Savepoints by name, with the events before them.
    pub(super) savepoints: Vec<(String, SpoolMark)>,
    /// BEGIN was seen, or the group's head says that there will be none.
    pub(super) begun: bool,
    pub(super) standalone: bool,
    /// Nothing of it is carried out; it only has a name that joins the executed set.
    pub(super) void: bool,
    /// It is in the executed set, and something of it was not understood: only its end is looked for.
    pub(super) applied: bool,
}

impl Transaction {
    /// Servers cut what was rolled back out of the transaction, but not where a temporary table was made in it: then the
    /// rows are all there, and `ROLLBACK TO` after them. False for a savepoint that was never set.
    pub(super) fn savepoint(&mut self, text: &str) -> Result<bool, Failure> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let name = words.last().map(|w| w.trim_matches('`').to_lowercase()).unwrap_or_default();
        let first = words.first().map(|w| w.to_ascii_uppercase()).unwrap_or_default();
        let known = self.savepoints.iter().rposition(|(n, _)| *n == name);
        match (first.as_str(), known) {
            ("SAVEPOINT", _) => {
                self.savepoints.retain(|(n, _)| *n != name);
                self.savepoints.push((name, self.events.mark()));
            }
            ("ROLLBACK", Some(at)) => {
                self.events.go_back(self.savepoints[at].1)?;
                self.savepoints.truncate(at + 1);
            }
            ("ROLLBACK", None) => return Ok(false),
            _ => {}
        }
        Ok(true)
    }
}

pub(super) fn statement(
    query: &QueryEvent<'_>,
    text: &str,
    garbled: bool,
    mariadb: bool,
    header: &EventHeader,
) -> Result<Statement, Failure> {
    let vars: &StatusVars<'_> = &query.vars;
    let sql_mode = SqlMode::from_bits(vars.sql_mode.unwrap_or(0));
    let schema = String::from_utf8_lossy(query.schema);
    let opened = open_comments(text, sql_mode, mariadb).map_err(DdlError::from);
    let statements = opened.and_then(|text| parse(&text, sql_mode, &schema)).map_err(|e| {
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
