//! Dates and times as numbers in their order.
use dm_binlog::Value;

use super::function::Part;

/// Microseconds, with each part at a fixed place: not a duration, but in the order of the calendar, zero dates included.
fn packed(date: [i64; 3], time: [i64; 3], micros: i64) -> i64 {
    let days = (date[0] * 16 + date[1]) * 32 + date[2];
    ((days * 24 + time[0]) * 3600 + time[1] * 60 + time[2]) * 1_000_000 + micros
}

/// A part of a date or time; without a sign, as the servers give it.
pub(super) fn part(packed: i64, part: Part) -> i64 {
    let seconds = packed.abs() / 1_000_000;
    let days = seconds / 86400;
    match part {
        Part::Year => days / 512,
        Part::Month => days / 32 % 16,
        Part::Day => days % 32,
        Part::Hour => seconds / 3600 % 24,
        Part::HourOfTime => seconds / 3600,
        Part::Minute => seconds / 60 % 60,
        Part::Second => seconds % 60,
    }
}

/// Its day, as a DATE; `None` if its month or day is zero.
pub(super) fn day(packed: i64) -> Option<i64> {
    let zero = part(packed, Part::Month) == 0 || part(packed, Part::Day) == 0;
    (!zero).then_some(packed / 86_400_000_000 * 86_400_000_000)
}

/// A DATE or DATETIME.
pub(super) fn moment(value: &Value<'_>) -> Option<i64> {
    match *value {
        Value::Date { y, m, d } => Some(packed([y.into(), m.into(), d.into()], [0; 3], 0)),
        Value::DateTime { y, mo, d, h, mi, s, micros, .. } => {
            Some(packed([y.into(), mo.into(), d.into()], [h.into(), mi.into(), s.into()], micros.into()))
        }
        _ => None,
    }
}

/// A TIME.
pub(super) fn time(value: &Value<'_>) -> Option<i64> {
    let Value::Time { negative, h, m, s, micros, .. } = *value else { return None };
    let size = packed([0; 3], [h.into(), m.into(), s.into()], micros.into());
    Some(if negative { -size } else { size })
}

/// `YYYY-MM-DD`, a day of the calendar, and behind it `hh:mm:ss` with at most so many digits of a fraction; no time at all
/// for `None`.
pub(super) fn moment_literal(text: &str, fraction: Option<u32>) -> Option<i64> {
    let (date, rest) = match text.split_once(' ') {
        Some((date, rest)) => (date, Some(rest)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    };
    if year == 0 || !(1..=12).contains(&month) || !(1..=longest).contains(&day) {
        return None;
    }
    let (clock, micros) = match (rest, fraction) {
        (None, _) => ([0; 3], 0),
        (Some(rest), Some(digits)) => clock(rest, digits, 2)?,
        (Some(_), None) => return None,
    };
    (clock[0] < 24).then(|| packed([year, month, day], clock, micros))
}

/// `hh:mm:ss`, also with three digits of hours, a sign, and at most so many digits of a fraction.
pub(super) fn time_literal(text: &str, fraction: u32) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let hours = text.find(':').filter(|n| (2..=3).contains(n))?;
    let (clock, micros) = clock(text, fraction, hours)?;
    let size = packed([0; 3], clock, micros);
    (clock[0] <= 838).then_some(if negative { -size } else { size })
}

fn clock(text: &str, digits: u32, hours: usize) -> Option<([i64; 3], i64)> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let clock = numbers(whole, ':', [hours, 2, 2])?;
    let micros = match fraction {
        None => 0,
        Some(f) if !f.is_empty() && f.len() <= digits as usize && f.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{f:0<6}").parse().ok()?
        }
        Some(_) => return None,
    };
    (clock[1] < 60 && clock[2] < 60).then_some((clock, micros))
}

fn numbers(text: &str, mark: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(mark);
    let mut all = [0; 3];
    for (to, width) in all.iter_mut().zip(widths) {
        let part = parts.next().filter(|p| p.len() == width && p.bytes().all(|b| b.is_ascii_digit()))?;
        *to = part.parse().ok()?;
    }
    parts.next().is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_of_a_day_or_time_is_taken() {
        let day = Value::Date { y: 2024, m: 2, d: 29 };
        assert_eq!(moment_literal("2024-02-29", None), moment(&day));
        assert_eq!(moment_literal("2024-02-29 00:00:00", Some(0)), moment(&day));
        for bad in [
            "2023-02-29",
            "2024-2-29",
            "24-02-29",
            "0000-00-00",
            "2024-02-29 1:00:00",
            "2024-02-29T10:00:00",
            "",
        ] {
            assert_eq!(moment_literal(bad, Some(6)), None, "{bad}");
        }
        assert_eq!(moment_literal("2024-02-29 00:00:00.5", Some(0)), None);
        assert!(time_literal("-838:59:59", 0) < time_literal("-00:00:01", 0));
        for bad in ["1:00:00", "839:00:00", "10:60:00", "10:00", "1000:00:00"] {
            assert_eq!(time_literal(bad, 6), None, "{bad}");
        }
    }
}
