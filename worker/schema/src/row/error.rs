//! Why a row cannot be written.

use dm_binlog::DecodeError;

/// A row or table that cannot be turned into SQL text without a guess.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// A column of the source is missing at the target.
    #[error("target table {table} has no column {column}")]
    NoTargetColumn {
        /// Target table, quoted.
        table: String,
        /// Column of the source.
        column: String,
    },
    /// A column of the target can't hold every value of the source's.
    #[error("{0}")]
    DoesNotFit(Box<Misfit>),
    /// A column that a route fills can't be.
    #[error("column {column} of {table}, which a route fills, can't be: {why}")]
    Extracted {
        /// Target table, quoted.
        table: String,
        /// The column.
        column: String,
        /// Why.
        why: String,
    },
    /// An image has another number of columns than the table.
    #[error("a row of {table} has {got} columns, its definition has {expected}")]
    ColumnCount {
        /// Target table, quoted.
        table: String,
        /// Columns of the definition.
        expected: usize,
        /// Columns of the image.
        got: usize,
    },
    /// The image lacks a column that is needed to find the row or to order its change
    /// (`binlog_row_image` is not FULL).
    #[error("a row image of {table} lacks column {column}: binlog_row_image must be FULL here")]
    ImageNotFull {
        /// Target table, quoted.
        table: String,
        /// The column.
        column: String,
    },
    /// A row would be replaced that has a column of which the source knows nothing.
    #[error("target table {table} has a column {column} of its own, whose value a REPLACE would lose")]
    TargetColumnOnly {
        /// Target table, quoted.
        table: String,
        /// The column.
        column: String,
    },
    /// A change that may have been carried out before, in rows of other tables too.
    #[error(
        "a key of {table} changes to which foreign keys with rules may refer, and the rules can't be carried out again"
    )]
    CascadingKey {
        /// Target table, quoted.
        table: String,
    },
    /// A value that no strict session accepts, or that does not fit the column's type.
    #[error("a value of {table}, column {column}, cannot be written: {what}")]
    Value {
        /// Target table, quoted.
        table: String,
        /// The column.
        column: String,
        /// Why.
        what: String,
    },
    /// A JSON or compressed value is damaged.
    #[error("a value cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
}

/// Two columns, and what would get lost between them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "column {column} ({source_type}) of {source_table} does not fit into column {target_column} ({target_type}) of {table}: {why}"
)]
pub struct Misfit {
    /// Source table, quoted.
    pub source_table: String,
    /// Column of the source.
    pub column: String,
    /// Its type.
    pub source_type: String,
    /// Target table, quoted.
    pub table: String,
    /// Column of the target.
    pub target_column: String,
    /// Its type.
    pub target_type: String,
    /// What would get lost.
    pub why: String,
}
