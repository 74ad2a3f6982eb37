//! What statements leave of the source's definitions.
use dm_proto::error::Code;
use dm_schema::{
    SqlMode, TableName,
    ddl::{DdlKind, DdlStatement},
};
use dm_target::TxnId;

use super::{
    assembler::short,
    online::Handling,
    stored_tables::{PendingDdl, StoredChange, StoredDdl, StoredStatement, StoredTable},
    tables::Tables,
};
use crate::{failure::Failure, unit::rules::Online};

/// Nothing changes.
pub fn nothing_left(txn: &TxnId) -> PendingDdl {
    PendingDdl { transaction: txn.to_string(), ..PendingDdl::default() }
}

/// The definitions after the statements so far.
pub struct Work<'a> {
    tables: &'a Tables,
    after: Vec<StoredTable>,
    gone: Vec<(String, String)>,
    /// All online schema changes, once one of them is another.
    online: Option<Vec<StoredChange>>,
}

impl<'a> Work<'a> {
    pub fn new(tables: &'a Tables) -> Self {
        Self { tables, after: Vec::new(), gone: Vec::new(), online: None }
    }

    pub fn pending(self, txn: &TxnId) -> PendingDdl {
        PendingDdl { after: self.after, gone: self.gone, online: self.online, ..nothing_left(txn) }
    }

    /// The online schema change of this shadow.
    pub fn change(&self, shadow: &TableName) -> Option<&StoredChange> {
        self.online().iter().find(|c| c.shadow() == *shadow)
    }

    fn online(&self) -> &[StoredChange] {
        self.online.as_deref().unwrap_or(self.tables.online())
    }

    pub fn forget(&mut self, shadow: &TableName) {
        if self.change(shadow).is_some() {
            self.online = Some(self.online().iter().filter(|c| c.shadow() != *shadow).cloned().collect());
        }
    }

    /// A statement of an online schema change; `session` is what a statement that is remembered has to run in.
    pub fn online_part(
        &mut self,
        part: &DdlStatement,
        handling: &Handling,
        session: Vec<String>,
        mode: SqlMode,
        included: &impl Fn(&StoredTable) -> bool,
    ) -> Result<(), Failure> {
        let Some(subject) = part.subject() else { return Ok(()) };
        match handling {
            Handling::Begin => {
                self.forget(subject);
                if let Online::Shadow(real) = self.tables.rules.online(subject) {
                    let mut online = self.online().to_vec();
                    online.push(StoredChange {
                        schema: subject.schema.clone(),
                        table: subject.table.clone(),
                        real: real.table,
                        statements: Vec::new(),
                    });
                    self.online = Some(online);
                }
                self.apply(part, mode, included)
            }
            Handling::Remember => {
                let mut online = self.online().to_vec();
                if let Some(change) = online.iter_mut().find(|c| c.shadow() == *subject) {
                    change.statements.push(StoredStatement {
                        sql: part.canonical().to_owned(),
                        mode: mode.bits() & SqlMode::REAL_AS_FLOAT,
                        session,
                    });
                    self.online = Some(online);
                }
                self.apply(part, mode, included)
            }
            Handling::Forget => {
                self.forget(subject);
                if self.get(subject).is_some() {
                    self.remove(subject);
                }
                Ok(())
            }
            Handling::PutAside => {
                self.remove(subject);
                Ok(())
            }
            Handling::CutOver(real) => {
                self.forget(subject);
                let model = self.get(subject);
                self.remove(subject);
                if let Some(model) = model {
                    self.move_to(model, real);
                }
                Ok(())
            }
            Handling::Ordinary | Handling::Nothing | Handling::Refuse(..) => Ok(()),
        }
    }

    pub fn get(&self, name: &TableName) -> Option<StoredTable> {
        if let Some(table) = self.after.iter().find(|t| t.name() == *name) {
            return Some(table.clone());
        }
        if self.gone.iter().any(|(s, t)| *s == name.schema && *t == name.table) {
            return None;
        }
        self.tables.stored(name).cloned()
    }

    fn put(&mut self, table: StoredTable) {
        self.after.retain(|t| t.name() != table.name());
        self.after.push(table);
    }

    pub fn remove(&mut self, name: &TableName) {
        self.after.retain(|t| t.name() != *name);
        self.gone.push((name.schema.clone(), name.table.clone()));
    }

    fn move_to(&mut self, mut table: StoredTable, to: &TableName) {
        self.remove(&table.name());
        table.schema.clone_from(&to.schema);
        table.table.clone_from(&to.table);
        self.put(table);
    }

    /// As [`Work::apply`]; what can't be followed is looked up when rows come.
    pub fn follow(&mut self, part: &DdlStatement, mode: SqlMode, included: &impl Fn(&StoredTable) -> bool) {
        if self.apply(part, mode, included).is_err()
            && let Some(subject) = part.subject()
        {
            self.remove(subject);
        }
    }

    pub fn apply(
        &mut self,
        part: &DdlStatement,
        mode: SqlMode,
        included: &impl Fn(&StoredTable) -> bool,
    ) -> Result<(), Failure> {
        let Some(subject) = part.subject() else { return Ok(()) };
        // Canonical text needs no quoting modes; what REAL means stays.
        let mode = mode.bits() & SqlMode::REAL_AS_FLOAT;
        match part.kind {
            DdlKind::CreateTable if part.if_not_exists => {
                // It may have existed: the definition is looked up when rows come.
            }
            DdlKind::CreateTable => self.put(StoredTable {
                schema: subject.schema.clone(),
                table: subject.table.clone(),
                create: part.canonical().to_owned(),
                mode,
                ..StoredTable::default()
            }),
            DdlKind::CreateTableLike => {
                let model = part.tables.get(1).and_then(|like| self.get(like));
                match model {
                    _ if part.if_not_exists => {}
                    Some(mut model) => {
                        model.schema.clone_from(&subject.schema);
                        model.table.clone_from(&subject.table);
                        self.put(model);
                    }
                    None => self.remove(subject),
                }
            }
            DdlKind::AlterTable | DdlKind::CreateIndex | DdlKind::DropIndex => {
                if let Some(table) = self.get(subject).filter(|t| !included(t)) {
                    self.alter(table, part, mode)?;
                }
            }
            DdlKind::DropTable => self.remove(subject),
            DdlKind::DropDatabase => {
                if self.online().iter().any(|c| c.schema == subject.schema) {
                    let left = self.online().iter().filter(|c| c.schema != subject.schema);
                    self.online = Some(left.cloned().collect());
                }
                let inside: Vec<TableName> =
                    self.tables.names().filter(|n| n.schema == subject.schema).cloned().collect();
                for name in inside {
                    self.remove(&name);
                }
            }
            DdlKind::RenameTable => {
                if let (Some(table), Some(to)) = (self.get(subject), part.tables.get(1)) {
                    self.move_to(table, to);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alter(&mut self, mut table: StoredTable, part: &DdlStatement, mode: u64) -> Result<(), Failure> {
        let before = table.name();
        let mut model = table.model()?;
        let sql = part.canonical().to_owned();
        model.apply_alter(&sql, SqlMode::from_bits(mode)).map_err(|e| {
            Failure::new(
                Code::DdlUnparseable,
                format!("the change of {before} can't be followed: {}", short(&sql)),
            )
            .cause(e)
        })?;
        table.altered.push(StoredDdl { sql, mode });
        if model.name == before {
            self.put(table);
        } else {
            self.move_to(table, &model.name);
        }
        Ok(())
    }
}
