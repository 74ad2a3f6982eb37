//! Arithmetic about the columns of one table.
use super::arithmetic::Form;
use super::bind::Binder;
use super::bind_call::Bound;
use super::call::What;
use super::node::Node;
use super::operand::Sort;
use super::scalar::Scalar;
use super::tree::{Arithmetic, Kind, Tree};

/// Digits of numbers that are computed exactly.
const MOST_DIGITS: u32 = 38;
/// Digits behind the point that a DECIMAL has at most.
pub(super) const MOST_SCALE: u32 = 30;
/// Longer integers may be unsigned or DECIMAL.
pub(super) const LONGEST_INT: usize = 18;

impl Binder<'_> {
    /// Something to compute with: `Int`, `Decimal` or `Double`.
    pub(super) fn number(&self, tree: &Tree) -> Bound {
        let (node, sort) = self.node(tree)?;
        let sort = match (&sort, &tree.kind) {
            (Sort::Int { .. } | Sort::Decimal { .. } | Sort::Double, _) => sort,
            (Sort::Number(_), Kind::Bool(_)) => Sort::Int { unsigned: false, digits: 1 },
            (Sort::Number(_), Kind::Number(text)) => {
                let digits = text.trim_start_matches('-');
                match digits.split_once('.') {
                    Some((whole, scale)) => {
                        Sort::Decimal { whole: whole.len() as u32, scale: scale.len() as u32 }
                    }
                    None if digits.len() <= LONGEST_INT => {
                        Sort::Int { unsigned: false, digits: digits.len() as u32 }
                    }
                    None => {
                        return Self::fail(
                            tree,
                            "computing with so long a number is not supported".to_owned(),
                        );
                    }
                }
            }
            _ => {
                let what = format!(
                    "computing with `{}` is not supported: it is of no number type, or its type at the servers is not certain",
                    self.part(tree)
                );
                return Self::fail(tree, what);
            }
        };
        Ok((node, sort))
    }

    pub(super) fn arithmetic(&self, tree: &Tree, what: Arithmetic, left: &Tree, right: &Tree) -> Bound {
        let ((a, one), (b, two)) = (self.number(left)?, self.number(right)?);
        let (form, sort) = match (&one, &two) {
            (Sort::Int { unsigned: first, .. }, Sort::Int { unsigned: second, .. }) => {
                let unsigned = *first || *second && what != Arithmetic::Remainder;
                (Form::Int { unsigned }, Sort::Int { unsigned, digits: 20 })
            }
            (_, _) if what == Arithmetic::Divide => {
                return Self::fail(tree, "DIV is of integers only".to_owned());
            }
            (Sort::Double, _) | (_, Sort::Double) => (Form::Double, Sort::Double),
            _ => {
                let ((whole, scale), (other_whole, other_scale)) = (widths(&one), widths(&two));
                let both = scale.max(other_scale);
                let (whole, scale, scales) = match what {
                    Arithmetic::Multiply => (whole + other_whole, scale + other_scale, [scale, other_scale]),
                    _ => (whole.max(other_whole) + 1, both, [both; 2]),
                };
                if whole + scale > MOST_DIGITS || scale > MOST_SCALE {
                    let what = format!(
                        "its result may have {} digits, of which {scale} are behind the point",
                        whole + scale
                    );
                    return Self::fail(tree, format!("{what}; {MOST_DIGITS} and {MOST_SCALE} are supported"));
                }
                (Form::Decimal { scales: scales.map(|s| s as usize) }, Sort::Decimal { whole, scale })
            }
        };
        self.made(tree, What::Arithmetic(what, form), vec![a, b], sort)
    }

    /// `-x` is `0 - x`; only the result's type differs.
    pub(super) fn minus(&self, tree: &Tree, of: &Tree) -> Bound {
        let (node, sort) = self.number(of)?;
        let (form, sort) = match sort {
            Sort::Int { .. } => (Form::Int { unsigned: false }, Sort::Int { unsigned: false, digits: 20 }),
            other => (form(&other), other),
        };
        let zero = Node::Literal(Scalar::Int(0));
        self.made(tree, What::Arithmetic(Arithmetic::Subtract, form), vec![zero, node], sort)
    }

    /// A number that is rounded.
    pub(super) fn rounds(&self, tree: &Tree) -> Bound {
        let (node, sort) = self.number(tree)?;
        let (whole, scale) = widths(&sort);
        if whole + scale > MOST_DIGITS {
            return Self::fail(
                tree,
                format!("a number of more than {MOST_DIGITS} digits is not supported here"),
            );
        }
        Ok((node, sort))
    }
}

/// Digits before the point and behind it.
fn widths(sort: &Sort) -> (u32, u32) {
    match sort {
        Sort::Int { digits, .. } => (*digits, 0),
        Sort::Decimal { whole, scale } => (*whole, *scale),
        _ => (0, 0),
    }
}

/// How the servers compute with values of a sort.
pub(super) fn form(sort: &Sort) -> Form {
    match sort {
        Sort::Int { unsigned, .. } => Form::Int { unsigned: *unsigned },
        Sort::Decimal { scale, .. } => Form::Decimal { scales: [*scale as usize; 2] },
        _ => Form::Double,
    }
}
