//! The model against the binlog's own words.

use dm_binlog::{ColumnHint, ColumnMeta, ColumnType as BinlogType, TableMap};

use super::column::Column;
use super::error::ModelError;
use super::table::TableModel;
use super::types::TypeKind;
use crate::charset::{char_bytes, is_wide};

impl TableModel {
    /// Compares the model with a TABLE_MAP: number of columns, their types and NULL bits, and, where the source logs
    /// them, signs and names. A difference means that rows would be read with a guessed definition.
    pub fn verify_against(&self, map: &TableMap) -> Result<(), ModelError> {
        let mismatch = |what: String| Err(ModelError::Mismatch { table: self.table_text(), what });
        if map.columns.len() != self.columns.len() {
            return mismatch(format!("{} columns, known are {}", map.columns.len(), self.columns.len()));
        }
        for (i, (column, meta)) in self.columns.iter().zip(&map.columns).enumerate() {
            if let Some(what) = difference(column, meta) {
                return mismatch(format!("column {} ({}): {what}", i + 1, column.name));
            }
        }
        Ok(())
    }

    /// What the decoder needs to know where the events do not say it.
    pub fn column_hints(&self) -> Vec<ColumnHint> {
        self.columns
            .iter()
            .map(|c| ColumnHint {
                unsigned: c.ty.unsigned,
                old_temporal_decimals: c
                    .ty
                    .length
                    .and_then(|n| u8::try_from(n).ok())
                    .filter(|n| *n <= 6)
                    .unwrap_or(0),
            })
            .collect()
    }
}

fn difference(column: &Column, meta: &ColumnMeta) -> Option<String> {
    if !types_fit(column, meta.kind) {
        return Some(format!("type {:?}, known is {:?}", meta.kind, column.ty.kind));
    }
    if let Some((logged, known)) = sizes(column, meta.kind) {
        return Some(format!("at most {logged} bytes, known are {known}"));
    }
    if meta.nullable != column.nullable {
        let word = |nullable| if nullable { "NULL" } else { "NOT NULL" };
        return Some(format!("{}, known is {}", word(meta.nullable), word(column.nullable)));
    }
    if let Some(unsigned) = meta.unsigned
        && column.ty.kind.is_integer()
        && unsigned != column.ty.unsigned
    {
        return Some(format!("unsigned is {unsigned}"));
    }
    if let Some(name) = &meta.name
        && !std::str::from_utf8(name).is_ok_and(|name| column.is_named(name))
    {
        return Some(format!("named {:?}", String::from_utf8_lossy(name)));
    }
    if let Some(labels) = &meta.labels
        && !same_labels(column, labels)
    {
        let labels: Vec<_> = labels.iter().map(|l| String::from_utf8_lossy(l)).collect();
        return Some(format!("members {labels:?}, known are {:?}", column.ty.labels));
    }
    None
}

/// Members of ENUM and SET; of those that are logged in another charset than Unicode only the ASCII ones tell something.
fn same_labels(column: &Column, logged: &[Box<[u8]>]) -> bool {
    let known = &column.ty.labels;
    let trimmed = |label: &[u8]| label.trim_ascii_end().to_vec();
    let wide = column.charset.as_deref().is_some_and(is_wide);
    known.len() == logged.len()
        && known.iter().zip(logged).all(|(known, logged)| {
            wide || !(known.is_ascii() && logged.is_ascii()) || trimmed(known.as_bytes()) == trimmed(logged)
        })
}

/// Bytes of a string as logged and as known, where they differ: the definition is of another time. It matters because
/// a column of the target may be too narrow for this definition and not for the rows.
fn sizes(column: &Column, logged: BinlogType) -> Option<(u64, u64)> {
    use TypeKind as T;
    let logged = match logged {
        BinlogType::VarChar { max_bytes } | BinlogType::Char { max_bytes } => u64::from(max_bytes),
        BinlogType::Blob { length_bytes } => {
            let known = match column.ty.kind {
                T::Text | T::Blob => 2,
                T::MediumText | T::MediumBlob => 3,
                T::LongText | T::LongBlob => 4,
                _ => return None,
            };
            let size = |n: u8| (1_u64 << (8 * n)) - 1;
            // Less is known of TEXT(n), whose size goes by bytes.
            return (known > length_bytes).then(|| (size(length_bytes), size(known)));
        }
        _ => return None,
    };
    let characters = u64::from(column.ty.length.unwrap_or(1));
    let (bytes, other) = match (column.ty.kind, column.charset.as_deref()) {
        (T::Binary | T::VarBinary, _) => (1, 1),
        // Some servers read `utf8` as utf8mb4.
        (T::Char | T::VarChar, Some("utf8mb3")) => (3, 4),
        (T::Char | T::VarChar, Some(charset)) => (char_bytes(charset), char_bytes(charset)),
        _ => return None,
    };
    let fits = [bytes, other].iter().any(|b| characters * b == logged);
    (!fits).then_some((logged, characters * bytes))
}

/// The storage type and the parameters that both sides know.
fn types_fit(column: &Column, logged: BinlogType) -> bool {
    use BinlogType as B;
    use TypeKind as T;
    let ty = &column.ty;
    let fsp = ty.length.unwrap_or(0);
    match ty.kind {
        T::TinyInt => logged == B::Tiny,
        T::SmallInt => logged == B::Short,
        T::MediumInt => logged == B::Int24,
        T::Int => logged == B::Long,
        T::BigInt => logged == B::LongLong,
        T::Float => logged == B::Float,
        T::Double => logged == B::Double,
        T::Decimal => {
            let precision = ty.length.filter(|n| *n > 0).unwrap_or(10);
            matches!(logged, B::Decimal { precision: p, scale: s }
                if u32::from(p) == precision && u32::from(s) == ty.decimals.unwrap_or(0))
        }
        T::Bit => matches!(logged, B::Bit { bits } if u32::from(bits) == ty.length.unwrap_or(1)),
        T::Year => logged == B::Year,
        T::Date => logged == B::Date,
        T::Time => matches!(logged, B::Time { fsp: n } if u32::from(n) == fsp) || logged == B::OldTime,
        T::DateTime => {
            matches!(logged, B::DateTime { fsp: n } if u32::from(n) == fsp) || logged == B::OldDateTime
        }
        T::Timestamp => {
            matches!(logged, B::Timestamp { fsp: n } if u32::from(n) == fsp) || logged == B::OldTimestamp
        }
        T::Char | T::Binary | T::Uuid | T::Inet4 | T::Inet6 => matches!(logged, B::Char { .. }),
        T::VarChar | T::VarBinary => matches!(logged, B::VarChar { .. } | B::VarCharCompressed { .. }),
        T::TinyBlob
        | T::Blob
        | T::MediumBlob
        | T::LongBlob
        | T::TinyText
        | T::Text
        | T::MediumText
        | T::LongText
        | T::Xml => matches!(logged, B::Blob { .. } | B::BlobCompressed { .. }),
        T::Enum => matches!(logged, B::Enum { .. }),
        T::Set => matches!(logged, B::Set { .. }),
        // LONGTEXT on MariaDB.
        T::Json => matches!(logged, B::Json { .. } | B::Blob { .. } | B::BlobCompressed { .. }),
        T::Geometry => matches!(logged, B::Geometry { .. }),
        // MariaDB keeps vectors as VARBINARY or BLOB.
        T::Vector => matches!(logged, B::Vector { .. } | B::Blob { .. } | B::VarChar { .. }),
    }
}
