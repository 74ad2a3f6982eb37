//! DECIMAL in the servers' binary form.

use std::fmt;

use crate::error::DecodeError;
use crate::reader::Reader;

/// Bytes that hold 0 to 9 digits.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POWERS: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// A DECIMAL value: the server's bytes, checked, printed without loss by [`Decimal::write_text`].
///
/// The form (`decimal2bin`): groups of nine digits in four bytes, big-endian, the odd digits of both
/// ends in fewer bytes; the sign is the first bit, inverted; all bytes of negative values inverted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    raw: &'a [u8],
    precision: u8,
    scale: u8,
}

impl<'a> Decimal<'a> {
    /// Reads and checks a value of `DECIMAL(precision, scale)`.
    pub(crate) fn read(r: &mut Reader<'a>, precision: u8, scale: u8) -> Result<Self, DecodeError> {
        let at = r.offset();
        if precision > 81 || scale > precision {
            return Err(DecodeError::invalid(at, "precision of DECIMAL"));
        }
        let (int, frac) = (usize::from(precision - scale), usize::from(scale));
        let len = int / 9 * 4 + DIGIT_BYTES[int % 9] + frac / 9 * 4 + DIGIT_BYTES[frac % 9];
        let value = Self { raw: r.take(len)?, precision, scale };
        let mut ok = true;
        value.groups(|digits, group| ok &= group < POWERS[digits]);
        if ok { Ok(value) } else { Err(DecodeError::invalid(at, "digits of DECIMAL")) }
    }

    /// Digits behind the point.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// All digits.
    pub fn precision(&self) -> u8 {
        self.precision
    }

    /// Whether the sign is minus.
    pub fn is_negative(&self) -> bool {
        self.raw.first().is_some_and(|b| b & 0x80 == 0)
    }

    /// Calls `f(digits, value)` for every group of digits, integer part first.
    #[inline]
    fn groups(&self, mut f: impl FnMut(usize, u32)) {
        let mask = if self.is_negative() { 0xFFu8 } else { 0 };
        let (int, frac) = (usize::from(self.precision - self.scale), usize::from(self.scale));
        let mut pos = 0;
        let mut group = |digits: usize| {
            if digits == 0 {
                return;
            }
            let mut value = 0u32;
            for _ in 0..DIGIT_BYTES[digits] {
                let flip = if pos == 0 { 0x80 } else { 0 };
                value = (value << 8) | u32::from(self.raw[pos] ^ mask ^ flip);
                pos += 1;
            }
            f(digits, value);
        };
        group(int % 9);
        (0..int / 9).for_each(|_| group(9));
        (0..frac / 9).for_each(|_| group(9));
        group(frac % 9);
    }

    /// Appends the plain digits, e.g. `-0.50`; all digits of the scale are kept.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        let int = usize::from(self.precision - self.scale);
        if self.is_negative() {
            out.push(b'-');
        }
        let start = out.len();
        let mut done = 0usize;
        let mut leading = true;
        self.groups(|digits, value| {
            if done == int {
                if out.len() == start {
                    out.push(b'0');
                }
                out.push(b'.');
                leading = false;
            }
            for k in (0..digits).rev() {
                let digit = (value / POWERS[k] % 10) as u8;
                if !(leading && digit == 0) {
                    leading = false;
                    out.push(b'0' + digit);
                }
            }
            done += digits;
        });
        if out.len() == start {
            out.push(b'0');
        }
    }
}

impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(70);
        self.write_text(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        Decimal::read(&mut Reader::new(bytes), precision, scale).unwrap().to_string()
    }

    #[test]
    fn documented_example_and_its_negative() {
        // strings/decimal.cc: 1234567890.1234 as DECIMAL(14,4).
        assert_eq!(text(&[0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2], 14, 4), "1234567890.1234");
        assert_eq!(text(&[0x7E, 0xF2, 0x04, 0xC7, 0x2D, 0xFB, 0x2D], 14, 4), "-1234567890.1234");
    }

    #[test]
    fn zero_small_and_whole() {
        assert_eq!(text(&[0x80, 0, 0], 5, 2), "0.00");
        assert_eq!(text(&[0x80, 0, 5], 5, 2), "0.05");
        assert_eq!(text(&[0x80, 7], 3, 0), "7");
        assert_eq!(text(&[0x80], 1, 1), "0.0");
        assert_eq!(text(&[0x85], 1, 1), "0.5");
        assert_eq!(text(&[0x80], 1, 0), "0");
    }

    #[test]
    fn overlarge_group_is_refused() {
        assert!(Decimal::read(&mut Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF]), 9, 0).is_err());
        assert!(Decimal::read(&mut Reader::new(&[0x80]), 9, 0).is_err());
    }
}
