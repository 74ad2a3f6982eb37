//! An expression about the columns of one table.
use crate::model::TableModel;
use crate::row::RowImage;

use super::call::What;
use super::error::{ExpressionError, Undecided};
use super::like::Pattern;
use super::node::Node;
use super::number::Exact;
use super::operand::{How, Sort, Taken, literal, pair};
use super::scalar::Scalar;
use super::tree::{Is, Kind, Logic, Op, Tree};

/// An expression that is ready to be asked for rows of one table.
#[derive(Debug, Clone)]
pub struct BoundExpression {
    root: Node,
}

impl BoundExpression {
    pub(super) fn new(text: &str, tree: &Tree, table: &TableModel) -> Result<Self, ExpressionError> {
        let binder = Binder { text, table };
        if matches!(tree.kind, Kind::Column(_) | Kind::Number(_) | Kind::Text(_) | Kind::Null) {
            let what = "the expression is neither true nor false; compare it with a literal".to_owned();
            return Err(ExpressionError { at: tree.start, what });
        }
        Ok(Self { root: binder.truth(tree)? })
    }

    /// Whether the expression is true for a row; NULL is not true.
    ///
    /// # Errors
    /// The part that can't be decided exactly.
    pub fn is_true(&self, row: RowImage<'_, '_>) -> Result<bool, Undecided> {
        Ok(self.value(row)? == Some(true))
    }

    /// True, false, or NULL.
    ///
    /// # Errors
    /// The part that can't be decided exactly.
    pub fn value(&self, row: RowImage<'_, '_>) -> Result<Option<bool>, Undecided> {
        self.root.truth(row)
    }
}

pub(super) struct Binder<'a> {
    text: &'a str,
    table: &'a TableModel,
}

impl Binder<'_> {
    pub(super) fn part(&self, tree: &Tree) -> String {
        self.text.get(tree.start..tree.end).unwrap_or(self.text).to_owned()
    }

    pub(super) fn fail<T>(tree: &Tree, what: String) -> Result<T, ExpressionError> {
        Err(ExpressionError { at: tree.start, what })
    }

    /// Something that is used as a truth value.
    pub(super) fn truth(&self, tree: &Tree) -> Result<Node, ExpressionError> {
        match self.node(tree)? {
            (node, sort) if sort.is_number() || sort == Sort::Null => Ok(node),
            _ => Self::fail(tree, format!("`{}` is neither true nor false; compare it", self.part(tree))),
        }
    }

    pub(super) fn node(&self, tree: &Tree) -> Result<(Node, Sort), ExpressionError> {
        let truth = |node| Ok((node, Sort::Int { unsigned: false, digits: 1 }));
        match &tree.kind {
            Kind::Column(name) => self.column(tree, name),
            Kind::Number(text) => match Exact::parse(text.as_bytes()) {
                Some(n) => Ok((Node::Literal(Scalar::Exact(n.clone())), Sort::Number(n))),
                None => Self::fail(tree, format!("the number {text} is not supported; write its digits")),
            },
            // (What it is depends on the other side.)
            Kind::Text(text) => Ok((Node::Literal(Scalar::Null), Sort::Literal(text.clone()))),
            Kind::Arithmetic(what, left, right) => self.arithmetic(tree, *what, left, right),
            Kind::Minus(of) => self.minus(tree, of),
            Kind::Call(function, list) => self.call(tree, *function, list),
            Kind::Null => Ok((Node::Literal(Scalar::Null), Sort::Null)),
            Kind::Bool(value) => {
                Ok((Node::Literal(Scalar::Int((*value).into())), Sort::Number(Exact::of((*value).into()))))
            }
            Kind::Compare(op, left, right) => {
                let sides = (self.node(left)?, self.node(right)?);
                truth(self.compare(tree, *op, sides.0, sides.1)?)
            }
            Kind::Logic(logic, left, right) => {
                truth(Node::Logic(*logic, Box::new([self.truth(left)?, self.truth(right)?])))
            }
            Kind::Not(of) => truth(Node::Not(Box::new(self.truth(of)?))),
            Kind::Is { what: Is::Null, not, of } => {
                truth(Node::Is { what: Is::Null, not: *not, of: Box::new(self.any(of)?) })
            }
            Kind::Is { what, not, of } => {
                truth(Node::Is { what: *what, not: *not, of: Box::new(self.truth(of)?) })
            }
            Kind::In { not, of, list } => {
                let (node, sort) = self.of_literals(of, list.iter())?;
                let mut literals = Vec::with_capacity(list.len());
                for item in list {
                    let (how, literal) = match self.node(item)? {
                        (_, Sort::Literal(_)) if !takes_strings(&node, &sort) => {
                            return Self::fail(
                                item,
                                "a string literal is compared with columns only".to_owned(),
                            );
                        }
                        (_, Sort::Literal(text)) => literal(&sort, &text).map(|(how, l)| (how, scalar(l))),
                        (Node::Literal(number), of) => pair(&sort, &of).map(|how| (how, number)),
                        _ => return Self::fail(item, "lists and ranges are of literals".to_owned()),
                    }
                    .map_err(|what| ExpressionError { at: item.start, what })?;
                    literals.push((how, literal));
                }
                let part = self.part(tree);
                truth(negated(*not, Node::In { of: Box::new(node), list: literals, part }))
            }
            Kind::Like { not, of, pattern, escape } => {
                let fail = |what| ExpressionError { at: tree.start, what };
                let (node, sort) = match (self.node(of)?, &of.kind) {
                    (found, Kind::Column(_) | Kind::Call(..)) => found,
                    _ => return Self::fail(of, "only a column is compared with a pattern".to_owned()),
                };
                if !matches!(sort, Sort::Text { .. } | Sort::Bytes(_)) {
                    return Self::fail(of, "only a string is compared with a pattern".to_owned());
                }
                let (How::Text(collation), _) = literal(&sort, pattern).map_err(fail)? else {
                    return Self::fail(of, "only a string is compared with a pattern".to_owned());
                };
                let pattern = Pattern::new(pattern, *escape, collation).map_err(fail)?;
                truth(negated(*not, Node::Like { of: Box::new(node), pattern, part: self.part(tree) }))
            }
            Kind::Between { not, of, low, high } => {
                let (node, sort) = self.of_literals(of, [&**low, &**high].into_iter())?;
                let (of, low, high) = ((node, sort), self.node(low)?, self.node(high)?);
                let low = self.compare(tree, Op::GreaterEqual, of.clone(), low)?;
                let high = self.compare(tree, Op::LessEqual, of, high)?;
                truth(negated(*not, Node::Logic(Logic::And, Box::new([low, high]))))
            }
        }
    }

    fn column(&self, tree: &Tree, name: &str) -> Result<(Node, Sort), ExpressionError> {
        let Some(index) = self.table.column_index(name) else {
            return Self::fail(tree, format!("{} has no column `{name}`", self.table.name));
        };
        let column = &self.table.columns[index];
        match Sort::of(column) {
            Ok(sort) => {
                let labels = column.ty.labels.clone();
                Ok((Node::Column { index, name: column.name.clone(), sort: sort.clone(), labels }, sort))
            }
            Err(what) => Self::fail(tree, what),
        }
    }

    /// Whatever can be NULL or not: columns of every type.
    pub(super) fn any(&self, tree: &Tree) -> Result<Node, ExpressionError> {
        match &tree.kind {
            Kind::Column(name) => match self.table.column_index(name) {
                Some(index) => {
                    let (name, labels) = (self.table.columns[index].name.clone(), Vec::new());
                    Ok(Node::Column { index, name, sort: Sort::Null, labels })
                }
                None => Self::fail(tree, format!("{} has no column `{name}`", self.table.name)),
            },
            Kind::Text(_) => Self::fail(tree, "a literal is never NULL".to_owned()),
            _ => Ok(self.node(tree)?.0),
        }
    }

    /// The servers choose one way to compare for a whole list: it is only certain when all of it are literals of a kind.
    fn of_literals<'t>(
        &self,
        of: &Tree,
        list: impl Iterator<Item = &'t Tree>,
    ) -> Result<(Node, Sort), ExpressionError> {
        if !matches!(of.kind, Kind::Column(_) | Kind::Call(..) | Kind::Arithmetic(..)) {
            return Self::fail(of, "only a column is compared with a list or range".to_owned());
        }
        let mut texts = None;
        for item in list {
            let text = match item.kind {
                Kind::Null => continue,
                Kind::Number(_) | Kind::Bool(_) => false,
                Kind::Text(_) => true,
                _ => return Self::fail(item, "lists and ranges are of literals".to_owned()),
            };
            if *texts.get_or_insert(text) != text {
                return Self::fail(item, "strings and numbers are mixed".to_owned());
            }
        }
        self.node(of)
    }

    fn compare(
        &self,
        tree: &Tree,
        op: Op,
        left: (Node, Sort),
        right: (Node, Sort),
    ) -> Result<Node, ExpressionError> {
        let fail = |what| ExpressionError { at: tree.start, what };
        let (how, sides) = match (left, right) {
            ((a, sort), (_, Sort::Literal(text))) if takes_strings(&a, &sort) => {
                let (how, taken) = literal(&sort, &text).map_err(fail)?;
                (how, [a, Node::Literal(scalar(taken))])
            }
            ((_, Sort::Literal(text)), (b, sort)) if takes_strings(&b, &sort) => {
                let (how, taken) = literal(&sort, &text).map_err(fail)?;
                (how, [Node::Literal(scalar(taken)), b])
            }
            ((_, Sort::Literal(_)), _) | (_, (_, Sort::Literal(_))) => {
                return Err(fail("a string literal is compared with columns only".to_owned()));
            }
            ((a, one), (b, two)) => (pair(&one, &two).map_err(fail)?, [a, b]),
        };
        Ok(Node::Compare { op, how, sides: Box::new(sides), part: self.part(tree) })
    }
}

pub(super) fn scalar(taken: Taken) -> Scalar<'static> {
    match taken {
        Taken::Exact(n) => Scalar::Exact(n),
        Taken::Bytes(bytes) => Scalar::Bytes(bytes.into()),
        Taken::Packed(n) => Scalar::Packed(n),
    }
}

/// Columns make something of a string literal; of what is computed, only strings and DATE() do.
fn takes_strings(node: &Node, sort: &Sort) -> bool {
    match node {
        Node::Column { .. } => true,
        Node::Call(call) => matches!(sort, Sort::Text { .. } | Sort::Bytes(_)) || call.what == What::Date,
        _ => false,
    }
}

fn negated(not: bool, node: Node) -> Node {
    if not { Node::Not(Box::new(node)) } else { node }
}
