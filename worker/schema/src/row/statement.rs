//! Pieces of row changes put together to statements.

use super::pieces::{Pieces, RowKind, RowPieces, has};
use super::writer::{Expect, RowWriter};

/// Rows of one INSERT or DELETE. Beyond it a statement gains nothing.
const MOST_ROWS: usize = 200;
const MOST_DELETES: usize = 64;
/// Comparisons that one row of an UPDATE for several rows costs, about twice: half of all rows' keys for each set column.
const COMPARISONS: usize = 256;
/// Rows of one UPDATE whose key is one number, and of any other. Measured on MariaDB 10.11, two columns set by a number: 7.0 µs
/// of the server's CPU a row for 32 rows in a statement, 5.4 for 100, 6.4 for 200.
const MOST_UPDATES_BY_NUMBER: usize = 100;
const MOST_UPDATES: usize = 32;

impl RowWriter {
    /// How many changes like this one a statement should hold. More of them save less than their comparisons cost.
    pub fn most_rows(&self, change: &RowPieces) -> usize {
        match change.kind {
            RowKind::Insert => MOST_ROWS,
            RowKind::Delete => MOST_DELETES,
            RowKind::Update => {
                let most = if self.number_key().is_some() { MOST_UPDATES_BY_NUMBER } else { MOST_UPDATES };
                (COMPARISONS / change.changes.max(1)).clamp(4, most)
            }
        }
    }

    /// Appends one statement for changes that merge with each other (see [`RowPieces::merges_with`]), or for a single one;
    /// without a `;`.
    ///
    /// A single UPDATE sets every column of its image, changed or not. One for several rows sets the columns that any of
    /// them changes, which comes to the same where the rows are as the source had them.
    pub fn statement(&self, out: &mut Vec<u8>, pieces: &Pieces, changes: &[RowPieces]) -> Expect {
        let rows = changes.len() as u64;
        let any = changes.first().is_some_and(|c| c.again);
        let expect = Expect { rows, any, keyless: self.is_keyless(), no_warnings: self.no_warnings };
        match changes {
            [] => {}
            [first, ..] if first.kind == RowKind::Insert => {
                self.inserts(out, pieces, changes, first);
                return Expect { keyless: false, ..expect };
            }
            [one] => self.one(out, pieces, one),
            [first, ..] if first.kind == RowKind::Delete => {
                // Only this form takes an index hint, without which a small table would be read, and locked, as a whole.
                for part in [b"DELETE ".as_slice(), &self.table, b" FROM "] {
                    out.extend_from_slice(part);
                }
                self.with_index(out);
                self.conditions(out, pieces, changes);
            }
            [first, ..] => self.updates(out, pieces, changes, first),
        }
        expect
    }

    fn inserts(&self, out: &mut Vec<u8>, pieces: &Pieces, changes: &[RowPieces], first: &RowPieces) {
        let included = pieces.get(first.included);
        out.extend_from_slice(if first.again { b"REPLACE INTO " } else { b"INSERT INTO " });
        self.begin_insert(out, |i| has(included, i));
        for (n, change) in changes.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b"(" } else { b",(" });
            for (n, (_, piece)) in self.written(pieces, change).enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(pieces.get(piece));
            }
            out.push(b')');
        }
    }

    /// Columns that a change writes, with their pieces.
    fn written<'p>(
        &self,
        pieces: &'p Pieces,
        change: &RowPieces,
    ) -> impl Iterator<Item = (usize, usize)> + use<'p> {
        let included = pieces.get(change.included);
        (0..self.columns.len()).filter(|i| has(included, *i)).zip(change.values..)
    }

    fn one(&self, out: &mut Vec<u8>, pieces: &Pieces, change: &RowPieces) {
        if change.kind == RowKind::Delete {
            out.extend_from_slice(b"DELETE FROM ");
            out.extend_from_slice(&self.table);
        } else {
            out.extend_from_slice(b"UPDATE ");
            out.extend_from_slice(&self.table);
            out.extend_from_slice(b" SET ");
            let mut comma = false;
            let mut values = self.written(pieces, change).peekable();
            for (i, plan) in self.columns.iter().enumerate() {
                let value = values.next_if(|(column, _)| *column == i);
                if plan.generated || (value.is_none() && !plan.on_update_now) {
                    continue;
                }
                if std::mem::replace(&mut comma, true) {
                    out.push(b',');
                }
                out.extend_from_slice(&plan.quoted);
                out.push(b'=');
                out.extend_from_slice(value.map_or(&plan.quoted, |(_, piece)| pieces.get(piece)));
            }
        }
        out.extend_from_slice(b" WHERE ");
        self.condition(out, pieces, change);
        if self.is_keyless() {
            out.extend_from_slice(b" LIMIT 1");
        }
    }

    /// `UPDATE t SET a=CASE key WHEN 1 THEN 'x' WHEN 2 THEN 'y' END WHERE key IN (1,2)`. No row's key changes, so it
    /// does not matter in which order the server takes them.
    fn updates(&self, out: &mut Vec<u8>, pieces: &Pieces, changes: &[RowPieces], first: &RowPieces) {
        out.extend_from_slice(b"UPDATE ");
        self.with_index(out);
        out.extend_from_slice(b" SET ");
        let key = self.number_key();
        let changed = |i: usize| changes.iter().any(|c| has(pieces.get(c.changed), i));
        // Where nothing has changed (the source logged it nevertheless) the rows still have to be found.
        let none = changes.iter().all(|c| c.changes == 0);
        let mut comma = false;
        let mut values = self.written(pieces, first).enumerate().map(|(n, (i, _))| (i, n)).peekable();
        for (i, plan) in self.columns.iter().enumerate() {
            let value = values.next_if(|(column, _)| *column == i);
            let wanted = match value {
                Some(_) => none || changed(i) || plan.on_update_now,
                None => plan.on_update_now,
            };
            if plan.generated || !wanted {
                continue;
            }
            if std::mem::replace(&mut comma, true) {
                out.push(b',');
            }
            out.extend_from_slice(&plan.quoted);
            out.push(b'=');
            let Some((_, n)) = value else {
                out.extend_from_slice(&plan.quoted);
                continue;
            };
            out.extend_from_slice(b"CASE");
            if let Some(key) = key {
                out.push(b' ');
                out.extend_from_slice(key);
            }
            for change in changes {
                out.extend_from_slice(b" WHEN ");
                out.extend_from_slice(self.key_of(pieces, change));
                out.extend_from_slice(b" THEN ");
                out.extend_from_slice(pieces.get(change.values + n));
            }
            out.extend_from_slice(b" END");
        }
        self.conditions(out, pieces, changes);
    }

    /// The column of an identity key that is one number: compared without a comparison's text for each row.
    fn number_key(&self) -> Option<&[u8]> {
        match self.identity.as_deref() {
            Some(&[i]) => {
                let plan = &self.columns[i];
                (plan.target_kind.is_integer() && plan.source_kind.is_integer())
                    .then_some(plan.quoted.as_slice())
            }
            _ => None,
        }
    }

    /// The number, or the condition.
    fn key_of<'p>(&self, pieces: &'p Pieces, change: &RowPieces) -> &'p [u8] {
        let condition = pieces.get(change.key);
        let number = self.number_key().and_then(|key| condition.strip_prefix(key)?.strip_prefix(b"="));
        number.unwrap_or(condition)
    }

    fn conditions(&self, out: &mut Vec<u8>, pieces: &Pieces, changes: &[RowPieces]) {
        out.extend_from_slice(b" WHERE ");
        if let Some(key) = self.number_key().filter(|_| !self.whole_row) {
            out.extend_from_slice(key);
            out.extend_from_slice(b" IN (");
            for (n, change) in changes.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(self.key_of(pieces, change));
            }
            out.push(b')');
            return;
        }
        for (n, change) in changes.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b"(" } else { b" OR (" });
            self.condition(out, pieces, change);
            out.push(b')');
        }
    }

    fn condition(&self, out: &mut Vec<u8>, pieces: &Pieces, change: &RowPieces) {
        let (key, rest) = (pieces.get(change.key), pieces.get(change.rest));
        out.extend_from_slice(key);
        if !key.is_empty() && !rest.is_empty() {
            out.extend_from_slice(b" AND ");
        }
        out.extend_from_slice(rest);
    }

    /// The table, read by its identity key.
    fn with_index(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.table);
        if let Some(index) = &self.index {
            out.extend_from_slice(b" FORCE INDEX (");
            out.extend_from_slice(index);
            out.push(b')');
        }
    }
}
