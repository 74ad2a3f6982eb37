//! One value while an expression is evaluated.
use std::borrow::Cow;
use std::cmp::Ordering;

use dm_binlog::{Value, inflate_column};

use super::number::Exact;
use super::operand::{How, Sort, is_short};
use super::temporal::{moment, time};

/// A value in the form in which it is compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Int(i128),
    Exact(Exact),
    Double(f64),
    Bytes(Cow<'a, [u8]>),
    Packed(i64),
}

pub(super) const DAMAGED: &str = "the value is not what its column's type says";
const LONG: &str = "a number of more than 15 digits is rounded where a string is compared with it; write the literal \
                    without quotes";

impl<'a> Scalar<'a> {
    /// Of a row's value.
    pub fn of(sort: &Sort, labels: &'a [String], value: &Value<'a>) -> Result<Self, &'static str> {
        Ok(match *value {
            Value::Null => Scalar::Null,
            Value::Int(n) => Scalar::Int(n.into()),
            Value::UInt(n) | Value::Bit(n) => Scalar::Int(n.into()),
            Value::Year(y) => Scalar::Int(y.into()),
            Value::Float(x) => Scalar::Double(x.into()),
            Value::Double(x) => Scalar::Double(x),
            Value::Decimal(d) => {
                let mut text = Vec::with_capacity(70);
                d.write_text(&mut text);
                Scalar::Exact(Exact::parse(&text).ok_or(DAMAGED)?)
            }
            Value::Bytes(bytes) => Scalar::filled(sort, bytes.into()),
            Value::CompressedBytes(bytes) => {
                Scalar::filled(sort, inflate_column(bytes).map_err(|_| DAMAGED)?.into())
            }
            Value::Enum(0) => Scalar::Bytes(Cow::Borrowed(b"")),
            Value::Enum(n) => {
                let label = labels.get(usize::from(n) - 1).ok_or(DAMAGED)?;
                Scalar::Bytes(label.as_bytes().into())
            }
            Value::Date { .. } | Value::DateTime { .. } => Scalar::Packed(moment(value).ok_or(DAMAGED)?),
            Value::Time { .. } => Scalar::Packed(time(value).ok_or(DAMAGED)?),
            _ => return Err(DAMAGED),
        })
    }

    /// BINARY is logged without the zeros at its end.
    fn filled(sort: &Sort, bytes: Cow<'a, [u8]>) -> Self {
        match sort {
            Sort::Bytes(length) if bytes.len() < *length => {
                let mut bytes = bytes.into_owned();
                bytes.resize(*length, 0);
                Scalar::Bytes(bytes.into())
            }
            _ => Scalar::Bytes(bytes),
        }
    }

    pub fn exact(&self) -> Result<Cow<'_, Exact>, &'static str> {
        match self {
            Scalar::Int(n) => Ok(Cow::Owned(Exact::of(*n))),
            Scalar::Exact(n) => Ok(Cow::Borrowed(n)),
            _ => Err(DAMAGED),
        }
    }

    pub fn double(&self) -> Result<f64, &'static str> {
        match self {
            Scalar::Double(x) => Ok(*x),
            other => other.exact()?.to_double().ok_or(DAMAGED),
        }
    }

    /// True, false, or NULL.
    pub fn truth(&self) -> Result<Option<bool>, &'static str> {
        Ok(Some(match self {
            Scalar::Null => return Ok(None),
            Scalar::Double(x) => *x != 0.0,
            other => !other.exact()?.is_zero(),
        }))
    }

    /// Whether both are equal; none is NULL.
    pub fn equal(&self, other: &Self, how: How) -> Result<bool, &'static str> {
        match (how, self, other) {
            (How::Text(collation), Scalar::Bytes(a), Scalar::Bytes(b)) => collation.equal(a, b),
            _ => Ok(self.order(other, how)? == Ordering::Equal),
        }
    }

    /// Which is less; none is NULL.
    pub fn order(&self, other: &Self, how: How) -> Result<Ordering, &'static str> {
        match (how, self, other) {
            (How::Exact, Scalar::Int(a), Scalar::Int(b)) => Ok(a.cmp(b)),
            (How::Packed, Scalar::Packed(a), Scalar::Packed(b)) => Ok(a.cmp(b)),
            (How::Text(collation), Scalar::Bytes(a), Scalar::Bytes(b)) => collation.order(a, b),
            (How::Double, a, b) => a.double()?.partial_cmp(&b.double()?).ok_or(DAMAGED),
            (How::Exact | How::Short, a, b) => {
                let (a, b) = (a.exact()?, b.exact()?);
                if how == How::Short && !(is_short(&a) && is_short(&b)) {
                    return Err(LONG);
                }
                Ok(a.compare(&b))
            }
            _ => Err(DAMAGED),
        }
    }
}
