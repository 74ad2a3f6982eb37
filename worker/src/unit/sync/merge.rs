//! Row changes of a batch in as few statements as give the same rows.
use std::{collections::HashMap, sync::Arc};

use dm_schema::{Pieces, RowKind, RowPieces};
use dm_target::Batch;
use nohash_hasher::IntMap;

use super::{changes::Changes, tables::Table};

/// Text of one statement, about. An INSERT may be longer by its last row.
const STATEMENT_BYTES: usize = 256 << 10;
/// About what a statement's own words and its guard add.
const STATEMENT_EXTRA: usize = 200;

/// Where a token was used last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Touch {
    group: usize,
    change: usize,
}

/// Changes that become one statement.
struct Group {
    table: Arc<Table>,
    /// The target does what the source's foreign keys did.
    cascades: bool,
    /// Indices into [`Merger::changes`].
    changes: Vec<usize>,
    bytes: usize,
    /// First and last transaction.
    txns: (usize, usize),
}

/// Collects the changes of a batch, in source order, and puts them into groups.
///
/// A change joins an earlier group of its table and kind if no group after that one shares a token with it: then the rows
/// that it touches are the same as in its own place, whatever stands between. Several changes of one row become one where
/// nothing else touched any of its keys. Readers of the target see a batch whole or not at all, so they can't tell.
#[derive(Default)]
pub struct Merger {
    pieces: Pieces,
    /// `None`: a later change says it all.
    changes: Vec<Option<RowPieces>>,
    groups: Vec<Group>,
    last: IntMap<u64, Touch>,
    /// Tokens of the whole batch.
    tokens: Vec<u64>,
    /// The latest group of each table and kind; tables by their address, which their groups keep alive.
    latest: HashMap<(usize, RowKind), usize>,
    bytes: usize,
    rows: u64,
}

impl Merger {
    /// Text that it will take in a packet, at most, in bytes.
    pub fn bytes(&self) -> usize {
        // Texts of changes that became one with a later one are still held.
        self.bytes.max(self.pieces.len())
    }

    /// Row changes of the source so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes over the changes of one transaction, or of a part; `txn` is its place in the batch.
    pub fn add(&mut self, changes: &mut Changes, txn: usize) {
        let by = self.pieces.append(&mut changes.pieces);
        self.rows += changes.rows;
        let mut tokens = changes.tokens.as_slice();
        for written in changes.written.drain(..) {
            let (own, rest) = tokens.split_at_checked(written.tokens).unwrap_or_default();
            tokens = rest;
            let table = &written.table;
            self.change(table, written.change.moved(by), own, written.cascades, txn);
        }
        changes.tokens.clear();
        changes.taken();
        self.tokens.append(&mut changes.extra_tokens);
    }

    fn change(
        &mut self,
        table: &Arc<Table>,
        mut change: RowPieces,
        tokens: &[u64],
        cascades: bool,
        txn: usize,
    ) {
        let touched = tokens.iter().filter_map(|token| self.last.get(token).copied());
        let conflict = touched.clone().map(|t| t.group).max();
        // The one change that touched all of its keys, and the last to touch any.
        let mut all = tokens.iter().map(|token| self.last.get(token).copied());
        let before = all.next().flatten().filter(|first| all.all(|other| other == Some(*first)));
        if let Some(before) = before.filter(|_| !cascades)
            && let Some(former) = self.changes.get(before.change).copied().flatten()
            && let Some(group) = self.groups.get_mut(before.group)
            && Arc::ptr_eq(&group.table, table)
            && let Some(both) = former.then(&change, &mut self.pieces)
        {
            if both.kind == former.kind {
                group.txns.1 = txn;
                self.bytes += both.bytes().saturating_sub(former.bytes());
                self.changes[before.change] = Some(both);
                return;
            }
            self.changes[before.change] = None;
            change = both;
        }
        let group = self.group(table, &change, conflict, cascades);
        let number = self.changes.len();
        self.bytes += change.bytes();
        self.changes.push(Some(change));
        if let Some(group) = self.groups.get_mut(group) {
            group.bytes += change.bytes();
            group.txns = if group.changes.is_empty() { (txn, txn) } else { (group.txns.0, txn) };
            group.changes.push(number);
        }
        for token in tokens {
            self.last.insert(*token, Touch { group, change: number });
        }
    }

    /// The group that a change joins, after the last one that it conflicts with.
    fn group(
        &mut self,
        table: &Arc<Table>,
        change: &RowPieces,
        conflict: Option<usize>,
        cascades: bool,
    ) -> usize {
        let key = (Arc::as_ptr(table) as usize, change.kind);
        if let Some(&latest) = self.latest.get(&key)
            && let Some(group) = self.groups.get(latest)
        {
            // Rows of an INSERT keep their order, and it is all the same in which order rows are deleted.
            let after = |conflict| match change.kind {
                RowKind::Insert | RowKind::Delete => conflict <= latest,
                RowKind::Update => conflict < latest,
            };
            let first = group.changes.first().and_then(|&n| self.first_shape(n));
            if conflict.is_none_or(after)
                && !cascades
                && !group.cascades
                && first.is_some_and(|first| change.merges_with(&first, &self.pieces))
                && group.changes.len() < table.writer.most_rows(change)
                && group.bytes + change.bytes() <= STATEMENT_BYTES
            {
                return latest;
            }
        }
        let number = self.groups.len();
        self.bytes +=
            STATEMENT_EXTRA + table.writer.target().schema.len() + table.writer.target().table.len();
        self.groups.push(Group {
            table: Arc::clone(table),
            cascades,
            changes: Vec::new(),
            bytes: 0,
            txns: (0, 0),
        });
        self.latest.insert(key, number);
        number
    }

    fn first_shape(&self, change: usize) -> Option<RowPieces> {
        self.changes.get(change).copied().flatten()
    }

    /// Moves everything into a batch, whose transactions are known.
    pub fn move_into(&mut self, batch: &mut Batch, strict: bool) {
        let usual = self.groups.first().is_some_and(|group| group.table.checked);
        let mut checks = usual;
        let mut changes = Vec::new();
        for group in self.groups.drain(..) {
            changes.clear();
            changes.extend(group.changes.iter().filter_map(|&n| self.changes.get(n).copied().flatten()));
            if changes.is_empty() {
                continue;
            }
            if !batch.tables.contains(&group.table.number) {
                batch.tables.push(group.table.number);
            }
            let wanted = group.cascades || usual;
            if checks != wanted {
                batch.check_foreign_keys(wanted);
                checks = wanted;
            }
            batch.write_statement(group.txns, |sql| {
                let expect = group.table.writer.statement(sql, &self.pieces, &changes);
                // Without a key a miss means that the target differs already: always stop.
                let rows = (!expect.any).then_some(expect.rows);
                (rows, rows.is_some() && (expect.keyless || strict), expect.no_warnings)
            });
        }
        if checks != usual {
            batch.check_foreign_keys(usual);
        }
        batch.tokens.append(&mut self.tokens);
        batch.tokens.extend(self.last.drain().map(|(token, _)| token));
        batch.rows += self.rows;
        *self = Self::default();
    }
}
