//! An expression as a tree; columns are names here.

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
