//! CREATE DATABASE, CREATE TABLE, CREATE INDEX, DROP INDEX.

use super::canonical::Splicer;
use super::names::{schema_name, table_name};
use super::parse::{DdlError, Source, expect_end};
use super::statement::{DdlClass, DdlKind, DdlStatement};
use crate::lex::Cursor;

pub(super) fn create_database(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    replace: bool,
) -> Result<Vec<DdlStatement>, DdlError> {
    c.take();
    let if_not_exists = c.eat_words(&["IF", "NOT", "EXISTS"]);
    let schema = schema_name(c)?;
    let mut splicer = Splicer::new(source.sql, source.tokens);
    splicer.name(schema.start, schema.end, schema.name);
    let class = if replace || if_not_exists { DdlClass::Repeatable } else { DdlClass::Decidable };
    let mut statement = splicer.build(DdlKind::CreateDatabase, class);
    statement.if_not_exists = if_not_exists;
    Ok(vec![statement])
}

pub(super) fn create_table(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    replace: bool,
) -> Result<Vec<DdlStatement>, DdlError> {
    let if_not_exists = c.eat_words(&["IF", "NOT", "EXISTS"]);
    let subject = table_name(c, source.default_schema)?;
    let mut splicer = Splicer::new(source.sql, source.tokens);
    splicer.name(subject.start, subject.end, subject.name);
    let class = if replace { DdlClass::Repeatable } else { DdlClass::Decidable };

    let like = c.is_word("LIKE") || (c.is_punct('(') && c.peek_at(1).is_some_and(|t| t.is_word("LIKE")));
    if like {
        c.eat_punct('(');
        c.take();
        let model = table_name(c, source.default_schema)?;
        splicer.name(model.start, model.end, model.name);
        c.eat_punct(')');
        expect_end(c)?;
        let mut statement = splicer.build(DdlKind::CreateTableLike, class);
        statement.if_not_exists = if_not_exists;
        return Ok(vec![statement]);
    }

    let mut kind = DdlKind::CreateTable;
    let mut rows_follow = false;
    let mut depth = 0usize;
    while let Some(token) = c.peek() {
        if token.is_punct('(') {
            depth += 1;
        } else if token.is_punct(')') {
            depth = depth
                .checked_sub(1)
                .ok_or_else(|| DdlError::syntax(token.start, "unbalanced parenthesis"))?;
        } else if token.is_word("SELECT")
            || (depth == 0 && token.is_word("TABLE"))
            || (token.is_word("VALUES") && c.peek_at(1).is_some_and(|t| t.is_word("ROW")))
        {
            kind = DdlKind::CreateTableSelect;
        } else if token.is_word("REFERENCES") {
            c.take();
            let parent = table_name(c, source.default_schema)?;
            splicer.name(parent.start, parent.end, parent.name);
            continue;
        } else if depth == 0 && c.is_words(&["START", "TRANSACTION"]) {
            let end = c.peek_at(1).map_or(token.end, |t| t.end);
            splicer.remove(token.start, end);
            rows_follow = true;
            c.take();
        } else if depth == 0 && token.is_word("UNION") && kind == DdlKind::CreateTable {
            kind = DdlKind::Unsupported("MERGE table");
        } else if names_sequence(c) {
            kind = DdlKind::Unsupported("default from a sequence");
        }
        c.take();
    }
    if depth != 0 {
        return Err(DdlError::syntax(c.offset(), "unbalanced parenthesis"));
    }
    let mut statement = splicer.build(kind, class);
    statement.if_not_exists = if_not_exists;
    statement.rows_follow = rows_follow;
    Ok(vec![statement])
}

/// `NEXTVAL(..)`, `NEXT VALUE FOR ..`: names that routing would not reach.
pub(super) fn names_sequence(c: &Cursor<'_, '_>) -> bool {
    c.is_words(&["NEXT", "VALUE", "FOR"])
        || (c.is_any_word(&["NEXTVAL", "LASTVAL"]) && c.peek_at(1).is_some_and(|t| t.is_punct('(')))
}

pub(super) fn create_index(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    replace: bool,
) -> Result<Vec<DdlStatement>, DdlError> {
    let if_not_exists = c.eat_words(&["IF", "NOT", "EXISTS"]);
    let class = if replace { DdlClass::Repeatable } else { DdlClass::Decidable };
    let mut statement = index_of_table(source, c, DdlKind::CreateIndex, class)?;
    statement.if_not_exists = if_not_exists;
    Ok(vec![statement])
}

pub(super) fn drop_index(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
) -> Result<Vec<DdlStatement>, DdlError> {
    let if_exists = c.eat_words(&["IF", "EXISTS"]);
    let mut statement = index_of_table(source, c, DdlKind::DropIndex, DdlClass::Decidable)?;
    statement.if_exists = if_exists;
    Ok(vec![statement])
}

/// `index .. ON table`.
fn index_of_table(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    kind: DdlKind,
    class: DdlClass,
) -> Result<DdlStatement, DdlError> {
    if c.eat_identifier().is_none() {
        return Err(DdlError::syntax(c.offset(), "an index name was expected"));
    }
    if c.eat_any_word(&["USING", "TYPE"]) {
        c.take();
    }
    if !c.eat_word("ON") {
        return Err(DdlError::syntax(c.offset(), "ON was expected"));
    }
    let table = table_name(c, source.default_schema)?;
    let mut splicer = Splicer::new(source.sql, source.tokens);
    splicer.name(table.start, table.end, table.name);
    Ok(splicer.build(kind, class))
}
