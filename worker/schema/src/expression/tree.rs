//! An expression as a tree; columns are names here.
use super::function::Function;

/// What stands between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `<=>`
    NullSafe,
}

/// Joins two truth values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logic {
    And,
    Or,
    Xor,
}

/// What `IS` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Null,
    True,
    False,
}

/// Computes a number of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// `DIV`: the whole part of a quotient.
    Divide,
    Remainder,
}

/// A part of the text, with the bytes that it takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Column(String),
    /// As written, with its sign.
    Number(String),
    Text(String),
    Null,
    Bool(bool),
    Arithmetic(Arithmetic, Box<Tree>, Box<Tree>),
    Minus(Box<Tree>),
    Call(Function, Vec<Tree>),
    Compare(Op, Box<Tree>, Box<Tree>),
    Logic(Logic, Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Is {
        what: Is,
        not: bool,
        of: Box<Tree>,
    },
    In {
        not: bool,
        of: Box<Tree>,
        list: Vec<Tree>,
    },
    /// `LIKE` with a literal pattern.
    Like {
        not: bool,
        of: Box<Tree>,
        pattern: String,
        escape: char,
    },
    Between {
        not: bool,
        of: Box<Tree>,
        low: Box<Tree>,
        high: Box<Tree>,
    },
}
