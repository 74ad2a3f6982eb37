//! Keys of a model that change: CREATE INDEX, DROP INDEX, and the clauses of ALTER TABLE.

use super::column::same_name;
use super::column_parser::{name, syntax};
use super::error::ModelError;
use super::key::Key;
use super::key_parser::key_parts;
use super::table::TableModel;
use crate::lex::Cursor;

impl TableModel {
    pub(super) fn create_index(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        let replace = c.eat_words(&["OR", "REPLACE"]);
        c.eat_any_word(&["ONLINE", "OFFLINE"]);
        let unique = c.eat_word("UNIQUE");
        let special = !unique && c.eat_any_word(&["FULLTEXT", "SPATIAL", "VECTOR"]);
        if !c.eat_word("INDEX") {
            return Err(syntax(c, "CREATE INDEX was expected"));
        }
        let if_not_exists = c.eat_words(&["IF", "NOT", "EXISTS"]);
        let key_name = name(c)?;
        if c.eat_any_word(&["USING", "TYPE"]) {
            c.take();
        }
        if !c.eat_word("ON") {
            return Err(syntax(c, "ON was expected"));
        }
        name(c)?;
        if c.eat_punct('.') {
            name(c)?;
        }
        let parts = key_parts(c)?;
        if self.keys.iter().any(|k| same_name(&k.name, &key_name)) {
            if replace {
                self.drop_key(&key_name, true)?;
            } else if if_not_exists {
                return Ok(());
            }
        }
        self.add_key(Key { name: key_name, unique, primary: false, special, parts })
    }

    pub(super) fn drop_key(&mut self, key: &str, if_exists: bool) -> Result<(), ModelError> {
        let before = self.keys.len();
        self.keys.retain(|k| !same_name(&k.name, key));
        // An index that the server made for a foreign key may bear a name of its own making.
        if self.keys.len() == before && !if_exists && self.foreign_keys.is_empty() {
            return Err(ModelError::NoKey { table: self.table_text(), key: key.to_owned() });
        }
        Ok(())
    }

    /// After DROP: a key or a constraint.
    pub(super) fn drop_named(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if c.eat_words(&["PRIMARY", "KEY"]) {
            return self.drop_key("PRIMARY", false);
        }
        if c.eat_any_word(&["INDEX", "KEY"]) {
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let key = name(c)?;
            return self.drop_key(&key, if_exists);
        }
        let constraint = c.eat_any_word(&["CONSTRAINT", "CHECK"]);
        if !constraint && !c.eat_words(&["FOREIGN", "KEY"]) {
            return Err(syntax(c, "a key or constraint was expected"));
        }
        c.eat_words(&["IF", "EXISTS"]);
        let key = name(c)?;
        self.foreign_keys.retain(|f| !f.name.as_deref().is_some_and(|n| same_name(n, &key)));
        if constraint {
            // DROP CONSTRAINT also drops a unique key of that name.
            self.keys.retain(|k| !(k.unique && same_name(&k.name, &key)));
        }
        Ok(())
    }

    /// After RENAME: `INDEX old TO new`.
    pub(super) fn rename_key(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        c.take();
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let old = name(c)?;
        c.eat_word("TO");
        let new = name(c)?;
        let table = self.table_text();
        match self.keys.iter_mut().find(|k| same_name(&k.name, &old)) {
            Some(key) => {
                key.name = new;
                Ok(())
            }
            None if if_exists || !self.foreign_keys.is_empty() => Ok(()),
            None => Err(ModelError::NoKey { table, key: old }),
        }
    }

    /// `ALTER [COLUMN] c SET DEFAULT|DROP DEFAULT|SET VISIBLE`, `ALTER INDEX ..`, `ALTER CHECK ..`.
    pub(super) fn alter_part(&mut self, sql: &str, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if c.is_any_word(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
            return Ok(());
        }
        c.eat_word("COLUMN");
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let column = name(c)?;
        if if_exists && self.column_index(&column).is_none() {
            return Ok(());
        }
        let index = self.require_column(&column)?;
        let column = &mut self.columns[index];
        if c.eat_words(&["DROP", "DEFAULT"]) {
            column.default = None;
        } else if c.eat_words(&["SET", "INVISIBLE"]) {
            column.invisible = true;
        } else if c.eat_words(&["SET", "VISIBLE"]) {
            column.invisible = false;
        } else if c.eat_words(&["SET", "DEFAULT"]) {
            let start = c.offset();
            c.skip_item();
            column.default = sql.get(start..c.offset()).map(|t| t.trim_end().to_owned());
        } else {
            return Err(syntax(c, "a change of a column that is not known"));
        }
        Ok(())
    }
}
