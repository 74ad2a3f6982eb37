//! Values as the server's SELECT prints them.

use std::io::Write;

use crate::error::DecodeError;
use crate::jsonb::jsonb_to_text;
use crate::jsonb_diff::changed_json_to_text;
use crate::value::{Value, inflate_column};

/// Appends `value` with at least `width` digits.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut rest = value;
    let mut len = 0;
    while rest > 0 || len < width.min(10) {
        digits[9 - len] = b'0' + (rest % 10) as u8;
        rest /= 10;
        len += 1;
    }
    out.extend_from_slice(&digits[10 - len..]);
}

fn push_fraction(out: &mut Vec<u8>, micros: u32, fsp: u8) {
    let fsp = usize::from(fsp.min(6));
    if fsp > 0 {
        out.push(b'.');
        push_padded(out, micros / 10u32.pow(6 - fsp as u32), fsp);
    }
}

fn push_date(out: &mut Vec<u8>, y: u32, m: u32, d: u32) {
    push_padded(out, y, 4);
    out.push(b'-');
    push_padded(out, m, 2);
    out.push(b'-');
    push_padded(out, d, 2);
}

fn push_clock(out: &mut Vec<u8>, h: u32, m: u32, s: u32) {
    push_padded(out, h, 2);
    out.push(b':');
    push_padded(out, m, 2);
    out.push(b':');
    push_padded(out, s, 2);
}

/// Year, month and day of a count of days since 1970 (Howard Hinnant's `civil_from_days`).
fn civil(days: u32) -> (u32, u32, u32) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u32::from(month <= 2), month, day)
}

impl Value<'_> {
    /// Appends the value in the server's plain text, without quotes: temporal values as their
    /// literals (TIMESTAMP in UTC), BIT, ENUM and SET as numbers, FLOAT widened to DOUBLE and DOUBLE
    /// in the shortest exact text with an exponent, JSON as its text, bytes as they are, NULL as nothing.
    ///
    /// # Errors
    /// Only JSON and compressed values can fail.
    pub fn write_text(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match *self {
            Value::Null => {}
            Value::Int(n) => write_display(out, n),
            Value::UInt(n) | Value::Bit(n) | Value::Set(n) => write_display(out, n),
            Value::Enum(n) => write_display(out, n),
            Value::Float(x) => write_display(out, format_args!("{:e}", f64::from(x))),
            Value::Double(x) => write_display(out, format_args!("{x:e}")),
            Value::Decimal(d) => d.write_text(out),
            Value::Bytes(b) | Value::Geometry(b) | Value::Vector(b) => out.extend_from_slice(b),
            Value::CompressedBytes(b) => out.extend_from_slice(&inflate_column(b)?),
            Value::Year(y) => push_padded(out, u32::from(y), 4),
            Value::Date { y, m, d } => push_date(out, u32::from(y), u32::from(m), u32::from(d)),
            Value::Time { negative, h, m, s, micros, fsp } => {
                if negative {
                    out.push(b'-');
                }
                push_clock(out, u32::from(h), u32::from(m), u32::from(s));
                push_fraction(out, micros, fsp);
            }
            Value::DateTime { y, mo, d, h, mi, s, micros, fsp } => {
                push_date(out, u32::from(y), u32::from(mo), u32::from(d));
                out.push(b' ');
                push_clock(out, u32::from(h), u32::from(mi), u32::from(s));
                push_fraction(out, micros, fsp);
            }
            Value::Timestamp { secs, micros, fsp } => {
                let (y, m, d) = if secs == 0 && micros == 0 { (0, 0, 0) } else { civil(secs / 86_400) };
                push_date(out, y, m, d);
                out.push(b' ');
                push_clock(out, secs / 3600 % 24, secs / 60 % 60, secs % 60);
                push_fraction(out, micros, fsp);
            }
            Value::Json(b) => jsonb_to_text(b, out)?,
            Value::ChangedJson { before, diffs } => changed_json_to_text(before, diffs, out)?,
        }
        Ok(())
    }
}

/// Writing to memory cannot fail.
fn write_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(v: Value<'_>) -> String {
        let mut out = Vec::new();
        v.write_text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn temporal_texts() {
        assert_eq!(text(Value::Timestamp { secs: 0, micros: 0, fsp: 3 }), "0000-00-00 00:00:00.000");
        assert_eq!(text(Value::Timestamp { secs: 1, micros: 10, fsp: 6 }), "1970-01-01 00:00:01.000010");
        assert_eq!(text(Value::Timestamp { secs: 951_782_400, micros: 0, fsp: 0 }), "2000-02-29 00:00:00");
        assert_eq!(text(Value::Timestamp { secs: u32::MAX, micros: 0, fsp: 0 }), "2106-02-07 06:28:15");
        assert_eq!(
            text(Value::Time { negative: true, h: 838, m: 59, s: 58, micros: 990_000, fsp: 2 }),
            "-838:59:58.99"
        );
        assert_eq!(text(Value::Year(0)), "0000");
        assert_eq!(text(Value::Date { y: 0, m: 0, d: 0 }), "0000-00-00");
    }

    #[test]
    fn float_texts() {
        assert_eq!(text(Value::Double(-0.0)), "-0e0");
        assert_eq!(text(Value::Float(0.1)), "1.0000000149011612e-1");
    }
}
