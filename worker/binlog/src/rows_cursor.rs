//! Walking the rows of a row event.

use crate::column::ColumnType;
use crate::error::DecodeError;
use crate::reader::Reader;
use crate::rows::ColumnSet;
use crate::rows_partial::read_partial_image;
use crate::table_map::TableMap;
use crate::value::Value;
use crate::value_decode::read_value;

/// What a table's definition knows of a column and its events may not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnHint {
    /// UNSIGNED; used when the table map has no signedness (MariaDB's default).
    pub unsigned: bool,
    /// Fraction digits of a temporal column in the form before MySQL 5.6.
    pub old_temporal_decimals: u8,
}

/// One changed row: values by column, `None` for a column that is not in the image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row<'r> {
    /// The row before the change, of UPDATE and DELETE.
    pub before: Option<Vec<Option<Value<'r>>>>,
    /// The row after the change, of WRITE and UPDATE.
    pub after: Option<Vec<Option<Value<'r>>>>,
}

/// How one column is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub kind: ColumnType,
    pub unsigned: bool,
    pub old_decimals: u8,
}

/// Walks the rows of one event, reusing its buffers.
#[derive(Debug)]
pub struct RowCursor<'r> {
    reader: Reader<'r>,
    plan: Vec<Plan>,
    before: Option<&'r ColumnSet>,
    after: Option<&'r ColumnSet>,
    /// After images may hold parts of values only.
    partial: bool,
    row: Row<'r>,
}

impl<'r> RowCursor<'r> {
    pub(crate) fn new(
        reader: Reader<'r>,
        table: &'r TableMap,
        before: Option<&'r ColumnSet>,
        after: Option<&'r ColumnSet>,
        partial: bool,
        hints: &[ColumnHint],
    ) -> Self {
        let plan = table
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let hint = hints.get(i).copied().unwrap_or_default();
                Plan {
                    kind: column.kind,
                    unsigned: column.unsigned.unwrap_or(hint.unsigned),
                    old_decimals: hint.old_temporal_decimals,
                }
            })
            .collect();
        let image = |set: Option<&ColumnSet>| set.map(|_| Vec::with_capacity(table.columns.len()));
        let row = Row { before: image(before), after: image(after) };
        Self { reader, plan, before, after, partial, row }
    }

    /// The next row; `None` after the last. After an error the cursor is of no more use.
    pub fn advance(&mut self) -> Result<Option<&Row<'r>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let at = self.reader.offset();
        if let (Some(set), Some(values)) = (self.before, self.row.before.as_mut()) {
            read_image(&mut self.reader, &self.plan, set, values)?;
        }
        if let (Some(set), Some(values)) = (self.after, self.row.after.as_mut()) {
            if self.partial {
                let before = self.row.before.as_deref().unwrap_or_default();
                read_partial_image(&mut self.reader, &self.plan, set, before, values)?;
            } else {
                read_image(&mut self.reader, &self.plan, set, values)?;
            }
        }
        if self.reader.offset() == at {
            // No column in any image: the row takes no bytes, so what is left cannot be rows.
            return Err(DecodeError::invalid(at, "row image: bytes behind rows without columns"));
        }
        Ok(Some(&self.row))
    }
}

/// A bitmap of NULLs over the columns present, then their values.
#[inline]
fn read_image<'r>(
    r: &mut Reader<'r>,
    plan: &[Plan],
    set: &ColumnSet,
    values: &mut Vec<Option<Value<'r>>>,
) -> Result<(), DecodeError> {
    values.clear();
    let nulls = r.take(set.present().div_ceil(8))?;
    let mut index = 0usize;
    let full = set.is_full();
    for (i, column) in plan.iter().enumerate() {
        if !full && !set.contains(i) {
            values.push(None);
            continue;
        }
        let null = nulls[index / 8] & (1 << (index % 8)) != 0;
        index += 1;
        values.push(Some(if null {
            Value::Null
        } else {
            read_value(r, column.kind, column.unsigned, column.old_decimals)?
        }));
    }
    Ok(())
}
