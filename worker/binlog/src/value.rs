//! Column values.

use std::io::Read;

use crate::decimal::Decimal;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// One column value of a row image; bytes are borrowed from the event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A signed integer, or YEAR-less small integers of any width.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL.
    Decimal(Decimal<'a>),
    /// Character and binary strings, TEXT and BLOB: the stored bytes. BINARY(n) comes without its
    /// trailing zero bytes.
    Bytes(&'a [u8]),
    /// A value of a MariaDB COMPRESSED column that is compressed: expand with [`inflate_column`].
    CompressedBytes(&'a [u8]),
    /// BIT.
    Bit(u64),
    /// ENUM: the index from 1; 0 is the error value `''`.
    Enum(u16),
    /// SET: the lowest bit is the first label.
    Set(u64),
    /// YEAR: 0 is the year `0000`.
    Year(u16),
    /// DATE; parts may be zero.
    Date {
        /// Year.
        y: u16,
        /// Month.
        m: u8,
        /// Day.
        d: u8,
    },
    /// TIME.
    Time {
        /// Sign.
        negative: bool,
        /// Hours, up to 838.
        h: u16,
        /// Minutes.
        m: u8,
        /// Seconds.
        s: u8,
        /// Microseconds.
        micros: u32,
        /// Fraction digits of the column.
        fsp: u8,
    },
    /// DATETIME; parts may be zero.
    DateTime {
        /// Year.
        y: u16,
        /// Month.
        mo: u8,
        /// Day.
        d: u8,
        /// Hour.
        h: u8,
        /// Minute.
        mi: u8,
        /// Second.
        s: u8,
        /// Microseconds.
        micros: u32,
        /// Fraction digits of the column.
        fsp: u8,
    },
    /// TIMESTAMP in UTC; 0 seconds and 0 microseconds are `0000-00-00 00:00:00`.
    Timestamp {
        /// Seconds since 1970.
        secs: u32,
        /// Microseconds.
        micros: u32,
        /// Fraction digits of the column.
        fsp: u8,
    },
    /// MySQL's binary JSON: print with [`crate::jsonb_to_text`].
    Json(&'a [u8]),
    /// A JSON value of a partial update: the value before and what was changed in it; print with
    /// [`crate::changed_json_to_text`].
    ChangedJson {
        /// MySQL's binary JSON.
        before: &'a [u8],
        /// The changes in the event's form.
        diffs: &'a [u8],
    },
    /// SRID (4 bytes) and WKB.
    Geometry(&'a [u8]),
    /// Little-endian 32-bit floats.
    Vector(&'a [u8]),
}

/// Longest value or body that is expanded, in bytes: the greatest `max_allowed_packet`.
pub(crate) const MAX_INFLATED: u64 = 1 << 30;

/// Expands [`Value::CompressedBytes`]: a byte (method, raw-deflate flag, size of the length), the
/// length big-endian, the compressed data (MariaDB `field_comp.cc`).
pub fn inflate_column(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut r = Reader::new(bytes);
    let head = r.u8()?;
    if head >> 4 != 8 {
        return Err(DecodeError::unsupported(0, "column compression method", u64::from(head >> 4)));
    }
    let len = r.uint_be(usize::from(head & 7))?;
    let at = r.offset();
    let data = r.rest();
    if head & 8 == 0 {
        inflate(flate2::read::ZlibDecoder::new(data), len, data.len(), at)
    } else {
        inflate(flate2::read::DeflateDecoder::new(data), len, data.len(), at)
    }
}

/// Expands to exactly `len` bytes. `compressed` bounds what may be reserved ahead: deflate expands
/// at most 1032 times, so a lying length cannot make us reserve much.
pub(crate) fn inflate(
    mut decoder: impl Read,
    len: u64,
    compressed: usize,
    at: usize,
) -> Result<Vec<u8>, DecodeError> {
    let fail = |what: String| DecodeError::new(at, DecodeErrorKind::Decompress(what));
    if len > MAX_INFLATED || len > (compressed as u64).saturating_mul(1100) {
        return Err(fail(format!("{compressed} bytes cannot expand to {len}")));
    }
    let mut out = Vec::with_capacity(len as usize);
    decoder.by_ref().take(len + 1).read_to_end(&mut out).map_err(|e| fail(e.to_string()))?;
    if out.len() as u64 != len {
        return Err(fail(format!("expanded to {} bytes instead of {len}", out.len())));
    }
    Ok(out)
}
