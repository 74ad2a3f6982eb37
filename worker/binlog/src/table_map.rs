//! TABLE_MAP events: which table a number stands for, and how its rows are read.

use crate::column::{ColumnMeta, ColumnType};
use crate::error::DecodeError;
use crate::reader::Reader;
use crate::table_metadata;

/// Most columns a table can have on either server.
const MAX_COLUMNS: u64 = 4096;

/// One column of a primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPart {
    /// Index of the column in the table.
    pub column: u32,
    /// Length of the prefix in characters; 0 for the whole column.
    pub prefix: u32,
}

/// A table as one statement's events know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// Number used by the row events of the statement.
    pub table_id: u64,
    /// Flags as sent.
    pub flags: u16,
    /// Schema name, UTF-8.
    pub schema: Box<[u8]>,
    /// Table name, UTF-8.
    pub table: Box<[u8]>,
    /// Columns in table order, without the hidden columns of functional keys.
    pub columns: Box<[ColumnMeta]>,
    /// Primary key in key order (with `binlog_row_metadata=FULL` and a primary key).
    pub primary_key: Option<Box<[KeyPart]>>,
}

impl TableMap {
    /// Schema name for messages.
    pub fn schema_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.schema)
    }

    /// Table name for messages.
    pub fn table_lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.table)
    }

    /// Decodes an event's body.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let table_id = r.uint_le(6)?;
        let flags = r.u16()?;
        let schema = name(r)?;
        let table = name(r)?;
        let at = r.offset();
        let count = r.lenenc()?;
        if count > MAX_COLUMNS {
            return Err(DecodeError::invalid(at, "count of columns"));
        }
        let types = r.take_u64(count)?;
        let meta_len = r.lenenc()?;
        let meta_at = r.offset();
        let mut meta = Reader::with_base(r.take_u64(meta_len)?, meta_at);
        let nulls = r.take(types.len().div_ceil(8))?;
        let mut columns = Vec::with_capacity(types.len());
        for (i, &type_code) in types.iter().enumerate() {
            let (kind, raw) = ColumnType::read(type_code, &mut meta)?;
            columns.push(ColumnMeta {
                type_code,
                meta: raw,
                kind,
                nullable: nulls[i / 8] & (1 << (i % 8)) != 0,
                unsigned: None,
                charset: None,
                name: None,
                labels: None,
                geometry_type: None,
                visible: None,
                vector_dimensions: None,
            });
        }
        let mut map =
            Self { table_id, flags, schema, table, columns: columns.into_boxed_slice(), primary_key: None };
        table_metadata::read(r, &mut map)?;
        Ok(map)
    }
}

/// A name: one byte of length, the bytes, a zero.
fn name(r: &mut Reader<'_>) -> Result<Box<[u8]>, DecodeError> {
    let len = usize::from(r.u8()?);
    let bytes = r.take(len)?;
    let at = r.offset();
    match r.u8()? {
        0 => Ok(bytes.into()),
        _ => Err(DecodeError::invalid(at, "end of a name")),
    }
}
