//! Row images of one transaction as text and conflict tokens.
use std::sync::Arc;

use dm_binlog::{DecodeError, RowsEvent, RowsKind, TableMap};
use dm_proto::error::Code;
use dm_schema::{Pieces, RowChange, RowImage, RowKind, RowPieces, WriteError};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{reader::damaged, safe_mode::Replay, spool::Passed, tables::Table};
use crate::failure::Failure;

/// One row change.
pub(super) struct Written {
    pub table: Arc<Table>,
    pub change: RowPieces,
    /// So many of [`Changes::tokens`], after those of the changes before it.
    pub tokens: usize,
    /// The source has carried out foreign keys' rules itself and logged nothing of it.
    pub cascades: bool,
}

/// The changes of one transaction, or of a part, until it is known into which batch they go.
#[derive(Default)]
pub struct Changes {
    pub(super) pieces: Pieces,
    pub(super) written: Vec<Written>,
    pub(super) tokens: Vec<u64>,
    own_tokens: Vec<u64>,
    /// Tokens of all of them.
    pub(super) extra_tokens: Vec<u64>,
    pub(super) rows: u64,
    bytes: usize,
    /// Whether they may have been applied before.
    pub(super) replay: Replay,
    /// Row changes seen, before filters, and a checksum over what they were: they name a part.
    pub ordinal: u64,
    pub checksum: u64,
}

/// Flag of a row event: the source's session had `foreign_key_checks=0`.
const NO_FOREIGN_KEY_CHECKS: u16 = 2;
/// About what a statement's words and its guard add, if it holds one change only.
const STATEMENT_BYTES: usize = 160;

impl Changes {
    /// What was written so far is ordered by this token too.
    pub fn add_token(&mut self, token: u64) {
        self.extra_tokens.push(token);
    }

    /// Text that it will take in a packet, at most, in bytes.
    pub fn sql_bytes(&self) -> usize {
        self.bytes
    }

    /// Everything has been taken over.
    pub(super) fn taken(&mut self) {
        self.bytes = 0;
        self.rows = 0;
    }

    /// Counts an event's rows without writing them: they are filtered out, or applied already.
    pub fn pass(&mut self, rows: &RowsEvent<'_>) -> Result<u64, Failure> {
        let mut cursor = rows.cursor(&[]);
        let mut count = 0;
        while cursor.advance().map_err(|e| damaged("rows that are not replicated", e))?.is_some() {
            count += 1;
        }
        self.count(rows, count);
        Ok(count)
    }

    /// Counts rows that were not kept.
    pub fn passed(&mut self, passed: &Passed) {
        self.note(passed.kind, &passed.table, passed.rows);
    }

    /// Writes an event's rows; gives how many were written, and how many an expression filter skipped.
    pub fn write(&mut self, rows: &RowsEvent<'_>, table: &Arc<Table>) -> Result<(u64, u64), Failure> {
        self.may_replay(rows.kind, table)?;
        let before = self.rows;
        let skipped = self.changes(rows, table)?;
        let written = self.rows - before;
        // Parts are named by what the event holds, whatever the filters of this start are.
        self.count(rows, written + skipped);
        Ok((written, skipped))
    }

    fn changes(&mut self, rows: &RowsEvent<'_>, table: &Arc<Table>) -> Result<u64, Failure> {
        let mut skipped = 0;
        let mut cursor = rows.cursor(&table.hints);
        while let Some(row) = cursor.advance().map_err(|error| decode_failed(table, error))? {
            let Some(change) = change_of(row.before.as_deref(), row.after.as_deref()) else { continue };
            if table.filter.skips_row(change, &table.source)? {
                skipped += 1;
                continue;
            }
            let cascades = table.cascades && rows.flags & NO_FOREIGN_KEY_CHECKS == 0;
            let written = if table.writer.adds_columns() {
                let before = row.before.as_deref().map(|image| table.writer.extended(image));
                let after = row.after.as_deref().map(|image| table.writer.extended(image));
                match change_of(before.as_deref(), after.as_deref()) {
                    Some(change) => self.change(change, table, cascades),
                    None => continue,
                }
            } else {
                self.change(change, table, cascades)
            };
            written.map_err(|error| failed(table, error))?;
        }
        Ok(skipped)
    }

    /// Takes one row change; `cascades`: the source has carried out foreign keys' rules with it.
    pub(super) fn change(
        &mut self,
        change: RowChange<'_, '_>,
        table: &Arc<Table>,
        cascades: bool,
    ) -> Result<(), WriteError> {
        // Not at the end of the others: a token of the change before would be left out.
        self.own_tokens.clear();
        table.writer.tokens(change, &mut self.own_tokens)?;
        self.rows += 1;
        if self.replays(table) {
            return self.again(change, table, cascades);
        }
        let pieces = table.writer.pieces(&mut self.pieces, change)?;
        self.push(table, pieces, cascades);
        Ok(())
    }

    pub(super) fn push(&mut self, table: &Arc<Table>, change: RowPieces, cascades: bool) {
        self.tokens.extend_from_slice(&self.own_tokens);
        self.bytes += change.bytes() + STATEMENT_BYTES;
        self.written.push(Written {
            table: Arc::clone(table),
            change,
            tokens: self.own_tokens.len(),
            cascades: cascades && change.kind != RowKind::Insert,
        });
    }

    fn count(&mut self, rows: &RowsEvent<'_>, count: u64) {
        self.note(rows.kind, &rows.table, count);
    }

    fn note(&mut self, kind: RowsKind, table: &TableMap, count: u64) {
        self.ordinal += count;
        let kind = kind as u64;
        let seed = self.checksum ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ count.rotate_left(17);
        self.checksum = xxh3_64_with_seed(&table.table, seed) ^ xxh3_64_with_seed(&table.schema, seed);
    }
}

fn change_of<'r, 'v>(
    before: Option<RowImage<'r, 'v>>,
    after: Option<RowImage<'r, 'v>>,
) -> Option<RowChange<'r, 'v>> {
    match (before, after) {
        (Some(before), Some(after)) => Some(RowChange::Update { before, after }),
        (Some(before), None) => Some(RowChange::Delete { before }),
        (None, Some(after)) => Some(RowChange::Insert { after }),
        (None, None) => None,
    }
}

fn failed(table: &Table, error: WriteError) -> Failure {
    match error {
        WriteError::Decode(error) => decode_failed(table, error),
        WriteError::ImageNotFull { .. } => {
            Failure::new(Code::RowImageIncomplete, format!("rows of {} are not whole", table.source))
                .cause(error)
        }
        WriteError::TargetColumnOnly { .. } | WriteError::CascadingKey { .. } => Failure::new(
            Code::ReplayNotPossible,
            format!("changes of {} may have been applied already and can't be applied again", table.source),
        )
        .cause(error),
        other => {
            Failure::new(Code::ColumnCountMismatch, format!("a row of {} can't be written", table.source))
                .cause(other)
        }
    }
}

fn decode_failed(table: &Table, error: DecodeError) -> Failure {
    damaged(format!("rows of {}", table.source), error)
}
