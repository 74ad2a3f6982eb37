//! DDL events: which statements concern us, their text for the target, what they leave of the definitions.
use dm_proto::error::Code;
use dm_schema::{
    SqlMode, TableName,
    ddl::{DdlClass, DdlKind, DdlStatement},
};
use dm_target::{DdlObject, DdlStep, TxnId};

use super::{
    assembler::{Statement, short},
    stored_tables::{PendingDdl, StoredDdl, StoredTable},
    tables::Tables,
};
use crate::failure::Failure;

/// What one DDL event means for the target.
pub struct Plan {
    /// In order; empty when everything is filtered out.
    pub steps: Vec<DdlStep>,
    pub pending: PendingDdl,
}

/// Splits, filters and routes one event.
pub fn plan(
    statement: &Statement,
    tables: &Tables,
    txn: &TxnId,
    place: &str,
    included: impl Fn(&StoredTable) -> bool,
    collations: bool,
) -> Result<Plan, Failure> {
    let mut work = Work { tables, after: Vec::new(), gone: Vec::new() };
    let mut steps = Vec::new();
    for (ordinal, part) in statement.statements.iter().enumerate() {
        let refuse = |what: &str| {
            Failure::new(
                Code::DdlUnparseable,
                format!("endLocation: [position: {place}], origin SQL: [{}]: {what}", short(&statement.sql)),
            )
        };
        if !part.kind.is_ddl() {
            match part.kind {
                DdlKind::Skip(_) => continue,
                _ if !part.tables.is_empty() && filtered(part, tables)? => continue,
                DdlKind::CreateTableSelect => {
                    return Err(refuse("CREATE TABLE .. SELECT as a statement can't be replicated"));
                }
                DdlKind::Unsupported(what) => return Err(refuse(what)),
                _ => return Err(refuse("this statement can't be replicated")),
            }
        }
        if statement.garbled
            && part.tables.iter().any(|t| t.to_string().contains(char::REPLACEMENT_CHARACTER))
        {
            return Err(refuse("its names are in a character set that can't be read"));
        }
        if filtered(part, tables)? {
            continue;
        }
        if statement.garbled {
            return Err(refuse("it is in a character set that can't be read"));
        }
        let sql = rewritten(part, tables)?;
        steps.push(DdlStep {
            txn: Some(txn.clone()),
            ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
            last: false,
            sql: sql.into_bytes(),
            class: match part.class {
                DdlClass::Decidable => dm_target::DdlClass::Decidable,
                DdlClass::Repeatable => dm_target::DdlClass::Repeatable,
                DdlClass::Neither => dm_target::DdlClass::Neither,
            },
            objects: objects(part, tables)?,
            session: session(statement, collations),
        });
        work.apply(part, statement.sql_mode, &included)?;
    }
    let pending = PendingDdl { transaction: txn.to_string(), after: work.after, gone: work.gone };
    Ok(Plan { steps, pending })
}

/// All of it is filtered out, or nothing; a mixture has no meaning at the target.
fn filtered(part: &DdlStatement, tables: &Tables) -> Result<bool, Failure> {
    let Some(subject) = part.subject() else { return Ok(false) };
    let out = tables.rules.target_of(subject)?.is_none();
    if part.kind == DdlKind::RenameTable {
        for name in &part.tables {
            if tables.rules.target_of(name)?.is_none() != out {
                return Err(Failure::new(
                    Code::DdlUnparseable,
                    format!("a rename crosses the block-allow-list: {}", short(part.canonical())),
                ));
            }
        }
    }
    Ok(out)
}

/// Names that are filtered out (a parent of a foreign key, a LIKE model) keep their own name.
fn rewritten(part: &DdlStatement, tables: &Tables) -> Result<String, Failure> {
    let mut failure = None;
    let sql = part.rewrite(|name| match tables.rules.target_of(name) {
        Ok(Some(target)) => target,
        Ok(None) => name.clone(),
        Err(error) => {
            failure = Some(error);
            name.clone()
        }
    });
    failure.map_or(Ok(sql), Err)
}

/// What is another after the statement than before. A parent of a foreign key or a LIKE model stays as it is.
fn objects(part: &DdlStatement, tables: &Tables) -> Result<Vec<DdlObject>, Failure> {
    let changed = if part.kind == DdlKind::RenameTable { part.tables.len() } else { 1 };
    part.tables
        .iter()
        .take(changed)
        .map(|name| {
            let target = tables.rules.target_of(name)?.unwrap_or_else(|| name.clone());
            let table = (!target.is_schema()).then(|| target.table.clone());
            Ok(DdlObject { schema: target.schema, table })
        })
        .collect()
}

/// The session that the statement ran in, as far as it changes its outcome. Text is canonical, so that quoting modes
/// do not matter.
fn session(statement: &Statement, collations: bool) -> Vec<String> {
    let mut session = vec![
        "SET NAMES utf8mb4".to_owned(),
        format!("SET timestamp = {}.{:06}", statement.timestamp, statement.microseconds),
        format!("SET sql_mode = '{}'", modes(statement.sql_mode)),
    ];
    if let Some(zone) = &statement.time_zone
        && zone.starts_with(['+', '-'])
    {
        session.push(format!("SET time_zone = '{}'", zone.replace('\'', "")));
    }
    if let Some(id) = statement.collation_server.filter(|_| collations) {
        session.push(format!("SET collation_server = {id}"));
    }
    session
}

/// Modes that change what a definition means, what it does to the rows that are there, or whether it is refused. Quoting
/// modes are not among them.
fn modes(mode: SqlMode) -> String {
    const KEPT: [(u64, &str); 12] = [
        (1, "REAL_AS_FLOAT"),
        (1 << 1, "PIPES_AS_CONCAT"),
        (1 << 3, "IGNORE_SPACE"),
        (1 << 6, "NO_UNSIGNED_SUBTRACTION"),
        (1 << 19, "NO_AUTO_VALUE_ON_ZERO"),
        (1 << 21, "STRICT_TRANS_TABLES"),
        (1 << 22, "STRICT_ALL_TABLES"),
        (1 << 23, "NO_ZERO_IN_DATE"),
        (1 << 24, "NO_ZERO_DATE"),
        (1 << 25, "ALLOW_INVALID_DATES"),
        (1 << 26, "ERROR_FOR_DIVISION_BY_ZERO"),
        (1 << 29, "HIGH_NOT_PRECEDENCE"),
    ];
    let mut names = vec!["NO_ENGINE_SUBSTITUTION"];
    names.extend(KEPT.iter().filter(|(bit, _)| mode.bits() & bit != 0).map(|(_, name)| *name));
    names.join(",")
}

/// The definitions after the statements so far.
struct Work<'a> {
    tables: &'a Tables,
    after: Vec<StoredTable>,
    gone: Vec<(String, String)>,
}

impl Work<'_> {
    fn get(&self, name: &TableName) -> Option<StoredTable> {
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

    fn remove(&mut self, name: &TableName) {
        self.after.retain(|t| t.name() != *name);
        self.gone.push((name.schema.clone(), name.table.clone()));
    }

    fn move_to(&mut self, mut table: StoredTable, to: &TableName) {
        self.remove(&table.name());
        table.schema.clone_from(&to.schema);
        table.table.clone_from(&to.table);
        self.put(table);
    }

    fn apply(
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
