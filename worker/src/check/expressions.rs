//! Pre-checks of the expression filters: whether they can be evaluated for the source's tables as they are now.
use dm_proto::{config::SubtaskConfig, error::Scope};
use dm_schema::TableName;
use mysql_async::Conn;

use super::{Items, columns::definition};
use crate::{failure::Failure, unit::rules::Rules};

const RULES: &str = "rules";

/// Fails for an expression that does not go with its table's columns, warns of one that names no replicated table.
pub async fn check(
    subtask: &SubtaskConfig,
    rules: &Rules,
    pairs: &[(TableName, TableName)],
    source: &mut Conn,
    items: &mut Items,
) {
    for filter in &subtask.expressions {
        let idle = !pairs.iter().any(|(name, _)| rules.expressions.about(name).any(|n| n == filter.name));
        if idle {
            items.warn(
                RULES,
                format!(
                    "source {}: expression-filter `{}`: {}.{} is no replicated table of the source",
                    subtask.source_id, filter.name, filter.schema, filter.table
                ),
                "Please check its schema and table; it counts for a table that is created later.",
            );
        }
    }
    for (name, _) in pairs.iter().filter(|(name, _)| rules.expressions.about(name).next().is_some()) {
        if let Err(failure) = bind(rules, name, source).await {
            items.fail(RULES, &failure);
        }
    }
}

async fn bind(rules: &Rules, name: &TableName, source: &mut Conn) -> Result<(), Failure> {
    let Some(model) = definition(source, name, Scope::Upstream).await? else { return Ok(()) };
    rules.expressions.bind(&model.renamed(name.clone())).map(drop)
}
