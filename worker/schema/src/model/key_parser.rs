//! Keys and constraints of CREATE and ALTER TABLE.

use super::column_parser::{expect_punct, name, syntax};
use super::error::ModelError;
use super::key::{ForeignKey, Key, KeyPart};
use crate::lex::{Cursor, TokenKind};

/// A table element that is no column.
pub(super) enum Element {
    Key(Key),
    Foreign(NewForeignKey),
    /// `PERIOD FOR`: its columns are NOT NULL.
    Period(Vec<String>),
    /// CHECK: nothing that row events depend on.
    Other,
}

/// A foreign key and the name that the statement gives to its index.
pub(super) struct NewForeignKey {
    pub key: ForeignKey,
    pub index_name: Option<String>,
}

/// Reads a key or constraint; None when a column starts here.
pub(super) fn element(c: &mut Cursor<'_, '_>) -> Result<Option<Element>, ModelError> {
    let mut constraint = None;
    if c.eat_word("CONSTRAINT") {
        if !c.is_any_word(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
            c.eat_words(&["IF", "NOT", "EXISTS"]);
            constraint = Some(name(c)?);
        }
    } else if c.eat_words(&["PERIOD", "FOR"]) {
        name(c)?;
        let columns = key_parts(c)?.into_iter().filter_map(|p| p.column).collect();
        return Ok(Some(Element::Period(columns)));
    } else if c.is_word("CHECK") && c.peek_at(1).is_some_and(|t| t.is_punct('(')) {
        c.skip_item();
        return Ok(Some(Element::Other));
    } else if !starts_key(c) {
        return Ok(None);
    }
    if c.eat_word("CHECK") {
        c.skip_item();
        return Ok(Some(Element::Other));
    }
    if c.eat_words(&["FOREIGN", "KEY"]) {
        return foreign(c, constraint).map(Some);
    }
    let primary = c.eat_words(&["PRIMARY", "KEY"]);
    let unique = primary || c.eat_word("UNIQUE");
    let special = !unique && c.eat_any_word(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    if !primary {
        c.eat_any_word(&["KEY", "INDEX"]);
    }
    c.eat_words(&["IF", "NOT", "EXISTS"]);
    let mut index_name = None;
    if !c.is_punct('(') && !is_using(c) {
        index_name = Some(name(c)?);
    }
    if is_using(c) {
        c.go_to(c.index() + 2);
    }
    let parts = key_parts(c)?;
    c.skip_item();
    let name = index_name.or(constraint).unwrap_or_default();
    Ok(Some(Element::Key(Key { name, unique, primary, special, parts })))
}

fn is_using(c: &Cursor<'_, '_>) -> bool {
    c.is_any_word(&["USING", "TYPE"]) && c.peek_at(1).is_some_and(|t| t.kind == TokenKind::Word)
}

/// Words that start a key. All of them are reserved but VECTOR and PERIOD, which may be column names.
fn starts_key(c: &Cursor<'_, '_>) -> bool {
    c.is_any_word(&["PRIMARY", "UNIQUE", "KEY", "INDEX", "FULLTEXT", "SPATIAL", "FOREIGN"])
        || c.is_words(&["VECTOR", "INDEX"])
        || c.is_words(&["VECTOR", "KEY"])
}

/// `(part, part, ..)`.
pub(super) fn key_parts(c: &mut Cursor<'_, '_>) -> Result<Vec<KeyPart>, ModelError> {
    expect_punct(c, '(')?;
    let mut parts = Vec::new();
    loop {
        let mut part = KeyPart { column: None, prefix: None, descending: false };
        if c.is_punct('(') {
            c.skip_parens();
        } else {
            part.column = Some(name(c)?);
            if c.eat_punct('(') {
                part.prefix = c.eat_number().and_then(|n| u32::try_from(n).ok());
                if part.prefix.is_none() {
                    return Err(syntax(c, "a prefix length was expected"));
                }
                expect_punct(c, ')')?;
            }
        }
        if !c.eat_word("ASC") {
            part.descending = c.eat_word("DESC");
        }
        if c.eat_words(&["WITHOUT", "OVERLAPS"]) {
            part.column = None;
        }
        parts.push(part);
        if !c.eat_punct(',') {
            break;
        }
    }
    expect_punct(c, ')')?;
    Ok(parts)
}

fn foreign(c: &mut Cursor<'_, '_>, constraint: Option<String>) -> Result<Element, ModelError> {
    c.eat_words(&["IF", "NOT", "EXISTS"]);
    let index_name = if c.is_punct('(') { None } else { Some(name(c)?) };
    let columns = key_parts(c)?.into_iter().filter_map(|p| p.column).collect();
    if !c.is_word("REFERENCES") {
        return Err(syntax(c, "REFERENCES was expected"));
    }
    let mut key = references(c)?;
    key.columns = columns;
    key.name = constraint;
    Ok(Element::Foreign(NewForeignKey { key, index_name }))
}

/// `REFERENCES parent (..) [MATCH ..] [ON DELETE ..] [ON UPDATE ..]`.
pub(super) fn references(c: &mut Cursor<'_, '_>) -> Result<ForeignKey, ModelError> {
    c.take();
    let mut key = ForeignKey {
        name: None,
        columns: Vec::new(),
        parent_schema: None,
        parent_table: name(c)?,
        cascades: false,
    };
    if c.eat_punct('.') {
        key.parent_schema = Some(std::mem::replace(&mut key.parent_table, name(c)?));
    }
    c.skip_parens();
    if c.eat_word("MATCH") {
        c.take();
    }
    while c.is_words(&["ON", "DELETE"]) || c.is_words(&["ON", "UPDATE"]) {
        c.go_to(c.index() + 2);
        if c.eat_word("CASCADE") || c.eat_words(&["SET", "NULL"]) || c.eat_words(&["SET", "DEFAULT"]) {
            key.cascades = true;
        } else if !c.eat_word("RESTRICT") && !c.eat_words(&["NO", "ACTION"]) {
            return Err(syntax(c, "an action was expected"));
        }
    }
    Ok(key)
}
