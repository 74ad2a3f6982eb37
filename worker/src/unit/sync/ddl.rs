//! DDL events: which statements concern us, their text for the target, what they leave of the definitions.
use dm_proto::error::Code;
use dm_schema::{
    Dialect,
    ddl::{DdlClass, DdlKind, DdlStatement},
    quote_identifier,
};
use dm_target::{DdlObject, DdlStep, TxnId};

use super::{
    assembler::{Statement, Transaction, short},
    ddl_after::Work,
    ddl_beside::beside,
    ddl_extract::{made_by_hand, moves_values},
    ddl_filter::skipped,
    ddl_session::session,
    ddl_unknown::unknown,
    online::{Handling, handlings},
    online_swap::swap,
    stored_tables::{PendingDdl, StoredChange, StoredTable},
    tables::Tables,
};
use crate::{failure::Failure, unit::load::translate};

/// What one DDL event means for the target.
pub struct Plan {
    /// In order; empty when everything is filtered out.
    pub steps: Vec<DdlStep>,
    pub pending: PendingDdl,
    /// What it leaves has to be stored before anything later.
    pub keeps: bool,
    /// The steps were remembered, with all that their sessions need.
    pub remembered: bool,
}

impl Plan {
    pub fn new(steps: Vec<DdlStep>, pending: PendingDdl) -> Self {
        Self { steps, pending, keeps: false, remembered: false }
    }

    /// Its statements, for people.
    pub fn text(&self) -> String {
        let text: Vec<_> = self.steps.iter().map(|s| String::from_utf8_lossy(&s.sql)).collect();
        text.join("; ")
    }

    /// The time zone of the statement's session, for all that runs in it, now or later.
    pub fn set_time_zone(&mut self, zone: &str) {
        let set = format!("SET time_zone = '{zone}'");
        if !self.remembered {
            self.steps.iter_mut().for_each(|step| step.session.push(set.clone()));
        }
        for statement in self.pending.online.iter_mut().flatten().flat_map(|c| &mut c.statements) {
            for text in statement.session.iter_mut().filter(|s| *s == OPEN_TIME_ZONE) {
                text.clone_from(&set);
            }
        }
    }

    /// The time zone is not known without asking the source.
    pub fn needs_time_zone(&self) -> bool {
        let open =
            |c: &StoredChange| c.statements.iter().any(|s| s.session.iter().any(|t| t == OPEN_TIME_ZONE));
        (!self.steps.is_empty() && !self.remembered) || self.pending.online.iter().flatten().any(open)
    }
}

/// Stands for the time zone in the session of a statement that is remembered, until it is known.
const OPEN_TIME_ZONE: &str = "";

/// Splits, filters and routes one event.
pub fn plan(
    statement: &Statement,
    tables: &Tables,
    txn: &TxnId,
    place: &str,
    included: impl Fn(&StoredTable) -> bool,
    dialect: Dialect,
) -> Result<Plan, Failure> {
    let mut work = Work::new(tables);
    let mut steps = Vec::new();
    let (mut remembered, mut keeps) = (false, false);
    let handlings = handlings(&statement.statements, &tables.rules, tables.online())?;
    for (ordinal, (part, handling)) in statement.statements.iter().zip(handlings).enumerate() {
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
                _ if !part.tables.is_empty() && filtered(part, tables)? => {
                    if handling == Handling::Forget {
                        work.online_part(part, &handling, Vec::new(), statement.sql_mode, &included)?;
                    }
                    continue;
                }
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
        match handling {
            Handling::Ordinary => {}
            Handling::Refuse(why, workaround) => return Err(refuse(&why).workaround(workaround)),
            handling => {
                if let Handling::CutOver(real) = &handling
                    && let Some(change) = work.change(&part.tables[0])
                {
                    steps = swap(change, real, &work, tables, txn, dialect, &refuse)?;
                    remembered = true;
                }
                keeps |= matches!(handling, Handling::CutOver(_));
                // Its text is not certain: the swap compares definitions.
                let handling = match handling {
                    Handling::Begin | Handling::Remember if statement.garbled => Handling::Forget,
                    handling => handling,
                };
                work.online_part(part, &handling, kept(statement, dialect), statement.sql_mode, &included)?;
                continue;
            }
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
        if let Some(failure) = moves_values(part, tables)? {
            return Err(failure.context(format!("endLocation: [position: {place}]")));
        }
        if made_by_hand(part, tables)? {
            work.apply(part, statement.sql_mode, &included)?;
            continue;
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
    let pending = work.pending(txn);
    keeps |= pending.online.is_some();
    Ok(Plan { steps, pending, keeps, remembered })
}

/// What an event leaves behind at the source that is not executed at the target as it stands. What can't be followed is
/// looked up when rows come.
pub fn left_behind(
    transaction: &Transaction,
    tables: &Tables,
    txn: &TxnId,
    included: impl Fn(&StoredTable) -> bool,
) -> PendingDdl {
    let mut work = Work::new(tables);
    let Some(statement) = &transaction.ddl else {
        // Not understood: every table whose name stands somewhere in it may be another one now.
        let text = transaction.passed.to_lowercase();
        for name in tables.names().filter(|n| !text.is_empty() && text.contains(&n.table.to_lowercase())) {
            work.remove(name);
        }
        for change in tables.online().iter().filter(|c| text.contains(&c.table.to_lowercase())) {
            work.forget(&change.shadow());
        }
        return work.pending(txn);
    };
    let handlings = handlings(&statement.statements, &tables.rules, tables.online()).unwrap_or_default();
    for (number, part) in statement.statements.iter().enumerate().filter(|(_, p)| p.kind.is_ddl()) {
        match handlings.get(number) {
            // It is not remembered, but it has changed the shadow.
            None | Some(Handling::Ordinary | Handling::Remember) => {}
            Some(Handling::Refuse(..)) => {
                if let Some(subject) = part.subject() {
                    work.forget(subject);
                }
            }
            Some(handling) => {
                if work.online_part(part, handling, Vec::new(), statement.sql_mode, &included).is_ok() {
                    continue;
                }
            }
        }
        work.follow(part, statement.sql_mode, &included);
    }
    work.pending(txn)
}

pub fn step(
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
        beside: beside(part),
    }
}

/// Its subject passes the block-allow-list.
fn allowed(part: &DdlStatement, tables: &Tables) -> Result<bool, Failure> {
    part.subject().map_or(Ok(false), |s| tables.rules.target_of(s).map(|t| t.is_some()))
}

/// The session of a statement that may be executed much later.
fn kept(statement: &Statement, dialect: Dialect) -> Vec<String> {
    let mut session = session(statement, dialect.is_same());
    if statement.time_zone.as_deref().is_some_and(|z| !z.starts_with(['+', '-'])) {
        session.push(OPEN_TIME_ZONE.to_owned());
    }
    session
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
pub fn rewritten(part: &DdlStatement, tables: &Tables) -> Result<String, Failure> {
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
pub fn objects(part: &DdlStatement, tables: &Tables) -> Result<Vec<DdlObject>, Failure> {
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
