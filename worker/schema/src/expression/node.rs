//! The value of an expression for one row.
use std::cmp::Ordering;

use crate::row::RowImage;

use super::call::Call;
use super::error::Undecided;
use super::like::Pattern;
use super::operand::{How, Sort};
use super::scalar::Scalar;
use super::tree::{Is, Logic, Op};

/// A part that gives a value.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Column {
        index: usize,
        name: String,
        sort: Sort,
        labels: Vec<String>,
    },
    Literal(Scalar<'static>),
    Call(Box<Call>),
    Compare {
        op: Op,
        how: How,
        sides: Box<[Node; 2]>,
        part: String,
    },
    /// One of the list is equal.
    In {
        of: Box<Node>,
        list: Vec<(How, Scalar<'static>)>,
        part: String,
    },
    Like {
        of: Box<Node>,
        pattern: Pattern,
        part: String,
    },
    Logic(Logic, Box<[Node; 2]>),
    Not(Box<Node>),
    Is {
        what: Is,
        not: bool,
        of: Box<Node>,
    },
}

impl Node {
    pub fn value<'v>(&'v self, row: RowImage<'_, 'v>) -> Result<Scalar<'v>, Undecided> {
        match self {
            Node::Column { index, name, sort, labels } => {
                let undecided = |why| Undecided { part: name.clone(), why };
                match row.get(*index).and_then(Option::as_ref) {
                    None => Err(undecided(
                        "the row image lacks the column; set binlog_row_image=FULL at the source",
                    )),
                    // Only whether it is NULL is asked.
                    Some(value) if *sort == Sort::Null => Ok(match value {
                        dm_binlog::Value::Null => Scalar::Null,
                        _ => Scalar::Int(1),
                    }),
                    Some(value) => Scalar::of(sort, labels, value).map_err(undecided),
                }
            }
            Node::Literal(scalar) => Ok(scalar.clone()),
            Node::Call(call) => call.value(row),
            _ => Ok(match self.truth(row)? {
                None => Scalar::Null,
                Some(value) => Scalar::Int(value.into()),
            }),
        }
    }

    /// True, false, or NULL.
    pub fn truth(&self, row: RowImage<'_, '_>) -> Result<Option<bool>, Undecided> {
        match self {
            Node::Column { .. } | Node::Literal(_) | Node::Call(_) => {
                let value = self.value(row)?;
                value.truth().map_err(|why| Undecided { part: "a value".to_owned(), why })
            }
            Node::Compare { op, how, sides, part } => {
                let (a, b) = (sides[0].value(row)?, sides[1].value(row)?);
                compare(*op, *how, &a, &b).map_err(|why| Undecided { part: part.clone(), why })
            }
            Node::In { of, list, part } => {
                let value = of.value(row)?;
                let mut result = Some(false);
                for (how, literal) in list {
                    match compare(Op::Equal, *how, &value, literal) {
                        Ok(Some(true)) => return Ok(Some(true)),
                        Ok(Some(false)) => {}
                        Ok(None) => result = None,
                        Err(why) => return Err(Undecided { part: part.clone(), why }),
                    }
                }
                Ok(result)
            }
            Node::Like { of, pattern, part } => match of.value(row)? {
                Scalar::Null => Ok(None),
                Scalar::Bytes(bytes) => {
                    let found = pattern.matches(&bytes);
                    found.map(Some).map_err(|why| Undecided { part: part.clone(), why })
                }
                _ => Err(Undecided { part: part.clone(), why: "the value is no string" }),
            },
            Node::Logic(logic, sides) => logic_of(*logic, &sides[0], &sides[1], row),
            Node::Not(of) => Ok(of.truth(row)?.map(|v| !v)),
            Node::Is { what, not, of } => {
                let is = match what {
                    Is::Null => of.value(row)? == Scalar::Null,
                    Is::True => of.truth(row)? == Some(true),
                    Is::False => of.truth(row)? == Some(false),
                };
                Ok(Some(is != *not))
            }
        }
    }
}

fn compare(op: Op, how: How, a: &Scalar<'_>, b: &Scalar<'_>) -> Result<Option<bool>, &'static str> {
    if *a == Scalar::Null || *b == Scalar::Null {
        return Ok((op == Op::NullSafe).then_some(a == b));
    }
    Ok(Some(match op {
        Op::Equal | Op::NullSafe => a.equal(b, how)?,
        Op::NotEqual => !a.equal(b, how)?,
        Op::Less => a.order(b, how)? == Ordering::Less,
        Op::LessEqual => a.order(b, how)? != Ordering::Greater,
        Op::Greater => a.order(b, how)? == Ordering::Greater,
        Op::GreaterEqual => a.order(b, how)? != Ordering::Less,
    }))
}

/// What one side decides alone needs no answer of the other.
fn logic_of(
    logic: Logic,
    left: &Node,
    right: &Node,
    row: RowImage<'_, '_>,
) -> Result<Option<bool>, Undecided> {
    let decides = match logic {
        Logic::And => Some(false),
        Logic::Or => Some(true),
        Logic::Xor => None,
    };
    let (a, b) = (left.truth(row), right.truth(row));
    if logic != Logic::Xor && (a == Ok(decides) || b == Ok(decides)) {
        return Ok(decides);
    }
    Ok(match (logic, a?, b?) {
        (_, None, _) | (_, _, None) => None,
        (Logic::And, Some(a), Some(b)) => Some(a && b),
        (Logic::Or, Some(a), Some(b)) => Some(a || b),
        (Logic::Xor, Some(a), Some(b)) => Some(a != b),
    })
}
