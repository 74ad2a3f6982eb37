//! Data types as text, with all their old names.

use super::column::Column;
use super::column_parser::{charset_word, expect_punct, syntax};
use super::error::ModelError;
use super::types::TypeKind;
use crate::charset::{normalise_charset, normalise_collation};
use crate::lex::Cursor;
use crate::sql_mode::SqlMode;

/// Stands for the `_bin` collation of a charset that is not known yet.
pub(super) const BINARY_COLLATION: &str = "_bin";

/// One-word names.
const NAMES: [(&str, TypeKind); 63] = [
    ("TINYINT", TypeKind::TinyInt),
    ("INT1", TypeKind::TinyInt),
    ("BOOL", TypeKind::TinyInt),
    ("BOOLEAN", TypeKind::TinyInt),
    ("SMALLINT", TypeKind::SmallInt),
    ("INT2", TypeKind::SmallInt),
    ("MEDIUMINT", TypeKind::MediumInt),
    ("MIDDLEINT", TypeKind::MediumInt),
    ("INT3", TypeKind::MediumInt),
    ("INT", TypeKind::Int),
    ("INTEGER", TypeKind::Int),
    ("INT4", TypeKind::Int),
    ("BIGINT", TypeKind::BigInt),
    ("INT8", TypeKind::BigInt),
    ("DECIMAL", TypeKind::Decimal),
    ("DEC", TypeKind::Decimal),
    ("NUMERIC", TypeKind::Decimal),
    ("FIXED", TypeKind::Decimal),
    ("NUMBER", TypeKind::Decimal),
    ("FLOAT", TypeKind::Float),
    ("FLOAT4", TypeKind::Float),
    ("FLOAT8", TypeKind::Double),
    ("DOUBLE", TypeKind::Double),
    ("REAL", TypeKind::Double),
    ("BIT", TypeKind::Bit),
    ("YEAR", TypeKind::Year),
    ("DATE", TypeKind::Date),
    ("TIME", TypeKind::Time),
    ("DATETIME", TypeKind::DateTime),
    ("TIMESTAMP", TypeKind::Timestamp),
    ("CHAR", TypeKind::Char),
    ("CHARACTER", TypeKind::Char),
    ("NCHAR", TypeKind::Char),
    ("VARCHAR", TypeKind::VarChar),
    ("VARCHARACTER", TypeKind::VarChar),
    ("VARCHAR2", TypeKind::VarChar),
    ("NVARCHAR", TypeKind::VarChar),
    ("BINARY", TypeKind::Binary),
    ("VARBINARY", TypeKind::VarBinary),
    ("TINYBLOB", TypeKind::TinyBlob),
    ("BLOB", TypeKind::Blob),
    ("MEDIUMBLOB", TypeKind::MediumBlob),
    ("LONGBLOB", TypeKind::LongBlob),
    ("TINYTEXT", TypeKind::TinyText),
    ("TEXT", TypeKind::Text),
    ("MEDIUMTEXT", TypeKind::MediumText),
    ("LONGTEXT", TypeKind::LongText),
    ("ENUM", TypeKind::Enum),
    ("SET", TypeKind::Set),
    ("JSON", TypeKind::Json),
    ("GEOMETRY", TypeKind::Geometry),
    ("POINT", TypeKind::Geometry),
    ("LINESTRING", TypeKind::Geometry),
    ("POLYGON", TypeKind::Geometry),
    ("MULTIPOINT", TypeKind::Geometry),
    ("MULTILINESTRING", TypeKind::Geometry),
    ("MULTIPOLYGON", TypeKind::Geometry),
    ("GEOMETRYCOLLECTION", TypeKind::Geometry),
    ("VECTOR", TypeKind::Vector),
    ("INET4", TypeKind::Inet4),
    ("INET6", TypeKind::Inet6),
    ("UUID", TypeKind::Uuid),
    ("XMLTYPE", TypeKind::Xml),
];

/// Reads a type into `column`; true for SERIAL.
pub(super) fn column_type(
    c: &mut Cursor<'_, '_>,
    mode: SqlMode,
    column: &mut Column,
) -> Result<bool, ModelError> {
    let national = c.eat_word("NATIONAL") || c.is_any_word(&["NCHAR", "NVARCHAR"]);
    if c.eat_word("SERIAL") {
        column.ty.kind = TypeKind::BigInt;
        column.ty.unsigned = true;
        return Ok(true);
    }
    if c.is_any_word(&["GEOMCOLLECTION"]) {
        c.take();
        column.ty.kind = TypeKind::Geometry;
        return Ok(false);
    }
    if c.eat_word("LONG") {
        column.ty.kind = if c.eat_word("VARBINARY") { TypeKind::MediumBlob } else { TypeKind::MediumText };
        if !c.eat_any_word(&["VARCHAR", "VARCHARACTER"]) && c.eat_any_word(&["CHAR", "CHARACTER"]) {
            c.eat_word("VARYING");
        }
        modifiers(c, column)?;
        return Ok(false);
    }
    let Some((word, mut kind)) = NAMES.iter().find(|(word, _)| c.is_word(word)).copied() else {
        return Err(syntax(c, "a data type that is not known"));
    };
    c.take();
    match word {
        "REAL" if mode.real_as_float() => kind = TypeKind::Float,
        "DOUBLE" => {
            c.eat_word("PRECISION");
        }
        "CHAR" | "CHARACTER" | "NCHAR" if c.eat_any_word(&["VARYING", "VARCHAR", "VARCHARACTER"]) => {
            kind = TypeKind::VarChar;
        }
        "BOOL" | "BOOLEAN" => column.ty.length = Some(1),
        _ => {}
    }
    column.ty.kind = kind;
    parameters(c, column)?;
    if national {
        column.charset = Some("utf8mb3".to_owned());
    }
    modifiers(c, column)?;
    Ok(false)
}

fn parameters(c: &mut Cursor<'_, '_>, column: &mut Column) -> Result<(), ModelError> {
    if !c.is_punct('(') {
        return Ok(());
    }
    let ty = &mut column.ty;
    if matches!(ty.kind, TypeKind::Enum | TypeKind::Set) {
        c.take();
        loop {
            if c.peek().is_some_and(|t| t.kind == crate::lex::TokenKind::Introducer) {
                c.take();
            }
            let label = c.peek().and_then(|t| t.string_value());
            let Some(label) = label else { return Err(syntax(c, "a member was expected")) };
            c.take();
            ty.labels.push(label.into_owned());
            if !c.eat_punct(',') {
                break;
            }
        }
        return expect_punct(c, ')');
    }
    c.take();
    let number = |c: &mut Cursor<'_, '_>| -> Result<u64, ModelError> {
        c.eat_number().ok_or_else(|| syntax(c, "a number was expected"))
    };
    let first = number(c)?;
    let second = if c.eat_punct(',') { Some(number(c)?) } else { None };
    expect_punct(c, ')')?;
    match ty.kind {
        TypeKind::Text => ty.kind = TypeKind::by_size(first, true),
        TypeKind::Blob => ty.kind = TypeKind::by_size(first, false),
        // FLOAT(p) is a precision in bits, not digits.
        TypeKind::Float if second.is_none() => {
            if first > 24 {
                ty.kind = TypeKind::Double;
            }
            return Ok(());
        }
        _ => {}
    }
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    ty.length = Some(narrow(first));
    ty.decimals = second.map(narrow);
    Ok(())
}

/// What may directly follow a type. The servers accept some of it later too; that is left to the attributes.
fn modifiers(c: &mut Cursor<'_, '_>, column: &mut Column) -> Result<(), ModelError> {
    loop {
        if c.eat_any_word(&["UNSIGNED", "ZEROFILL"]) {
            column.ty.unsigned = true;
        } else if c.eat_word("SIGNED") || c.eat_word("COMPRESSED") {
            if c.eat_punct('=') {
                c.take();
            }
        } else if c.eat_words(&["CHARACTER", "SET"]) || c.eat_word("CHARSET") || c.eat_words(&["CHAR", "SET"])
        {
            column.charset = Some(normalise_charset(&charset_word(c)?));
        } else if c.eat_word("COLLATE") {
            column.collation = Some(normalise_collation(&charset_word(c)?));
        } else if c.eat_word("ASCII") {
            column.charset = Some("latin1".to_owned());
        } else if c.eat_word("UNICODE") {
            column.charset = Some("ucs2".to_owned());
        } else if c.eat_word("BYTE") {
            column.charset = Some("binary".to_owned());
        } else if column.ty.kind.has_charset() && c.eat_word("BINARY") {
            // The charset's _bin collation; which charset is known only later.
            column.collation = Some(BINARY_COLLATION.to_owned());
        } else {
            break;
        }
    }
    if column.charset.as_deref() == Some("binary") {
        to_binary(column);
    }
    Ok(())
}

/// `CHAR(5) CHARACTER SET binary` is BINARY(5), and so on.
pub(super) fn to_binary(column: &mut Column) {
    use TypeKind::*;
    column.ty.kind = match column.ty.kind {
        Char => Binary,
        VarChar => VarBinary,
        TinyText => TinyBlob,
        Text => Blob,
        MediumText => MediumBlob,
        LongText => LongBlob,
        other => {
            column.collation = Some("binary".to_owned());
            column.ty.kind = other;
            return;
        }
    };
    column.charset = None;
    column.collation = None;
}
