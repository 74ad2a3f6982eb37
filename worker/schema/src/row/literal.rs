//! One value as a literal.

use std::net::{Ipv4Addr, Ipv6Addr};

use dm_binlog::{DecodeError, Value, inflate_column};

use super::fit::Fit;
use super::plan::{Bytes, ColumnPlan};
use crate::model::TypeKind;
use crate::quote::push_quoted_bytes;

/// Appends the literal of a value of the binlog.
pub(super) fn push_value(out: &mut Vec<u8>, plan: &ColumnPlan, value: &Value<'_>) -> Result<(), DecodeError> {
    match value {
        Value::Null => out.extend_from_slice(b"NULL"),
        Value::Bytes(bytes) => push_bytes(out, plan, bytes),
        Value::CompressedBytes(bytes) => push_bytes(out, plan, &inflate_column(bytes)?),
        Value::Geometry(bytes) | Value::Vector(bytes) => push_binary(out, bytes, 0),
        Value::Json(_) | Value::ChangedJson { .. } => {
            let mut text = Vec::new();
            value.write_text(&mut text)?;
            push_characters(out, &text);
        }
        Value::Year(_)
        | Value::Date { .. }
        | Value::Time { .. }
        | Value::DateTime { .. }
        | Value::Timestamp { .. } => {
            // Digits, signs, points, colons and blanks: nothing to escape.
            out.push(b'\'');
            value.write_text(out)?;
            out.push(b'\'');
        }
        Value::Enum(index) => out.extend_from_slice(enum_index(&plan.fit, *index).to_string().as_bytes()),
        Value::Set(mask) => out.extend_from_slice(set_mask(&plan.fit, *mask).to_string().as_bytes()),
        // The nearest DOUBLE of a FLOAT's short text is another number.
        Value::Float(x) if plan.target_kind == TypeKind::Double => {
            Value::Double(f64::from(*x)).write_text(out)?;
        }
        // FLOAT and DOUBLE always come with an exponent, which makes them DOUBLE literals (and keeps -0).
        Value::Int(_)
        | Value::UInt(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::Decimal(_)
        | Value::Bit(_) => value.write_text(out)?,
    }
    Ok(())
}

/// A member's index (from 1) in the target's list; 0 is the error value.
fn enum_index(fit: &Fit, index: u16) -> u16 {
    match (fit, index.checked_sub(1)) {
        (Fit::Members(map), Some(n)) => map.get(usize::from(n)).map_or(index, |to| to + 1),
        _ => index,
    }
}

/// The target's bits of a set.
fn set_mask(fit: &Fit, mask: u64) -> u64 {
    let Fit::Members(map) = fit else { return mask };
    let bits = map.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1);
    bits.fold(0, |out, (_, to)| out | 1 << to)
}

/// Appends the literal of stored bytes.
pub(super) fn push_bytes(out: &mut Vec<u8>, plan: &ColumnPlan, bytes: &[u8]) {
    match &plan.bytes {
        Bytes::Same => push_quoted_bytes(out, bytes),
        Bytes::Introduced(introducer) => {
            out.extend_from_slice(introducer.as_bytes());
            push_quoted_bytes(out, bytes);
        }
        Bytes::Binary => push_binary(out, bytes, 0),
        Bytes::Padded(length) => push_binary(out, bytes, *length),
        Bytes::Uuid => push_characters(out, uuid_text(&filled::<16>(bytes)).as_bytes()),
        Bytes::Inet4 => push_characters(out, Ipv4Addr::from(filled::<4>(bytes)).to_string().as_bytes()),
        Bytes::Inet6 => push_characters(out, Ipv6Addr::from(filled::<16>(bytes)).to_string().as_bytes()),
    }
}

/// Appends the literal of a column's text as SELECT returned it (see [`super::LoadWriter`]).
pub(super) fn push_selected(out: &mut Vec<u8>, plan: &ColumnPlan, text: &[u8]) {
    let kind = plan.source_kind;
    if kind.is_float() {
        out.extend_from_slice(text);
        if !text.iter().any(|b| matches!(b, b'e' | b'E')) {
            out.extend_from_slice(b"e0");
        }
    } else if let (Fit::Members(_), Some(n)) = (&plan.fit, number(text)) {
        let n = match (kind, u16::try_from(n)) {
            (TypeKind::Enum, Ok(index)) => u64::from(enum_index(&plan.fit, index)),
            _ => set_mask(&plan.fit, n),
        };
        out.extend_from_slice(n.to_string().as_bytes());
    } else if kind.is_integer()
        || matches!(kind, TypeKind::Decimal | TypeKind::Bit | TypeKind::Enum | TypeKind::Set)
    {
        out.extend_from_slice(text);
    } else {
        match plan.bytes {
            // These come as text here.
            Bytes::Uuid | Bytes::Inet4 | Bytes::Inet6 => push_characters(out, text),
            Bytes::Binary if is_temporal(kind) => push_quoted_bytes(out, text),
            _ => push_bytes(out, plan, text),
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn is_temporal(kind: TypeKind) -> bool {
    use TypeKind::*;
    matches!(kind, Year | Date | Time | DateTime | Timestamp)
}

/// Text where the servers refuse a byte string.
fn push_characters(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(b"_utf8mb4");
    push_quoted_bytes(out, text);
}

fn push_binary(out: &mut Vec<u8>, bytes: &[u8], length: usize) {
    out.extend_from_slice(b"_binary");
    push_quoted_bytes(out, bytes);
    if bytes.len() < length {
        out.pop();
        for _ in bytes.len()..length {
            out.extend_from_slice(b"\\0");
        }
        out.push(b'\'');
    }
}

/// Trailing zero bytes may be left out in the binlog.
fn filled<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    let len = bytes.len().min(N);
    all[..len].copy_from_slice(&bytes[..len]);
    all
}

/// Text of a UUID from MariaDB's stored form: the segments of RFC 4122 versions 1 to 5 are stored last first so that
/// they sort by time; other values (version above 5, or another variant) are stored as they are
/// (MariaDB `sql_type_uuid.h`, since 10.11.5).
pub(super) fn uuid_text(stored: &[u8; 16]) -> String {
    let swapped = stored[6] & 0x80 != 0 && stored[8] & 0x80 == 0;
    let mut memory = *stored;
    if swapped {
        memory[0..4].copy_from_slice(&stored[12..16]);
        memory[4..6].copy_from_slice(&stored[10..12]);
        memory[6..8].copy_from_slice(&stored[8..10]);
        memory[8..10].copy_from_slice(&stored[6..8]);
        memory[10..16].copy_from_slice(&stored[0..6]);
    }
    let mut out = String::with_capacity(36);
    for (i, byte) in memory.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}
