//! Table definitions as they are kept in the target's checkpoint row.
use std::collections::BTreeMap;

use dm_proto::error::Code;
use dm_schema::{SqlMode, TableDefaults, TableModel, TableName};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// A DDL of the source in canonical form (read without ANSI_QUOTES and NO_BACKSLASH_ESCAPES).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDdl {
    pub sql: String,
    pub mode: u64,
}

/// One table: the text that created it and what altered it since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTable {
    pub schema: String,
    pub table: String,
    pub create: String,
    pub mode: u64,
    #[serde(default)]
    pub altered: Vec<StoredDdl>,
    /// Executed GTIDs of the source when the text was read there; DDLs among them are already in it.
    #[serde(default)]
    pub known_gtids: String,
    /// The same for a source without GTIDs.
    #[serde(default)]
    pub known_file: String,
    #[serde(default)]
    pub known_pos: u64,
}

/// What a tool has done so far to a table that is to take another one's place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChange {
    pub schema: String,
    /// The shadow table.
    pub table: String,
    /// The table that is changed, in the same schema.
    pub real: String,
    /// What altered the shadow since it was made, in order.
    pub statements: Vec<StoredStatement>,
}

/// A statement to be executed later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredStatement {
    /// Canonical, with the names of the source.
    pub sql: String,
    /// As of a [`StoredDdl`].
    pub mode: u64,
    /// Statements that set the target's session up for it.
    pub session: Vec<String>,
}

impl StoredChange {
    pub fn shadow(&self) -> TableName {
        TableName::new(&self.schema, &self.table)
    }

    pub fn real(&self) -> TableName {
        TableName::new(&self.schema, &self.real)
    }
}

/// A DDL that was about to be executed when this was written: it counts if its transaction is in the executed set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDdl {
    pub transaction: String,
    /// What each statement of the event leaves behind, after it.
    pub after: Vec<StoredTable>,
    /// Tables that are gone after it.
    pub gone: Vec<(String, String)>,
    /// All online schema changes after it; `None` when they are the same as before.
    #[serde(default)]
    pub online: Option<Vec<StoredChange>>,
    /// Where its transaction begins, for the commands that skip or replace it.
    #[serde(default)]
    pub file: String,
    #[serde(default)]
    pub pos: u64,
}

/// The stored form; its field names are part of the checkpoint's format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTables {
    pub tables: Vec<StoredTable>,
    /// Online schema changes that are under way.
    #[serde(default)]
    pub online: Vec<StoredChange>,
    #[serde(default)]
    pub pending: Option<PendingDdl>,
}

impl StoredTables {
    pub fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|e| {
            Failure::new(Code::CheckpointBroken, "the table definitions in the checkpoint can't be read")
                .cause(e)
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        // Strings and numbers under string keys: there is nothing that JSON could refuse.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// A table as `SHOW CREATE TABLE` gave it at the start of the stream.
    pub fn add_created(&mut self, name: &TableName, create: String) {
        self.tables.push(StoredTable {
            schema: name.schema.clone(),
            table: name.table.clone(),
            create,
            ..StoredTable::default()
        });
    }

    pub fn by_name(self) -> BTreeMap<TableName, StoredTable> {
        self.tables.into_iter().map(|t| (t.name(), t)).collect()
    }
}

impl StoredTable {
    /// A table as this text creates it, wherever that was read.
    pub fn of(name: &TableName, create: String) -> Self {
        Self { schema: name.schema.clone(), table: name.table.clone(), create, ..Self::default() }
    }

    pub fn name(&self) -> TableName {
        TableName::new(&self.schema, &self.table)
    }

    /// The model that text and changes give, under the table's present name.
    pub fn model(&self) -> Result<TableModel, Failure> {
        let name = self.name();
        let broken = |e: &dyn std::fmt::Display| {
            Failure::new(Code::CheckpointBroken, format!("the definition of {name} can't be understood"))
                .cause(e)
        };
        let mode = SqlMode::from_bits(self.mode);
        let mut model = TableModel::parse_create(&self.create, mode, &name.schema, &TableDefaults::default())
            .map_err(|e| broken(&e))?;
        for change in &self.altered {
            model.apply_alter(&change.sql, SqlMode::from_bits(change.mode)).map_err(|e| broken(&e))?;
        }
        Ok(model.renamed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_storing_with_its_changes() {
        let name = TableName::new("a", "t");
        let mut stored = StoredTables::default();
        stored.add_created(&name, "CREATE TABLE `t` (`id` int NOT NULL, PRIMARY KEY (`id`))".to_owned());
        stored.tables[0]
            .altered
            .push(StoredDdl { sql: "ALTER TABLE `a`.`t` ADD COLUMN `v` int".to_owned(), mode: 0 });
        let back = StoredTables::decode(&stored.encode()).unwrap();
        assert_eq!(back, stored);
        let model = back.tables[0].model().unwrap();
        assert_eq!(model.columns.len(), 2);
        assert_eq!(model.name, name);
    }
}
