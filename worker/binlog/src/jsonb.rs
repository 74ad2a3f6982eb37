//! MySQL's binary JSON, printed as the server prints it.
//!
//! Form: `sql-common/json_binary.h`. A document is a type byte and a value; objects and arrays begin
//! with their count of elements and size in bytes (2 or 4 bytes each), then key entries (offset and
//! length), value entries (type and offset, or the value itself when it is small).

use std::io::Write;

use crate::error::DecodeError;
use crate::jsonb_container::{Elements, Stored};
use crate::jsonb_opaque::write_opaque;
use crate::reader::Reader;

/// Deepest nesting the server accepts.
pub(crate) const MAX_DEPTH: u32 = 100;

/// Appends the JSON text of a binary document. No bytes at all are the JSON null.
///
/// # Errors
/// When the document is damaged. Offsets that share bytes, which the server never writes, are refused
/// once the text grows beyond what an honest document could print.
pub fn jsonb_to_text(data: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let Some((kind, body)) = data.split_first() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    Printer::new(out, data.len()).value(Stored { kind: *kind, body, base: 1 }, 0)
}

/// As [`jsonb_to_text`], into a new text.
pub fn jsonb_to_string(data: &[u8]) -> Result<String, DecodeError> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 2);
    jsonb_to_text(data, &mut out)?;
    String::from_utf8(out).map_err(|e| DecodeError::invalid(e.utf8_error().valid_up_to(), "UTF-8 in JSON"))
}

/// Prints values, no more than an honest document could hold.
pub(crate) struct Printer<'o> {
    out: &'o mut Vec<u8>,
    limit: usize,
}

impl<'o> Printer<'o> {
    /// For a document of `len` bytes.
    pub(crate) fn new(out: &'o mut Vec<u8>, len: usize) -> Self {
        let limit = out.len().saturating_add(len.saturating_mul(32)).saturating_add(256);
        Self { out, limit }
    }

    /// Prints one value.
    pub(crate) fn value(&mut self, stored: Stored<'_>, depth: u32) -> Result<(), DecodeError> {
        let Stored { kind, body, base } = stored;
        let mut r = Reader::with_base(body, base);
        if self.out.len() > self.limit {
            return Err(DecodeError::invalid(base, "JSON: values share bytes"));
        }
        match kind {
            0x00..=0x03 => self.container(stored, depth),
            0x04 => self.literal(r.u8()?, base),
            0x05 => self.display(r.u16()? as i16),
            0x06 => self.display(r.u16()?),
            0x07 => self.display(r.u32()? as i32),
            0x08 => self.display(r.u32()?),
            0x09 => self.display(r.u64()? as i64),
            0x0A => self.display(r.u64()?),
            0x0B => self.double(f64::from_le_bytes(r.array()?), base),
            0x0C => {
                let len = string_length(&mut r)?;
                let text = r.take_u64(len)?;
                write_quoted(self.out, text);
                Ok(())
            }
            0x0F => {
                let field_type = r.u8()?;
                let len = string_length(&mut r)?;
                let at = r.offset();
                write_opaque(self.out, field_type, r.take_u64(len)?, at)
            }
            other => Err(DecodeError::unsupported(base, "JSON type", u64::from(other))),
        }
    }

    fn container(&mut self, stored: Stored<'_>, depth: u32) -> Result<(), DecodeError> {
        if depth >= MAX_DEPTH {
            return Err(DecodeError::invalid(stored.base, "JSON: nested too deep"));
        }
        let mut elements = Elements::open(stored)?;
        let object = elements.is_object();
        self.open(object);
        let mut first = true;
        while let Some((key, element)) = elements.advance()? {
            self.separate(&mut first, key);
            self.value(element, depth + 1)?;
        }
        self.close(object);
        Ok(())
    }

    pub(crate) fn open(&mut self, object: bool) {
        self.out.push(if object { b'{' } else { b'[' });
    }

    /// What stands before an element.
    pub(crate) fn separate(&mut self, first: &mut bool, key: Option<&[u8]>) {
        if !std::mem::take(first) {
            self.out.extend_from_slice(b", ");
        }
        if let Some(key) = key {
            write_quoted(self.out, key);
            self.out.extend_from_slice(b": ");
        }
    }

    pub(crate) fn close(&mut self, object: bool) {
        self.out.push(if object { b'}' } else { b']' });
    }

    fn literal(&mut self, code: u8, base: usize) -> Result<(), DecodeError> {
        self.out.extend_from_slice(match code {
            0 => b"null",
            1 => b"true",
            2 => b"false",
            _ => return Err(DecodeError::invalid(base, "JSON literal")),
        });
        Ok(())
    }

    fn display(&mut self, value: impl std::fmt::Display) -> Result<(), DecodeError> {
        let written = write!(self.out, "{value}");
        debug_assert!(written.is_ok(), "writing to memory cannot fail");
        Ok(())
    }

    /// Always with a point or an exponent, so that it is read back as a double.
    fn double(&mut self, value: f64, base: usize) -> Result<(), DecodeError> {
        if !value.is_finite() {
            return Err(DecodeError::invalid(base, "JSON number"));
        }
        self.display(format_args!("{value:?}"))
    }
}

/// Seven bits per byte, lowest first, at most five bytes.
fn string_length(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let at = r.offset();
    let mut len = 0u64;
    for i in 0..5 {
        let byte = r.u8()?;
        len |= u64::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(len);
        }
    }
    Err(DecodeError::invalid(at, "length of a JSON string"))
}

/// Appends a JSON string as `double_quote` of the server does.
pub(crate) fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1F => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_containers() {
        assert_eq!(jsonb_to_string(&[]).unwrap(), "null");
        assert_eq!(jsonb_to_string(&[4, 1]).unwrap(), "true");
        assert_eq!(jsonb_to_string(&[5, 0xFF, 0xFF]).unwrap(), "-1");
        assert_eq!(jsonb_to_string(b"\x0C\x03a\"b").unwrap(), r#""a\"b""#);
        // {"a": 1, "b": [true]}
        let doc = [
            0x00, 2, 0, 29, 0, 18, 0, 1, 0, 19, 0, 1, 0, 0x05, 1, 0, 0x02, 20, 0, b'a', b'b', 1, 0, 7, 0,
            0x04, 1, 0, 0, 0,
        ];
        assert_eq!(jsonb_to_string(&doc).unwrap(), r#"{"a": 1, "b": [true]}"#);
    }

    #[test]
    fn doubles_stay_doubles() {
        let mut doc = vec![0x0B];
        doc.extend_from_slice(&1f64.to_le_bytes());
        assert_eq!(jsonb_to_string(&doc).unwrap(), "1.0");
    }

    #[test]
    fn self_reference_ends() {
        // An array whose elements all point at its own start or at each other.
        let mut doc = vec![0x02, 4, 0, 16, 0];
        for _ in 0..4 {
            doc.extend_from_slice(&[0x02, 4, 0]);
        }
        assert!(jsonb_to_string(&doc).is_err());
        let zero_offset = [0x02, 1, 0, 7, 0, 0x02, 0, 0];
        assert!(jsonb_to_string(&zero_offset).is_err());
    }
}
