//! Functions about the columns of one table.
use std::cmp::Ordering;

use crate::collation::Coding;

use super::arithmetic::Rounding;
use super::bind::Binder;
use super::bind_number::{MOST_SCALE, form};
use super::call::{Call, What};
use super::error::ExpressionError;
use super::function::{Function, Part};
use super::node::Node;
use super::operand::{How, Sort, pair};
use super::tree::{Arithmetic, Kind, Tree};

pub(super) type Bound = Result<(Node, Sort), ExpressionError>;

impl Binder<'_> {
    pub(super) fn made(&self, tree: &Tree, what: What, list: Vec<Node>, sort: Sort) -> Bound {
        Ok((Node::Call(Box::new(Call { what, list, part: self.part(tree) })), sort))
    }

    pub(super) fn call(&self, tree: &Tree, function: Function, list: &[Tree]) -> Bound {
        let count = Sort::Int { unsigned: false, digits: 10 };
        match (function, list) {
            (Function::Remainder, [a, b]) => self.arithmetic(tree, Arithmetic::Remainder, a, b),
            (Function::Absolute, [of]) => {
                let (node, sort) = self.number(of)?;
                self.made(tree, What::Absolute(form(&sort)), vec![node], sort)
            }
            (Function::Floor | Function::Ceiling, [of]) => {
                let rounding = if function == Function::Floor { Rounding::Down } else { Rounding::Up };
                let (node, sort) = self.rounds(of)?;
                let sort = if sort == Sort::Double { sort } else { Sort::Exact };
                self.made(tree, What::Rounded(rounding), vec![node], sort)
            }
            (Function::Round, [of, rest @ ..]) => {
                let digits = rest.first().map_or(Ok(0), |t| self.whole(t))?;
                let (node, sort) = self.rounds(of)?;
                match usize::try_from(digits) {
                    Ok(digits) if digits <= MOST_SCALE as usize && sort != Sort::Double => {
                        self.made(tree, What::Rounded(Rounding::Nearest(digits)), vec![node], Sort::Exact)
                    }
                    _ => Self::fail(tree, "ROUND is of exact numbers, to 0 to 30 digits".to_owned()),
                }
            }
            (Function::Length, [of]) => {
                let (node, ..) = self.string(of)?;
                self.made(tree, What::Bytes, vec![node], count)
            }
            (Function::CharLength, [of]) => {
                let (node, _, coding) = self.string(of)?;
                self.made(tree, What::Characters(coding), vec![node], count)
            }
            (Function::Concat, list) => self.concat(tree, list),
            (Function::If, [test, yes, no]) => {
                let (mut nodes, sort) = self.alike(tree, &[yes, no])?;
                nodes.insert(0, self.truth(test)?);
                self.made(tree, What::If, nodes, sort)
            }
            (Function::First, list) => {
                let (nodes, sort) = self.alike(tree, &list.iter().collect::<Vec<_>>())?;
                self.made(tree, What::First, nodes, sort)
            }
            (Function::NullIf, [a, b]) => {
                let (nodes, sort) = self.alike(tree, &[a, b])?;
                let how = pair(&sort, &sort).map_err(|what| ExpressionError { at: tree.start, what })?;
                self.made(tree, What::NullIf(how), nodes, sort)
            }
            (Function::IsNull, [of]) => self.made(tree, What::IsNull, vec![self.any(of)?], count),
            (Function::Greatest | Function::Least, list) => {
                let (nodes, sort) = self.alike(tree, &list.iter().collect::<Vec<_>>())?;
                let how = match sort {
                    Sort::Double => How::Double,
                    ref exact if exact.is_exact() => How::Exact,
                    _ => return Self::fail(tree, "GREATEST and LEAST are of numbers only".to_owned()),
                };
                let side = if function == Function::Least { Ordering::Less } else { Ordering::Greater };
                self.made(tree, What::Extreme(side, how), nodes, sort)
            }
            (Function::Part(part), [of]) => {
                let (node, sort) = self.node(of)?;
                let day = matches!(part, Part::Year | Part::Month | Part::Day);
                let part = match sort {
                    Sort::Date if day => part,
                    Sort::DateTime(_) => part,
                    Sort::Time(_) if part == Part::Hour => Part::HourOfTime,
                    Sort::Time(_) if !day => part,
                    _ => {
                        return Self::fail(
                            of,
                            "it has no such part, or its type is not supported".to_owned(),
                        );
                    }
                };
                self.made(tree, What::Part(part), vec![node], Sort::Exact)
            }
            (Function::Date, [of]) => match self.node(of)? {
                (node, Sort::DateTime(_)) => self.made(tree, What::Date, vec![node], Sort::Date),
                _ => Self::fail(of, "DATE() is of a DATETIME".to_owned()),
            },
            (_, [of, rest @ ..]) => self.text_call(tree, function, of, rest),
            (_, []) => Self::fail(tree, "an argument is missing".to_owned()),
        }
    }

    fn text_call(&self, tree: &Tree, function: Function, of: &Tree, rest: &[Tree]) -> Bound {
        let (node, sort, coding) = self.string(of)?;
        let text = matches!(sort, Sort::Text { .. });
        let numbers = rest.iter().map(|t| self.whole(t)).collect::<Result<Vec<_>, _>>()?;
        let what = match (function, numbers.as_slice()) {
            (Function::Lower | Function::Upper, []) if text => {
                What::Case { upper: function == Function::Upper, coding }
            }
            (Function::Trim | Function::TrimLeft | Function::TrimRight, []) if text => {
                What::Trim { left: function != Function::TrimRight, right: function != Function::TrimLeft }
            }
            (Function::Left, [length]) => What::Slice { coding, from: 0, length: Some(*length) },
            (Function::Right, [length]) => What::Last { coding, length: *length },
            // Places count from 1; nothing is at 0.
            (Function::Substring, [0, ..]) => What::Slice { coding, from: 0, length: Some(0) },
            (Function::Substring, [from, length @ ..]) => What::Slice {
                coding,
                from: if *from > 0 { from - 1 } else { *from },
                length: length.first().copied(),
            },
            _ => return Self::fail(of, "the function takes text only".to_owned()),
        };
        // (What is cut off a BINARY is not filled up.)
        let sort = if text { sort } else { Sort::Bytes(0) };
        self.made(tree, what, vec![node], sort)
    }

    /// A string, not a member of an ENUM.
    fn string(&self, tree: &Tree) -> Result<(Node, Sort, Coding), ExpressionError> {
        let (node, sort) = self.node(tree)?;
        let coding = match &sort {
            Sort::Text { collation, .. } => collation.coding(),
            Sort::Bytes(_) => Some(Coding::Bytes),
            _ => None,
        };
        let member = matches!(&node, Node::Column { labels, .. } if !labels.is_empty());
        match coding {
            Some(coding @ (Coding::Utf8 | Coding::Latin1 | Coding::Bytes)) if !member => {
                Ok((node, sort, coding))
            }
            _ => Self::fail(tree, "the function is not supported for this type or character set".to_owned()),
        }
    }

    /// An integer literal.
    fn whole(&self, tree: &Tree) -> Result<i64, ExpressionError> {
        match &tree.kind {
            Kind::Number(text) if text.len() <= 10 => match text.parse() {
                Ok(n) => Ok(n),
                Err(_) => Self::fail(tree, "only an integer literal is supported here".to_owned()),
            },
            _ => Self::fail(tree, "only an integer literal is supported here".to_owned()),
        }
    }

    fn concat(&self, tree: &Tree, list: &[Tree]) -> Bound {
        for item in list.iter().filter(|t| !matches!(t.kind, Kind::Text(_))) {
            if let (_, Sort::Bytes(_), _) = self.string(item)? {
                return Self::fail(item, "CONCAT is of text only".to_owned());
            }
        }
        let (nodes, sort) = self.alike(tree, &list.iter().collect::<Vec<_>>())?;
        self.made(tree, What::Concat, nodes, sort)
    }
}
