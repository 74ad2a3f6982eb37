//! Reading table names.

use super::parse::DdlError;
use crate::lex::Cursor;
use crate::name::TableName;

/// A table name and its bytes in the statement.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub name: TableName,
    pub start: usize,
    pub end: usize,
}

/// Reads `[schema.]table`, with the default schema where none is written.
pub(super) fn table_name(cursor: &mut Cursor<'_, '_>, default_schema: &str) -> Result<Named, DdlError> {
    let start = cursor.offset();
    let first =
        cursor.eat_identifier().ok_or_else(|| DdlError::syntax(start, "a table name was expected"))?;
    let mut end = end_of_previous(cursor);
    let mut parts = (default_schema.to_owned(), first.into_owned());
    if cursor.is_punct('.') {
        cursor.take();
        let offset = cursor.offset();
        let second =
            cursor.eat_identifier().ok_or_else(|| DdlError::syntax(offset, "a table name was expected"))?;
        end = end_of_previous(cursor);
        parts = (parts.1, second.into_owned());
    }
    Ok(Named { name: TableName::new(parts.0, parts.1), start, end })
}

/// Reads the name of a schema.
pub(super) fn schema_name(cursor: &mut Cursor<'_, '_>) -> Result<Named, DdlError> {
    let start = cursor.offset();
    let name =
        cursor.eat_identifier().ok_or_else(|| DdlError::syntax(start, "a schema name was expected"))?;
    Ok(Named { name: TableName::schema_only(name.into_owned()), start, end: end_of_previous(cursor) })
}

/// End byte of the token just taken.
fn end_of_previous(cursor: &Cursor<'_, '_>) -> usize {
    let mut before = cursor.clone();
    before.go_to(cursor.index().saturating_sub(1));
    before.peek().map_or(0, |t| t.end)
}
