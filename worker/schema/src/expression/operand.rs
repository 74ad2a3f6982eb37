//! Operands of a comparison, and how two of them are compared.
use crate::model::{Column, TypeKind};

use super::number::Exact;
use super::temporal::{moment_literal, time_literal};
use super::text::Collation;

/// Numbers that long are the same as a DOUBLE and as themselves: nothing is rounded.
const SHORT: usize = 15;

/// What the values of an operand are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sort {
    /// Exact numbers with which nothing is computed, for the servers' type of the result is not known here.
    Exact,
    /// Integers of at most so many digits, and truth values.
    Int {
        unsigned: bool,
        digits: u32,
    },
    /// Digits before the point and behind it.
    Decimal {
        whole: u32,
        scale: u32,
    },
    /// FLOAT and DOUBLE.
    Double,
    Text {
        collation: Collation,
        utf8: bool,
    },
    /// BINARY, VARBINARY and BLOB; BINARY is filled up with zeros to so many bytes.
    Bytes(usize),
    Date,
    /// With so many digits of a fraction.
    DateTime(u32),
    Time(u32),
    Year,
    /// A string literal, which is what the other side makes of it.
    Literal(String),
    /// A number literal.
    Number(Exact),
    Null,
}

/// How two operands are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    /// One of them is always NULL.
    Null,
    Exact,
    /// As exact numbers, which the source compares as DOUBLE: only while both are short.
    Short,
    Double,
    Text(Collation),
    /// Both are packed integers.
    Packed,
}

impl Sort {
    /// Of a column, or why it is not compared.
    pub fn of(column: &Column) -> Result<Self, String> {
        use TypeKind::*;
        let refuse = || Err(format!("column {} of type {:?} is not supported", column.name, column.ty.kind));
        Ok(match column.ty.kind {
            TinyInt => Sort::Int { unsigned: column.ty.unsigned, digits: 3 },
            SmallInt => Sort::Int { unsigned: column.ty.unsigned, digits: 5 },
            MediumInt => Sort::Int { unsigned: column.ty.unsigned, digits: 8 },
            Int => Sort::Int { unsigned: column.ty.unsigned, digits: 10 },
            BigInt => Sort::Int { unsigned: column.ty.unsigned, digits: 20 },
            Decimal if !column.ty.unsigned => {
                let (digits, scale) = (column.ty.length.unwrap_or(10), column.ty.decimals.unwrap_or(0));
                Sort::Decimal { whole: digits.saturating_sub(scale), scale }
            }
            Bit | Decimal => Sort::Exact,
            // The servers compare these by a tolerance.
            Float | Double if column.ty.decimals.is_some() => return refuse(),
            Float | Double => Sort::Double,
            Char | VarChar | TinyText | Text | MediumText | LongText => {
                let collation = Collation::of(column).map_err(|e| format!("column {}: {e}", column.name))?;
                Sort::Text { collation, utf8: collation.takes_utf8(column) }
            }
            Enum => {
                let collation = Collation::of(column).map_err(|e| format!("column {}: {e}", column.name))?;
                Sort::Text { collation: collation.of_members(), utf8: collation.takes_utf8(column) }
            }
            Binary => Sort::Bytes(column.ty.length.unwrap_or(1) as usize),
            VarBinary | TinyBlob | Blob | MediumBlob | LongBlob => Sort::Bytes(0),
            Date => Sort::Date,
            DateTime => Sort::DateTime(column.ty.length.unwrap_or(0)),
            Time => Sort::Time(column.ty.length.unwrap_or(0)),
            Year => Sort::Year,
            _ => return refuse(),
        })
    }

    pub fn is_number(&self) -> bool {
        self.is_exact() || *self == Sort::Double
    }

    pub fn is_exact(&self) -> bool {
        matches!(self, Sort::Exact | Sort::Int { .. } | Sort::Decimal { .. } | Sort::Number(_))
    }
}

/// A literal as the other side takes it, beside the way to compare; `None` for what is no literal of this kind.
pub(super) enum Taken {
    Exact(Exact),
    Bytes(Vec<u8>),
    Packed(i64),
}

/// How a literal string is compared with values of a sort.
pub(super) fn literal(sort: &Sort, text: &str) -> Result<(How, Taken), String> {
    let no = |form: &str| Err(format!("`{text}` is not of the form {form}"));
    match sort {
        Sort::Exact | Sort::Int { .. } | Sort::Decimal { .. } | Sort::Double => {
            match Exact::parse(text.as_bytes()).filter(|n| n.digits() <= SHORT) {
                Some(n) => {
                    Ok((if *sort == Sort::Double { How::Double } else { How::Short }, Taken::Exact(n)))
                }
                None => no("of a number with at most 15 digits"),
            }
        }
        Sort::Text { collation, utf8 } if *utf8 || text.is_ascii() => {
            Ok((How::Text(*collation), Taken::Bytes(text.as_bytes().to_vec())))
        }
        Sort::Text { .. } => {
            Err(format!("`{text}`: only ASCII is compared with a column that is not utf8mb4"))
        }
        Sort::Bytes(_) => Ok((How::Text(Collation::BINARY), Taken::Bytes(text.as_bytes().to_vec()))),
        Sort::Date => match moment_literal(text, None) {
            Some(n) => Ok((How::Packed, Taken::Packed(n))),
            None => no("YYYY-MM-DD (a day of the calendar)"),
        },
        Sort::DateTime(digits) => match moment_literal(text, Some(*digits)) {
            Some(n) => Ok((How::Packed, Taken::Packed(n))),
            None => no("YYYY-MM-DD [hh:mm:ss], with no more digits behind the seconds than the column has"),
        },
        Sort::Time(digits) => match time_literal(text, *digits) {
            Some(n) => Ok((How::Packed, Taken::Packed(n))),
            None => no("hh:mm:ss, with no more digits behind the seconds than the column has"),
        },
        Sort::Year => Err("compare a YEAR with a number, such as 2024".to_owned()),
        Sort::Literal(_) | Sort::Number(_) | Sort::Null => {
            Err("a string literal is compared with columns only".to_owned())
        }
    }
}

/// How two operands are compared of which none is a string literal.
pub(super) fn pair(a: &Sort, b: &Sort) -> Result<How, String> {
    match (a, b) {
        (Sort::Null, _) | (_, Sort::Null) => Ok(How::Null),
        (Sort::Double, other) | (other, Sort::Double) if other.is_number() => Ok(How::Double),
        (a, b) if a.is_number() && b.is_number() => Ok(How::Exact),
        (Sort::Year, Sort::Number(n)) | (Sort::Number(n), Sort::Year) => {
            let whole = (1901..=2155).any(|year| Exact::of(year) == *n);
            let why = "a YEAR is compared with a year from 1901 to 2155";
            if whole { Ok(How::Exact) } else { Err(why.to_owned()) }
        }
        (Sort::Text { collation: one, .. }, Sort::Text { collation: two, .. }) if one == two => {
            Ok(How::Text(*one))
        }
        (Sort::Bytes(_), Sort::Bytes(_)) => Ok(How::Text(Collation::BINARY)),
        (Sort::Date | Sort::DateTime(_), Sort::Date | Sort::DateTime(_)) => Ok(How::Packed),
        (Sort::Time(_), Sort::Time(_)) => Ok(How::Packed),
        _ => Err("these two are not comparable here without a conversion".to_owned()),
    }
}

/// Whether a number is short enough to be the same as a DOUBLE.
pub(super) fn is_short(n: &Exact) -> bool {
    n.digits() <= SHORT
}
