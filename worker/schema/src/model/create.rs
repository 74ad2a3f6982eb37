//! CREATE TABLE to model.

use super::column_parser::{charset_word, column, expect_punct, name, syntax};
use super::error::ModelError;
use super::key::{Key, KeyPart};
use super::key_parser::{Element, NewForeignKey, element};
use super::table::{TableDefaults, TableModel};
use crate::charset::{charset_of_collation, normalise_charset, normalise_collation};
use crate::lex::{Cursor, tokenize};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

impl TableModel {
    /// Reads `SHOW CREATE TABLE` output of either server, or any CREATE TABLE with columns (not LIKE, not SELECT).
    ///
    /// `mode` is the sql_mode under which the text was written, `default_schema` holds for an unqualified name, and
    /// `defaults` for what the text leaves to the schema (nothing, when it is SHOW CREATE output).
    pub fn parse_create(
        sql: &str,
        mode: SqlMode,
        default_schema: &str,
        defaults: &TableDefaults,
    ) -> Result<TableModel, ModelError> {
        let tokens = tokenize(sql, mode)?;
        let c = &mut Cursor::new(&tokens);
        if !c.eat_word("CREATE") {
            return Err(syntax(c, "CREATE TABLE was expected"));
        }
        c.eat_words(&["OR", "REPLACE"]);
        c.eat_word("TEMPORARY");
        if !c.eat_word("TABLE") {
            return Err(syntax(c, "CREATE TABLE was expected"));
        }
        c.eat_words(&["IF", "NOT", "EXISTS"]);
        let mut table = TableName::new(default_schema, name(c)?);
        if c.eat_punct('.') {
            table = TableName::new(table.table, name(c)?);
        }
        let mut model = TableModel {
            name: table,
            columns: Vec::new(),
            keys: Vec::new(),
            foreign_keys: Vec::new(),
            charset: None,
            collation: None,
            engine: None,
            system_versioned: false,
        };
        // Options stand after the columns, but columns inherit from them.
        let body = c.index();
        if !c.is_punct('(') || !c.skip_parens() {
            return Err(syntax(c, "a list of columns was expected"));
        }
        model.options(c, defaults)?;
        c.go_to(body);
        model.body(sql, c, mode)?;
        if model.columns.is_empty() {
            return Err(syntax(c, "a table without columns"));
        }
        Ok(model)
    }

    /// Table options; those not known are skipped.
    fn options(&mut self, c: &mut Cursor<'_, '_>, defaults: &TableDefaults) -> Result<(), ModelError> {
        while !c.at_end() {
            if c.is_word("PARTITION") || c.is_words(&["PARTITION", "BY"]) {
                break;
            }
            if c.is_word("SELECT") || c.is_word("AS") {
                return Err(syntax(c, "CREATE TABLE .. SELECT has no known columns"));
            }
            if !self.option(c)? {
                if c.is_punct('(') {
                    c.skip_parens();
                } else {
                    c.take();
                }
            }
        }
        if self.charset.is_none() {
            self.charset.clone_from(&defaults.charset);
            self.collation.clone_from(&defaults.collation);
        }
        Ok(())
    }

    /// One option that the model holds; false when the next token is none.
    pub(super) fn option(&mut self, c: &mut Cursor<'_, '_>) -> Result<bool, ModelError> {
        let start = c.index();
        c.eat_word("DEFAULT");
        if c.eat_words(&["CHARACTER", "SET"]) || c.eat_word("CHARSET") {
            c.eat_punct('=');
            self.charset = Some(normalise_charset(&charset_word(c)?));
            self.collation = None;
        } else if c.eat_word("COLLATE") {
            c.eat_punct('=');
            let collation = normalise_collation(&charset_word(c)?);
            if let Some(charset) = charset_of_collation(&collation) {
                self.charset = Some(charset.to_owned());
            }
            self.collation = Some(collation);
        } else if c.eat_word("ENGINE") {
            c.eat_punct('=');
            self.engine = Some(charset_word(c)?);
        } else if c.eat_words(&["WITH", "SYSTEM", "VERSIONING"]) {
            self.system_versioned = true;
        } else {
            c.go_to(start);
            return Ok(false);
        }
        Ok(true)
    }

    fn body(&mut self, sql: &str, c: &mut Cursor<'_, '_>, mode: SqlMode) -> Result<(), ModelError> {
        expect_punct(c, '(')?;
        // Keys may stand before the columns that they name.
        let mut elements = Vec::new();
        loop {
            match element(c)? {
                Some(element) => elements.push(element),
                None => {
                    let mut definition = column(sql, c, mode)?;
                    self.settle(&mut definition.column);
                    if self.column_index(&definition.column.name).is_some() {
                        let name = format!("column {}", definition.column.name);
                        return Err(ModelError::Duplicate { table: self.table_text(), name });
                    }
                    if definition.primary {
                        elements.push(Element::Key(primary_of(&definition.column.name)));
                    }
                    elements.extend(definition.key.map(Element::Key));
                    elements.extend(definition.foreign.map(Element::Foreign));
                    self.columns.push(definition.column);
                }
            }
            if !c.eat_punct(',') {
                break;
            }
        }
        expect_punct(c, ')')?;
        // A foreign key makes an index only where no key serves it, wherever that stands.
        let (foreign, others): (Vec<_>, Vec<_>) =
            elements.into_iter().partition(|e| matches!(e, Element::Foreign(_)));
        others.into_iter().chain(foreign).try_for_each(|element| self.add_element(element))
    }

    fn add_element(&mut self, element: Element) -> Result<(), ModelError> {
        match element {
            Element::Other => Ok(()),
            Element::Period(columns) => {
                for column in columns {
                    let index = self.require_column(&column)?;
                    self.columns[index].nullable = false;
                }
                Ok(())
            }
            Element::Key(key) => self.add_key(key),
            Element::Foreign(key) => self.add_foreign(key),
        }
    }

    /// The server adds an index for a foreign key that no key's first columns cover.
    pub(super) fn add_foreign(&mut self, foreign: NewForeignKey) -> Result<(), ModelError> {
        let NewForeignKey { key: foreign, index_name } = foreign;
        let covered = self.keys.iter().any(|key| {
            key.parts.len() >= foreign.columns.len()
                && foreign.columns.iter().zip(&key.parts).all(|(column, part)| {
                    part.prefix.is_none()
                        && part.column.as_deref().is_some_and(|c| super::column::same_name(c, column))
                })
        });
        if covered {
            self.foreign_keys.push(foreign);
            return Ok(());
        }
        let parts = foreign
            .columns
            .iter()
            .map(|c| KeyPart { column: Some(c.clone()), prefix: None, descending: false })
            .collect();
        let name = foreign.name.clone().or(index_name).unwrap_or_default();
        self.foreign_keys.push(foreign);
        self.add_key(Key { name, unique: false, primary: false, special: false, parts })
    }
}

/// The primary key of a column that says so itself.
pub(super) fn primary_of(column: &str) -> Key {
    let parts = vec![KeyPart { column: Some(column.to_owned()), prefix: None, descending: false }];
    Key { name: "PRIMARY".to_owned(), unique: true, primary: true, special: false, parts }
}
