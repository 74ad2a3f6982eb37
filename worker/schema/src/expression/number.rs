//! Exact numbers of any length, by their digits.
use std::cmp::Ordering;

/// Digits that a DECIMAL of the servers can hold, and those behind its point.
const MOST_DIGITS: usize = 65;
const MOST_FRACTION: usize = 30;

/// A number: its digits before the point without leading zeros, and those behind it without trailing ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exact {
    negative: bool,
    whole: Vec<u8>,
    fraction: Vec<u8>,
}

impl Exact {
    /// Of a sign, digits and a point; `None` for anything else, such as an exponent.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut parts = digits.splitn(2, |b| *b == b'.');
        let (whole, fraction) = (parts.next()?, parts.next().unwrap_or_default());
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        let counted = whole.len() + fraction.len();
        if !all_digits || counted == 0 || counted > MOST_DIGITS || fraction.len() > MOST_FRACTION {
            return None;
        }
        let zeros = whole.iter().take_while(|b| **b == b'0').count();
        let kept = fraction.iter().rposition(|b| *b != b'0').map_or(0, |i| i + 1);
        let (whole, fraction) = (whole[zeros..].to_vec(), fraction[..kept].to_vec());
        let negative = negative && !(whole.is_empty() && fraction.is_empty());
        Some(Self { negative, whole, fraction })
    }

    pub fn of(n: i128) -> Self {
        let digits = if n == 0 { Vec::new() } else { n.unsigned_abs().to_string().into_bytes() };
        Self { negative: n < 0, whole: digits, fraction: Vec::new() }
    }

    /// So many units of the last of `scale` digits behind the point.
    pub fn of_units(units: i128, scale: usize) -> Option<Self> {
        let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if units < 0 { "-" } else { "" };
        Self::parse(format!("{sign}{whole}.{fraction}").as_bytes())
    }

    /// How many units of the last of `scale` digits it is; `None` if it has more digits, or is too large.
    pub fn units(&self, scale: usize) -> Option<i128> {
        let zeros = scale.checked_sub(self.fraction.len())?;
        let mut units: i128 = 0;
        for digit in self.whole.iter().chain(&self.fraction).chain(std::iter::repeat_n(&b'0', zeros)) {
            units = units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        Some(if self.negative { -units } else { units })
    }

    /// Digits behind the point.
    pub fn scale(&self) -> usize {
        self.fraction.len()
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    pub fn absolute(&self) -> Self {
        Self { negative: false, ..self.clone() }
    }

    pub fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// Digits between the first and the last that is not zero, at most.
    pub fn digits(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The nearest DOUBLE.
    pub fn to_double(&self) -> Option<f64> {
        let text = [&self.whole[..], b".", &self.fraction[..]].concat();
        let value: f64 = match text.as_slice() {
            b"." => 0.0,
            text => std::str::from_utf8(text).ok()?.parse().ok()?,
        };
        Some(if self.negative { -value } else { value })
    }

    pub fn compare(&self, other: &Self) -> Ordering {
        let size = |a: &Self, b: &Self| {
            let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(&b.whole));
            whole.then_with(|| a.fraction.cmp(&b.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let sorted =
            ["-100", "-99.5", "-0.01", "0", "0.001", "0.01", "1", "1.5", "9", "10", "18446744073709551616"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let (x, y) = (Exact::parse(a.as_bytes()).unwrap(), Exact::parse(b.as_bytes()).unwrap());
                assert_eq!(x.compare(&y), i.cmp(&j), "{a} {b}");
            }
        }
        let equal = |a: &str, b: &str| Exact::parse(a.as_bytes()) == Exact::parse(b.as_bytes());
        assert!(equal("-0.00", "0") && equal("007.50", "7.5") && equal(".5", "0.5"));
        assert_eq!(Exact::of(-12), Exact::parse(b"-12").unwrap());
        for bad in ["", ".", "-", "1e3", " 1", "+1", "1.2.3"] {
            assert_eq!(Exact::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
