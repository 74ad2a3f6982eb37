//! Why an expression can't be used, or can't be decided.

/// An expression that is not used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct ExpressionError {
    /// Byte offset in its text.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// An expression that we can't decide for a row exactly as the source would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is undecided: {why}")]
pub struct Undecided {
    /// The part of the expression.
    pub part: String,
    /// Why.
    pub why: &'static str,
}
