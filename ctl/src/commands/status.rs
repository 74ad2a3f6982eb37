//! `query-status`.

use super::{Context, compact, task_name};
use crate::args::QueryStatus;
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::{QueryStatusListRequest, QueryStatusListResponse};

/// Asks for the status of a task (all if empty) at sources (all if empty).
pub(super) async fn ask(
    context: &mut Context,
    name: String,
    sources: Vec<String>,
) -> Result<QueryStatusListResponse, Failure> {
    let options = CallOptions { timeout: Some(context.rpc_timeout), ..Default::default() };
    let request = QueryStatusListRequest { name, sources };
    context.masters.call(request, options, async |mut c, r| c.query_status(r).await).await
}

pub(super) async fn query(
    context: &mut Context,
    args: QueryStatus,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let name = args.task.map(task_name).unwrap_or_default();
    let short = name.is_empty() && sources.is_empty() && !args.more;
    let answer = ask(context, name, sources).await?;
    if short && answer.result && answer.sources.iter().all(|s| s.result) {
        return jsonpb::plain(&compact::of(&answer));
    }
    jsonpb::print(&answer, "QueryStatusListResponse")
}
