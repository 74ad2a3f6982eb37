//! One column.

use super::types::ColumnType;

/// How a generated column is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// Not generated.
    No,
    /// Computed when read; in the row image all the same.
    Virtual,
    /// Computed when written.
    Stored,
    /// MariaDB's ROW START or ROW END of a system-versioned table.
    RowPeriod,
}

/// A column as its table defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name as written.
    pub name: String,
    /// Type.
    pub ty: ColumnType,
    /// May hold NULL.
    pub nullable: bool,
    /// Charset of strings, ENUM and SET, lower case (`utf8` is given as `utf8mb3`); None where the text does not say.
    pub charset: Option<String>,
    /// Collation, lower case; None where the text does not say.
    pub collation: Option<String>,
    /// Generated columns are not written.
    pub generated: Generated,
    /// Hidden from `SELECT *`.
    pub invisible: bool,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`: an UPDATE that does not set the column changes it.
    pub on_update_now: bool,
    /// Text of the default as written; None without one.
    pub default: Option<String>,
}

impl Column {
    /// Column names compare without case on both servers.
    pub fn is_named(&self, name: &str) -> bool {
        same_name(&self.name, name)
    }

    /// True when the server computes the value.
    pub fn is_generated(&self) -> bool {
        self.generated != Generated::No
    }
}

/// Comparison of column and key names.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}
