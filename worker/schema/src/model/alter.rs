//! Changes to a model: ALTER TABLE, CREATE INDEX, DROP INDEX.

use super::column::{Column, same_name};
use super::column_parser::{ColumnDefinition, Place, charset_word, column, expect_punct, name, syntax};
use super::create::primary_of;
use super::error::ModelError;
use super::key::Key;
use super::key_parser::{Element, element, key_parts};
use super::table::TableModel;
use super::types_parser::to_binary;
use crate::charset::{charset_of_collation, normalise_charset, normalise_collation};
use crate::lex::{Cursor, tokenize};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

/// First words of specifications that change nothing the model holds.
const SKIPPED: [&str; 38] = [
    "ALGORITHM",
    "LOCK",
    "FORCE",
    "ORDER",
    "ENABLE",
    "DISABLE",
    "COMMENT",
    "AUTO_INCREMENT",
    "ROW_FORMAT",
    "KEY_BLOCK_SIZE",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "PARTITION",
    "REORGANIZE",
    "COALESCE",
    "TRUNCATE",
    "REMOVE",
    "REBUILD",
    "OPTIMIZE",
    "ANALYZE",
    "CHECK",
    "REPAIR",
    "MAX_ROWS",
    "MIN_ROWS",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "PACK_KEYS",
    "DELAY_KEY_WRITE",
    "COMPRESSION",
    "ENCRYPTION",
    "INSERT_METHOD",
    "TABLESPACE",
    "CONNECTION",
    "WITH",
    "WITHOUT",
    "SECONDARY_LOAD",
    "SECONDARY_UNLOAD",
];

impl TableModel {
    /// Applies ALTER TABLE, CREATE INDEX or DROP INDEX to the model. A clause that is not known is an error and leaves
    /// the model as it was. RENAME TO changes the name.
    pub fn apply_alter(&mut self, sql: &str, mode: SqlMode) -> Result<(), ModelError> {
        let tokens = tokenize(sql, mode)?;
        let mut next = self.clone();
        next.apply(sql, &mut Cursor::new(&tokens), mode)?;
        *self = next;
        Ok(())
    }

    fn apply(&mut self, sql: &str, c: &mut Cursor<'_, '_>, mode: SqlMode) -> Result<(), ModelError> {
        if c.eat_word("CREATE") {
            return self.create_index(c);
        }
        if c.eat_word("DROP") {
            c.eat_any_word(&["ONLINE", "OFFLINE"]);
            if !c.eat_word("INDEX") {
                return Err(syntax(c, "DROP INDEX was expected"));
            }
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let key = name(c)?;
            return self.drop_key(&key, if_exists);
        }
        if !c.eat_word("ALTER") {
            return Err(syntax(c, "ALTER TABLE was expected"));
        }
        c.eat_any_word(&["ONLINE", "OFFLINE"]);
        c.eat_word("IGNORE");
        if !c.eat_word("TABLE") {
            return Err(syntax(c, "ALTER TABLE was expected"));
        }
        c.eat_words(&["IF", "EXISTS"]);
        name(c)?;
        if c.eat_punct('.') {
            name(c)?;
        }
        if c.eat_word("WAIT") {
            c.take();
        } else {
            c.eat_word("NOWAIT");
        }
        // MySQL drops before it adds, whatever the order in the text: DROP INDEX a, ADD INDEX a is common in both
        // orders and the model only has to end up the same, so drops of keys go first.
        let start = c.index();
        for drops in [true, false] {
            c.go_to(start);
            while !c.at_end() && !c.is_punct(';') {
                if names_list(c) {
                    break;
                }
                if is_key_drop(c) == drops {
                    self.specification(sql, c, mode)?;
                }
                c.skip_item();
                if !c.eat_punct(',') {
                    break;
                }
            }
        }
        Ok(())
    }

    fn create_index(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
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

    fn drop_key(&mut self, key: &str, if_exists: bool) -> Result<(), ModelError> {
        let before = self.keys.len();
        self.keys.retain(|k| !same_name(&k.name, key));
        // An index that the server made for a foreign key may bear a name of its own making.
        if self.keys.len() == before && !if_exists && self.foreign_keys.is_empty() {
            return Err(ModelError::NoKey { table: self.table_text(), key: key.to_owned() });
        }
        Ok(())
    }

    fn specification(&mut self, sql: &str, c: &mut Cursor<'_, '_>, mode: SqlMode) -> Result<(), ModelError> {
        if c.eat_word("ADD") {
            return self.add(sql, c, mode);
        }
        if c.eat_word("DROP") {
            return self.drop(c);
        }
        if c.eat_word("MODIFY") {
            c.eat_word("COLUMN");
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let definition = column(sql, c, mode)?;
            let old = definition.column.name.clone();
            return self.replace_column(&old, definition, if_exists);
        }
        if c.eat_word("CHANGE") {
            c.eat_word("COLUMN");
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let old = name(c)?;
            let definition = column(sql, c, mode)?;
            return self.replace_column(&old, definition, if_exists);
        }
        if c.eat_word("RENAME") {
            return self.rename(c);
        }
        if c.eat_word("ALTER") {
            return self.alter_part(sql, c);
        }
        if c.is_words(&["CONVERT", "TO"]) {
            return self.convert(c);
        }
        if c.is_any_word(&["EXCHANGE", "DISCARD", "IMPORT"]) || c.is_word("CONVERT") {
            return Ok(());
        }
        // Options may follow one another without commas.
        while !c.at_end() && !c.is_punct(',') {
            if self.option(c)? {
                continue;
            }
            if c.is_any_word(&SKIPPED) {
                c.skip_item_options();
            } else {
                return Err(syntax(c, "a change that is not known"));
            }
        }
        Ok(())
    }

    fn add(&mut self, sql: &str, c: &mut Cursor<'_, '_>, mode: SqlMode) -> Result<(), ModelError> {
        if c.is_word("PARTITION") || c.is_words(&["SYSTEM", "VERSIONING"]) {
            self.system_versioned |= c.is_word("SYSTEM");
            return Ok(());
        }
        let start = c.index();
        let if_not_exists = contains_if_not_exists(c);
        if let Some(element) = element(c)? {
            let exists = |name: &str| self.keys.iter().any(|k| same_name(&k.name, name));
            if if_not_exists && matches!(&element, Element::Key(key) if exists(&key.name)) {
                return Ok(());
            }
            return self.add_element(element);
        }
        c.go_to(start);
        c.eat_word("COLUMN");
        c.eat_words(&["IF", "NOT", "EXISTS"]);
        if !c.eat_punct('(') {
            let definition = column(sql, c, mode)?;
            return self.add_column(definition, if_not_exists);
        }
        loop {
            match element(c)? {
                Some(element) => self.add_element(element)?,
                None => {
                    let definition = column(sql, c, mode)?;
                    self.add_column(definition, if_not_exists)?;
                }
            }
            if !c.eat_punct(',') {
                break;
            }
        }
        expect_punct(c, ')')
    }

    fn add_column(&mut self, definition: ColumnDefinition, if_not_exists: bool) -> Result<(), ModelError> {
        if self.column_index(&definition.column.name).is_some() {
            if if_not_exists {
                return Ok(());
            }
            let name = format!("column {}", definition.column.name);
            return Err(ModelError::Duplicate { table: self.table_text(), name });
        }
        let ColumnDefinition { mut column, key, primary, place } = definition;
        self.settle(&mut column);
        let (name, end) = (column.name.clone(), self.columns.len());
        self.insert_at(column, &place, end)?;
        if primary {
            self.add_key(primary_of(&name))?;
        }
        key.map_or(Ok(()), |key| self.add_key(key))
    }

    fn replace_column(
        &mut self,
        old: &str,
        definition: ColumnDefinition,
        if_exists: bool,
    ) -> Result<(), ModelError> {
        if if_exists && self.column_index(old).is_none() {
            return Ok(());
        }
        let ColumnDefinition { mut column, key, primary, place } = definition;
        self.rename_column(old, &column.name)?;
        self.settle(&mut column);
        let in_primary = self
            .primary_key()
            .is_some_and(|k| k.parts.iter().any(|p| p.column.as_deref().is_some_and(|c| column.is_named(c))));
        if in_primary {
            column.nullable = false;
        }
        let name = column.name.clone();
        let at = self.require_column(&name)?;
        self.columns.remove(at);
        self.insert_at(column, &place, at)?;
        if primary {
            self.add_key(primary_of(&name))?;
        }
        key.map_or(Ok(()), |key| self.add_key(key))
    }

    fn settle(&self, column: &mut Column) {
        self.settle_column(column);
        if column.charset.as_deref() == Some("binary") {
            to_binary(column);
        }
    }

    fn insert_at(&mut self, column: Column, place: &Place, unsaid: usize) -> Result<(), ModelError> {
        let at = match place {
            Place::Unsaid => unsaid,
            Place::First => 0,
            Place::After(other) => self.require_column(other)? + 1,
        };
        self.columns.insert(at, column);
        Ok(())
    }

    fn drop(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if c.eat_words(&["PRIMARY", "KEY"]) {
            return self.drop_key("PRIMARY", false);
        }
        if c.is_word("PARTITION") || c.eat_word("PERIOD") {
            return Ok(());
        }
        if c.eat_words(&["SYSTEM", "VERSIONING"]) {
            self.system_versioned = false;
            return Ok(());
        }
        if c.eat_any_word(&["INDEX", "KEY"]) {
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let key = name(c)?;
            return self.drop_key(&key, if_exists);
        }
        if c.eat_words(&["FOREIGN", "KEY"]) || c.is_any_word(&["CONSTRAINT", "CHECK"]) {
            let constraint = c.eat_any_word(&["CONSTRAINT", "CHECK"]);
            c.eat_words(&["IF", "EXISTS"]);
            let key = name(c)?;
            self.foreign_keys.retain(|f| !f.name.as_deref().is_some_and(|n| same_name(n, &key)));
            if constraint {
                // DROP CONSTRAINT also drops a unique key of that name.
                self.keys.retain(|k| !(k.unique && same_name(&k.name, &key)));
            }
            return Ok(());
        }
        c.eat_word("COLUMN");
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let column = name(c)?;
        if if_exists && self.column_index(&column).is_none() {
            return Ok(());
        }
        self.drop_column(&column)
    }

    fn rename(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if c.eat_word("COLUMN") {
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let old = name(c)?;
            c.eat_word("TO");
            let new = name(c)?;
            if if_exists && self.column_index(&old).is_none() {
                return Ok(());
            }
            return self.rename_column(&old, &new);
        }
        if c.is_any_word(&["INDEX", "KEY"]) && c.peek_at(1).is_some() {
            c.take();
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let old = name(c)?;
            c.eat_word("TO");
            let new = name(c)?;
            let table = self.table_text();
            return match self.keys.iter_mut().find(|k| same_name(&k.name, &old)) {
                Some(key) => {
                    key.name = new;
                    Ok(())
                }
                None if if_exists || !self.foreign_keys.is_empty() => Ok(()),
                None => Err(ModelError::NoKey { table, key: old }),
            };
        }
        if !c.eat_any_word(&["TO", "AS"]) {
            c.eat_punct('=');
        }
        let mut target = TableName::new(self.name.schema.clone(), name(c)?);
        if c.eat_punct('.') {
            target = TableName::new(target.table, name(c)?);
        }
        self.name = target;
        Ok(())
    }

    /// `ALTER [COLUMN] c SET DEFAULT|DROP DEFAULT|SET VISIBLE`, `ALTER INDEX ..`, `ALTER CHECK ..`.
    fn alter_part(&mut self, sql: &str, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
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

    /// `CONVERT TO CHARACTER SET x [COLLATE y]`: every string column follows.
    fn convert(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        c.go_to(c.index() + 2);
        if !c.eat_words(&["CHARACTER", "SET"]) && !c.eat_word("CHARSET") {
            return Err(syntax(c, "CHARACTER SET was expected"));
        }
        let charset = normalise_charset(&charset_word(c)?);
        let mut collation = None;
        if c.eat_word("COLLATE") {
            c.eat_punct('=');
            collation = Some(normalise_collation(&charset_word(c)?));
        }
        // DEFAULT means the schema's, which the model does not know.
        let charset = match (&collation, charset.as_str()) {
            (Some(collation), _) => charset_of_collation(collation).map(str::to_owned).or(Some(charset)),
            (None, "default") => None,
            (None, _) => Some(charset),
        };
        for column in self.columns.iter_mut().filter(|c| c.ty.kind.has_charset()) {
            column.charset.clone_from(&charset);
            column.collation.clone_from(&collation);
            if charset.as_deref() == Some("binary") {
                to_binary(column);
            }
        }
        self.charset = charset;
        self.collation = collation;
        Ok(())
    }
}

/// Operations on partitions, and ORDER BY, go on to the end with lists of their own and change nothing here.
fn names_list(c: &Cursor<'_, '_>) -> bool {
    const VERBS: [&str; 13] = [
        "ADD",
        "DROP",
        "TRUNCATE",
        "REORGANIZE",
        "COALESCE",
        "REBUILD",
        "OPTIMIZE",
        "ANALYZE",
        "CHECK",
        "REPAIR",
        "EXCHANGE",
        "DISCARD",
        "IMPORT",
    ];
    let partition = c.peek_at(1).is_some_and(|t| t.is_word("PARTITION"));
    (c.is_any_word(&VERBS) && partition) || c.is_words(&["PARTITION", "BY"]) || c.is_words(&["ORDER", "BY"])
}

fn is_key_drop(c: &Cursor<'_, '_>) -> bool {
    c.is_words(&["DROP", "INDEX"]) || c.is_words(&["DROP", "KEY"]) || c.is_words(&["DROP", "PRIMARY", "KEY"])
}

fn contains_if_not_exists(c: &Cursor<'_, '_>) -> bool {
    (0..6).any(|ahead| {
        let word = |i: usize, w: &str| c.peek_at(ahead + i).is_some_and(|t| t.is_word(w));
        word(0, "IF") && word(1, "NOT") && word(2, "EXISTS")
    })
}
