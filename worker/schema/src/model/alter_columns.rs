//! Columns of one ALTER TABLE. It is one change: columns are named as they were before it, so that names may be swapped.

use super::column::{Column, same_name};
use super::column_parser::{ColumnDefinition, Place, column, expect_punct, name};
use super::create::primary_of;
use super::error::ModelError;
use super::key::Key;
use super::key_parser::{Element, NewForeignKey, element};
use super::table::TableModel;
use crate::lex::Cursor;
use crate::sql_mode::SqlMode;

/// What happens to a column that was there.
enum Fate {
    Stays,
    Renamed(String),
    Changed(Box<Column>),
    /// Taken out; the specification puts it where it says, and is known by its first token.
    Moved(Box<Column>, Place, usize),
    Dropped,
}

/// The columns from before the statement and what becomes of them.
pub(super) struct Changes {
    fates: Vec<Fate>,
    keys: Vec<Key>,
    foreign: Vec<NewForeignKey>,
}

impl Changes {
    pub fn of(model: &TableModel) -> Self {
        Changes {
            fates: model.columns.iter().map(|_| Fate::Stays).collect(),
            keys: Vec::new(),
            foreign: Vec::new(),
        }
    }

    /// DROP, MODIFY, CHANGE and RENAME of a column.
    pub fn existing(
        &mut self,
        model: &mut TableModel,
        sql: &str,
        c: &mut Cursor<'_, '_>,
        mode: SqlMode,
    ) -> Result<(), ModelError> {
        let place = c.index();
        let verb = c.take().map(|t| t.text.to_ascii_uppercase()).unwrap_or_default();
        if verb == "DROP" {
            if c.is_word("PARTITION") || c.eat_word("PERIOD") {
                return Ok(());
            }
            if c.eat_words(&["SYSTEM", "VERSIONING"]) {
                model.system_versioned = false;
                return Ok(());
            }
        }
        c.eat_word("COLUMN");
        let if_exists = c.eat_words(&["IF", "EXISTS"]);
        let before_name = c.index();
        let old = name(c)?;
        if if_exists && model.column_index(&old).is_none() {
            return Ok(());
        }
        let index = model.require_column(&old)?;
        self.fates[index] = match verb.as_str() {
            "DROP" => Fate::Dropped,
            "RENAME" => {
                c.eat_word("TO");
                Fate::Renamed(name(c)?)
            }
            _ => {
                if verb == "MODIFY" {
                    c.go_to(before_name);
                }
                let mut definition = column(sql, c, mode)?;
                model.settle(&mut definition.column);
                self.keys_of(&mut definition);
                match definition.place {
                    Place::Unsaid => Fate::Changed(Box::new(definition.column)),
                    said => Fate::Moved(Box::new(definition.column), said, place),
                }
            }
        };
        Ok(())
    }

    /// Puts the fates into the model; columns that move are out of it until [`Changes::place`].
    pub fn settle(&mut self, model: &mut TableModel) -> Result<(), ModelError> {
        let renames: Vec<(String, Option<String>)> = model
            .columns
            .iter()
            .zip(&self.fates)
            .filter_map(|(old, fate)| match fate {
                Fate::Stays => None,
                Fate::Dropped => Some((old.name.clone(), None)),
                Fate::Renamed(new) => Some((old.name.clone(), Some(new.clone()))),
                Fate::Changed(new) | Fate::Moved(new, ..) => Some((old.name.clone(), Some(new.name.clone()))),
            })
            .collect();
        let mut columns = Vec::with_capacity(model.columns.len());
        for (mut old, fate) in std::mem::take(&mut model.columns).into_iter().zip(&self.fates) {
            match fate {
                Fate::Stays => {}
                Fate::Renamed(new) => old.name.clone_from(new),
                Fate::Changed(new) => old = Column::clone(new),
                Fate::Moved(..) | Fate::Dropped => continue,
            }
            columns.push(old);
        }
        model.columns = columns;
        let fate_of = |name: &str| renames.iter().find(|(old, _)| same_name(old, name)).map(|(_, new)| new);
        for key in &mut model.keys {
            key.parts.retain(|p| p.column.as_deref().is_none_or(|c| fate_of(c) != Some(&None)));
            for column in key.parts.iter_mut().filter_map(|p| p.column.as_mut()) {
                if let Some(Some(new)) = fate_of(column) {
                    column.clone_from(new);
                }
            }
        }
        model.keys.retain(|k| !k.parts.is_empty());
        for column in model.foreign_keys.iter_mut().flat_map(|f| &mut f.columns) {
            if let Some(Some(new)) = fate_of(column) {
                column.clone_from(new);
            }
        }
        self.not_null(model);
        for (number, column) in model.columns.iter().enumerate() {
            if model.columns[..number].iter().any(|other| other.is_named(&column.name)) {
                return Err(duplicate(model, &column.name));
            }
        }
        Ok(())
    }

    /// The columns of the primary key stay NOT NULL whatever a change says.
    fn not_null(&self, model: &mut TableModel) {
        let primary: Vec<String> = model
            .primary_key()
            .map(|k| k.parts.iter().filter_map(|p| p.column.clone()).collect())
            .unwrap_or_default();
        for column in model.columns.iter_mut().filter(|c| primary.iter().any(|p| c.is_named(p))) {
            column.nullable = false;
        }
    }

    /// MODIFY or CHANGE with FIRST or AFTER.
    pub fn place(&mut self, model: &mut TableModel, c: &Cursor<'_, '_>) -> Result<(), ModelError> {
        let at = c.index();
        for fate in &self.fates {
            if let Fate::Moved(column, place, token) = fate
                && *token == at
            {
                insert(model, Column::clone(column), place)?;
                self.not_null(model);
                break;
            }
        }
        Ok(())
    }

    /// ADD: the columns of it now, keys and constraints in their own passes.
    pub fn add(
        &mut self,
        model: &mut TableModel,
        sql: &str,
        c: &mut Cursor<'_, '_>,
        mode: SqlMode,
    ) -> Result<(), ModelError> {
        c.take();
        if c.is_word("PARTITION") || c.is_words(&["SYSTEM", "VERSIONING"]) {
            model.system_versioned |= c.is_word("SYSTEM");
            return Ok(());
        }
        let if_not_exists = contains_if_not_exists(c);
        if let Some(element) = element(c)? {
            self.element(model, element, if_not_exists);
            return Ok(());
        }
        c.eat_word("COLUMN");
        c.eat_words(&["IF", "NOT", "EXISTS"]);
        if !c.eat_punct('(') {
            let definition = column(sql, c, mode)?;
            return self.add_column(model, definition, if_not_exists);
        }
        loop {
            match element(c)? {
                Some(element) => self.element(model, element, if_not_exists),
                None => {
                    let definition = column(sql, c, mode)?;
                    self.add_column(model, definition, if_not_exists)?;
                }
            }
            if !c.eat_punct(',') {
                break;
            }
        }
        expect_punct(c, ')')
    }

    fn element(&mut self, model: &TableModel, element: Element, if_not_exists: bool) {
        let exists = |name: &str| model.keys.iter().any(|k| same_name(&k.name, name));
        match element {
            Element::Key(key) if if_not_exists && exists(&key.name) => {}
            Element::Key(key) => self.keys.push(key),
            Element::Foreign(key) => self.foreign.push(key),
            Element::Period(_) | Element::Other => {}
        }
    }

    fn add_column(
        &mut self,
        model: &mut TableModel,
        mut definition: ColumnDefinition,
        if_not_exists: bool,
    ) -> Result<(), ModelError> {
        if model.column_index(&definition.column.name).is_some() {
            return if if_not_exists { Ok(()) } else { Err(duplicate(model, &definition.column.name)) };
        }
        model.settle(&mut definition.column);
        self.keys_of(&mut definition);
        insert(model, definition.column, &definition.place)
    }

    /// What a column's definition says about keys.
    fn keys_of(&mut self, definition: &mut ColumnDefinition) {
        if definition.primary {
            self.keys.push(primary_of(&definition.column.name));
        }
        self.keys.extend(definition.key.take());
        self.foreign.extend(definition.foreign.take());
    }

    /// Adds the keys, or the foreign keys, once.
    pub fn keys(&mut self, model: &mut TableModel, foreign: bool) -> Result<(), ModelError> {
        if foreign {
            return self.foreign.drain(..).try_for_each(|key| model.add_foreign(key));
        }
        self.keys.drain(..).try_for_each(|key| model.add_key(key))
    }
}

fn insert(model: &mut TableModel, column: Column, place: &Place) -> Result<(), ModelError> {
    let at = match place {
        Place::Unsaid => model.columns.len(),
        Place::First => 0,
        Place::After(other) => model.require_column(other)? + 1,
    };
    model.columns.insert(at, column);
    Ok(())
}

fn duplicate(model: &TableModel, column: &str) -> ModelError {
    ModelError::Duplicate { table: model.table_text(), name: format!("column {column}") }
}

fn contains_if_not_exists(c: &Cursor<'_, '_>) -> bool {
    (0..6).any(|ahead| {
        let word = |i: usize, w: &str| c.peek_at(ahead + i).is_some_and(|t| t.is_word(w));
        word(0, "IF") && word(1, "NOT") && word(2, "EXISTS")
    })
}
