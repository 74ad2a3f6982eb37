//! Pre-check of the target's `session`: each variable is set once, and what the target refuses is named.
use dm_proto::{
    config::SubtaskConfig,
    error::{Code, Scope},
};
use dm_target::session_statements;
use mysql_async::prelude::Queryable;

use super::Items;
use crate::{
    downstream,
    failure::{Failure, from_mysql},
    subtask::{foreign_key_checks, target_address},
};

const ITEM: &str = "target_session";

/// On a connection of its own, which ends with it.
pub async fn check(subtask: &SubtaskConfig, items: &mut Items) {
    match set(subtask).await {
        Ok(refused) if refused.is_empty() => items.pass(ITEM),
        Ok(refused) => refused.iter().for_each(|failure| items.fail(ITEM, failure)),
        Err(failure) => items.fail(ITEM, &failure),
    }
}

async fn set(subtask: &SubtaskConfig) -> Result<Vec<Failure>, Failure> {
    let mut conn = downstream::connect(subtask).await?;
    let mut refused = Vec::new();
    for statement in session_statements(&target_address(subtask), foreign_key_checks(subtask)) {
        match conn.query_drop(&statement).await {
            Ok(()) => {}
            Err(mysql_async::Error::Server(error)) => refused.push(
                Failure::new(
                    Code::SessionVariable,
                    format!("the target refuses `{statement}` (`session` of the task file): {error}"),
                )
                .scope(Scope::Downstream),
            ),
            Err(error) => {
                return Err(from_mysql(&error, Scope::Downstream, format!("fail to execute {statement}")));
            }
        }
    }
    // What it has set is gone with it.
    let _ = conn.disconnect().await;
    Ok(refused)
}
