//! Binlog event filters on DDL.
use dm_proto::error::Code;
use dm_schema::{
    EventTypes, SqlMode, TableModel, Verdict,
    ddl::{DdlKind, DdlStatement},
};

use super::{assembler::short, stored_tables::StoredTable};
use crate::{failure::Failure, unit::rules::Rules};

/// Whether event filters skip a statement. The target is not changed then; the source's definition is another one all the
/// same. `original` is the event's whole text, where the statement is all of it; `table` the subject before it.
pub fn skipped(
    part: &DdlStatement,
    original: Option<&str>,
    rules: &Rules,
    table: Option<&StoredTable>,
) -> Result<bool, Failure> {
    let Some(subject) = part.subject().filter(|_| !rules.events.is_empty()) else { return Ok(false) };
    let models = match part.kind {
        DdlKind::AlterTable | DdlKind::DropIndex => table.and_then(|t| before_and_after(t, part)),
        _ => None,
    };
    let types = EventTypes::of_statement(part, models.as_ref().map(|(b, a)| (b, a)));
    let mut texts = vec![part.canonical()];
    texts.extend(original);
    let mut verdicts: Vec<Verdict<'_>> = Vec::new();
    for event in types.iter().map(Some).chain(types.is_empty().then_some(None)) {
        verdicts.push(rules.events.decide(&subject.schema, &subject.table, event, &texts));
    }
    let stop = |name: &str, why: &str| {
        Err(Failure::new(
            Code::FilterStops,
            format!("filter `{name}`: {why}, origin SQL: [{}]", short(part.canonical())),
        ))
    };
    let skip = verdicts.iter().find_map(|v| match v {
        Verdict::Skip(name) => Some(*name),
        _ => None,
    });
    for verdict in &verdicts {
        match verdict {
            Verdict::Refuse(name) => return stop(name, "its action for this statement is Error"),
            Verdict::Unknown(name) => {
                return stop(
                    name,
                    &format!(
                        "it asks what the statement changes in {subject}, whose definition before it is not known"
                    ),
                );
            }
            _ => {}
        }
    }
    match skip {
        Some(name) if verdicts.contains(&Verdict::Keep) => {
            stop(name, "it skips one part of the statement and not the others, which can't be executed apart")
        }
        skip => Ok(skip.is_some()),
    }
}

fn before_and_after(table: &StoredTable, part: &DdlStatement) -> Option<(TableModel, TableModel)> {
    let before = table.model().ok()?;
    let mut after = before.clone();
    after.apply_alter(part.canonical(), SqlMode::default()).ok()?;
    Some((before, after))
}
