//! Statements that are not replicated, and those that must stop the task.

use super::canonical::{Splicer, plain};
use super::names::table_name;
use super::parse::Source;
use super::statement::{DdlClass, DdlKind, DdlStatement};
use crate::lex::{Cursor, Token};

/// Kinds of objects that are not replicated (DM's list and what newer servers added), by the word that names them.
const SKIPPED_OBJECTS: [(&str, &str); 22] = [
    ("VIEW", "view"),
    ("TRIGGER", "trigger"),
    ("PROCEDURE", "stored procedure"),
    ("FUNCTION", "stored function"),
    ("EVENT", "event"),
    ("USER", "user"),
    ("ROLE", "role"),
    ("SERVER", "server"),
    ("TABLESPACE", "tablespace"),
    ("LOGFILE", "tablespace"),
    ("UNDO", "tablespace"),
    ("RESOURCE", "resource group"),
    ("SPATIAL", "spatial reference system"),
    ("PACKAGE", "package"),
    ("LIBRARY", "library"),
    ("INSTANCE", "instance"),
    ("CATALOG", "catalog"),
    ("STATISTICS", "statistics"),
    ("PREPARE", "prepared statement"),
    ("MASKING", "masking policy"),
    ("PUBLIC", "synonym"),
    ("LOADABLE", "loadable function"),
];

/// CREATE, ALTER, DROP or RENAME of something that is no table, index or schema.
pub(super) fn object(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>, verb: &str) -> DdlStatement {
    if c.is_any_word(&["TEMPORARY"]) {
        let mut after = c.clone();
        after.take();
        if after.is_any_word(&["TABLE", "TABLES", "SEQUENCE"]) {
            return plain(DdlKind::Skip("temporary table"), source.sql);
        }
    }
    // Clauses such as ALGORITHM, DEFINER and SQL SECURITY may stand before the word that names the object.
    for ahead in 0..24 {
        let Some(token) = c.peek_at(ahead) else { break };
        if token.is_word("SEQUENCE") {
            c.go_to(c.index() + ahead + 1);
            return sequence(source, c, verb);
        }
        if let Some((_, what)) = SKIPPED_OBJECTS.iter().find(|(word, _)| token.is_word(word)) {
            return plain(DdlKind::Skip(what), source.sql);
        }
    }
    unknown(source)
}

/// A statement without a name: its text, readable whatever the event's sql_mode was.
pub(super) fn unknown(source: &Source<'_, '_>) -> DdlStatement {
    Splicer::new(source.sql, source.tokens).build(DdlKind::Unknown, DdlClass::Neither)
}

/// A sequence's values arrive as row events of a table that is none, so it stops the task unless it is filtered:
/// its name is given for that.
fn sequence(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>, verb: &str) -> DdlStatement {
    let mut statement = plain(DdlKind::Unsupported("sequence"), source.sql);
    if verb == "CREATE" {
        c.eat_words(&["IF", "NOT", "EXISTS"]);
    } else {
        c.eat_words(&["IF", "EXISTS"]);
    }
    if let Ok(named) = table_name(c, source.default_schema) {
        statement.tables.push(named.name);
    }
    statement
}

/// Statements by their first word.
pub(super) fn other(first: &Token<'_>, c: &Cursor<'_, '_>) -> DdlKind {
    match first.text.to_ascii_uppercase().as_str() {
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "CALL" | "SELECT" | "DO" | "WITH" | "TABLE"
        | "VALUES" | "EXECUTE" => DdlKind::StatementDml,
        "GRANT" | "REVOKE" => DdlKind::Skip("grant"),
        "FLUSH" => DdlKind::Skip("flush"),
        "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "CHECKSUM" => DdlKind::Skip("table maintenance"),
        "INSTALL" | "UNINSTALL" => DdlKind::Skip("plugin or component"),
        "SET" if c.is_any_word(&["PASSWORD", "ROLE", "DEFAULT", "RESOURCE"]) => DdlKind::Skip("user"),
        "SET" => DdlKind::Unsupported("SET statement"),
        "EXCHANGE" | "IMPORT" => DdlKind::Unsupported("import of table files"),
        _ => DdlKind::Unknown,
    }
}
