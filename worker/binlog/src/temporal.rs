//! TIME, DATETIME and TIMESTAMP with fraction digits, as stored since MySQL 5.6.

use crate::error::DecodeError;
use crate::reader::Reader;
use crate::value::Value;

/// Microseconds of the unit in which 0, 1, 2 or 3 fraction bytes count.
const UNITS: [u32; 4] = [0, 10_000, 100, 1];

fn fraction_bytes(fsp: u8) -> usize {
    usize::from(fsp.min(6)).div_ceil(2)
}

/// Hours, minutes, seconds of the packed 10+6+6 bits.
fn hms(packed: u64) -> (u16, u8, u8) {
    (((packed >> 12) & 0x3FF) as u16, ((packed >> 6) & 0x3F) as u8, (packed & 0x3F) as u8)
}

/// TIME: one signed number of 24 bits and the fraction behind it, offset to be positive. Reading the
/// number whole gives negative fractions their right borrow.
#[inline]
pub(crate) fn time<'a>(r: &mut Reader<'a>, fsp: u8) -> Result<Value<'a>, DecodeError> {
    let n = fraction_bytes(fsp);
    let raw = r.uint_be(3 + n)? as i64 - (0x80_0000i64 << (8 * n));
    let abs = raw.unsigned_abs();
    let (h, m, s) = hms(abs >> (8 * n));
    let micros = (abs & ((1u64 << (8 * n)) - 1)) as u32 * UNITS[n];
    Ok(Value::Time { negative: raw < 0, h, m, s, micros: checked_micros(r, micros)?, fsp })
}

/// DATETIME: 1 bit sign, 17 bits year*13+month, 5 day, 5 hour, 6 minute, 6 second, the fraction.
#[inline]
pub(crate) fn datetime<'a>(r: &mut Reader<'a>, fsp: u8) -> Result<Value<'a>, DecodeError> {
    let at = r.offset();
    let n = fraction_bytes(fsp);
    let packed = r.uint_be(5)?;
    let micros = r.uint_be(n)? as u32 * UNITS[n];
    if packed < 0x80_0000_0000 {
        return Err(DecodeError::invalid(at, "sign of DATETIME"));
    }
    let packed = packed - 0x80_0000_0000;
    let (h, mi, s) = hms(packed & 0x1_FFFF);
    let ymd = packed >> 17;
    let ym = ymd >> 5;
    Ok(Value::DateTime {
        y: (ym / 13) as u16,
        mo: (ym % 13) as u8,
        d: (ymd & 31) as u8,
        h: h as u8,
        mi,
        s,
        micros: checked_micros(r, micros)?,
        fsp,
    })
}

/// TIMESTAMP: seconds big-endian, the fraction.
#[inline]
pub(crate) fn timestamp<'a>(r: &mut Reader<'a>, fsp: u8) -> Result<Value<'a>, DecodeError> {
    let n = fraction_bytes(fsp);
    let secs = r.uint_be(4)? as u32;
    let micros = r.uint_be(n)? as u32 * UNITS[n];
    Ok(Value::Timestamp { secs, micros: checked_micros(r, micros)?, fsp })
}

#[inline]
pub(crate) fn checked_micros(r: &Reader<'_>, micros: u32) -> Result<u32, DecodeError> {
    if micros < 1_000_000 {
        Ok(micros)
    } else {
        Err(DecodeError::invalid(r.offset(), "fraction of a second"))
    }
}

/// DATE: 3 bytes little-endian, 15 bits year, 4 month, 5 day.
#[inline]
pub(crate) fn date<'a>(r: &mut Reader<'a>) -> Result<Value<'a>, DecodeError> {
    let raw = r.uint_le(3)?;
    Ok(Value::Date { y: (raw >> 9) as u16, m: ((raw >> 5) & 15) as u8, d: (raw & 31) as u8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server stores it (`my_time_packed_to_binary`).
    fn stored(negative: bool, h: i64, m: i64, s: i64, micros: i64, fsp: u8) -> Vec<u8> {
        let mut nr = (((h << 12) | (m << 6) | s) << 24) + micros;
        if negative {
            nr = -nr;
        }
        let (int, frac) = (nr >> 24, nr % (1 << 24));
        let int3 = ((int + 0x80_0000) as u32).to_be_bytes();
        match fsp {
            0 => int3[1..].to_vec(),
            1 | 2 => [&int3[1..], &[(frac / 10_000) as u8]].concat(),
            3 | 4 => [&int3[1..], &((frac / 100) as i16).to_be_bytes()[..]].concat(),
            _ => ((nr + 0x8000_0000_0000) as u64).to_be_bytes()[2..].to_vec(),
        }
    }

    #[test]
    fn negative_fractions_of_every_size() {
        for fsp in 0..=6u8 {
            for (h, m, s) in [(838, 59, 58), (0, 0, 0), (0, 0, 1), (1, 0, 0)] {
                for frac in [0i64, 990_000, 10_000, 500_000] {
                    let frac = if fsp == 0 {
                        0
                    } else if fsp == 1 {
                        frac / 100_000 * 100_000
                    } else {
                        frac
                    };
                    for negative in [false, true] {
                        if negative && h + m + s + frac == 0 {
                            continue;
                        }
                        let bytes = stored(negative, h, m, s, frac, fsp);
                        let got = time(&mut Reader::new(&bytes), fsp).unwrap();
                        let want = Value::Time {
                            negative,
                            h: h as u16,
                            m: m as u8,
                            s: s as u8,
                            micros: frac as u32,
                            fsp,
                        };
                        assert_eq!(got, want, "fsp {fsp}");
                    }
                }
            }
        }
    }
}
