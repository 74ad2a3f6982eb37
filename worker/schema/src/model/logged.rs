//! A definition from the events alone: with `binlog_row_metadata=FULL` they name everything that rows need.

use dm_binlog::{ColumnMeta, ColumnType as B, TableMap};

use crate::charset::char_bytes;
use crate::quote::{quote_identifier, quote_string};

/// The definition that a TABLE_MAP gives, as a `CREATE TABLE` with backslash escapes; `charset_of` gives the charset of a collation
/// by its number. `None` where the events don't say all: metadata that are not FULL, times of old formats, unknown charsets.
///
/// What it does not say are defaults, secondary keys, and that a column is generated.
pub fn create_from_events(
    map: &TableMap,
    charset_of: impl Fn(u16) -> Option<&'static str>,
) -> Option<String> {
    let names =
        map.columns.iter().map(|c| std::str::from_utf8(c.name.as_deref()?).ok().map(quote_identifier));
    let names: Vec<String> = names.collect::<Option<_>>()?;
    let mut lines = Vec::with_capacity(names.len() + 1);
    for (name, column) in names.iter().zip(&map.columns) {
        let null = if column.nullable { "NULL" } else { "NOT NULL" };
        lines.push(format!("{name} {} {null}", type_of(column, &charset_of)?));
    }
    if let Some(key) = &map.primary_key {
        let part = |p: &dm_binlog::KeyPart| {
            let name = names.get(p.column as usize)?;
            Some(if p.prefix == 0 { name.clone() } else { format!("{name}({})", p.prefix) })
        };
        lines.push(format!("PRIMARY KEY ({})", key.iter().map(part).collect::<Option<Vec<_>>>()?.join(", ")));
    }
    let table = quote_identifier(std::str::from_utf8(&map.table).ok()?);
    Some(format!("CREATE TABLE {table} (\n  {}\n)", lines.join(",\n  ")))
}

fn type_of(column: &ColumnMeta, charset_of: &impl Fn(u16) -> Option<&'static str>) -> Option<String> {
    let unsigned = |name: &str| Some(format!("{name}{}", if column.unsigned? { " UNSIGNED" } else { "" }));
    // Strings without a collation are bytes.
    let charset = || column.charset.map_or(Some("binary"), charset_of);
    let text = |name: &str, bytes: &str, max: u16| {
        let charset = charset()?;
        if charset == "binary" {
            return Some(format!("{bytes}({max})"));
        }
        let characters = u64::from(max) / char_bytes(charset);
        Some(format!("{name}({characters}) CHARACTER SET {charset}"))
    };
    let members = |name: &str| {
        let labels = column.labels.as_ref()?.iter().map(|l| std::str::from_utf8(l).ok().map(quote_string));
        let labels = labels.collect::<Option<Vec<_>>>()?.join(",");
        let charset = charset()?;
        // Members are logged in the column's charset: those of others than Unicode are read only where it is all the same.
        let ascii = labels.bytes().all(|b| matches!(b, b' '..=b'~'));
        let plain = charset.starts_with("utf8") || ascii;
        plain.then(|| format!("{name}({labels}) CHARACTER SET {charset}"))
    };
    match column.kind {
        B::Tiny => unsigned("TINYINT"),
        B::Short => unsigned("SMALLINT"),
        B::Int24 => unsigned("MEDIUMINT"),
        B::Long => unsigned("INT"),
        B::LongLong => unsigned("BIGINT"),
        B::Float => unsigned("FLOAT"),
        B::Double => unsigned("DOUBLE"),
        B::Decimal { precision, scale } => unsigned(&format!("DECIMAL({precision},{scale})")),
        B::Year => Some("YEAR".to_owned()),
        B::Date => Some("DATE".to_owned()),
        B::Time { fsp } => Some(format!("TIME({fsp})")),
        B::DateTime { fsp } => Some(format!("DATETIME({fsp})")),
        B::Timestamp { fsp } => Some(format!("TIMESTAMP({fsp})")),
        B::VarChar { max_bytes } | B::VarCharCompressed { max_bytes } => {
            text("VARCHAR", "VARBINARY", max_bytes)
        }
        B::Char { max_bytes } => text("CHAR", "BINARY", max_bytes),
        B::Blob { length_bytes } | B::BlobCompressed { length_bytes } => {
            let size = ["TINY", "", "MEDIUM", "LONG"].get(usize::from(length_bytes.checked_sub(1)?))?;
            Some(match charset()? {
                "binary" => format!("{size}BLOB"),
                charset => format!("{size}TEXT CHARACTER SET {charset}"),
            })
        }
        B::Json { .. } => Some("JSON".to_owned()),
        B::Geometry { .. } => Some("GEOMETRY".to_owned()),
        B::Vector { .. } => Some(format!("VECTOR({})", column.vector_dimensions?)),
        B::Bit { bits } => Some(format!("BIT({bits})")),
        B::Enum { .. } => members("ENUM"),
        B::Set { .. } => members("SET"),
        B::Null | B::OldTime | B::OldDateTime | B::OldTimestamp => None,
    }
}
