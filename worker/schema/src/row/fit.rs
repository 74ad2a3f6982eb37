//! Whether a target column can hold every value of a source column.

use super::capacity::{charset_holds, text_fits};
use crate::charset::char_bytes;
use crate::model::{Column, ColumnType, TypeKind};

/// How a source column's values stand in a target column. There is no third way: a column that can't hold them all is
/// refused before the first row, because a value that is cut or moved is found out by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// One definition on both sides: every value is written as it is.
    Same,
    /// Another definition that holds every value.
    Wider,
    /// ENUM and SET with other lists: the source's member `n` (from 0) is the target's member `map[n]` (from 0).
    Members(Vec<u16>),
}

impl Fit {
    /// Compares two columns; the error says why the target's can't hold what the source's may.
    pub fn of(source: &Column, target: &Column) -> Result<Fit, String> {
        if target.is_generated() {
            // Never written. Where the source does not compute it, its value would get lost.
            return if source.is_generated() {
                Ok(Fit::Same)
            } else {
                Err("the target computes its column, the source does not".to_owned())
            };
        }
        if source.nullable && !target.nullable {
            return Err("the target's column is NOT NULL".to_owned());
        }
        let (from, to) = (&source.ty, &target.ty);
        match (from.kind, to.kind) {
            (TypeKind::Enum, TypeKind::Enum) | (TypeKind::Set, TypeKind::Set) => members(from, to),
            (a, b) if a.is_text() && b.is_text() => text(source, target),
            (a, b) if a == b => same_kind(from, to),
            (a, b) if a.is_integer() && b.is_integer() => range(from, to),
            (a, TypeKind::Decimal) if a.is_integer() => integer_as_decimal(from, to),
            (a, b) if a.is_integer() && b.is_float() => integer_as_float(from, to),
            (TypeKind::Float, TypeKind::Double) => floats(from, to),
            (TypeKind::Date, TypeKind::DateTime) => Ok(Fit::Wider),
            (a, b) if a.is_binary() && b.is_binary() => binary(from, to),
            // MariaDB shows JSON as LONGTEXT.
            (TypeKind::LongText, TypeKind::Json) => Ok(Fit::Wider),
            (TypeKind::Json, TypeKind::LongText) => held_charset(Some("utf8mb4"), target).map(|_| Fit::Wider),
            (TypeKind::Uuid, b) if b.is_text() && text_fits(to, 36, 36) => Ok(Fit::Wider),
            (a, b) => Err(format!("{} does not turn into {} without loss", word(a), word(b))),
        }
    }
}

/// A parameter of both types where more is wider.
fn at_least(what: &str, from: u32, to: u32) -> Result<Fit, String> {
    match to.cmp(&from) {
        std::cmp::Ordering::Equal => Ok(Fit::Same),
        std::cmp::Ordering::Greater => Ok(Fit::Wider),
        std::cmp::Ordering::Less => Err(format!("{what}: {from} at the source, {to} at the target")),
    }
}

fn same_kind(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    use TypeKind::*;
    match from.kind {
        TinyInt | SmallInt | MediumInt | Int | BigInt => range(from, to),
        Decimal => decimals(from, to),
        Float | Double => floats(from, to),
        Bit => at_least("bits", from.length.unwrap_or(1), to.length.unwrap_or(1)),
        Time | DateTime | Timestamp => {
            at_least("digits of the fraction", from.length.unwrap_or(0), to.length.unwrap_or(0))
        }
        Vector => at_least("dimensions", from.length.unwrap_or(2048), to.length.unwrap_or(2048)),
        Binary | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob => binary(from, to),
        _ => Ok(Fit::Same),
    }
}

/// Least and greatest value.
pub(super) fn bounds(ty: &ColumnType) -> (i128, i128) {
    let bits = match ty.kind {
        TypeKind::TinyInt => 8,
        TypeKind::SmallInt => 16,
        TypeKind::MediumInt => 24,
        TypeKind::Int => 32,
        _ => 64,
    };
    if ty.unsigned { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) }
}

fn range(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    let (a, b) = (bounds(from), bounds(to));
    if a == b {
        return Ok(Fit::Same);
    }
    if b.0 <= a.0 && a.1 <= b.1 {
        return Ok(Fit::Wider);
    }
    Err(format!("{} to {} at the source, {} to {} at the target", a.0, a.1, b.0, b.1))
}

/// (digits before the point, digits after it)
fn digits(ty: &ColumnType) -> (u32, u32) {
    let scale = ty.decimals.unwrap_or(0);
    (ty.length.filter(|n| *n > 0).unwrap_or(10).saturating_sub(scale), scale)
}

fn decimals(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    if to.unsigned && !from.unsigned {
        return Err("the target's column is UNSIGNED".to_owned());
    }
    // A lost digit after the point is not even a warning at the servers.
    let before = at_least("digits before the point", digits(from).0, digits(to).0)?;
    let after = at_least("digits after the point", digits(from).1, digits(to).1)?;
    Ok(if (before, after) == (Fit::Same, Fit::Same) { Fit::Same } else { Fit::Wider })
}

fn integer_as_decimal(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    let (least, greatest) = bounds(from);
    if to.unsigned && least < 0 {
        return Err("the target's column is UNSIGNED".to_owned());
    }
    let needed = u32::try_from(greatest.to_string().len()).unwrap_or(u32::MAX);
    at_least("digits before the point", needed, digits(to).0).map(|_| Fit::Wider)
}

fn integer_as_float(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    let exact: i128 = if to.kind == TypeKind::Float { 1 << 24 } else { 1 << 53 };
    let (least, greatest) = bounds(from);
    if to.length.is_some() || to.unsigned && least < 0 || greatest > exact {
        return Err("not every integer of the source is exact at the target".to_owned());
    }
    Ok(Fit::Wider)
}

fn floats(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    if to.unsigned && !from.unsigned {
        return Err("the target's column is UNSIGNED".to_owned());
    }
    // FLOAT(M,D) rounds to D digits.
    if to.length.is_some() && (to.length, to.decimals) != (from.length, from.decimals) {
        return Err("the target's column rounds to a number of digits".to_owned());
    }
    let same = from.kind == to.kind && (to.length, to.decimals) == (from.length, from.decimals);
    Ok(if same { Fit::Same } else { Fit::Wider })
}

fn binary(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    use TypeKind::*;
    let size = |ty: &ColumnType| match ty.kind {
        Binary | VarBinary => ty.length.unwrap_or(1),
        TinyBlob => 255,
        Blob => 65_535,
        MediumBlob => 16_777_215,
        _ => u32::MAX,
    };
    if to.kind == Binary && (from.kind != Binary || size(from) != size(to)) {
        return Err("BINARY of another length fills values up with zero bytes".to_owned());
    }
    let fit = at_least("bytes", size(from), size(to))?;
    Ok(if from.kind == to.kind { fit } else { Fit::Wider })
}

fn text(source: &Column, target: &Column) -> Result<Fit, String> {
    let (from, to) = (&source.ty, &target.ty);
    if to.kind == TypeKind::Char && from.kind != TypeKind::Char {
        return Err("CHAR loses blanks at the end of a value".to_owned());
    }
    let converted = held_charset(source.charset.as_deref(), target)?;
    let same_charset = converted == Fit::Same;
    let fits = match from.kind {
        TypeKind::Char | TypeKind::VarChar => {
            let characters = u64::from(from.length.unwrap_or(1));
            let bytes = char_bytes(target.charset.as_deref().unwrap_or("utf8mb4"));
            text_fits(to, characters, characters * bytes)
        }
        // In another character set a text may need more bytes than before; then a strict session refuses it itself.
        _ => text_size(to.kind) >= text_size(from.kind),
    };
    if !fits {
        return Err("the target's column is shorter".to_owned());
    }
    let same = same_charset && from.kind == to.kind && from.length == to.length;
    Ok(if same { Fit::Same } else { Fit::Wider })
}

/// Order of the TEXT types by size.
fn text_size(kind: TypeKind) -> u8 {
    match kind {
        TypeKind::TinyText => 1,
        TypeKind::Text => 2,
        TypeKind::MediumText => 3,
        TypeKind::LongText | TypeKind::Xml => 4,
        _ => 0,
    }
}

fn held_charset(from: Option<&str>, target: &Column) -> Result<Fit, String> {
    // What a definition does not say was inherited; both sides got the same definition.
    let (Some(from), Some(to)) = (from, target.charset.as_deref()) else { return Ok(Fit::Same) };
    if charset_holds(from, to) {
        return Ok(if from == to { Fit::Same } else { Fit::Wider });
    }
    Err(format!("character set {to} does not have all characters of {from}"))
}

/// A member that the target lacks makes the column unfit, used or not: the next row may use it.
fn members(from: &ColumnType, to: &ColumnType) -> Result<Fit, String> {
    // The servers take blanks at the end off.
    let bare = |label: &str| label.trim_end_matches(' ').to_owned();
    let there: Vec<String> = to.labels.iter().map(|l| bare(l)).collect();
    let mut map = Vec::with_capacity(from.labels.len());
    for label in &from.labels {
        let label = bare(label);
        match there.iter().position(|l| *l == label).and_then(|n| u16::try_from(n).ok()) {
            Some(n) => map.push(n),
            None => return Err(format!("the target's list lacks the member '{label}'")),
        }
    }
    if map.iter().enumerate().any(|(n, to)| usize::from(*to) != n) {
        return Ok(Fit::Members(map));
    }
    Ok(if from.labels.len() == to.labels.len() { Fit::Same } else { Fit::Wider })
}

/// The type as people write it.
fn word(kind: TypeKind) -> String {
    format!("{kind:?}").to_uppercase()
}

/// A column's type as it goes into messages.
pub(super) fn describe(column: &Column) -> String {
    let ty = &column.ty;
    let mut out = word(ty.kind);
    match (ty.length, ty.decimals) {
        (Some(n), Some(d)) => out.push_str(&format!("({n},{d})")),
        (Some(n), None) => out.push_str(&format!("({n})")),
        _ => {}
    }
    if ty.unsigned {
        out.push_str(" UNSIGNED");
    }
    if let Some(charset) = column.charset.as_ref().filter(|_| ty.kind.has_charset()) {
        out.push_str(&format!(" CHARACTER SET {charset}"));
    }
    if !column.nullable {
        out.push_str(" NOT NULL");
    }
    out
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
