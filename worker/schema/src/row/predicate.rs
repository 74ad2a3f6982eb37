//! Conditions that find one row.

use dm_binlog::{DecodeError, Value};

use super::literal::push_value;
use super::plan::{Bytes, ColumnPlan};
use crate::model::TypeKind;

/// `column = value` as the column's type and collation compare, for the columns of a unique key.
pub(super) fn push_key_condition(
    out: &mut Vec<u8>,
    plan: &ColumnPlan,
    value: &Value<'_>,
) -> Result<(), DecodeError> {
    out.extend_from_slice(&plan.quoted);
    if matches!(value, Value::Null) {
        out.extend_from_slice(b" IS NULL");
        return Ok(());
    }
    out.push(b'=');
    push_value(out, plan, value)
}

/// A condition that only this very stored value meets: strings by their bytes, floats by their stored value and the
/// sign of zero, JSON by its text.
pub(super) fn push_exact_condition(
    out: &mut Vec<u8>,
    plan: &ColumnPlan,
    value: &Value<'_>,
) -> Result<(), DecodeError> {
    if matches!(value, Value::Null) {
        return push_key_condition(out, plan, value);
    }
    match value {
        Value::Bytes(_) | Value::CompressedBytes(_) | Value::Json(_)
            if plan.target_kind == TypeKind::Json =>
        {
            json_condition(out, plan, value)
        }
        Value::Bytes(_) | Value::CompressedBytes(_) | Value::Json(_) if plan.target_kind.is_text() => {
            text_condition(out, plan, value)
        }
        Value::Enum(_) | Value::Set(_) => {
            wrapped(out, b"CAST(", plan, b" AS UNSIGNED)=");
            push_value(out, plan, value)
        }
        Value::Geometry(bytes) | Value::Vector(bytes) => {
            wrapped(out, b"HEX(", plan, b")=");
            out.push(b'\'');
            for byte in *bytes {
                for nibble in [byte >> 4, byte & 15] {
                    out.push(b"0123456789ABCDEF"[usize::from(nibble)]);
                }
            }
            out.push(b'\'');
            Ok(())
        }
        Value::Float(x) if *x == 0.0 => zero_condition(out, plan, x.is_sign_negative()),
        Value::Double(x) if *x == 0.0 => zero_condition(out, plan, x.is_sign_negative()),
        _ => push_key_condition(out, plan, value),
    }
}

/// `-0` and `0` compare equal, so the sign is asked for apart: MySQL prints it, and MariaDB, which never shows it,
/// prints both sides alike.
fn zero_condition(out: &mut Vec<u8>, plan: &ColumnPlan, negative: bool) -> Result<(), DecodeError> {
    out.extend_from_slice(&plan.quoted);
    out.extend_from_slice(b"=0 AND ");
    wrapped(out, b"LEFT(", plan, if negative { b",1)=LEFT(-0e0,1)".as_slice() } else { b",1)=LEFT(0e0,1)" });
    Ok(())
}

fn text_condition(out: &mut Vec<u8>, plan: &ColumnPlan, value: &Value<'_>) -> Result<(), DecodeError> {
    wrapped(out, b"CAST(", plan, b" AS BINARY)=");
    let charset = plan.target_charset.as_deref().unwrap_or("utf8mb4");
    let converted = match (&plan.bytes, value) {
        (_, Value::Json(_)) => charset != "utf8mb4",
        // utf8mb3 is introduced as utf8mb4, and its bytes are the same there.
        (Bytes::Introduced(introducer), _) => {
            introducer.get(1..) != Some(charset) && !(introducer == "_utf8mb4" && charset == "utf8mb3")
        }
        _ => false,
    };
    out.extend_from_slice(b"CAST(");
    if converted {
        out.extend_from_slice(b"CONVERT(");
    }
    push_value(out, plan, value)?;
    if converted {
        out.extend_from_slice(b" USING ");
        out.extend_from_slice(charset.as_bytes());
        out.push(b')');
    }
    out.extend_from_slice(b" AS BINARY)");
    Ok(())
}

/// Both sides as the target itself prints them.
fn json_condition(out: &mut Vec<u8>, plan: &ColumnPlan, value: &Value<'_>) -> Result<(), DecodeError> {
    wrapped(out, b"CAST(CONVERT(", plan, b" USING utf8mb4) AS BINARY)=");
    out.extend_from_slice(b"CAST(CONVERT(CAST(");
    push_value(out, plan, value)?;
    out.extend_from_slice(b" AS JSON) USING utf8mb4) AS BINARY)");
    Ok(())
}

fn wrapped(out: &mut Vec<u8>, before: &[u8], plan: &ColumnPlan, after: &[u8]) {
    out.extend_from_slice(before);
    out.extend_from_slice(&plan.quoted);
    out.extend_from_slice(after);
}
