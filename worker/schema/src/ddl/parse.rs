//! Entry: from the text of a QUERY event to classified statements.

use super::admin;
use super::alter::{alter_database, alter_table};
use super::canonical::{compose, plain};
use super::create::{create_database, create_index, create_table};
use super::names::{schema_name, table_name};
use super::statement::{DdlClass, DdlKind, DdlStatement, NewName, XaVerb};
use crate::lex::{Cursor, LexError, Token, tokenize};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

/// Text that is not a statement we can place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DdlError {
    /// It cannot be cut into tokens.
    #[error("the statement cannot be read {0}")]
    Lex(#[from] LexError),
    /// A part that must be there is missing.
    #[error("the statement cannot be read at byte {offset}: {what}")]
    Syntax {
        /// Byte offset in the statement.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

impl DdlError {
    pub(super) fn syntax(offset: usize, what: &'static str) -> Self {
        DdlError::Syntax { offset, what }
    }
}

/// Text, tokens and default schema of the statement in hand.
pub(super) struct Source<'t, 'a> {
    pub sql: &'a str,
    pub tokens: &'t [Token<'a>],
    pub default_schema: &'t str,
}

/// Classifies one statement of the binlog and splits it into one statement per table where it names several.
///
/// `mode` and `default_schema` come from the QUERY event. Always at least one statement.
pub fn parse(sql: &str, mode: SqlMode, default_schema: &str) -> Result<Vec<DdlStatement>, DdlError> {
    let mut tokens = tokenize(sql, mode)?;
    while tokens.last().is_some_and(|t| t.is_punct(';')) {
        tokens.pop();
    }
    if tokens.iter().any(|t| t.is_punct(';')) && !has_body(&tokens) {
        return Ok(vec![plain(DdlKind::Unsupported("several statements in one event"), sql)]);
    }
    let mut cursor = Cursor::new(&tokens);
    // MariaDB logs SET STATEMENT .. FOR as written; the variables concern the source only.
    if cursor.eat_words(&["SET", "STATEMENT"]) {
        while !cursor.at_end() && !cursor.eat_word("FOR") {
            if cursor.is_punct('(') {
                cursor.skip_parens();
            } else {
                cursor.take();
            }
        }
    }
    let first = cursor.index();
    let source = Source { sql, tokens: &tokens[first..], default_schema };
    let mut cursor = Cursor::new(source.tokens);
    statement(&source, &mut cursor)
}

/// Triggers, routines and events may hold several statements.
fn has_body(tokens: &[Token<'_>]) -> bool {
    tokens.iter().take(24).any(|t| {
        ["TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "PACKAGE", "LIBRARY"].iter().any(|w| t.is_word(w))
    })
}

fn statement(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    let Some(first) = c.take() else { return Ok(vec![plain(DdlKind::Skip("empty statement"), source.sql)]) };
    let one = |kind| Ok(vec![plain(kind, source.sql)]);
    match first.text.to_ascii_uppercase().as_str() {
        "CREATE" => create(source, c),
        "ALTER" => alter(source, c),
        "DROP" => drop_object(source, c),
        "RENAME" => rename(source, c),
        "TRUNCATE" => truncate(source, c),
        "BEGIN" => one(DdlKind::Begin),
        "START" if c.is_word("TRANSACTION") => one(DdlKind::Begin),
        "COMMIT" => one(DdlKind::Commit),
        "SAVEPOINT" | "RELEASE" => one(DdlKind::Savepoint),
        "ROLLBACK" => {
            c.eat_word("WORK");
            one(if c.is_word("TO") { DdlKind::Savepoint } else { DdlKind::Rollback })
        }
        "XA" => one(xa(c)),
        _ => match admin::other(first, c) {
            DdlKind::Unknown => Ok(vec![admin::unknown(source)]),
            kind => one(kind),
        },
    }
}

fn xa(c: &Cursor<'_, '_>) -> DdlKind {
    const VERBS: [(&str, XaVerb); 6] = [
        ("START", XaVerb::Start),
        ("BEGIN", XaVerb::Start),
        ("END", XaVerb::End),
        ("PREPARE", XaVerb::Prepare),
        ("COMMIT", XaVerb::Commit),
        ("ROLLBACK", XaVerb::Rollback),
    ];
    VERBS
        .iter()
        .find(|(word, _)| c.is_word(word))
        .map_or(DdlKind::Unsupported("XA statement"), |(_, verb)| DdlKind::Xa(*verb))
}

fn create(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    let replace = c.eat_words(&["OR", "REPLACE"]);
    if c.is_any_word(&["DATABASE", "SCHEMA"]) {
        return create_database(source, c, replace);
    }
    if c.eat_word("TABLE") {
        return create_table(source, c, replace);
    }
    if let Some(index) = index_keyword(c) {
        c.go_to(index + 1);
        return create_index(source, c, replace);
    }
    Ok(vec![admin::object(source, c, "CREATE")])
}

/// Index of the INDEX keyword of `CREATE [ONLINE|OFFLINE] [UNIQUE|FULLTEXT|SPATIAL|VECTOR] INDEX`.
fn index_keyword(c: &Cursor<'_, '_>) -> Option<usize> {
    let mut c = c.clone();
    c.eat_any_word(&["ONLINE", "OFFLINE"]);
    c.eat_any_word(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"]);
    c.is_word("INDEX").then(|| c.index())
}

fn alter(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    if c.is_any_word(&["DATABASE", "SCHEMA"]) {
        return alter_database(source, c);
    }
    let mut table = c.clone();
    table.eat_any_word(&["ONLINE", "OFFLINE"]);
    table.eat_word("IGNORE");
    if table.eat_word("TABLE") {
        *c = table;
        return alter_table(source, c);
    }
    Ok(vec![admin::object(source, c, "ALTER")])
}

fn drop_object(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    if c.eat_any_word(&["DATABASE", "SCHEMA"]) {
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let schema = schema_name(c)?.name;
        let class = if if_exists { DdlClass::Repeatable } else { DdlClass::Decidable };
        let text = if if_exists { "DROP DATABASE IF EXISTS " } else { "DROP DATABASE " };
        let mut statement = compose(DdlKind::DropDatabase, class, &[text], vec![schema]);
        statement.if_exists = if_exists;
        return Ok(vec![statement]);
    }
    if c.eat_any_word(&["TABLE", "TABLES"]) {
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let class = if if_exists { DdlClass::Repeatable } else { DdlClass::Decidable };
        let text = if if_exists { "DROP TABLE IF EXISTS " } else { "DROP TABLE " };
        let names = name_list(source, c)?;
        c.eat_any_word(&["RESTRICT", "CASCADE"]);
        skip_wait(c);
        expect_end(c)?;
        return Ok(names
            .into_iter()
            .map(|name| {
                let mut statement = compose(DdlKind::DropTable, class, &[text], vec![name]);
                statement.if_exists = if_exists;
                statement
            })
            .collect());
    }
    let mut index = c.clone();
    index.eat_any_word(&["ONLINE", "OFFLINE"]);
    if index.eat_word("INDEX") {
        *c = index;
        return super::create::drop_index(source, c);
    }
    Ok(vec![admin::object(source, c, "DROP")])
}

fn rename(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    if !c.eat_any_word(&["TABLE", "TABLES"]) {
        return Ok(vec![admin::object(source, c, "RENAME")]);
    }
    let if_exists = c.eat_words(&["IF", "EXISTS"]);
    let text = if if_exists { "RENAME TABLE IF EXISTS " } else { "RENAME TABLE " };
    let mut out = Vec::new();
    loop {
        let old = table_name(c, source.default_schema)?.name;
        skip_wait(c);
        if !c.eat_word("TO") {
            return Err(DdlError::syntax(c.offset(), "TO was expected"));
        }
        let new = table_name(c, source.default_schema)?.name;
        // Split pairs are decidable one by one: before a step the old name exists and the new one does not.
        let mut statement =
            compose(DdlKind::RenameTable, DdlClass::Decidable, &[text, " TO ", ""], vec![old, new.clone()]);
        statement.if_exists = if_exists;
        statement.new_name = Some(NewName { name: new, only: true });
        out.push(statement);
        if !c.eat_punct(',') {
            break;
        }
    }
    expect_end(c)?;
    Ok(out)
}

fn truncate(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<DdlStatement>, DdlError> {
    c.eat_word("TABLE");
    let names = name_list(source, c)?;
    skip_wait(c);
    expect_end(c)?;
    Ok(names
        .into_iter()
        .map(|n| compose(DdlKind::TruncateTable, DdlClass::Repeatable, &["TRUNCATE TABLE "], vec![n]))
        .collect())
}

fn name_list(source: &Source<'_, '_>, c: &mut Cursor<'_, '_>) -> Result<Vec<TableName>, DdlError> {
    let mut names = vec![table_name(c, source.default_schema)?.name];
    while c.eat_punct(',') {
        names.push(table_name(c, source.default_schema)?.name);
    }
    Ok(names)
}

/// MariaDB's `WAIT n` and `NOWAIT`.
pub(super) fn skip_wait(c: &mut Cursor<'_, '_>) {
    if c.eat_word("WAIT") {
        c.take();
    } else {
        c.eat_word("NOWAIT");
    }
}

pub(super) fn expect_end(c: &Cursor<'_, '_>) -> Result<(), DdlError> {
    if c.at_end() {
        Ok(())
    } else {
        Err(DdlError::syntax(c.offset(), "the end of the statement was expected"))
    }
}
