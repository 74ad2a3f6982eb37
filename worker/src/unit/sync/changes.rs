//! Row images of one transaction as statements and conflict tokens.
use dm_binlog::{DecodeError, RowsEvent, RowsKind, Value};
use dm_proto::error::Code;
use dm_schema::{Expect, RowChange, WriteError};
use dm_target::Batch;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{reader::damaged, tables::Table};
use crate::failure::Failure;

/// Rows of one INSERT statement, and the text after which it ends.
const INSERT_ROWS: usize = 200;
const INSERT_BYTES: usize = 256 << 10;

/// One statement of the text so far.
#[derive(Debug, Clone, Copy)]
struct Written {
    end: usize,
    /// None: it changes no row itself, but sets `foreign_key_checks`.
    expect: Option<Expect>,
}

/// About what a statement's guard and separators add to its text in a packet.
const GUARD_BYTES: usize = 80;

/// The statements of one transaction, until it is known into which batch they go.
#[derive(Debug, Default)]
pub struct Changes {
    sql: Vec<u8>,
    statements: Vec<Written>,
    tokens: Vec<u64>,
    rows: u64,
    /// A change that matches no row stops the task, also where a key says which row is meant.
    strict: bool,
    /// Row changes seen, before filters, and a checksum over what they were: they name a part.
    pub ordinal: u64,
    pub checksum: u64,
}

/// Flag of a row event: the source's session had `foreign_key_checks=0`.
const NO_FOREIGN_KEY_CHECKS: u16 = 2;

type Image<'v> = Vec<Option<Value<'v>>>;

impl Changes {
    pub fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// What was written so far is ordered by this token too.
    pub fn add_token(&mut self, token: u64) {
        self.tokens.push(token);
    }

    /// Text that it will take in a packet.
    pub fn sql_bytes(&self) -> usize {
        self.sql.len() + self.statements.len() * GUARD_BYTES
    }

    /// Counts an event's rows without writing them: they are filtered out, or applied already.
    pub fn pass(&mut self, rows: &RowsEvent<'_>) -> Result<(), Failure> {
        let mut cursor = rows.cursor(&[]);
        let mut count = 0;
        while cursor.advance().map_err(|e| damaged("rows that are not replicated", e))?.is_some() {
            count += 1;
        }
        self.count(rows, count);
        Ok(())
    }

    /// Writes an event's rows.
    pub fn write(&mut self, rows: &RowsEvent<'_>, table: &Table) -> Result<u64, Failure> {
        let before = self.rows;
        let written = match rows.kind {
            RowsKind::Write => self.inserts(rows, table),
            RowsKind::Update | RowsKind::Delete => self.one_by_one(rows, table),
        };
        written.map_err(|error| failed(table, error))?;
        let count = self.rows - before;
        self.count(rows, count);
        Ok(count)
    }

    fn count(&mut self, rows: &RowsEvent<'_>, count: u64) {
        self.ordinal += count;
        let kind = rows.kind as u64;
        let seed = self.checksum ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ count.rotate_left(17);
        self.checksum =
            xxh3_64_with_seed(&rows.table.table, seed) ^ xxh3_64_with_seed(&rows.table.schema, seed);
    }

    fn inserts(&mut self, rows: &RowsEvent<'_>, table: &Table) -> Result<(), WriteError> {
        let mut pending: Vec<Image<'_>> = Vec::new();
        let mut from = 0;
        for row in rows.rows(&table.hints) {
            let Some(after) = row?.after else { continue };
            pending.push(after);
            let more = rows.data_len() / INSERT_BYTES + 1;
            if pending.len() >= (INSERT_ROWS / more).max(1) {
                self.insert(&pending, table)?;
                from += pending.len();
                pending.clear();
            }
        }
        if !pending.is_empty() || from == 0 {
            self.insert(&pending, table)?;
        }
        Ok(())
    }

    fn insert(&mut self, images: &[Image<'_>], table: &Table) -> Result<(), WriteError> {
        if images.is_empty() {
            return Ok(());
        }
        let images: Vec<&[Option<Value<'_>>]> = images.iter().map(Vec::as_slice).collect();
        for after in &images {
            table.writer.tokens(RowChange::Insert { after }, &mut self.tokens)?;
        }
        let expect = table.writer.insert(&mut self.sql, &images)?;
        self.rows += images.len() as u64;
        self.statements.push(Written { end: self.sql.len(), expect: Some(expect) });
        Ok(())
    }

    fn one_by_one(&mut self, rows: &RowsEvent<'_>, table: &Table) -> Result<(), WriteError> {
        // The source has carried these out itself and logged nothing of it.
        let cascades = table.cascades && rows.flags & NO_FOREIGN_KEY_CHECKS == 0;
        if cascades {
            self.statement("SET foreign_key_checks = 1");
        }
        let mut cursor = rows.cursor(&table.hints);
        while let Some(row) = cursor.advance()? {
            let change = match (row.before.as_deref(), row.after.as_deref()) {
                (Some(before), Some(after)) => RowChange::Update { before, after },
                (Some(before), None) => RowChange::Delete { before },
                (None, Some(after)) => RowChange::Insert { after },
                (None, None) => continue,
            };
            table.writer.tokens(change, &mut self.tokens)?;
            let expect = table.writer.write(&mut self.sql, change)?;
            self.rows += 1;
            self.statements.push(Written { end: self.sql.len(), expect: Some(expect) });
        }
        if cascades && !table.checked {
            self.statement("SET foreign_key_checks = 0");
        }
        Ok(())
    }

    /// A statement about the session.
    fn statement(&mut self, sql: &str) {
        self.sql.extend_from_slice(sql.as_bytes());
        self.statements.push(Written { end: self.sql.len(), expect: None });
    }

    /// Moves everything into a batch.
    pub fn move_into(&mut self, batch: &mut Batch) {
        let mut start = 0;
        for statement in self.statements.drain(..) {
            let text = self.sql.get(start..statement.end).unwrap_or_default();
            match statement.expect {
                // Without a key a miss means that the target differs already: always stop.
                Some(expect) => {
                    batch.push_statement(text, Some(expect.rows), expect.keyless || self.strict);
                    if expect.no_warnings {
                        batch.refuse_warnings();
                    }
                }
                None => batch.check_foreign_keys(text.ends_with(b"1")),
            }
            start = statement.end;
        }
        batch.tokens.append(&mut self.tokens);
        batch.rows += self.rows;
        self.sql.clear();
        self.rows = 0;
    }
}

fn failed(table: &Table, error: WriteError) -> Failure {
    match error {
        WriteError::Decode(error) => decode_failed(table, error),
        WriteError::ImageNotFull { .. } => {
            Failure::new(Code::RowImageIncomplete, format!("rows of {} are not whole", table.source))
                .cause(error)
        }
        other => {
            Failure::new(Code::ColumnCountMismatch, format!("a row of {} can't be written", table.source))
                .cause(other)
        }
    }
}

fn decode_failed(table: &Table, error: DecodeError) -> Failure {
    damaged(format!("rows of {}", table.source), error)
}
