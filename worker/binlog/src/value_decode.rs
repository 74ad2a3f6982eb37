//! One value from a row image.

use crate::column::ColumnType;
use crate::decimal::Decimal;
use crate::error::DecodeError;
use crate::reader::Reader;
use crate::value::Value;
use crate::{old_temporal, temporal};

/// Widens a number of `bits` bits.
#[inline]
fn integer<'a>(raw: u64, bits: u32, unsigned: bool) -> Value<'a> {
    if unsigned { Value::UInt(raw) } else { Value::Int(((raw << (64 - bits)) as i64) >> (64 - bits)) }
}

/// A string with a length of one byte, or two when the column may hold more than 255 bytes.
#[inline]
fn short_string<'a>(r: &mut Reader<'a>, max_bytes: u16) -> Result<&'a [u8], DecodeError> {
    let len = if max_bytes < 256 { usize::from(r.u8()?) } else { usize::from(r.u16()?) };
    r.take(len)
}

#[inline]
fn long_string<'a>(r: &mut Reader<'a>, length_bytes: u8) -> Result<&'a [u8], DecodeError> {
    let len = r.uint_le(usize::from(length_bytes))?;
    r.take_u64(len)
}

/// A value of a COMPRESSED column: the method 0 means that the bytes behind are plain.
fn maybe_compressed(bytes: &[u8]) -> Value<'_> {
    match bytes.split_first() {
        None => Value::Bytes(bytes),
        Some((head, plain)) if head >> 4 == 0 => Value::Bytes(plain),
        Some(_) => Value::CompressedBytes(bytes),
    }
}

/// Reads one value that is not NULL.
#[inline]
pub(crate) fn read_value<'a>(
    r: &mut Reader<'a>,
    kind: ColumnType,
    unsigned: bool,
    old_decimals: u8,
) -> Result<Value<'a>, DecodeError> {
    Ok(match kind {
        ColumnType::Null => Value::Null,
        ColumnType::Tiny => integer(u64::from(r.u8()?), 8, unsigned),
        ColumnType::Short => integer(u64::from(r.u16()?), 16, unsigned),
        ColumnType::Int24 => integer(r.uint_le(3)?, 24, unsigned),
        ColumnType::Long => integer(u64::from(r.u32()?), 32, unsigned),
        ColumnType::LongLong => integer(r.u64()?, 64, unsigned),
        ColumnType::Float => Value::Float(f32::from_le_bytes(r.array()?)),
        ColumnType::Double => Value::Double(f64::from_le_bytes(r.array()?)),
        ColumnType::Decimal { precision, scale } => Value::Decimal(Decimal::read(r, precision, scale)?),
        ColumnType::Year => match r.u8()? {
            0 => Value::Year(0),
            n => Value::Year(1900 + u16::from(n)),
        },
        ColumnType::Date => temporal::date(r)?,
        ColumnType::OldTime => old_temporal::time(r, old_decimals)?,
        ColumnType::OldDateTime => old_temporal::datetime(r, old_decimals)?,
        ColumnType::OldTimestamp => old_temporal::timestamp(r, old_decimals)?,
        ColumnType::Time { fsp } => temporal::time(r, fsp)?,
        ColumnType::DateTime { fsp } => temporal::datetime(r, fsp)?,
        ColumnType::Timestamp { fsp } => temporal::timestamp(r, fsp)?,
        ColumnType::VarChar { max_bytes } | ColumnType::Char { max_bytes } => {
            Value::Bytes(short_string(r, max_bytes)?)
        }
        ColumnType::Blob { length_bytes } => Value::Bytes(long_string(r, length_bytes)?),
        ColumnType::Json { length_bytes } => Value::Json(long_string(r, length_bytes)?),
        ColumnType::Geometry { length_bytes } => Value::Geometry(long_string(r, length_bytes)?),
        ColumnType::Vector { length_bytes } => Value::Vector(long_string(r, length_bytes)?),
        ColumnType::Bit { bits } => Value::Bit(r.uint_be(usize::from(bits).div_ceil(8))?),
        ColumnType::Enum { bytes } => Value::Enum(r.uint_le(usize::from(bytes))? as u16),
        ColumnType::Set { bytes } => Value::Set(r.uint_le(usize::from(bytes))?),
        ColumnType::VarCharCompressed { max_bytes } => maybe_compressed(short_string(r, max_bytes)?),
        ColumnType::BlobCompressed { length_bytes } => maybe_compressed(long_string(r, length_bytes)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8], kind: ColumnType, unsigned: bool) -> Value<'_> {
        read_value(&mut Reader::new(bytes), kind, unsigned, 0).unwrap()
    }

    #[test]
    fn integers_keep_their_sign() {
        assert_eq!(one(&[0xFF, 0xFF, 0xFF], ColumnType::Int24, false), Value::Int(-1));
        assert_eq!(one(&[0, 0, 0x80], ColumnType::Int24, false), Value::Int(-8_388_608));
        assert_eq!(one(&[0xFF, 0xFF, 0xFF], ColumnType::Int24, true), Value::UInt(16_777_215));
        assert_eq!(one(&[0x80], ColumnType::Tiny, false), Value::Int(-128));
        assert_eq!(one(&[0xFF; 8], ColumnType::LongLong, true), Value::UInt(u64::MAX));
        assert_eq!(one(&[0xFF; 8], ColumnType::LongLong, false), Value::Int(-1));
    }

    #[test]
    fn year_zero_is_zero() {
        assert_eq!(one(&[0], ColumnType::Year, false), Value::Year(0));
        assert_eq!(one(&[255], ColumnType::Year, false), Value::Year(2155));
    }

    #[test]
    fn bits_are_big_endian() {
        assert_eq!(one(&[1, 2], ColumnType::Bit { bits: 10 }, false), Value::Bit(0x102));
    }
}
