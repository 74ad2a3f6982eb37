//! `dmctl binlog-schema`: a person looks at, sets or removes the stored definition of a source table.
use std::sync::Arc;

use dm_proto::{
    error::Code,
    worker::{DefinitionOp, DefinitionRequest},
};
use dm_schema::{TableDefaults, TableModel, TableName};
use dm_target::{Attachment, CheckpointUpdate, Resume};

use super::{
    start::settle_pending,
    stored_tables::{StoredTable, StoredTables},
};
use crate::{
    downstream::TargetDefinitions, failure::Failure, subtask::SubtaskContext, unit::rules::Rules,
    unit::target_failure, upstream::Definitions,
};

/// Does it on a fresh attachment of a subtask that does not run; gives the text that is stored then.
pub async fn edit_definition(
    context: &SubtaskContext,
    attachment: &Attachment,
    resume: &Resume,
    request: &DefinitionRequest,
) -> Result<String, Failure> {
    let Some(checkpoint) = &resume.checkpoint else {
        return Err(Failure::new(Code::WorkerStage, "the task has not begun to follow the binlog"));
    };
    let before = StoredTables::decode(&checkpoint.schemas)?;
    let pending = before.pending.clone();
    let (mut stored, ran) = settle_pending(before, &resume.executed);
    stored.pending = pending.filter(|_| !ran);
    let name = TableName::new(&request.schema, &request.table);
    let text = match request.op() {
        DefinitionOp::DefinitionShow => return shown(&stored, &name),
        DefinitionOp::DefinitionSet => {
            let create = given(context, request, &name).await?;
            stored.tables.retain(|t| t.name() != name);
            stored.add_created(&name, create);
            shown(&stored, &name)?
        }
        DefinitionOp::DefinitionRemove => {
            // Also where there is none: then it is looked up at the source when rows come, which is what is wanted.
            stored.tables.retain(|t| t.name() != name);
            String::new()
        }
        DefinitionOp::DefinitionInvalid => {
            return Err(Failure::new(Code::InvalidOperation, "no operation on a table definition"));
        }
    };
    let update = CheckpointUpdate { schemas: Some(stored.encode()), ..CheckpointUpdate::default() };
    attachment
        .checkpoint(update)
        .await
        .map_err(|e| target_failure(&context.process, &context.task, &context.source_id, &e))?;
    Ok(text)
}

/// On one line: what created the table and what has altered it since.
fn shown(stored: &StoredTables, name: &TableName) -> Result<String, Failure> {
    let Some(table) = stored.tables.iter().find(|t| t.name() == *name) else {
        return Err(Failure::new(Code::TargetTableMissing, format!("no definition of {name} is stored"))
            .workaround("It is read at the source when the next row of the table comes."));
    };
    let statements = std::iter::once(&table.create).chain(table.altered.iter().map(|a| &a.sql));
    let lines: Vec<String> =
        statements.map(|s| s.lines().map(str::trim).collect::<Vec<_>>().join(" ")).collect();
    Ok(lines.join("; "))
}

/// The new text; refused where it can't be understood.
async fn given(
    context: &SubtaskContext,
    request: &DefinitionRequest,
    name: &TableName,
) -> Result<String, Failure> {
    let missing = |where_: &str| {
        Failure::new(Code::TargetTableMissing, format!("{name} does not exist at the {where_}"))
            .workaround("Please check the names of database and table.")
    };
    let create = if request.from_source {
        let definition = Definitions::new(Arc::clone(&context.source)).read(name).await?;
        definition.ok_or_else(|| missing("source"))?.create
    } else if request.from_target {
        let target = Rules::new(&context.subtask)?.target_of(name)?.unwrap_or_else(|| name.clone());
        let read = TargetDefinitions::new(context.subtask.target.clone()).read(&target).await?;
        read.ok_or_else(|| missing("target"))?
    } else {
        request.create.trim().trim_end_matches(';').to_owned()
    };
    let refused = |cause: &dyn std::fmt::Display| {
        Failure::new(Code::DdlUnparseable, format!("the definition given for {name} can't be understood"))
            .cause(cause)
            .workaround("Please give one CREATE TABLE statement with columns and keys.")
    };
    let model = TableModel::parse_create(
        &create,
        dm_schema::SqlMode::default(),
        &name.schema,
        &TableDefaults::default(),
    )
    .map_err(|e| refused(&e))?;
    if model.columns.is_empty() {
        return Err(refused(&"it has no columns"));
    }
    let table = StoredTable {
        schema: name.schema.clone(),
        table: name.table.clone(),
        create: create.clone(),
        ..StoredTable::default()
    };
    table.model().map(|_| create)
}
