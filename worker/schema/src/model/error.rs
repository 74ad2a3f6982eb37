//! Why a model cannot be built or does not fit.

use crate::lex::LexError;

/// A definition that is not understood or does not fit the events. Never answered with a guess: the task stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The text cannot be cut into tokens.
    #[error("the definition cannot be read {0}")]
    Lex(#[from] LexError),
    /// The text has a clause that we do not know.
    #[error("the definition cannot be read at byte {offset} ({near:?}): {what}")]
    Syntax {
        /// Byte offset.
        offset: usize,
        /// The text there.
        near: String,
        /// What was expected or is not known.
        what: &'static str,
    },
    /// The change names a column that the model does not have.
    #[error("table {table} has no column {column}")]
    NoColumn {
        /// Table.
        table: String,
        /// Column.
        column: String,
    },
    /// The change names a key that the model does not have.
    #[error("table {table} has no key {key}")]
    NoKey {
        /// Table.
        table: String,
        /// Key.
        key: String,
    },
    /// The change adds a column or key that is there.
    #[error("table {table} already has {name}")]
    Duplicate {
        /// Table.
        table: String,
        /// Column or key.
        name: String,
    },
    /// A TABLE_MAP of the binlog differs from the model.
    #[error("the binlog's table map of {table} does not fit the known definition: {what}")]
    Mismatch {
        /// Table.
        table: String,
        /// The first difference.
        what: String,
    },
}
