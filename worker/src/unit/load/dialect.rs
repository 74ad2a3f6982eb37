//! Definitions of one server family at the other.
use dm_binlog::Flavor;
use dm_proto::error::Scope;
use dm_schema::Dialect;
use mysql_async::prelude::Queryable;
use tracing::warn;

use crate::{
    failure::{Failure, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

/// The families of both ends; the target is asked what it is.
pub async fn look(context: &SubtaskContext) -> Result<Dialect, Failure> {
    let mut conn = upstream::connect_target(&context.subtask).await?;
    let version: Option<String> = conn
        .query_first("SELECT VERSION()")
        .await
        .map_err(|e| from_mysql(&e, Scope::Downstream, "read the version of the target"))?;
    conn.disconnect()
        .await
        .map_err(|e| from_mysql(&e, Scope::Downstream, "close a connection to the target"))?;
    let mariadb = version.is_some_and(|v| v.to_lowercase().contains("mariadb"));
    Ok(Dialect::between(context.identity.flavor, if mariadb { Flavor::MariaDb } else { Flavor::MySql }))
}

/// The statement in the target's dialect.
pub fn translate(dialect: Dialect, sql: &str) -> String {
    let warned = |from: &str, to: &str| {
        warn!(
            from,
            to, "the target does not know a collation of the source and gets the one with the same rules"
        );
    };
    dialect.translate(sql, warned).into_owned()
}
