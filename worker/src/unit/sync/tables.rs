//! Which table a row event belongs to, by which definition it is read, and how it is written.
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use dm_binlog::{ColumnHint, TableMap};
use dm_proto::error::{Code, Scope};
use dm_schema::{RowWriter, RowWriterOptions, SqlMode, TableDefaults, TableModel, TableName};

use super::{
    stats::Place,
    stored_tables::{StoredTable, StoredTables},
};
use crate::{
    downstream::TargetDefinitions, failure::Failure, subtask::SubtaskContext, unit::rules::Rules,
    upstream::Definitions,
};

/// Table maps with a known answer; forgotten whole beyond this.
const REMEMBERED: usize = 4096;

/// A table that is replicated.
pub struct Table {
    pub source: TableName,
    pub hints: Vec<ColumnHint>,
    pub writer: RowWriter,
}

/// All tables of one subtask.
pub struct Tables {
    pub rules: Rules,
    stored: BTreeMap<TableName, StoredTable>,
    /// Answers by the number of the table map; a map that is not the same object is looked at again.
    by_map: HashMap<u64, (Arc<TableMap>, Option<Arc<Table>>)>,
    by_name: HashMap<TableName, Arc<Table>>,
    source: Definitions,
    target: TargetDefinitions,
    only_source: bool,
    changed: bool,
}

impl Tables {
    pub fn new(context: &SubtaskContext, stored: StoredTables) -> Result<Self, Failure> {
        Ok(Self {
            rules: Rules::new(&context.subtask)?,
            stored: stored.by_name(),
            by_map: HashMap::new(),
            by_name: HashMap::new(),
            source: Definitions::new(Arc::clone(&context.source)),
            target: TargetDefinitions::new(context.subtask.target.clone()),
            only_source: context.only_source,
            changed: false,
        })
    }

    pub fn source(&mut self) -> &mut Definitions {
        &mut self.source
    }

    /// The table of a map, `None` when it is filtered out. The definition is checked against every new map.
    pub async fn resolve(&mut self, map: &Arc<TableMap>, at: &Place) -> Result<Option<Arc<Table>>, Failure> {
        if let Some((known, table)) = self.by_map.get(&map.table_id)
            && Arc::ptr_eq(known, map)
        {
            return Ok(table.clone());
        }
        let name = TableName::new(map.schema_lossy(), map.table_lossy());
        let table = match self.rules.target_of(&name)? {
            None => None,
            Some(target) => Some(self.table(map, name, target, at).await?),
        };
        if self.by_map.len() >= REMEMBERED {
            self.by_map.clear();
        }
        self.by_map.insert(map.table_id, (Arc::clone(map), table.clone()));
        Ok(table)
    }

    /// The answer that was given for the map of the same statement.
    pub fn resolved(&self, map: &Arc<TableMap>) -> Option<Option<Arc<Table>>> {
        self.by_map.get(&map.table_id).filter(|(known, _)| Arc::ptr_eq(known, map)).map(|(_, t)| t.clone())
    }

    async fn table(
        &mut self,
        map: &TableMap,
        name: TableName,
        target: TableName,
        at: &Place,
    ) -> Result<Arc<Table>, Failure> {
        let model = self.model(map, &name, &target, at).await?;
        if let Some(table) = self.by_name.get(&name) {
            return Ok(Arc::clone(table));
        }
        let Some(target_model) = self.target_model(&target).await? else {
            return Err(Failure::new(
                Code::TargetTableMissing,
                format!("table {target} does not exist at the target, {name} has changes at {}", at.text()),
            ));
        };
        // Rows of several tables may meet in one: then only the whole row says which is meant.
        let merged = !self.only_source || name != target;
        let writer = RowWriter::new(&model, &target_model, RowWriterOptions { merged }).map_err(|e| {
            Failure::new(Code::ColumnCountMismatch, format!("{name} can't be written to {target}"))
                .cause(e)
                .scope(Scope::Downstream)
        })?;
        let table = Arc::new(Table { source: name.clone(), hints: model.column_hints(), writer });
        self.by_name.insert(name, Arc::clone(&table));
        Ok(table)
    }

    /// A definition that fits the map: the stored one, else the source's present one, else the target's.
    async fn model(
        &mut self,
        map: &TableMap,
        name: &TableName,
        target: &TableName,
        at: &Place,
    ) -> Result<TableModel, Failure> {
        let mut misfit = None;
        if let Some(stored) = self.stored.get(name) {
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => return Ok(model),
                // A definition that the stream itself gave has to fit; there is no better one.
                Err(error) if stored.known_gtids.is_empty() && stored.known_file.is_empty() => {
                    return Err(mismatch(name, at, &error));
                }
                Err(error) => misfit = Some(error),
            }
        }
        if misfit.is_none()
            && let Some(definition) = self.source.read(name).await?
        {
            let stored = StoredTable {
                schema: name.schema.clone(),
                table: name.table.clone(),
                create: definition.create,
                known_gtids: definition.gtids,
                known_file: definition.file,
                known_pos: definition.pos,
                ..StoredTable::default()
            };
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => {
                    self.store(stored);
                    return Ok(model);
                }
                Err(error) => misfit = Some(error),
            }
        }
        // The source has changed or dropped it since; the target still has it as it was here.
        if let Some(create) = self.target.read(target).await? {
            let stored = StoredTable {
                schema: name.schema.clone(),
                table: name.table.clone(),
                create,
                ..StoredTable::default()
            };
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => {
                    self.store(stored);
                    return Ok(model);
                }
                Err(error) => misfit = Some(misfit.unwrap_or(error)),
            }
        }
        Err(match misfit {
            Some(error) => mismatch(name, at, &error),
            None => Failure::new(
                Code::TargetTableMissing,
                format!(
                    "{name} has changes at {} and exists neither at the source nor, as {target}, at the target",
                    at.text()
                ),
            ),
        })
    }

    async fn target_model(&mut self, target: &TableName) -> Result<Option<TableModel>, Failure> {
        let Some(create) = self.target.read(target).await? else { return Ok(None) };
        let model =
            TableModel::parse_create(&create, SqlMode::default(), &target.schema, &TableDefaults::default())
                .map_err(|e| {
                    Failure::new(Code::DdlUnparseable, format!("the definition of {target} at the target"))
                        .scope(Scope::Downstream)
                        .cause(e)
                })?;
        Ok(Some(model.renamed(target.clone())))
    }

    fn store(&mut self, table: StoredTable) {
        self.stored.insert(table.name(), table);
        self.changed = true;
    }

    pub fn stored(&self, name: &TableName) -> Option<&StoredTable> {
        self.stored.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &TableName> {
        self.stored.keys()
    }

    /// Applies what a DDL leaves behind; answers given before are void.
    pub fn replace(&mut self, gone: &[(String, String)], after: Vec<StoredTable>) {
        for (schema, table) in gone {
            self.stored.remove(&TableName::new(schema, table));
        }
        for table in after {
            self.stored.insert(table.name(), table);
        }
        self.changed = true;
        self.forget_answers();
    }

    /// Definitions at the target may be others now.
    pub fn forget_answers(&mut self) {
        self.by_map.clear();
        self.by_name.clear();
    }

    /// The form to store, if it has changed since the last asking.
    pub fn take_changed(&mut self) -> Option<StoredTables> {
        std::mem::take(&mut self.changed).then(|| self.to_stored())
    }

    pub fn to_stored(&self) -> StoredTables {
        StoredTables { tables: self.stored.values().cloned().collect(), pending: None }
    }
}

fn mismatch(name: &TableName, at: &Place, error: &dm_schema::ModelError) -> Failure {
    Failure::new(
        Code::ColumnCountMismatch,
        format!("the definition of {name} does not fit its rows at {}", at.text()),
    )
    .cause(error)
    .workaround("Please load the table anew, or start after the change of its definition.")
}
