//! Arguments of which one is the result.
use super::bind::{Binder, scalar};
use super::bind_number::LONGEST_INT;
use super::error::ExpressionError;
use super::node::Node;
use super::operand::{Sort, literal};
use super::tree::Tree;

impl Binder<'_> {
    /// Values of which one is chosen: all of one sort, so that nothing is converted.
    pub(super) fn alike(&self, tree: &Tree, list: &[&Tree]) -> Result<(Vec<Node>, Sort), ExpressionError> {
        let bound = list.iter().map(|t| self.node(t)).collect::<Result<Vec<_>, _>>()?;
        let decides = |sort: &Sort| !matches!(sort, Sort::Literal(_) | Sort::Null | Sort::Number(_));
        let base = bound.iter().map(|(_, sort)| sort).find(|s| decides(s));
        let number = bound.iter().map(|(_, sort)| sort).find(|s| matches!(s, Sort::Number(_)));
        let Some(base) = base.or(number).cloned() else {
            return Self::fail(tree, "no argument is a column".to_owned());
        };
        let mut result = base.clone();
        let mut nodes = Vec::with_capacity(bound.len());
        for ((node, sort), item) in bound.into_iter().zip(list) {
            let member = matches!(&node, Node::Column { labels, .. } if !labels.is_empty());
            let fits = match (&base, &sort) {
                (_, Sort::Null) => true,
                (Sort::Text { .. }, Sort::Literal(text)) => {
                    let (_, taken) =
                        literal(&base, text).map_err(|what| ExpressionError { at: item.start, what })?;
                    nodes.push(Node::Literal(scalar(taken)));
                    continue;
                }
                (Sort::Int { unsigned: true, .. }, Sort::Number(n)) if !n.is_negative() => {
                    result = Sort::Exact;
                    n.scale() == 0 && n.digits() <= LONGEST_INT
                }
                (Sort::Int { unsigned: true, .. }, Sort::Int { unsigned: true, .. }) => true,
                (Sort::Int { unsigned: true, .. }, _) | (_, Sort::Int { unsigned: true, .. }) => false,
                (a, b) if a.is_exact() && b.is_exact() => {
                    let ints = matches!(self.number(item), Ok((_, Sort::Int { unsigned: false, .. })));
                    if !(ints && matches!(result, Sort::Int { .. } | Sort::Number(_))) {
                        result = Sort::Exact;
                    }
                    true
                }
                (Sort::Text { collation: one, utf8: a }, Sort::Text { collation: two, utf8: b }) => {
                    one == two && a == b && !member
                }
                (a, b) => a == b && *a != Sort::Year,
            };
            if !fits || matches!(sort, Sort::Literal(_)) {
                return Self::fail(
                    item,
                    "the arguments are not of one type; nothing is converted here".to_owned(),
                );
            }
            nodes.push(node);
        }
        if let Sort::Int { unsigned, .. } = result {
            result = Sort::Int { unsigned, digits: 20 };
        } else if let Sort::Number(_) = result {
            result = Sort::Int { unsigned: false, digits: 20 };
        }
        Ok((nodes, result))
    }
}
