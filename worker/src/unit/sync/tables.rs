//! Which table a row event belongs to, by which definition it is read, and how it is written.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::AtomicBool},
};

use dm_binlog::{ColumnHint, TableMap};
use dm_proto::error::{Code, Scope};
use dm_schema::{RowWriter, RowWriterOptions, TableModel, TableName, TableTokenReason, WriteError};

use super::{
    online::{same_columns, same_keys},
    row_filter::RowFilter,
    running::{Running, table_number},
    stats::Place,
    stored_tables::{PendingDdl, StoredChange, StoredTable, StoredTables},
    token_modes::{TokenModes, Unify},
};
use crate::{
    downstream::TargetDefinitions, failure::Failure, subtask::SubtaskContext, unit::rules::Rules,
    upstream::Definitions,
};

/// Table maps with a known answer; forgotten whole beyond this.
const REMEMBERED: usize = 4096;

/// A table that is replicated.
#[derive(Clone)]
pub struct Table {
    pub source: TableName,
    pub hints: Vec<ColumnHint>,
    pub writer: RowWriter,
    /// Foreign keys with rules join it to other tables, and the source does not log what the rules do: the target has to
    /// do the same.
    pub cascades: bool,
    /// The sessions check foreign keys anyway.
    pub checked: bool,
    /// Number of the target's table, see [`table_number`].
    pub number: u64,
    /// Foreign keys that matter to the order of its changes join it to other tables.
    pub joined: bool,
    /// Set once it was said that safe mode can't help it.
    pub noted: Arc<AtomicBool>,
    /// What filters do with its rows.
    pub filter: RowFilter,
}

/// All tables of one subtask.
pub struct Tables {
    pub rules: Rules,
    stored: BTreeMap<TableName, StoredTable>,
    online: Vec<StoredChange>,
    /// Answers by the number of the table map; a map that is not the same object is looked at again.
    by_map: HashMap<u64, (Arc<TableMap>, Option<Arc<Table>>)>,
    by_name: HashMap<TableName, Arc<Table>>,
    pub(super) source: Definitions,
    pub(super) target: TargetDefinitions,
    /// Rules of the task's other sources.
    pub others: Vec<Rules>,
    /// Joined by cascading foreign keys at the target: table, token of the group. Not asked for yet: `None`.
    joined: Option<HashMap<TableName, u64>>,
    logs_cascades: bool,
    checked: bool,
    changed: bool,
    modes: TokenModes,
    /// Set when tables changed from key tokens to the table's: those given out before do not conflict with it.
    to_drain: Option<ToDrain>,
    pub(super) running: Option<Running>,
}

/// The tables of a target have changed from key tokens to the table's.
#[derive(Debug, Clone, Copy)]
pub struct ToDrain {
    /// It stands in no change that was read before.
    pub token: u64,
    /// Of the target's table: its changes have to be applied before any change with the token is sent.
    pub table: u64,
}

impl Tables {
    pub fn new(context: &SubtaskContext, stored: StoredTables) -> Result<Self, Failure> {
        Ok(Self {
            rules: Rules::new(&context.subtask)?,
            online: stored.online.clone(),
            stored: stored.by_name(),
            by_map: HashMap::new(),
            by_name: HashMap::new(),
            source: Definitions::new(Arc::clone(&context.source)),
            target: TargetDefinitions::new(context.subtask.target.clone()),
            others: context.others.iter().map(Rules::new).collect::<Result<_, _>>()?,
            joined: None,
            logs_cascades: context.identity.logs_cascades(),
            checked: crate::subtask::foreign_key_checks(&context.subtask),
            changed: false,
            modes: TokenModes::default(),
            to_drain: None,
            running: None,
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
        let filter = RowFilter::new(&self.rules, &name);
        let table = match self.rules.target_of(&name)? {
            None => None,
            Some(_) if filter.skips_all() => None,
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

    /// Whether rows that are not written are so because of a filter, not because their table is not replicated.
    pub fn filters(&self, map: &TableMap, table: Option<&Table>) -> bool {
        let name = || TableName::new(map.schema_lossy(), map.table_lossy());
        table.is_some()
            || (!self.rules.events.is_empty() && matches!(self.rules.target_of(&name()), Ok(Some(_))))
    }

    async fn table(
        &mut self,
        map: &TableMap,
        name: TableName,
        target: TableName,
        at: &Place,
    ) -> Result<Arc<Table>, Failure> {
        let mut model = self.model(map, &name, &target, at).await?;
        if let Some(table) = self.by_name.get(&name) {
            return Ok(Arc::clone(table));
        }
        let Some(target_model) = self.target_model(&target).await? else {
            return Err(Failure::new(
                Code::TargetTableMissing,
                format!("table {target} does not exist at the target, {name} has changes at {}", at.text()),
            ));
        };
        usable(&model, &target_model)?;
        let extracted = self.rules.extracted(&name)?;
        self.complete_charsets(&mut model, &name, map).await?;
        let compared = self.with_collations(&model, &name).await?;
        let filter = RowFilter::new(&self.rules, &name)
            .with_expressions(&self.rules, &compared)
            .map_err(|f| f.context(format!("rows of {name} at {}", at.text())))?;
        // Rows of several tables may meet in one: then only the whole row says which is meant.
        let merged = !self.others.is_empty() || name != target;
        let mut writer =
            RowWriter::with_extracted(&model, &target_model, RowWriterOptions { merged }, &extracted)
                .map_err(|e| unwritable(&name, &target, e))?;
        #[cfg(feature = "test-switches")]
        crate::test_switches::break_writer(&mut writer);
        let joined = self.joined(&target).await?;
        if joined.is_some() {
            writer.use_table_token(TableTokenReason::Asked("foreign keys"), joined);
        }
        self.unify(&target, &mut writer);
        let table = Arc::new(Table {
            source: name.clone(),
            hints: model.column_hints(),
            writer,
            cascades: joined.is_some() && !self.logs_cascades,
            checked: self.checked,
            number: table_number(&target),
            joined: joined.is_some(),
            noted: Arc::default(),
            filter,
        });
        self.by_name.insert(name, Arc::clone(&table));
        Ok(table)
    }

    /// Row images lack columns of its unique keys: from now on its changes have one token.
    pub fn order_as_a_whole(&mut self, table: &Table) {
        let mut writer = table.writer.clone();
        writer.use_table_token(TableTokenReason::Asked("row images"), None);
        let target = writer.target().clone();
        self.unify(&target, &mut writer);
    }

    /// Gives all tables of one target the same kind of tokens.
    fn unify(&mut self, target: &TableName, writer: &mut RowWriter) {
        const REASON: TableTokenReason = TableTokenReason::Asked("another table of the same target");
        match self.modes.unify(target, writer.token_mode()) {
            Unify::Agrees => {}
            Unify::Follow(token) => writer.use_table_token(REASON, Some(token)),
            Unify::Change(token) => {
                let fed = |table: &Table| lower(table.writer.target()) == lower(target);
                for table in self.by_name.values_mut().filter(|t| fed(t)) {
                    let mut changed = Table::clone(table);
                    changed.writer.use_table_token(REASON, Some(token));
                    *table = Arc::new(changed);
                }
                // They are found by name again.
                self.by_map.clear();
                self.to_drain = Some(ToDrain { token, table: table_number(target) });
            }
        }
    }

    /// A token that changes of its table that were read before do not have.
    pub fn take_to_drain(&mut self) -> Option<ToDrain> {
        self.to_drain.take()
    }

    /// The group of tables that cascading foreign keys join at the target, where the source does not log cascades.
    async fn joined(&mut self, target: &TableName) -> Result<Option<u64>, Failure> {
        // Checked keys keep their order even where nothing cascades: a child must not come before its parent.
        if self.logs_cascades && !self.checked {
            return Ok(None);
        }
        let groups = match self.joined.take() {
            Some(groups) => groups,
            None => groups(&self.target.foreign_keys().await?, self.checked),
        };
        let group = groups.get(&lower(target)).copied();
        self.joined = Some(groups);
        Ok(group)
    }

    /// The target's table as it is now.
    pub(super) async fn target_model(&mut self, target: &TableName) -> Result<Option<TableModel>, Failure> {
        self.target.model(target).await
    }

    pub(super) fn store(&mut self, table: StoredTable) {
        self.stored.insert(table.name(), table);
        self.changed = true;
    }

    pub fn stored(&self, name: &TableName) -> Option<&StoredTable> {
        self.stored.get(name)
    }

    /// Online schema changes that are under way.
    pub fn online(&self) -> &[StoredChange] {
        &self.online
    }

    /// Whether the target has a table, at this point of the stream.
    pub async fn is_at_target(&mut self, target: &TableName) -> Result<bool, Failure> {
        Ok(self.target.read(target).await?.is_some())
    }

    /// Whether a table has the same columns and keys now at the source and at the target.
    pub async fn same_at_both_ends(&mut self, name: &TableName, target: &TableName) -> Result<bool, Failure> {
        let Some(definition) = self.source.read(name).await? else { return Ok(false) };
        let stored = StoredTable::of(name, definition.create);
        let model = stored.model()?;
        let Some(there) = self.target_model(target).await? else { return Ok(false) };
        let there = self.as_at_source(name, there)?;
        Ok(same_columns(&model, &there) && same_keys(&model, &there))
    }

    /// The target's table without the columns that a route fills.
    pub(super) fn as_at_source(&self, name: &TableName, target: TableModel) -> Result<TableModel, Failure> {
        let extracted = self.rules.extracted(name)?;
        match extracted.as_slice() {
            [] => Ok(target),
            columns => Ok(target.without_columns(columns.iter().map(|e| e.column.as_str()))),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &TableName> {
        self.stored.keys()
    }

    /// Applies what a DDL leaves behind; answers given before are void.
    pub fn replace(&mut self, pending: PendingDdl) {
        self.apply(pending);
        self.forget_answers();
    }

    /// As [`Tables::replace`], after a DDL that nothing but these tables of the target has to do with (in lower case).
    pub(super) fn replace_of(&mut self, targets: &[TableName], pending: PendingDdl) {
        let named = |name: &TableName| {
            pending.after.iter().any(|t| t.name() == *name)
                || pending.gone.iter().any(|(s, t)| *s == name.schema && *t == name.table)
        };
        let other = |table: &Table| !targets.contains(&lower(table.writer.target())) && !named(&table.source);
        self.by_map.retain(|_, (_, table)| table.as_deref().is_none_or(other));
        self.by_name.retain(|_, table| other(table));
        for target in targets {
            self.modes.forget_one(target);
        }
        if targets.len() > 1 {
            // It may have changed the foreign keys that join them.
            self.joined = None;
        }
        self.apply(pending);
    }

    fn apply(&mut self, pending: PendingDdl) {
        for (schema, table) in &pending.gone {
            self.stored.remove(&TableName::new(schema, table));
        }
        for table in pending.after {
            self.stored.insert(table.name(), table);
        }
        self.online = pending.online.unwrap_or(std::mem::take(&mut self.online));
        self.changed = true;
    }

    /// Every foreign key at the target: child, parent, whether it cascades.
    pub(super) async fn foreign_keys(&mut self) -> Result<Vec<(TableName, TableName, bool)>, Failure> {
        self.target.foreign_keys().await
    }

    /// Definitions at the target may be others now.
    pub fn forget_answers(&mut self) {
        self.by_map.clear();
        self.by_name.clear();
        self.joined = None;
        self.modes.forget();
    }

    /// The form to store, if it has changed since the last asking.
    pub fn take_changed(&mut self) -> Option<StoredTables> {
        std::mem::take(&mut self.changed).then(|| self.to_stored())
    }

    pub fn to_stored(&self) -> StoredTables {
        StoredTables {
            tables: self.stored.values().cloned().collect(),
            online: self.online.clone(),
            pending: self.running.as_ref().map(|r| r.pending.clone()),
        }
    }
}

/// Why rows of a table can't be written at the target.
pub fn unwritable(source: &TableName, target: &TableName, error: WriteError) -> Failure {
    let message = format!("{source} can't be written to {target}");
    let failure = match &error {
        WriteError::DoesNotFit(misfit) => {
            let (column, target_column) = (&misfit.column, &misfit.target_column);
            let remedy = format!(
                "Please give column {target_column} of {target} at the target the type that {column} of {source} has, or a wider one, then resume the task."
            );
            Failure::new(Code::ValueTruncated, message).workaround(remedy)
        }
        WriteError::Extracted { .. } => Failure::new(Code::ExtractColumn, message),
        _ => Failure::new(Code::ColumnCountMismatch, message),
    };
    failure.cause(error).scope(Scope::Downstream)
}

/// Exactly once needs transactions at the target; history rows of the source have no place there.
pub fn usable(source: &TableModel, target: &TableModel) -> Result<(), Failure> {
    if source.system_versioned {
        return Err(Failure::new(
            Code::EventUnsupported,
            format!("{} is system-versioned, and its history can't be replicated", source.name),
        )
        .workaround("Please exclude the table with block-allow-list."));
    }
    match &target.engine {
        Some(engine) if !is_transactional(engine) => Err(Failure::new(
            Code::EventUnsupported,
            format!(
                "{} at the target has engine {engine}, without transactions: rows could come twice",
                target.name
            ),
        )
        .scope(Scope::Downstream)
        .workaround(format!(
            "Please run ALTER TABLE {} ENGINE=InnoDB at the target and resume the task.",
            target.name
        ))),
        _ => Ok(()),
    }
}

/// Whether tables of an engine take part in transactions.
pub fn is_transactional(engine: &str) -> bool {
    ["InnoDB", "RocksDB", "TokuDB", "ndbcluster", "NDB"].iter().any(|t| t.eq_ignore_ascii_case(engine))
}

pub(super) fn lower(name: &TableName) -> TableName {
    TableName::new(name.schema.to_lowercase(), name.table.to_lowercase())
}

/// Tables by group, of the groups in which a foreign key cascades: what it changes in a child has to keep its place among
/// the child's own changes, and a parent's among those of children that hold it back.
fn groups(keys: &[(TableName, TableName, bool)], all: bool) -> HashMap<TableName, u64> {
    let mut group: HashMap<TableName, TableName> = HashMap::new();
    for (child, parent, _) in keys {
        let name = |of: &TableName, group: &HashMap<TableName, TableName>| {
            group.get(&lower(of)).cloned().unwrap_or_else(|| lower(of))
        };
        let (from, into) = (name(child, &group), name(parent, &group));
        group.entry(lower(child)).or_insert_with(|| from.clone());
        group.entry(lower(parent)).or_insert_with(|| into.clone());
        for member in group.values_mut().filter(|g| **g == from) {
            member.clone_from(&into);
        }
    }
    // One name, in whatever order the keys come: tables keep the token that they were given when others are looked at anew.
    let mut least: HashMap<TableName, TableName> = HashMap::new();
    for (table, name) in &group {
        let least = least.entry(name.clone()).or_insert_with(|| table.clone());
        if table < least {
            least.clone_from(table);
        }
    }
    for name in group.values_mut() {
        if let Some(least) = least.get(name) {
            name.clone_from(least);
        }
    }
    let cascading: Vec<TableName> =
        keys.iter().filter(|k| all || k.2).filter_map(|k| group.get(&lower(&k.0)).cloned()).collect();
    group
        .into_iter()
        .filter(|(_, name)| cascading.contains(name))
        .map(|(table, name)| (table, xxhash_rust::xxh3::xxh3_64(format!("foreign keys\0{name}").as_bytes())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_joined_by_cascading_keys_share_a_group() {
        let t = |n: &str| TableName::new("d", n);
        let keys = [
            (t("child"), t("Parent"), true),
            (t("grandchild"), t("child"), false),
            (t("other"), t("plain"), false),
        ];
        assert_eq!(groups(&keys, true).len(), 5);
        let groups = super::groups(&keys, false);
        assert_eq!(groups.len(), 3, "{groups:?}");
        assert!(groups.contains_key(&t("parent")) && groups[&t("child")] == groups[&t("grandchild")]);
        // A table that was looked at before the keys were read again has the token of the others.
        let mut keys = [(t("child"), t("parent"), true), (t("child"), t("second"), true)];
        let before = super::groups(&keys, false);
        keys.reverse();
        assert_eq!(before, super::groups(&keys, false), "whatever the order");
    }
}
