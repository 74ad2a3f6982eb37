//! Whether a statement that removes or renames a table at the target would take along rows of another source table.
use dm_schema::{
    TableName,
    ddl::{DdlKind, DdlStatement},
};

use super::tables::Tables;
use crate::{failure::Failure, unit::rules::Rules};

/// Another table, of this source or of another one of the task, whose rows a DROP, TRUNCATE or RENAME would take along; `None` when
/// only the statement's own table can ever have written there.
///
/// Missing input fails closed: of another source only the rules are known here, so what could feed the table counts.
pub async fn other_feeder(part: &DdlStatement, tables: &mut Tables) -> Result<Option<String>, Failure> {
    let removes = [DdlKind::DropTable, DdlKind::TruncateTable, DdlKind::DropDatabase];
    let takes = removes.contains(&part.kind) || part.new_name.is_some();
    let Some(subject) = part.subject().filter(|_| takes) else { return Ok(None) };
    let Some(target) = tables.rules.target_of(subject)? else { return Ok(None) };
    if let Some(new) = &part.new_name
        && tables.rules.target_of(&new.name)?.as_ref() == Some(&target)
    {
        // Nothing moves at the target.
        return Ok(None);
    }
    if let Some(other) = tables.others.iter().position(|rules| rules.may_feed(&target)) {
        return Ok(Some(format!("another source of the task ({} of {})", other + 1, tables.others.len())));
    }
    if *subject == target && !tables.rules.routes_to(&target) {
        return Ok(None);
    }
    // Tables that exist at the source now, and those that it had when they were last written to.
    let mut names: Vec<TableName> = tables.source().tables().await?;
    names.extend(tables.names().cloned());
    Ok(among(&names, subject, &target, &tables.rules)?.map(|name| name.to_string()))
}

fn among<'n>(
    names: &'n [TableName],
    subject: &TableName,
    target: &TableName,
    rules: &Rules,
) -> Result<Option<&'n TableName>, Failure> {
    for name in names {
        let own = name == subject || (subject.is_schema() && name.schema == subject.schema);
        let ends_in = if own { None } else { rules.target_of(name)? };
        if ends_in.is_some_and(|t| t == *target || (target.is_schema() && t.schema == target.schema)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
