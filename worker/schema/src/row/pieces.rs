//! Row changes as text in pieces, which one statement or a statement for several rows is put together from.

use dm_binlog::Value;

use super::absent::Absent;
use super::error::WriteError;
use super::predicate::{push_exact_condition, push_key_condition};
use super::tokens::TokenMode;
use super::writer::{RowChange, RowImage, RowWriter};

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A row that is gone.
    Delete,
}

/// The text of many row changes.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    text: Vec<u8>,
    /// Each piece begins where the one before ends.
    ends: Vec<usize>,
}

/// One row change: where its pieces are.
#[derive(Debug, Clone, Copy)]
pub struct RowPieces {
    /// What it does.
    pub kind: RowKind,
    /// The condition on the identity key.
    pub(super) key: usize,
    /// What else has to hold of the row; empty where the key says it all.
    pub(super) rest: usize,
    /// The written values, in column order.
    pub(super) values: usize,
    /// Columns with a value, one bit for each.
    pub(super) included: usize,
    /// Columns whose value is another one than before; in number.
    pub(super) changed: usize,
    pub(super) changes: usize,
    /// It has to be a statement of its own.
    pub(super) alone: bool,
    /// It may have been carried out before.
    pub(super) again: bool,
    /// Text that it takes in a statement for several rows, at most.
    pub(super) bytes: usize,
}

impl Pieces {
    /// Bytes of text so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Nothing is there.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// Takes over all pieces of another buffer; gives what [`RowPieces::moved`] needs.
    pub fn append(&mut self, other: &mut Pieces) -> usize {
        if self.ends.is_empty() {
            // A large transaction's text is not copied.
            std::mem::swap(self, other);
            return 0;
        }
        let (base, pieces) = (self.text.len(), self.ends.len());
        self.text.append(&mut other.text);
        self.ends.extend(other.ends.drain(..).map(|end| end + base));
        pieces
    }

    pub(super) fn get(&self, piece: usize) -> &[u8] {
        let start = piece.checked_sub(1).and_then(|p| self.ends.get(p)).copied().unwrap_or(0);
        let end = self.ends.get(piece).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }

    fn next(&self) -> usize {
        self.ends.len()
    }

    fn end(&mut self) {
        self.ends.push(self.text.len());
    }

    fn cut(&mut self, text: usize, pieces: usize) {
        self.text.truncate(text);
        self.ends.truncate(pieces);
    }
}

/// Whether a piece of bits has a column.
pub(super) fn has(bits: &[u8], column: usize) -> bool {
    bits.get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 == 1)
}

fn push_bits(out: &mut Vec<u8>, columns: usize, wanted: impl Fn(usize) -> bool) -> usize {
    let mut count = 0;
    for first in (0..columns).step_by(8) {
        let bits = (first..columns.min(first + 8)).filter(|&i| wanted(i));
        out.push(bits.fold(0, |byte, i| {
            count += 1;
            byte | 1 << (i - first)
        }));
    }
    count
}

impl RowPieces {
    /// The same change after [`Pieces::append`] gave `by`.
    #[must_use]
    pub fn moved(mut self, by: usize) -> Self {
        self.key += by;
        self.rest += by;
        self.included += by;
        self.changed += by;
        self.values += by;
        self
    }

    /// Text that it takes in a statement, at most, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// It may be written with others: it finds its row by a key that it does not change, and touches no other row.
    pub fn may_merge(&self) -> bool {
        !self.alone
    }

    /// Both can be rows of one statement, their tables being the same.
    pub fn merges_with(&self, other: &Self, pieces: &Pieces) -> bool {
        let like = self.kind == other.kind && self.again == other.again;
        !self.alone && !other.alone && like && self.same_columns(other, pieces)
    }

    fn same_columns(&self, other: &Self, pieces: &Pieces) -> bool {
        pieces.get(self.included) == pieces.get(other.included)
    }

    /// One change that does what `self` and then `next` do, if there is such a one. The caller has made sure that nothing
    /// between them touched a key of this row.
    #[must_use]
    pub fn then(&self, next: &Self, pieces: &mut Pieces) -> Option<Self> {
        if self.alone
            || next.alone
            || self.again
            || next.again
            || pieces.get(self.key) != pieces.get(next.key)
        {
            return None;
        }
        match (self.kind, next.kind) {
            // The row is looked for as it was before both.
            (RowKind::Insert | RowKind::Update, RowKind::Update) if self.same_columns(next, pieces) => {
                let both = Self { values: next.values, bytes: self.bytes.max(next.bytes), ..*self };
                if pieces.get(self.changed) == pieces.get(next.changed) {
                    return Some(both);
                }
                let bits = |piece| pieces.get(piece).to_vec();
                let (a, b) = (bits(self.changed), bits(next.changed));
                let changed = pieces.next();
                let any = |i: usize| has(&a, i) || has(&b, i);
                let changes = push_bits(&mut pieces.text, a.len().max(b.len()) * 8, any);
                pieces.end();
                Some(Self { changed, changes, ..both })
            }
            (RowKind::Update, RowKind::Delete) => {
                Some(Self { key: self.key, rest: self.rest, bytes: self.bytes, ..*next })
            }
            _ => None,
        }
    }
}

fn value_of<'v>(image: Option<RowImage<'_, 'v>>, column: usize) -> Option<Value<'v>> {
    image.and_then(|image| image[column])
}

/// The value is not changed, or the after image leaves it out, which says the same.
fn same(before: Option<Value<'_>>, after: Option<Value<'_>>) -> bool {
    match (before, after) {
        (_, None) => true,
        // Equal numbers, but not the same: `0` and `-0`.
        (Some(Value::Float(a)), Some(Value::Float(b))) => a.to_bits() == b.to_bits(),
        (Some(Value::Double(a)), Some(Value::Double(b))) => a.to_bits() == b.to_bits(),
        (before, after) => before == after,
    }
}

impl RowWriter {
    /// Appends the pieces of a change.
    pub fn pieces(&self, out: &mut Pieces, change: RowChange<'_, '_>) -> Result<RowPieces, WriteError> {
        let (text, pieces) = (out.text.len(), out.ends.len());
        let written = match change {
            RowChange::Insert { after } => self.pieces_of(out, RowKind::Insert, None, Some(after)),
            RowChange::Update { before, after } => {
                self.pieces_of(out, RowKind::Update, Some(before), Some(after))
            }
            RowChange::Delete { before } => self.pieces_of(out, RowKind::Delete, Some(before), None),
        };
        // A change that failed half way leaves nothing behind.
        if written.is_err() {
            out.cut(text, pieces);
        }
        written
    }

    fn pieces_of(
        &self,
        out: &mut Pieces,
        kind: RowKind,
        before: Option<RowImage<'_, '_>>,
        after: Option<RowImage<'_, '_>>,
    ) -> Result<RowPieces, WriteError> {
        for image in [before, after].into_iter().flatten() {
            self.check(image)?;
        }
        let begin = out.text.len();
        let key = out.next();
        self.key_condition(&mut out.text, before, after)?;
        out.end();
        let key_bytes = out.text.len() - begin;
        let rest = out.next();
        if let Some(before) = before {
            self.rest_condition(&mut out.text, before)?;
        }
        out.end();
        // An INSERT writes the source's defaults for what its image leaves out.
        let filled = |i: usize| kind == RowKind::Insert && self.columns[i].absent != Absent::LeaveOut;
        let written = |i: usize| {
            let there = value_of(after, i).is_some() || filled(i);
            after.is_some() && there && !self.columns[i].generated
        };
        let included = out.next();
        let values_written = push_bits(&mut out.text, self.columns.len(), written);
        out.end();
        let changed = out.next();
        let differs = |i: usize| written(i) && !same(value_of(before, i), value_of(after, i));
        let changes = push_bits(&mut out.text, self.columns.len(), differs);
        out.end();
        let values = out.next();
        for (i, (plan, value)) in self.columns.iter().zip(after.unwrap_or_default()).enumerate() {
            if !written(i) {
                continue;
            }
            match (value, &plan.absent) {
                (Some(value), _) => self.value(&mut out.text, plan, value)?,
                (None, Absent::Null) => out.text.extend_from_slice(b"NULL"),
                (None, Absent::Default(text)) => out.text.extend_from_slice(text),
                (None, Absent::LeaveOut | Absent::Unknown) => return Err(self.not_full(i)),
            }
            out.end();
        }
        // `CASE WHEN key THEN value` for each column.
        let repeated = if kind == RowKind::Update { values_written * (key_bytes + 12) } else { 0 };
        Ok(RowPieces {
            kind,
            key,
            rest,
            values,
            included,
            changed,
            changes,
            alone: self.stands_alone(kind, before, after),
            again: false,
            bytes: out.text.len() - begin + repeated + 32,
        })
    }

    /// Whether a change could get in the way of other rows' changes in one statement.
    fn stands_alone(
        &self,
        kind: RowKind,
        before: Option<RowImage<'_, '_>>,
        after: Option<RowImage<'_, '_>>,
    ) -> bool {
        // Rows of one INSERT are inserted in their order.
        if kind == RowKind::Insert {
            return false;
        }
        if *self.token_mode() != TokenMode::Keys {
            return true;
        }
        kind == RowKind::Update
            && !self.key_columns.iter().all(|&i| same(value_of(before, i), value_of(after, i)))
    }

    /// The identity key of the row as it was, or as it is where it was not there.
    fn key_condition(
        &self,
        out: &mut Vec<u8>,
        before: Option<RowImage<'_, '_>>,
        after: Option<RowImage<'_, '_>>,
    ) -> Result<(), WriteError> {
        let Some(image) = before.or(after) else { return Ok(()) };
        for (n, &i) in self.identity.as_deref().unwrap_or_default().iter().enumerate() {
            let value = match &image[i] {
                Some(value) => value,
                // The target makes the key: nothing has to find the new row.
                None if before.is_none() => return Ok(()),
                None => return Err(self.not_full(i)),
            };
            if n > 0 {
                out.extend_from_slice(b" AND ");
            }
            push_key_condition(out, &self.columns[i], value)?;
        }
        Ok(())
    }

    /// Where the whole row is asked for, every value that the key does not say.
    fn rest_condition(&self, out: &mut Vec<u8>, before: RowImage<'_, '_>) -> Result<(), WriteError> {
        if !self.whole_row {
            return Ok(());
        }
        let key = self.identity.as_deref().unwrap_or_default();
        let mut and = false;
        for (i, (plan, value)) in self.columns.iter().zip(before).enumerate() {
            // A text key is equal under its collation only; other key columns are said already.
            let said = key.contains(&i) && !plan.target_kind.is_text();
            if plan.generated || said {
                continue;
            }
            let value: &Value<'_> = match value {
                Some(value) => value,
                // Without it the row might be another shard's.
                None => return Err(self.not_full(i)),
            };
            if and {
                out.extend_from_slice(b" AND ");
            }
            and = true;
            push_exact_condition(out, plan, value)?;
        }
        Ok(())
    }
}
