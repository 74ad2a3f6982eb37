//! Temporal types as stored before MySQL 5.6 and by MariaDB with `mysql56_temporal_format=OFF`.
//!
//! The event does not tell the fraction digits: `decimals` comes from the table's definition. With
//! digits, MariaDB stores one big-endian number ("hires" fields of `sql/field.cc`).

use crate::error::DecodeError;
use crate::reader::Reader;
use crate::temporal::checked_micros;
use crate::value::Value;

/// One unit of the last fraction digit, in microseconds.
fn unit(decimals: u8) -> u64 {
    10u64.pow(6 - u32::from(decimals.min(6)))
}

/// TIME: a signed 3-byte number hhmmss; hires: microseconds from -838:59:59.999999 - 1 up.
pub(crate) fn time<'a>(r: &mut Reader<'a>, decimals: u8) -> Result<Value<'a>, DecodeError> {
    let at = r.offset();
    let fsp = decimals.min(6);
    if fsp == 0 {
        let raw = r.uint_le(3)? as i32;
        let signed = if raw >= 0x80_0000 { raw - 0x100_0000 } else { raw };
        let abs = signed.unsigned_abs();
        return Ok(Value::Time {
            negative: signed < 0,
            h: (abs / 10_000) as u16,
            m: (abs / 100 % 100) as u8,
            s: (abs % 100) as u8,
            micros: 0,
            fsp,
        });
    }
    const BYTES: [usize; 7] = [3, 4, 4, 5, 5, 5, 6];
    const LIMIT_SECS: u64 = 838 * 3600 + 59 * 60 + 59 + 1;
    let zero = (LIMIT_SECS * 1_000_000 / unit(fsp)) as i64;
    let signed = r.uint_be(BYTES[usize::from(fsp)])? as i64 - zero;
    let micros = signed.unsigned_abs().saturating_mul(unit(fsp));
    let secs = micros / 1_000_000;
    if secs >= LIMIT_SECS {
        return Err(DecodeError::invalid(at, "TIME"));
    }
    Ok(Value::Time {
        negative: signed < 0,
        h: (secs / 3600) as u16,
        m: (secs / 60 % 60) as u8,
        s: (secs % 60) as u8,
        micros: (micros % 1_000_000) as u32,
        fsp,
    })
}

/// DATETIME: a number YYYYMMDDhhmmss of 8 bytes; hires: the parts packed in mixed radix.
pub(crate) fn datetime<'a>(r: &mut Reader<'a>, decimals: u8) -> Result<Value<'a>, DecodeError> {
    let at = r.offset();
    let fsp = decimals.min(6);
    let invalid = || DecodeError::invalid(at, "DATETIME");
    if fsp == 0 {
        let raw = r.u64()?;
        let (date, time) = (raw / 1_000_000, raw % 1_000_000);
        return Ok(Value::DateTime {
            y: u16::try_from(date / 10_000).map_err(|_| invalid())?,
            mo: (date / 100 % 100) as u8,
            d: (date % 100) as u8,
            h: (time / 10_000) as u8,
            mi: (time / 100 % 100) as u8,
            s: (time % 100) as u8,
            micros: 0,
            fsp,
        });
    }
    const BYTES: [usize; 7] = [5, 6, 6, 7, 7, 7, 8];
    let packed = r.uint_be(BYTES[usize::from(fsp)])?;
    let mut rest = packed.checked_mul(unit(fsp)).ok_or_else(invalid)?;
    let mut part = |radix: u64| {
        let digit = rest % radix;
        rest /= radix;
        digit
    };
    let (micros, s, mi, h, d, mo) = (part(1_000_000), part(60), part(60), part(24), part(32), part(13));
    Ok(Value::DateTime {
        y: u16::try_from(rest).map_err(|_| invalid())?,
        mo: mo as u8,
        d: d as u8,
        h: h as u8,
        mi: mi as u8,
        s: s as u8,
        micros: micros as u32,
        fsp,
    })
}

/// TIMESTAMP: 4 bytes little-endian; hires: 4 bytes big-endian and the fraction.
pub(crate) fn timestamp<'a>(r: &mut Reader<'a>, decimals: u8) -> Result<Value<'a>, DecodeError> {
    let fsp = decimals.min(6);
    if fsp == 0 {
        return Ok(Value::Timestamp { secs: r.u32()?, micros: 0, fsp });
    }
    let secs = r.uint_be(4)? as u32;
    let raw = r.uint_be(usize::from(fsp).div_ceil(2))? * unit(fsp);
    let micros = checked_micros(r, u32::try_from(raw).unwrap_or(u32::MAX))?;
    Ok(Value::Timestamp { secs, micros, fsp })
}
