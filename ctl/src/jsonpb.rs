//! Messages as JSON in the form of DM's dmctl: gogo's jsonpb, defaults printed, four blanks of indent.

use crate::failure::Failure;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};
use std::fmt::Write;
use std::sync::OnceLock;

const STEP: &str = "    ";

/// Prints `message`, whose type is `pb.<name>`.
pub fn print(message: &impl Message, name: &str) -> Result<String, Failure> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    let pool = POOL
        .get_or_init(|| DescriptorPool::decode(dm_proto::DESCRIPTORS).map_err(|e| e.to_string()))
        .as_ref()
        .map_err(Failure::message)?;
    let kind = pool.get_message_by_name(&format!("pb.{name}"));
    let kind = kind.ok_or_else(|| Failure::message(format!("no message pb.{name}")))?;
    let message =
        DynamicMessage::decode(kind, message.encode_to_vec().as_slice()).map_err(Failure::message)?;
    let mut out = String::new();
    write_message(&mut out, &message, "");
    Ok(out)
}

fn write_message(out: &mut String, message: &DynamicMessage, indent: &str) {
    let inner = format!("{indent}{STEP}");
    out.push_str("{\n");
    let mut first = true;
    for field in message.descriptor().fields() {
        if field.containing_oneof().is_some() && !message.has_field(&field) {
            continue; // an unset oneof is the only thing that is left out
        }
        if !std::mem::take(&mut first) {
            out.push_str(",\n");
        }
        out.push_str(&inner);
        quote(out, field.name());
        out.push_str(": ");
        let value = message.get_field(&field);
        match value.as_ref() {
            Value::Message(_) if !message.has_field(&field) => out.push_str("null"),
            value => write_field(out, &field, value, &inner),
        }
    }
    let _ = write!(out, "\n{indent}}}");
}

fn write_field(out: &mut String, field: &FieldDescriptor, value: &Value, indent: &str) {
    let inner = format!("{indent}{STEP}");
    match value {
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                let _ = write!(out, "{}\n{inner}", if n == 0 { "" } else { "," });
                write_value(out, &field.kind(), item, &inner);
            }
            let _ = write!(out, "\n{indent}]");
        }
        Value::Map(entries) => {
            let mut entries: Vec<(&MapKey, &Value)> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let Kind::Message(entry) = field.kind() else { return };
            let kind = entry.map_entry_value_field().kind();
            out.push('{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                let _ = write!(out, "{}\n{inner}", if n == 0 { "" } else { "," });
                quote(out, &key_text(key));
                out.push_str(": ");
                write_value(out, &kind, item, &inner);
            }
            let _ = write!(out, "\n{indent}}}");
        }
        single => write_value(out, &field.kind(), single, indent),
    }
}

fn write_value(out: &mut String, kind: &Kind, value: &Value, indent: &str) {
    // Writing to a String can't fail.
    let _ = match value {
        Value::Bool(v) => write!(out, "{v}"),
        Value::I32(v) => write!(out, "{v}"),
        Value::U32(v) => write!(out, "{v}"),
        Value::I64(v) => write!(out, "\"{v}\""),
        Value::U64(v) => write!(out, "\"{v}\""),
        Value::F32(v) => write!(out, "{}", double(f64::from(*v))),
        Value::F64(v) => write!(out, "{}", double(*v)),
        Value::EnumNumber(number) => {
            let name = match kind {
                Kind::Enum(kind) => kind.get_value(*number),
                _ => None,
            };
            match name {
                Some(name) => write!(out, "\"{}\"", name.name()),
                None => write!(out, "{number}"),
            }
        }
        Value::String(text) => {
            quote(out, text);
            Ok(())
        }
        Value::Bytes(bytes) if bytes.is_empty() => write!(out, "null"),
        Value::Bytes(bytes) => write!(out, "\"{}\"", base64(bytes)),
        Value::Message(message) => {
            write_message(out, message, indent);
            Ok(())
        }
        Value::List(_) | Value::Map(_) => Ok(()), // never nested in proto3
    };
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(v) => v.to_string(),
        MapKey::I32(v) => v.to_string(),
        MapKey::I64(v) => v.to_string(),
        MapKey::U32(v) => v.to_string(),
        MapKey::U64(v) => v.to_string(),
        MapKey::String(v) => v.clone(),
    }
}

/// As Go prints it: shortest digits, an exponent below 1e-6 and from 1e21.
fn double(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "\"NaN\"".to_owned()
    } else if value.is_infinite() {
        format!("\"{}Infinity\"", if value < 0.0 { "-" } else { "" })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        if text.contains("e-") { text } else { text.replace('e', "e+") }
    } else {
        format!("{value}")
    }
}

/// A JSON string with Go's HTML escapes.
pub fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || html(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Characters that Go escapes so that JSON may stand in HTML and JavaScript.
fn html(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

/// Objects that dmctl makes itself: encoding/json's form, where empty lists are `[]`.
pub fn plain(value: &impl serde::Serialize) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(STEP.as_bytes());
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .map_err(Failure::message)?;
    let text = String::from_utf8(bytes).map_err(Failure::message)?;
    // These characters stand only inside strings, so escaping them afterwards is safe.
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if html(c) {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
#[path = "jsonpb_tests.rs"]
mod tests;
