//! The optional fields at the end of a TABLE_MAP event (`Table_map_event::Optional_metadata_fields`).

use crate::column::{ColumnMeta, ColumnType};
use crate::error::DecodeError;
use crate::reader::Reader;
use crate::table_map::{KeyPart, TableMap};

/// Reads all fields into `map`. Unknown field types are skipped: newer servers add some.
pub(crate) fn read(r: &mut Reader<'_>, map: &mut TableMap) -> Result<(), DecodeError> {
    while !r.is_empty() {
        let field_type = r.u8()?;
        let len = r.lenenc()?;
        let at = r.offset();
        let mut field = Reader::with_base(r.take_u64(len)?, at);
        let columns = &mut map.columns;
        match field_type {
            1 => signedness(&mut field, columns)?,
            2 => default_charset(&mut field, columns, ColumnType::is_character)?,
            3 => column_charset(&mut field, columns, ColumnType::is_character)?,
            4 => {
                for column in columns.iter_mut() {
                    column.name = Some(string(&mut field)?);
                }
            }
            5 => labels(&mut field, columns, |k| matches!(k, ColumnType::Set { .. }))?,
            6 => labels(&mut field, columns, |k| matches!(k, ColumnType::Enum { .. }))?,
            7 => {
                for column in columns.iter_mut().filter(|c| matches!(c.kind, ColumnType::Geometry { .. })) {
                    if field.is_empty() {
                        break;
                    }
                    column.geometry_type = Some(narrow(&mut field)?);
                }
            }
            8 => primary_key(&mut field, map, false)?,
            9 => primary_key(&mut field, map, true)?,
            10 => default_charset(&mut field, columns, ColumnType::is_enum_or_set)?,
            11 => column_charset(&mut field, columns, ColumnType::is_enum_or_set)?,
            12 => {
                let bits = field.rest();
                for (i, column) in columns.iter_mut().enumerate() {
                    column.visible = msb_bit(bits, i);
                }
            }
            13 => {
                for column in columns.iter_mut().filter(|c| matches!(c.kind, ColumnType::Vector { .. })) {
                    let at = field.offset();
                    let n = field.lenenc()?;
                    column.vector_dimensions =
                        Some(u32::try_from(n).map_err(|_| DecodeError::invalid(at, "dimensions"))?);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Bit `i`, the highest bit of a byte first; `None` behind the end.
fn msb_bit(bits: &[u8], i: usize) -> Option<bool> {
    bits.get(i / 8).map(|b| b & (0x80 >> (i % 8)) != 0)
}

/// One bit per numeric column, YEAR among them; 1 is UNSIGNED.
fn signedness(field: &mut Reader<'_>, columns: &mut [ColumnMeta]) -> Result<(), DecodeError> {
    let at = field.offset();
    let bits = field.rest();
    for (i, column) in columns.iter_mut().filter(|c| c.kind.is_numeric()).enumerate() {
        let bit = msb_bit(bits, i).ok_or_else(|| DecodeError::invalid(at, "signedness bits"))?;
        column.unsigned = Some(bit);
    }
    Ok(())
}

/// The most frequent collation, then (index among the columns concerned, collation) of the others.
fn default_charset(
    field: &mut Reader<'_>,
    columns: &mut [ColumnMeta],
    concerned: fn(ColumnType) -> bool,
) -> Result<(), DecodeError> {
    let default = narrow(field)?;
    let mut chosen: Vec<&mut ColumnMeta> = columns.iter_mut().filter(|c| concerned(c.kind)).collect();
    for column in &mut chosen {
        column.charset = Some(default);
    }
    while !field.is_empty() {
        let at = field.offset();
        let index = field.lenenc()?;
        let charset = narrow(field)?;
        let column = usize::try_from(index)
            .ok()
            .and_then(|i| chosen.get_mut(i))
            .ok_or_else(|| DecodeError::invalid(at, "column of a charset"))?;
        column.charset = Some(charset);
    }
    Ok(())
}

/// One collation per column concerned.
fn column_charset(
    field: &mut Reader<'_>,
    columns: &mut [ColumnMeta],
    concerned: fn(ColumnType) -> bool,
) -> Result<(), DecodeError> {
    for column in columns.iter_mut().filter(|c| concerned(c.kind)) {
        column.charset = Some(narrow(field)?);
    }
    Ok(())
}

/// Per column concerned: the count of labels, then each as a string.
fn labels(
    field: &mut Reader<'_>,
    columns: &mut [ColumnMeta],
    concerned: fn(ColumnType) -> bool,
) -> Result<(), DecodeError> {
    for column in columns.iter_mut().filter(|c| concerned(c.kind)) {
        let count = field.lenenc()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(string(field)?);
        }
        column.labels = Some(list.into_boxed_slice());
    }
    Ok(())
}

fn primary_key(field: &mut Reader<'_>, map: &mut TableMap, prefixes: bool) -> Result<(), DecodeError> {
    let mut key = Vec::new();
    while !field.is_empty() {
        let at = field.offset();
        let invalid = || DecodeError::invalid(at, "primary key column");
        let column = field.lenenc()?;
        if column >= map.columns.len() as u64 {
            return Err(invalid());
        }
        let prefix = if prefixes { field.lenenc()? } else { 0 };
        key.push(KeyPart { column: column as u32, prefix: u32::try_from(prefix).map_err(|_| invalid())? });
    }
    map.primary_key = Some(key.into_boxed_slice());
    Ok(())
}

fn string(field: &mut Reader<'_>) -> Result<Box<[u8]>, DecodeError> {
    let len = field.lenenc()?;
    field.take_u64(len).map(Into::into)
}

fn narrow(field: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let at = field.offset();
    u16::try_from(field.lenenc()?).map_err(|_| DecodeError::invalid(at, "collation or geometry type"))
}
