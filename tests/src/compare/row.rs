//! One row as bytes and as text.

use std::fmt::Write as _;

use mysql_async::{Row, Value};

/// Appends a row's exact value: per column a tag, the length, the bytes. `json[i]` says that column `i` is compared
/// as a JSON value.
pub(super) fn encode(row: &Row, json: &[bool], out: &mut Vec<u8>) {
    out.clear();
    for (i, json) in json.iter().enumerate() {
        let before = out.len();
        out.extend_from_slice(&[0; 5]);
        let tag = match row.as_ref(i) {
            None | Some(Value::NULL) => 0,
            Some(Value::Bytes(bytes)) => match json.then(|| canonical_json(bytes)).flatten() {
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    2
                }
                None => {
                    out.extend_from_slice(bytes);
                    1
                }
            },
            // The two servers do not agree on which integer types are unsigned (YEAR); the number is what counts.
            Some(Value::Int(n)) => {
                out.extend_from_slice(&i128::from(*n).to_le_bytes());
                3
            }
            Some(Value::UInt(n)) => {
                out.extend_from_slice(&i128::from(*n).to_le_bytes());
                3
            }
            Some(Value::Float(n)) => {
                out.extend_from_slice(&n.to_bits().to_le_bytes());
                4
            }
            Some(Value::Double(n)) => {
                out.extend_from_slice(&n.to_bits().to_le_bytes());
                5
            }
            Some(Value::Date(year, month, day, hour, minute, second, micros)) => {
                out.extend_from_slice(&year.to_le_bytes());
                out.extend_from_slice(&[*month, *day, *hour, *minute, *second]);
                out.extend_from_slice(&micros.to_le_bytes());
                6
            }
            Some(Value::Time(negative, days, hours, minutes, seconds, micros)) => {
                out.extend_from_slice(&days.to_le_bytes());
                out.extend_from_slice(&[u8::from(*negative), *hours, *minutes, *seconds]);
                out.extend_from_slice(&micros.to_le_bytes());
                7
            }
        };
        let length = u32::try_from(out.len() - before - 5).unwrap_or(u32::MAX);
        out[before] = tag;
        out[before + 1..before + 5].copy_from_slice(&length.to_le_bytes());
    }
}

/// JSON with sorted keys and without blanks; `None` when it is none.
fn canonical_json(bytes: &[u8]) -> Option<String> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value.sort_all_objects();
    Some(value.to_string())
}

/// A row for a person to read, cut at a few hundred characters.
pub(super) fn render(row: &Row, names: &[String]) -> String {
    let mut text = String::new();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        if text.len() > 600 {
            text.push('…');
            break;
        }
        // Writing to a String cannot fail.
        let _ = match row.as_ref(i) {
            None | Some(Value::NULL) => write!(text, "{name}=NULL"),
            Some(Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(s) => write!(text, "{name}={:?}", s.chars().take(80).collect::<String>()),
                Err(_) => write!(text, "{name}=0x")
                    .and_then(|()| bytes.iter().take(40).try_for_each(|b| write!(text, "{b:02x}"))),
            },
            Some(value) => write!(text, "{name}={}", value.as_sql(true)),
        };
    }
    text
}
