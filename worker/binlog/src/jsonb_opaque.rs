//! Opaque values inside binary JSON: SQL types that JSON itself does not have.

use crate::decimal::Decimal;
use crate::error::DecodeError;
use crate::jsonb::write_quoted;
use crate::reader::Reader;
use crate::value::Value;

/// Appends an opaque value as the server prints it: DECIMAL as a number, temporal values as strings
/// with six fraction digits, anything else as `"base64:typeN:..."`.
pub(crate) fn write_opaque(
    out: &mut Vec<u8>,
    field_type: u8,
    data: &[u8],
    offset: usize,
) -> Result<(), DecodeError> {
    let mut r = Reader::with_base(data, offset);
    match field_type {
        246 => {
            let [precision, scale] = r.array::<2>()?;
            Decimal::read(&mut r, precision, scale)?.write_text(out);
        }
        7 | 10 | 11 | 12 => {
            let packed = r.u64()? as i64;
            let negative = packed < 0;
            let abs = packed.unsigned_abs();
            let micros = crate::temporal::checked_micros(&r, (abs & 0xFF_FFFF) as u32)?;
            let hms = abs >> 24;
            let (mi, s) = (((hms >> 6) & 63) as u8, (hms & 63) as u8);
            let ymd = hms >> 17;
            let (y, mo, d) = ((ymd >> 5) / 13, ((ymd >> 5) % 13) as u8, (ymd & 31) as u8);
            let y = u16::try_from(y).map_err(|_| DecodeError::invalid(offset, "JSON date"))?;
            let value = match field_type {
                10 => Value::Date { y, m: mo, d },
                11 => Value::Time { negative, h: ((hms >> 12) & 0x3FF) as u16, m: mi, s, micros, fsp: 6 },
                _ => Value::DateTime { y, mo, d, h: ((hms >> 12) & 31) as u8, mi, s, micros, fsp: 6 },
            };
            out.push(b'"');
            value.write_text(out)?;
            out.push(b'"');
        }
        other => {
            let mut text = format!("base64:type{other}:").into_bytes();
            push_base64(&mut text, data);
            write_quoted(out, &text);
        }
    }
    Ok(())
}

/// Base64 with a line break after each 76 characters but not at the end, as the server's encoder.
fn push_base64(out: &mut Vec<u8>, data: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (i, chunk) in data.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            out.push(b'\n');
        }
        let word = chunk.iter().fold(0u32, |n, b| (n << 8) | u32::from(*b)) << (8 * (3 - chunk.len()));
        for k in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * k)) as usize & 63];
            out.push(if k <= chunk.len() { digit } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        for (bytes, want) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            let mut out = Vec::new();
            push_base64(&mut out, bytes.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
