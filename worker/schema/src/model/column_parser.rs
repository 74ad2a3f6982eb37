//! Column definitions of CREATE and ALTER TABLE.

use super::column::{Column, Generated};
use super::error::ModelError;
use super::key::{Key, KeyPart};
use super::key_parser::NewForeignKey;
use super::types::{ColumnType, TypeKind};
use crate::charset::{normalise_charset, normalise_collation};
use crate::lex::{Cursor, TokenKind};
use crate::sql_mode::SqlMode;

/// A column and what its definition says about keys and place.
pub(super) struct ColumnDefinition {
    pub column: Column,
    pub key: Option<Key>,
    pub primary: bool,
    /// `REFERENCES` of the column itself.
    pub foreign: Option<NewForeignKey>,
    pub place: Place,
}

/// Where ALTER TABLE puts a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Unsaid,
    First,
    After(String),
}

pub(super) fn syntax(c: &Cursor<'_, '_>, what: &'static str) -> ModelError {
    let near = c.peek().map_or_else(String::new, |t| t.text.chars().take(40).collect());
    ModelError::Syntax { offset: c.offset(), near, what }
}

pub(super) fn name(c: &mut Cursor<'_, '_>) -> Result<String, ModelError> {
    c.eat_identifier().map(|n| n.into_owned()).ok_or_else(|| syntax(c, "a name was expected"))
}

pub(super) fn expect_punct(c: &mut Cursor<'_, '_>, punct: char) -> Result<(), ModelError> {
    if c.eat_punct(punct) { Ok(()) } else { Err(syntax(c, "a parenthesis was expected")) }
}

/// Reads `name type attributes ..` up to the comma or parenthesis after it.
pub(super) fn column(
    sql: &str,
    c: &mut Cursor<'_, '_>,
    mode: SqlMode,
) -> Result<ColumnDefinition, ModelError> {
    let name = name(c)?;
    let mut column = Column {
        name,
        ty: ColumnType::plain(TypeKind::Int),
        nullable: true,
        charset: None,
        collation: None,
        generated: Generated::No,
        invisible: false,
        auto_increment: false,
        on_update_now: false,
        default: None,
    };
    let serial = super::types_parser::column_type(c, mode, &mut column)?;
    let mut definition =
        ColumnDefinition { column, key: None, primary: false, foreign: None, place: Place::Unsaid };
    if serial {
        definition.column.nullable = false;
        definition.column.auto_increment = true;
        definition.unique();
    }
    // What is done to the partitions follows the last specification without a comma.
    let partitions =
        |c: &Cursor<'_, '_>| c.is_words(&["PARTITION", "BY"]) || c.is_words(&["REMOVE", "PARTITIONING"]);
    while !c.at_end() && !c.is_punct(',') && !c.is_punct(')') && !partitions(c) {
        definition.attribute(sql, c)?;
    }
    definition.column.nullable &= !definition.column.auto_increment;
    Ok(definition)
}

impl ColumnDefinition {
    fn unique(&mut self) {
        let parts = vec![KeyPart { column: Some(self.column.name.clone()), prefix: None, descending: false }];
        self.key = Some(Key { name: String::new(), unique: true, primary: false, special: false, parts });
    }

    fn attribute(&mut self, sql: &str, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        let column = &mut self.column;
        if c.eat_words(&["NOT", "NULL"]) {
            column.nullable = false;
        } else if c.eat_word("NULL") {
            column.nullable = true;
        } else if c.eat_words(&["SERIAL", "DEFAULT", "VALUE"]) {
            column.nullable = false;
            column.auto_increment = true;
            self.unique();
        } else if c.eat_word("DEFAULT") {
            let start = c.offset();
            expression(c)?;
            let end = end_of_previous(c);
            column.default = sql.get(start..end).map(str::to_owned);
        } else if c.eat_words(&["ON", "UPDATE"]) {
            column.on_update_now = true;
            expression(c)?;
        } else if c.eat_word("AUTO_INCREMENT") {
            column.auto_increment = true;
        } else if c.eat_words(&["PRIMARY", "KEY"]) || c.is_word("KEY") {
            c.eat_word("KEY");
            column.nullable = false;
            self.primary = true;
        } else if c.eat_word("UNIQUE") {
            c.eat_word("KEY");
            self.unique();
        } else if c.eat_word("COLLATE") {
            c.eat_punct('=');
            column.collation = Some(normalise_collation(&charset_word(c)?));
        } else if c.eat_words(&["CHARACTER", "SET"]) || c.eat_word("CHARSET") {
            column.charset = Some(normalise_charset(&charset_word(c)?));
        } else if c.eat_any_word(&["VISIBLE", "VIRTUAL"]) {
            // the default
        } else if c.eat_word("INVISIBLE") {
            column.invisible = true;
        } else if c.eat_words(&["GENERATED", "ALWAYS"]) || c.is_word("AS") {
            c.eat_word("AS");
            if c.eat_word("ROW") {
                c.take();
                column.generated = Generated::RowPeriod;
            } else {
                column.generated = Generated::Virtual;
                parenthesised(c)?;
            }
        } else if c.eat_any_word(&["STORED", "PERSISTENT"]) {
            column.generated = Generated::Stored;
        } else if c.is_word("REFERENCES") {
            // A foreign key at MariaDB and, since version 9, at MySQL. Older ones ignore it: then the model has one too
            // many, which costs parallelism and nothing else.
            let mut key = super::key_parser::references(c)?;
            key.columns = vec![self.column.name.clone()];
            self.foreign = Some(NewForeignKey { key, index_name: None });
        } else if c.is_word("FIRST") {
            c.take();
            self.place = Place::First;
        } else if c.eat_word("AFTER") {
            self.place = Place::After(name(c)?);
        } else {
            return irrelevant_attribute(c);
        }
        Ok(())
    }
}

/// Attributes that row events do not depend on.
fn irrelevant_attribute(c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
    if c.eat_word("CONSTRAINT") {
        if !c.is_word("CHECK") {
            name(c)?;
        }
        return Ok(());
    }
    if c.eat_word("CHECK") {
        parenthesised(c)?;
    } else if c.eat_any_word(&[
        "COMMENT",
        "ENGINE_ATTRIBUTE",
        "SECONDARY_ENGINE_ATTRIBUTE",
        "COLUMN_FORMAT",
        "STORAGE",
    ]) || c.eat_any_word(&["SRID", "REF_SYSTEM_ID", "COMPRESSED"])
    {
        let equals = c.eat_punct('=');
        let value =
            equals || c.peek().is_some_and(|t| t.kind != TokenKind::Word) || c.is_any_word(&VALUE_WORDS);
        if value && !c.is_punct(',') && !c.is_punct(')') {
            c.take();
        }
    } else if c.eat_words(&["WITHOUT", "SYSTEM", "VERSIONING"])
        || c.eat_words(&["WITH", "SYSTEM", "VERSIONING"])
        || c.eat_any_word(&["ENFORCED"])
        || c.eat_words(&["NOT", "ENFORCED"])
        || c.eat_words(&["NOT", "SECONDARY"])
    {
    } else if c.peek().is_some_and(|t| t.kind == TokenKind::Word)
        && c.peek_at(1).is_some_and(|t| t.is_punct('='))
    {
        // Engine-defined options of MariaDB: name = value.
        c.go_to(c.index() + 3);
    } else {
        return Err(syntax(c, "a column attribute that is not known"));
    }
    Ok(())
}

/// Words that are values of COLUMN_FORMAT and STORAGE.
const VALUE_WORDS: [&str; 5] = ["FIXED", "DYNAMIC", "DEFAULT", "DISK", "MEMORY"];

/// Name of a charset or collation: a word, a quoted name or a string.
pub(super) fn charset_word(c: &mut Cursor<'_, '_>) -> Result<String, ModelError> {
    if let Some(value) = c.peek().and_then(|t| t.string_value()) {
        c.take();
        return Ok(value.into_owned());
    }
    name(c)
}

fn parenthesised(c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
    if c.is_punct('(') && c.skip_parens() { Ok(()) } else { Err(syntax(c, "a parenthesis was expected")) }
}

/// Skips a default: a literal, a function call, an expression in parentheses, or (MariaDB) a chain of those.
fn expression(c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
    loop {
        while c.is_punct('-') || c.is_punct('+') || c.is_punct('~') || c.is_punct('!') {
            c.take();
        }
        if c.is_punct('(') {
            parenthesised(c)?;
        } else {
            let Some(token) = c.peek().filter(|t| !matches!(t.kind, TokenKind::Punct(_))) else {
                return Err(syntax(c, "a default was expected"));
            };
            let introducer = token.kind == TokenKind::Introducer;
            c.take();
            if introducer {
                c.take();
            }
            // Strings side by side are one.
            let string = matches!(token.kind, TokenKind::Str { .. });
            while string && c.peek().is_some_and(|t| matches!(t.kind, TokenKind::Str { .. })) {
                c.take();
            }
            while c.eat_punct('.') {
                c.take();
            }
            if c.is_punct('(') {
                parenthesised(c)?;
            }
        }
        let chained = ['+', '-', '*', '/', '%', '|', '&', '^'].iter().any(|p| c.is_punct(*p));
        if !chained {
            return Ok(());
        }
        while ['+', '-', '*', '/', '%', '|', '&', '^'].iter().any(|p| c.is_punct(*p)) {
            c.take();
        }
    }
}

fn end_of_previous(c: &Cursor<'_, '_>) -> usize {
    let mut before = c.clone();
    before.go_to(c.index().saturating_sub(1));
    before.peek().map_or(0, |t| t.end)
}
