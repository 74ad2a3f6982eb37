//! After images of PARTIAL_UPDATE_ROWS events: JSON values may come as changes of the value before.

use crate::column::ColumnType;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;
use crate::rows::ColumnSet;
use crate::rows_cursor::Plan;
use crate::value::Value;
use crate::value_decode::read_value;

/// Bit of a row's options: a bitmap of the table's JSON columns follows.
const PARTIAL_JSON: u64 = 1;

/// Options, bitmap of partial columns, bitmap of NULLs over the columns present, then their values.
pub(crate) fn read_partial_image<'r>(
    r: &mut Reader<'r>,
    plan: &[Plan],
    set: &ColumnSet,
    before: &[Option<Value<'r>>],
    values: &mut Vec<Option<Value<'r>>>,
) -> Result<(), DecodeError> {
    values.clear();
    let at = r.offset();
    let options = r.lenenc()?;
    if options & !PARTIAL_JSON != 0 {
        return Err(DecodeError::unsupported(at, "row options", options));
    }
    let is_json = |column: &Plan| matches!(column.kind, ColumnType::Json { .. });
    let bits = match options {
        0 => &[][..],
        // One for each JSON column of the table, present or not.
        _ => r.take(plan.iter().filter(|c| is_json(c)).count().div_ceil(8))?,
    };
    let bit = |bits: &[u8], i: usize| bits.get(i / 8).is_some_and(|b| b & (1 << (i % 8)) != 0);
    let nulls = r.take(set.present().div_ceil(8))?;
    let (mut index, mut json) = (0usize, 0usize);
    for (i, column) in plan.iter().enumerate() {
        let mut partial = false;
        if is_json(column) {
            partial = bit(bits, json);
            json += 1;
        }
        if !set.contains(i) {
            values.push(None);
            continue;
        }
        let null = bit(nulls, index);
        index += 1;
        values.push(Some(if null {
            Value::Null
        } else if partial {
            let at = r.offset();
            let len = r.u32()?;
            let diffs = r.take_u64(u64::from(len))?;
            match before.get(i) {
                Some(Some(Value::Json(before))) => Value::ChangedJson { before, diffs },
                _ => return Err(DecodeError::new(at, DecodeErrorKind::PartialWithoutBefore(i))),
            }
        } else {
            read_value(r, column.kind, column.unsigned, column.old_decimals)?
        }));
    }
    Ok(())
}
