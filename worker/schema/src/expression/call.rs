//! The value of a function or of arithmetic for one row.
use std::cmp::Ordering;

use crate::collation::Coding;
use crate::row::RowImage;

use super::arithmetic::{Form, Rounding, absolute, compute, rounded};
use super::error::Undecided;
use super::function::Part;
use super::node::Node;
use super::operand::How;
use super::scalar::{DAMAGED, Scalar};
use super::temporal::{day, part};
use super::tree::Arithmetic;

/// What is done with the arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Arithmetic(Arithmetic, Form),
    Absolute(Form),
    Rounded(Rounding),
    Bytes,
    Characters(Coding),
    Case {
        upper: bool,
        coding: Coding,
    },
    Trim {
        left: bool,
        right: bool,
    },
    /// Of a string: so many characters are left out (from the end, if negative), and at most so many taken.
    Slice {
        coding: Coding,
        from: i64,
        length: Option<i64>,
    },
    /// The last characters.
    Last {
        coding: Coding,
        length: i64,
    },
    Concat,
    If,
    /// The first that is not NULL.
    First,
    NullIf(How),
    IsNull,
    /// The one that is before (or behind) all others.
    Extreme(Ordering, How),
    Part(Part),
    Date,
}

/// A call with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub what: What,
    pub list: Vec<Node>,
    pub part: String,
}

const NO_TEXT: &str = "its bytes are no text of the column's character set";
const LETTER: &str = "the other case of a letter in it is not known exactly";
const ZERO_DATE: &str = "what DATE() makes of a day or month that is zero depends on the source's sql_mode";

impl Call {
    pub fn value<'v>(&'v self, row: RowImage<'_, 'v>) -> Result<Scalar<'v>, Undecided> {
        let undecided = |why| Undecided { part: self.part.clone(), why };
        match (&self.what, self.list.as_slice()) {
            // (Only what is needed is computed, as at the servers.)
            (What::If, [test, yes, no]) => if test.truth(row)? == Some(true) { yes } else { no }.value(row),
            (What::First, list) => {
                for item in list {
                    let value = item.value(row)?;
                    if value != Scalar::Null {
                        return Ok(value);
                    }
                }
                Ok(Scalar::Null)
            }
            (What::IsNull, [of]) => Ok(Scalar::Int((of.value(row)? == Scalar::Null).into())),
            (What::NullIf(how), [a, b]) => {
                let (a, b) = (a.value(row)?, b.value(row)?);
                let equal = a != Scalar::Null && b != Scalar::Null && a.equal(&b, *how).map_err(undecided)?;
                Ok(if equal { Scalar::Null } else { a })
            }
            (what, list) => {
                let mut values = Vec::with_capacity(list.len());
                for item in list {
                    match item.value(row)? {
                        Scalar::Null => return Ok(Scalar::Null),
                        value => values.push(value),
                    }
                }
                of_values(what, values).map_err(undecided)
            }
        }
    }
}

/// None of them is NULL.
fn of_values<'v>(what: &What, mut values: Vec<Scalar<'v>>) -> Result<Scalar<'v>, &'static str> {
    let bytes = |value: &Scalar<'v>| match value {
        Scalar::Bytes(bytes) => Ok(bytes.clone()),
        _ => Err(DAMAGED),
    };
    let packed = |value: &Scalar<'v>| match value {
        Scalar::Packed(n) => Ok(*n),
        _ => Err(DAMAGED),
    };
    match (what, values.as_slice()) {
        (What::Arithmetic(what, form), [a, b]) => compute(*what, *form, a, b),
        (What::Absolute(form), [of]) => absolute(*form, of),
        (What::Rounded(how), [Scalar::Double(x)]) => match how {
            Rounding::Down => Ok(Scalar::Double(x.floor())),
            Rounding::Up => Ok(Scalar::Double(x.ceil())),
            Rounding::Nearest(_) => Err(DAMAGED),
        },
        (What::Rounded(how), [of]) => rounded(*how, of),
        (What::Bytes, [of]) => count(bytes(of)?.len()),
        (What::Characters(coding), [of]) => count(ends(*coding, &bytes(of)?)?.len() - 1),
        (What::Case { upper, coding }, [of]) => {
            Ok(Scalar::Bytes(cased(*upper, *coding, &bytes(of)?)?.into()))
        }
        (What::Trim { left, right }, [of]) => {
            let bytes = bytes(of)?;
            let mut kept: &[u8] = &bytes;
            while let (true, Some((b' ', rest))) = (*left, kept.split_first()) {
                kept = rest;
            }
            while let (true, Some((b' ', rest))) = (*right, kept.split_last()) {
                kept = rest;
            }
            Ok(Scalar::Bytes(kept.to_vec().into()))
        }
        (What::Slice { coding, from, length }, [of]) => {
            let bytes = bytes(of)?;
            let ends = ends(*coding, &bytes)?;
            let all = i64::try_from(ends.len() - 1).map_err(|_| DAMAGED)?;
            let from = if *from < 0 { all + from } else { *from };
            let to = length.map_or(all, |l| from.saturating_add(l.max(0)).min(all));
            slice(&bytes, &ends, from, to)
        }
        (What::Last { coding, length }, [of]) => {
            let bytes = bytes(of)?;
            let ends = ends(*coding, &bytes)?;
            let all = i64::try_from(ends.len() - 1).map_err(|_| DAMAGED)?;
            slice(&bytes, &ends, (all - (*length).max(0)).max(0), all)
        }
        (What::Concat, list) => {
            let parts = list.iter().map(bytes).collect::<Result<Vec<_>, _>>()?;
            Ok(Scalar::Bytes(parts.concat().into()))
        }
        (What::Extreme(side, how), list) => {
            let mut best = 0;
            for index in 1..list.len() {
                if list[index].order(&list[best], *how)? == *side {
                    best = index;
                }
            }
            Ok(values.swap_remove(best))
        }
        (What::Part(which), [of]) => Ok(Scalar::Int(part(packed(of)?, *which).into())),
        (What::Date, [of]) => day(packed(of)?).map(Scalar::Packed).ok_or(ZERO_DATE),
        _ => Err(DAMAGED),
    }
}

fn count(n: usize) -> Result<Scalar<'static>, &'static str> {
    i128::try_from(n).map(Scalar::Int).map_err(|_| DAMAGED)
}

/// Where each character begins, and where the last one ends.
fn ends(coding: Coding, bytes: &[u8]) -> Result<Vec<usize>, &'static str> {
    let mut ends: Vec<usize> = match coding {
        Coding::Utf8 => {
            let text = std::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
            text.char_indices().map(|(at, _)| at).collect()
        }
        _ => (0..bytes.len()).collect(),
    };
    ends.push(bytes.len());
    Ok(ends)
}

/// Nothing, if it begins before the first character.
fn slice(bytes: &[u8], ends: &[usize], from: i64, to: i64) -> Result<Scalar<'static>, &'static str> {
    let at = |n: i64| usize::try_from(n).ok().and_then(|n| ends.get(n)).copied();
    match (at(from), at(to)) {
        (Some(from), Some(to)) if from < to => Ok(Scalar::Bytes(bytes[from..to].to_vec().into())),
        _ => Ok(Scalar::Bytes(Vec::new().into())),
    }
}

/// ASCII, the letters of Latin 1, and what has no case. (Of others the servers' tables differ.)
fn cased(upper: bool, coding: Coding, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    if bytes.is_ascii() {
        return Ok(if upper { bytes.to_ascii_uppercase() } else { bytes.to_ascii_lowercase() });
    }
    if coding != Coding::Utf8 {
        return Err(LETTER);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NO_TEXT)?;
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        let caseless = c.to_lowercase().eq(std::iter::once(c)) && c.to_uppercase().eq(std::iter::once(c));
        let known = c.is_ascii() || matches!(c, 'À'..='Ö' | 'Ø'..='Þ' | 'à'..='ö' | 'ø'..='þ');
        match () {
            () if caseless => kept.push(c),
            () if known && upper => kept.extend(c.to_uppercase()),
            () if known => kept.extend(c.to_lowercase()),
            () => return Err(LETTER),
        }
    }
    Ok(kept.into_bytes())
}
