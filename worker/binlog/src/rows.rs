//! Row events: WRITE, UPDATE and DELETE of versions 1 and 2, partial updates, and MariaDB's compressed ones.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::DecodeError;
use crate::event_query::inflate_body;
use crate::header::type_code as code;
use crate::reader::Reader;
use crate::rows_cursor::{ColumnHint, Row, RowCursor};
use crate::table_map::TableMap;

/// Flag of a row event: the statement ends with it and the table numbers lose their meaning.
const STMT_END: u16 = 1;

/// What a row event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowsKind {
    /// Rows were inserted: after images.
    Write,
    /// Rows were changed: before and after images.
    Update,
    /// Rows were deleted: before images.
    Delete,
}

/// Which columns of a table are in a row image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSet {
    bits: Box<[u8]>,
    columns: usize,
    present: usize,
}

impl ColumnSet {
    fn read(r: &mut Reader<'_>, columns: usize) -> Result<Self, DecodeError> {
        let bits: Box<[u8]> = r.take(columns.div_ceil(8))?.into();
        let mut set = Self { bits, columns, present: 0 };
        set.present = (0..columns).filter(|i| set.contains(*i)).count();
        Ok(set)
    }

    /// Whether the column is in the image.
    #[inline]
    pub fn contains(&self, column: usize) -> bool {
        self.bits.get(column / 8).is_some_and(|b| b & (1 << (column % 8)) != 0)
    }

    /// How many columns are in the image.
    pub fn present(&self) -> usize {
        self.present
    }

    /// Whether all columns are in the image (`binlog_row_image=FULL`).
    pub fn is_full(&self) -> bool {
        self.present == self.columns
    }
}

/// A row event. Values are decoded only when its rows are walked.
#[derive(Debug, Clone)]
pub struct RowsEvent<'a> {
    /// What happened to the rows.
    pub kind: RowsKind,
    /// Number of the table.
    pub table_id: u64,
    /// Flags as sent: 1 the statement's end, 2 no foreign key checks, 4 no unique checks.
    pub flags: u16,
    /// The table's map.
    pub table: Arc<TableMap>,
    /// Columns of the before images, of UPDATE and DELETE.
    pub columns_before: Option<ColumnSet>,
    /// Columns of the after images, of WRITE and UPDATE.
    pub columns_after: Option<ColumnSet>,
    /// JSON values of the after images may be changes of the value before (PARTIAL_UPDATE_ROWS).
    partial: bool,
    data: Cow<'a, [u8]>,
    data_offset: usize,
}

impl<'a> RowsEvent<'a> {
    /// Reads number and flags at the start of the body.
    pub(crate) fn decode_head(r: &mut Reader<'a>) -> Result<(u64, u16), DecodeError> {
        Ok((r.uint_le(6)?, r.u16()?))
    }

    /// Reads the rest of the body.
    pub(crate) fn decode(
        r: &mut Reader<'a>,
        type_code: u8,
        head: (u64, u16),
        table: Arc<TableMap>,
    ) -> Result<Self, DecodeError> {
        let (kind, version2, compressed) = classify(type_code)
            .ok_or_else(|| DecodeError::unsupported(r.offset(), "row event type", u64::from(type_code)))?;
        if version2 {
            let at = r.offset();
            let extra = usize::from(r.u16()?);
            r.take(extra.checked_sub(2).ok_or_else(|| DecodeError::invalid(at, "extra row data"))?)?;
        }
        let at = r.offset();
        let width = r.lenenc()?;
        if width != table.columns.len() as u64 {
            return Err(DecodeError::invalid(at, "count of columns: it differs from the table map's"));
        }
        let columns = table.columns.len();
        let first = ColumnSet::read(r, columns)?;
        let (before, after) = match kind {
            RowsKind::Write => (None, Some(first)),
            RowsKind::Delete => (Some(first), None),
            RowsKind::Update => (Some(first), Some(ColumnSet::read(r, columns)?)),
        };
        let at = r.offset();
        let rest = r.rest();
        let (data, data_offset) =
            if compressed { (Cow::Owned(inflate_body(rest, at)?), 0) } else { (Cow::Borrowed(rest), at) };
        Ok(Self {
            kind,
            table_id: head.0,
            flags: head.1,
            table,
            columns_before: before,
            columns_after: after,
            partial: type_code == code::PARTIAL_UPDATE_ROWS,
            data,
            data_offset,
        })
    }

    /// Whether the statement ends with this event.
    pub fn ends_statement(&self) -> bool {
        self.flags & STMT_END != 0
    }

    /// Size of the row images in bytes, expanded.
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Walks the rows with reused buffers. `hints` holds, by column, what the table's definition knows
    /// and the event may not; it may be empty or shorter than the table.
    pub fn cursor<'r>(&'r self, hints: &[ColumnHint]) -> RowCursor<'r> {
        let reader = Reader::with_base(&self.data, self.data_offset);
        let (before, after) = (self.columns_before.as_ref(), self.columns_after.as_ref());
        RowCursor::new(reader, &self.table, before, after, self.partial, hints)
    }

    /// Walks the rows, each in buffers of its own. Ends after the first error.
    pub fn rows<'r>(
        &'r self,
        hints: &[ColumnHint],
    ) -> impl Iterator<Item = Result<Row<'r>, DecodeError>> + use<'r> {
        let mut cursor = Some(self.cursor(hints));
        std::iter::from_fn(move || {
            let step = cursor.as_mut()?.advance().map(|row| row.cloned());
            if !matches!(step, Ok(Some(_))) {
                cursor = None;
            }
            step.transpose()
        })
    }
}

/// Kind, whether it has version 2's extra data, whether it is compressed.
pub(crate) fn classify(type_code: u8) -> Option<(RowsKind, bool, bool)> {
    Some(match type_code {
        code::WRITE_ROWS_V1 => (RowsKind::Write, false, false),
        code::UPDATE_ROWS_V1 => (RowsKind::Update, false, false),
        code::DELETE_ROWS_V1 => (RowsKind::Delete, false, false),
        code::WRITE_ROWS => (RowsKind::Write, true, false),
        code::UPDATE_ROWS | code::PARTIAL_UPDATE_ROWS => (RowsKind::Update, true, false),
        code::DELETE_ROWS => (RowsKind::Delete, true, false),
        code::MARIA_WRITE_ROWS_COMPRESSED_V1 => (RowsKind::Write, false, true),
        code::MARIA_UPDATE_ROWS_COMPRESSED_V1 => (RowsKind::Update, false, true),
        code::MARIA_DELETE_ROWS_COMPRESSED_V1 => (RowsKind::Delete, false, true),
        code::MARIA_WRITE_ROWS_COMPRESSED => (RowsKind::Write, true, true),
        code::MARIA_UPDATE_ROWS_COMPRESSED => (RowsKind::Update, true, true),
        code::MARIA_DELETE_ROWS_COMPRESSED => (RowsKind::Delete, true, true),
        _ => return None,
    })
}

/// Whether a row event with these flags ends its statement.
pub(crate) fn ends_statement(flags: u16) -> bool {
    flags & STMT_END != 0
}
