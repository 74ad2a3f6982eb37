//! Names of tables.

use std::fmt;

use crate::quote::quote_identifier;

/// A schema-qualified table name as written (without quotes). An empty `table` names the schema itself, as in
/// CREATE DATABASE.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// Schema (database); empty when the statement gave none and had no default schema.
    pub schema: String,
    /// Table; empty when the name is that of a schema.
    pub table: String,
}

impl TableName {
    /// A table name.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        TableName { schema: schema.into(), table: table.into() }
    }

    /// The name of a schema.
    pub fn schema_only(schema: impl Into<String>) -> Self {
        TableName { schema: schema.into(), table: String::new() }
    }

    /// True for the name of a schema.
    pub fn is_schema(&self) -> bool {
        self.table.is_empty()
    }

    /// Back-quoted text for SQL: `` `schema`.`table` ``, or only one part where the other is empty.
    pub fn quoted(&self) -> String {
        match (self.schema.is_empty(), self.table.is_empty()) {
            (_, true) => quote_identifier(&self.schema),
            (true, false) => quote_identifier(&self.table),
            (false, false) => format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.table)),
        }
    }
}

/// The quoted form.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.quoted())
    }
}
