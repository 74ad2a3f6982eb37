//! Databases and tables at the target, and whether the source's are still what was copied.
use dm_proto::error::{Code, Scope};
use dm_schema::{Extracted, SqlMode, TableName, ddl, extract_misfits};
use dm_target::{Attachment, DdlClass, DdlObject, DdlStep, without_counter};

use super::{
    dialect,
    plan::{Plan, show_create},
};
use crate::{
    downstream::TargetDefinitions,
    failure::{Failure, Next, from_mysql},
    subtask::SubtaskContext,
    unit::target_failure,
    upstream,
};

/// Creates what is missing at the target; what is there stays as it is.
pub async fn create(context: &SubtaskContext, attachment: &Attachment, plan: &Plan) -> Result<(), Failure> {
    let target = dialect::look(context).await?;
    let mut ordinal = 0;
    let mut done: Vec<String> = Vec::new();
    let databases = plan.databases.iter().map(|(source, name, create)| {
        let object = DdlObject { schema: name.clone(), table: None };
        let to = TableName::schema_only(name.clone());
        (create, TableName::schema_only(source.clone()), to, object, "CREATE DATABASE ")
    });
    let tables = plan.tables.iter().filter(|t| t.extracted.is_empty()).map(|t| {
        let object = DdlObject { schema: t.target.schema.clone(), table: Some(t.target.table.clone()) };
        (&t.create, t.source.clone(), t.target.clone(), object, "CREATE TABLE ")
    });
    for (create, source, to, object, head) in databases.chain(tables) {
        let quoted = to.quoted();
        if done.contains(&quoted) {
            continue;
        }
        let renamed = rename(create, &source, &to)?;
        let sql = dialect::translate(target, &renamed);
        let sql = sql.replacen(head, &format!("{head}IF NOT EXISTS "), 1);
        let step = DdlStep {
            txn: None,
            ordinal,
            last: true,
            sql: sql.into_bytes(),
            class: DdlClass::Repeatable,
            objects: vec![object],
            session: vec![
                "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'".into(),
                "SET NAMES utf8mb4".into(),
            ],
            beside: false,
        };
        attachment.ddl(step).await.map_err(|e| {
            target_failure(&context.process, &context.task, &context.source_id, &e)
                .context(format!("create {quoted} at the target"))
        })?;
        ordinal += 1;
        done.push(quoted);
    }
    Ok(())
}

/// Tables to which a route adds columns are made by a person: their keys usually hold these columns.
pub async fn has_extracted(context: &SubtaskContext, plan: &Plan) -> Result<(), Failure> {
    let mut definitions = TargetDefinitions::new(context.subtask.target.clone());
    for table in plan.tables.iter().filter(|t| !t.extracted.is_empty()) {
        let Some(there) = definitions.model(&table.target).await? else {
            return Err(no_extract_target(&table.source, &table.target, &table.extracted));
        };
        if let Some(error) = extract_misfits(&table.model, &there, &table.extracted).into_iter().next() {
            return Err(crate::unit::sync::unwritable(&table.source, &table.target, error));
        }
    }
    Ok(())
}

/// A table to which a route adds columns is missing.
pub fn no_extract_target(source: &TableName, target: &TableName, extracted: &[Extracted]) -> Failure {
    let columns = extracted.iter().map(|e| e.column.as_str()).collect::<Vec<_>>().join(", ");
    Failure::new(
        Code::ExtractTarget,
        format!("{target} does not exist at the target, and a route adds columns to the rows of {source}: {columns}"),
    )
    .scope(Scope::Downstream)
    .workaround(format!(
        "Please create {target} at the target like {source}, with the columns {columns} in it and usually in its primary key, then execute `resume-task`."
    ))
}

/// The same definition under the target's name. Tables it refers to keep their routes' names too.
fn rename(create: &str, source: &TableName, target: &TableName) -> Result<String, Failure> {
    let broken = |e: String| {
        Failure::new(Code::LoadFailed, format!("cannot rename the definition of {source} to {target}: {e}"))
    };
    let statements =
        ddl::parse(create, SqlMode::default(), &source.schema).map_err(|e| broken(e.to_string()))?;
    let [statement] = statements.as_slice() else {
        return Err(broken(format!("{} statements in one definition", statements.len())));
    };
    Ok(statement.rewrite(|name| {
        let same = if source.is_schema() { name.schema == source.schema } else { name == source };
        if same { target.clone() } else { name.clone() }
    }))
}

/// Compares every definition with what was read right after the snapshot: MariaDB reads a table that was altered
/// instantly under an open snapshot without an error, and gives other rows than the definition says.
pub async fn still_the_same(context: &SubtaskContext, plan: &Plan) -> Result<(), Failure> {
    let mut conn = upstream::connect(&context.source).await?;
    for table in &plan.tables {
        let now = show_create(&mut conn, "TABLE", &table.source.quoted()).await;
        let same = match &now {
            Ok(create) => without_counter(create) == without_counter(&table.create),
            Err(_) => false,
        };
        if !same {
            return Err(Failure::new(
                Code::DumpFailed,
                format!(
                    "the definition of {} changed while it was copied: the load starts over",
                    table.source
                ),
            )
            .scope(Scope::Upstream)
            .next(Next::Retry));
        }
    }
    conn.disconnect().await.map_err(|e| from_mysql(&e, Scope::Upstream, "close a connection to the source"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_of_a_table_is_no_change() {
        let a = without_counter(
            "CREATE TABLE `t` (`a` int) ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4",
        );
        assert_eq!(a, "CREATE TABLE `t` (`a` int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4");
        assert_ne!(a, without_counter("CREATE TABLE `t` (`b` int) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"));
    }

    #[test]
    fn only_the_name_moves() {
        let create = "CREATE TABLE `t` (\n  `a` int NOT NULL COMMENT 't'\n) ENGINE=InnoDB";
        let renamed = rename(create, &TableName::new("d", "t"), &TableName::new("e", "u")).unwrap();
        assert!(renamed.contains("`e`.`u`") && renamed.contains("COMMENT 't'"), "{renamed}");
    }
}
