//! DDL events: which statements concern us, their text for the target, what they leave of the definitions.
use dm_proto::error::Code;
use dm_schema::{
    Dialect, SqlMode, TableName,
    ddl::{DdlClass, DdlKind, DdlStatement},
    quote_identifier,
};
use dm_target::{DdlObject, DdlStep, TxnId};

use super::{
    assembler::{Statement, Transaction, short},
    ddl_filter::skipped,
    ddl_session::session,
    ddl_unknown::unknown,
    stored_tables::{PendingDdl, StoredDdl, StoredTable},
    tables::Tables,
};
use crate::{failure::Failure, unit::load::translate};

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
    dialect: Dialect,
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
        let original = (statement.statements.len() == 1).then_some(statement.sql.as_str());
        if !part.kind.is_ddl() {
            if allowed(part, tables)? && skipped(part, original, &tables.rules, None)? {
                continue;
            }
            match part.kind {
                DdlKind::Skip(_) => continue,
                DdlKind::Unknown => match unknown(part, statement, tables, dialect)? {
                    Some(why) => {
                        return Err(refuse(&format!("this statement is not known, and {why}")));
                    }
                    None => {
                        let mut session = session(statement, true);
                        if !statement.schema.is_empty() {
                            session.push(format!("USE {}", quote_identifier(&statement.schema)));
                        }
                        let sql = part.canonical().to_owned();
                        steps.push(step(txn, ordinal, part, sql, Vec::new(), session));
                        continue;
                    }
                },
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
        let before = part.subject().and_then(|s| work.get(s));
        if skipped(part, original, &tables.rules, before.as_ref())? {
            // The target stays; the rows that follow are of the table that the source has now.
            work.follow(part, statement.sql_mode, &included);
            continue;
        }
        if statement.garbled {
            return Err(refuse("it is in a character set that can't be read"));
        }
        let subject_target = part.subject().map_or(Ok(None), |s| tables.rules.target_of(s))?;
        if let Some(new) = &part.new_name
            && tables.rules.target_of(&new.name)? == subject_target
        {
            // A shard's new name, which leads to the same table.
            if !new.only {
                return Err(refuse("it renames a table that keeps its name at the target, and does more"));
            }
            work.apply(part, statement.sql_mode, &included)?;
            continue;
        }
        let sql = rewritten(part, tables)?;
        let sql = translate(dialect, &sql);
        let session = session(statement, dialect.is_same());
        steps.push(step(txn, ordinal, part, sql, objects(part, tables)?, session));
        work.apply(part, statement.sql_mode, &included)?;
    }
    Ok(Plan { steps, pending: work.pending(txn) })
}

/// What an event leaves behind at the source that is not executed at the target as it stands. What can't be followed is
/// looked up when rows come.
pub fn left_behind(
    transaction: &Transaction,
    tables: &Tables,
    txn: &TxnId,
    included: impl Fn(&StoredTable) -> bool,
) -> PendingDdl {
    let mut work = Work { tables, after: Vec::new(), gone: Vec::new() };
    let Some(statement) = &transaction.ddl else {
        // Not understood: every table whose name stands somewhere in it may be another one now.
        let text = transaction.passed.to_lowercase();
        for name in tables.names().filter(|n| !text.is_empty() && text.contains(&n.table.to_lowercase())) {
            work.gone.push((name.schema.clone(), name.table.clone()));
        }
        return work.pending(txn);
    };
    for part in statement.statements.iter().filter(|p| p.kind.is_ddl()) {
        work.follow(part, statement.sql_mode, &included);
    }
    work.pending(txn)
}

/// Nothing changes.
pub fn nothing_left(txn: &TxnId) -> PendingDdl {
    PendingDdl { transaction: txn.to_string(), ..PendingDdl::default() }
}

fn step(
    txn: &TxnId,
    ordinal: usize,
    part: &DdlStatement,
    sql: String,
    objects: Vec<DdlObject>,
    session: Vec<String>,
) -> DdlStep {
    DdlStep {
        txn: Some(txn.clone()),
        ordinal: u32::try_from(ordinal).unwrap_or(u32::MAX),
        last: false,
        sql: sql.into_bytes(),
        class: match part.class {
            DdlClass::Decidable => dm_target::DdlClass::Decidable,
            DdlClass::Repeatable => dm_target::DdlClass::Repeatable,
            DdlClass::Neither => dm_target::DdlClass::Neither,
        },
        objects,
        session,
    }
}

/// Its subject passes the block-allow-list.
fn allowed(part: &DdlStatement, tables: &Tables) -> Result<bool, Failure> {
    part.subject().map_or(Ok(false), |s| tables.rules.target_of(s).map(|t| t.is_some()))
}

/// All of it is filtered out, or nothing; a mixture has no meaning at the target.
fn filtered(part: &DdlStatement, tables: &Tables) -> Result<bool, Failure> {
    let Some(subject) = part.subject() else { return Ok(false) };
    let out = tables.rules.target_of(subject)?.is_none();
    if let Some(new) = &part.new_name
        && tables.rules.target_of(&new.name)?.is_none() != out
    {
        return Err(Failure::new(
            Code::DdlUnparseable,
            format!("a rename crosses the block-allow-list: {}", short(part.canonical())),
        ));
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
    part.subject()
        .into_iter()
        .chain(part.new_name.as_ref().map(|new| &new.name))
        .map(|name| {
            let target = tables.rules.target_of(name)?.unwrap_or_else(|| name.clone());
            let table = (!target.is_schema()).then(|| target.table.clone());
            Ok(DdlObject { schema: target.schema, table })
        })
        .collect()
}

/// The definitions after the statements so far.
struct Work<'a> {
    tables: &'a Tables,
    after: Vec<StoredTable>,
    gone: Vec<(String, String)>,
}

impl Work<'_> {
    fn pending(self, txn: &TxnId) -> PendingDdl {
        PendingDdl { after: self.after, gone: self.gone, ..nothing_left(txn) }
    }

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

    /// As [`Work::apply`]; what can't be followed is looked up when rows come.
    fn follow(&mut self, part: &DdlStatement, mode: SqlMode, included: &impl Fn(&StoredTable) -> bool) {
        if self.apply(part, mode, included).is_err()
            && let Some(subject) = part.subject()
        {
            self.remove(subject);
        }
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
