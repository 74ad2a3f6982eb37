//! Columns of unique keys: a form of their values that is the same for values which the target holds to be equal.

use dm_binlog::Value;

use super::error::WriteError;
use crate::charset::{default_collation, equality_is_bytes};
use crate::collation::{Coding, Fold};
use crate::model::{Column, TypeKind};

/// What makes two values of a column equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Equality {
    /// The value itself.
    Exact,
    /// The bytes but for trailing spaces: PAD SPACE collations ignore them, and under NO PAD it does no harm.
    Spaces,
    /// The bytes but for trailing zeros: BINARY(n) is logged without them.
    Zeros,
    /// What a collation keeps.
    Folded(Fold),
}

/// One column of a unique key.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    /// Column of the source.
    pub index: usize,
    equality: Equality,
    /// How the source's bytes are characters, where that is known.
    coding: Option<Coding>,
    /// The key holds so many first characters, of byte strings bytes.
    prefix: Option<usize>,
}

/// Why a column gives no key tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeyColumn {
    /// The target's equality is not one that we have proved.
    Equality,
    /// A prefix whose characters we can't count.
    Prefix,
    /// Values of the source's column may become equal at the target, or equal ones look different here.
    Differs,
}

impl KeyColumn {
    /// `from` is column `index` of the source.
    pub fn new(index: usize, from: &Column, to: &Column, prefix: Option<u32>) -> Result<Self, NoKeyColumn> {
        let equality = equality(to).ok_or(NoKeyColumn::Equality)?;
        let coding = coding(from);
        if !same_values(from, to, equality) {
            return Err(NoKeyColumn::Differs);
        }
        let counted = coding.is_some() && (to.ty.kind.is_text() || to.ty.kind.is_binary());
        if prefix.is_some() && !counted {
            return Err(NoKeyColumn::Prefix);
        }
        Ok(KeyColumn { index, equality, coding, prefix: prefix.map(|n| n as usize) })
    }

    /// Forgets the collation.
    #[cfg(feature = "broken")]
    pub fn compare_bytes(&mut self) {
        if matches!(self.equality, Equality::Folded(_)) {
            self.equality = Equality::Exact;
        }
    }

    /// Appends a self-delimiting form that is the same for equal values. `Ok(false)`: the bytes are no text.
    pub fn push(&self, out: &mut Vec<u8>, value: &Value<'_>) -> Result<bool, WriteError> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match value {
            Value::Int(n) => out.extend_from_slice(&i128::from(*n).to_le_bytes()),
            Value::UInt(n) | Value::Bit(n) | Value::Set(n) => {
                out.extend_from_slice(&i128::from(*n).to_le_bytes());
            }
            Value::Enum(n) => out.extend_from_slice(&i128::from(*n).to_le_bytes()),
            Value::Bytes(bytes) => {
                if !self.push_bytes(out, bytes) {
                    out.truncate(start);
                    return Ok(false);
                }
            }
            Value::CompressedBytes(bytes) => {
                let inflated = dm_binlog::inflate_column(bytes)?;
                out.truncate(start);
                return self.push(out, &Value::Bytes(&inflated));
            }
            value => {
                value.write_text(out)?;
                // -0.00 equals 0.00, and -00:00:00 equals 00:00:00.
                let text = &out[start + 4..];
                if text.first() == Some(&b'-') && text[1..].iter().all(|b| matches!(b, b'0' | b'.' | b':')) {
                    out.remove(start + 4);
                }
            }
        }
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(true)
    }

    fn push_bytes(&self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let coding = self.coding.unwrap_or(Coding::Bytes);
        let first = match self.prefix {
            Some(count) => coding.first(bytes, count),
            None => Ok(bytes),
        };
        let Ok(bytes) = first else { return false };
        match self.equality {
            Equality::Exact => out.extend_from_slice(bytes),
            Equality::Spaces => out.extend_from_slice(without(bytes, b' ')),
            Equality::Zeros => out.extend_from_slice(without(bytes, 0)),
            Equality::Folded(fold) => fold.push(coding, bytes, out),
        }
        true
    }
}

fn without(mut bytes: &[u8], padding: u8) -> &[u8] {
    while let Some((_, rest)) = bytes.split_last().filter(|(last, _)| **last == padding) {
        bytes = rest;
    }
    bytes
}

/// How the target compares; `None` where we cannot promise anything.
fn equality(column: &Column) -> Option<Equality> {
    use TypeKind::*;
    match column.ty.kind {
        TinyInt | SmallInt | MediumInt | Int | BigInt | Decimal | Bit | Year | Date | Time | DateTime
        | Timestamp | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob | Enum | Set | Uuid | Inet4
        | Inet6 => Some(Equality::Exact),
        Binary => Some(Equality::Zeros),
        Char | VarChar | TinyText | Text | MediumText | LongText => {
            let charset = column.charset.as_deref()?;
            let collation = column.collation.as_deref().or_else(|| default_collation(charset))?;
            if equality_is_bytes(charset, collation) {
                return Some(Equality::Spaces);
            }
            Fold::of(collation).map(Equality::Folded)
        }
        _ => None,
    }
}

fn coding(column: &Column) -> Option<Coding> {
    if column.ty.kind.is_binary() {
        return Some(Coding::Bytes);
    }
    column.charset.as_deref().and_then(Coding::of)
}

/// The target's column keeps the source's values apart and equal as they are.
fn same_values(source: &Column, target: &Column, equality: Equality) -> bool {
    let (from, to) = (&source.ty, &target.ty);
    let wide_enough = to.length >= from.length;
    if from.kind.is_integer() && to.kind.is_integer() {
        return true;
    }
    if from.kind.is_text() && to.kind.is_text() {
        // (What does not fit is refused elsewhere.)
        return match (equality, coding(source), coding(target)) {
            // Both are characters of Unicode.
            (
                Equality::Folded(_),
                Some(Coding::Utf8 | Coding::Latin1),
                Some(Coding::Utf8 | Coding::Latin1),
            ) => true,
            (_, Some(Coding::Utf8), Some(Coding::Utf8)) => true,
            (_, from, to) => from == to && source.charset == target.charset,
        };
    }
    if from.kind != to.kind {
        return false;
    }
    match from.kind {
        TypeKind::Decimal => from.decimals.unwrap_or(0) == to.decimals.unwrap_or(0),
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => {
            from.length.unwrap_or(0) == to.length.unwrap_or(0)
        }
        TypeKind::Binary => from.length == to.length,
        TypeKind::VarBinary => wide_enough,
        TypeKind::Enum | TypeKind::Set => from.labels == to.labels,
        _ => true,
    }
}
