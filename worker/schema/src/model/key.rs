//! Keys and foreign keys.

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// Column, or None for an expression (and anything else that is no plain column).
    pub column: Option<String>,
    /// Prefix length as written, in characters or bytes.
    pub prefix: Option<u32>,
    /// Descending order.
    pub descending: bool,
}

/// A key (index) of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Name; `PRIMARY` for the primary key.
    pub name: String,
    /// Refuses duplicates.
    pub unique: bool,
    /// The primary key.
    pub primary: bool,
    /// FULLTEXT, SPATIAL or VECTOR: not an order of values.
    pub special: bool,
    /// Parts in key order.
    pub parts: Vec<KeyPart>,
}

/// A foreign key, as far as the order of writes depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name, if written.
    pub name: Option<String>,
    /// Columns of this table.
    pub columns: Vec<String>,
    /// Schema of the parent table; None for this table's own.
    pub parent_schema: Option<String>,
    /// Parent table.
    pub parent_table: String,
    /// A rule of ON DELETE or ON UPDATE that changes rows here (CASCADE, SET NULL, SET DEFAULT).
    pub cascades: bool,
}
