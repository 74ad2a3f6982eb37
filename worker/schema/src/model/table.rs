//! The model of one table.

use super::column::{Column, Generated, same_name};
use super::error::ModelError;
use super::key::{ForeignKey, Key, KeyPart};
use super::types::TypeKind;
use super::types_parser::{BINARY_COLLATION, to_binary};
use crate::charset::{charset_of_collation, longest_character};
use crate::name::TableName;

/// Charset and collation of the schema, used where a CREATE TABLE says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDefaults {
    /// `@@character_set_database` of the schema.
    pub charset: Option<String>,
    /// `@@collation_database` of the schema.
    pub collation: Option<String>,
}

/// What row events need to know of a table: columns, their types and charsets, and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableModel {
    /// Name.
    pub name: TableName,
    /// Columns in order, generated and invisible ones included.
    pub columns: Vec<Column>,
    /// Keys in order of definition.
    pub keys: Vec<Key>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Default charset for new columns, None where not known.
    pub charset: Option<String>,
    /// Default collation for new columns, None where not known.
    pub collation: Option<String>,
    /// Storage engine as written.
    pub engine: Option<String>,
    /// MariaDB's system versioning: row events hold history rows too.
    pub system_versioned: bool,
}

impl TableModel {
    /// Index of a column by name.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.is_named(name))
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.column_index(name).map(|i| &self.columns[i])
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|k| k.primary)
    }

    /// The unique keys, the primary key first.
    pub fn unique_keys(&self) -> impl Iterator<Item = &Key> {
        let (primary, rest): (Vec<_>, Vec<_>) =
            self.keys.iter().filter(|k| k.unique).partition(|k| k.primary);
        primary.into_iter().chain(rest)
    }

    /// Indices of a key's columns when it names whole columns only (no prefix, no expression).
    pub fn whole_columns(&self, key: &Key) -> Option<Vec<usize>> {
        key.parts
            .iter()
            .map(|p| match (&p.column, p.prefix) {
                (Some(column), None) => self.column_index(column),
                _ => None,
            })
            .collect()
    }

    /// The key that identifies a row: the primary key, else the first unique key of whole NOT NULL columns.
    /// None: rows can only be told apart by all their values.
    pub fn identity_key(&self) -> Option<(&Key, Vec<usize>)> {
        self.unique_keys().find_map(|key| {
            let columns = self.whole_columns(key)?;
            columns.iter().all(|i| !self.columns[*i].nullable).then_some((key, columns))
        })
    }

    /// The same table under another name.
    pub fn renamed(&self, name: TableName) -> TableModel {
        TableModel { name, ..self.clone() }
    }

    /// The table without columns that only the target has, in its keys neither.
    pub fn without_columns<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> TableModel {
        let mut model = self.clone();
        let gone = |name: &str| names.clone().any(|n| same_name(n, name));
        model.columns.retain(|c| !gone(&c.name));
        for key in &mut model.keys {
            key.parts.retain(|p| !p.column.as_deref().is_some_and(gone));
        }
        model.keys.retain(|k| !k.parts.is_empty());
        model
    }

    pub(super) fn table_text(&self) -> String {
        self.name.to_string()
    }

    pub(super) fn require_column(&self, name: &str) -> Result<usize, ModelError> {
        self.column_index(name)
            .ok_or_else(|| ModelError::NoColumn { table: self.table_text(), column: name.to_owned() })
    }

    /// Adds a key, giving it a name where it has none, as the server does.
    pub(super) fn add_key(&mut self, mut key: Key) -> Result<(), ModelError> {
        if key.primary {
            key.name = "PRIMARY".to_owned();
        } else if key.name.is_empty() {
            key.name = self.free_key_name(&key);
        }
        // An index that the server made for a foreign key gives way to one that a person makes.
        let made = |k: &Key| {
            let named =
                |f: &ForeignKey| f.columns.iter().map(Some).eq(k.parts.iter().map(|p| p.column.as_ref()));
            !k.unique && !k.special && self.foreign_keys.iter().any(named)
        };
        if let Some(old) = self.keys.iter().position(|k| same_name(&k.name, &key.name) && made(k)) {
            self.keys.remove(old);
        }
        if self.keys.iter().any(|k| same_name(&k.name, &key.name)) {
            return Err(ModelError::Duplicate {
                table: self.table_text(),
                name: format!("key {}", key.name),
            });
        }
        for part in &key.parts {
            let Some(column) = &part.column else { continue };
            let index = self.require_column(column)?;
            if key.primary {
                self.columns[index].nullable = false;
            }
        }
        self.keys.push(key);
        Ok(())
    }

    /// First column's name, then with _2, _3 and so on.
    fn free_key_name(&self, key: &Key) -> String {
        let base = match key.parts.first() {
            Some(KeyPart { column: Some(column), .. }) => column.clone(),
            _ => "functional_index".to_owned(),
        };
        let taken =
            |name: &str| same_name(name, "PRIMARY") || self.keys.iter().any(|k| same_name(&k.name, name));
        if !taken(&base) {
            return base;
        }
        (2..).map(|n| format!("{base}_{n}")).find(|name| !taken(name)).unwrap_or(base)
    }

    /// Gives columns without a charset the table's, and the names and sizes that depend on it.
    pub(super) fn settle(&self, column: &mut Column) {
        if column.ty.kind.has_charset() {
            if column.collation.as_deref() == Some(BINARY_COLLATION) {
                column.charset = column.charset.take().or_else(|| self.charset.clone());
                column.collation = column.charset.as_ref().map(|charset| format!("{charset}_bin"));
            }
            if column.charset.is_none() {
                match &column.collation {
                    Some(collation) => {
                        let own = charset_of_collation(collation).map(str::to_owned);
                        column.charset = own.or_else(|| self.charset.clone());
                    }
                    None => {
                        column.charset.clone_from(&self.charset);
                        column.collation.clone_from(&self.collation);
                    }
                }
            }
            // MariaDB's short names go with any charset and are shown with it.
            if let (Some(charset), Some(collation)) = (&column.charset, &column.collation)
                && collation.starts_with("uca")
            {
                column.collation = Some(format!("{charset}_{collation}"));
            }
            // TEXT(n) holds n characters.
            if let (true, Some(length)) = (column.ty.kind.is_sized_text(), column.ty.length) {
                let bytes = column.charset.as_deref().map_or(1, longest_character);
                column.ty.kind = TypeKind::by_size(u64::from(length) * bytes, true);
            }
        }
        if column.generated == Generated::RowPeriod {
            column.nullable = false;
        }
        if column.charset.as_deref() == Some("binary") {
            to_binary(column);
        }
    }
}
