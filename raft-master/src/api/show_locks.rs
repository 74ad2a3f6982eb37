//! `shard-ddl-lock`: also what scripts call to see that a master is ready.
use dm_proto::pb::ShowDdlLocksResponse;

use super::desk::Desk;
use crate::problem::Problem;

/// No task can merge shards yet (such a task is refused at its start), so there are no locks.
pub async fn handle(_desk: Desk) -> Result<ShowDdlLocksResponse, Problem> {
    Ok(ShowDdlLocksResponse { result: true, msg: "no DDL lock exists".into(), locks: Vec::new() })
}
