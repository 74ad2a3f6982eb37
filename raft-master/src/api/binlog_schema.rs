//! `binlog-schema list, update, delete` (formerly `operate-schema`): forwarded to the worker that owns the source.
use dm_proto::{
    error::{Code, Error},
    pb::{CommonWorkerResponse, OperateSchemaRequest, OperateSchemaResponse, SchemaOp},
    worker::{Authority, DefinitionOp, DefinitionRequest, worker_session_client::WorkerSessionClient},
};
use futures::future::join_all;
use tokio::time::timeout;

use super::{
    desk::Desk,
    forward::MAX_MESSAGE_BYTES,
    rows::{bad, row},
};
use crate::problem::Problem;

/// One row per source.
pub async fn handle(desk: Desk, request: OperateSchemaRequest) -> Result<OperateSchemaResponse, Problem> {
    let refused = |msg: String| OperateSchemaResponse { result: false, msg, sources: Vec::new() };
    let op = match SchemaOp::try_from(request.op) {
        Ok(SchemaOp::GetSchema) => DefinitionOp::DefinitionShow,
        Ok(SchemaOp::SetSchema) => DefinitionOp::DefinitionSet,
        Ok(SchemaOp::RemoveSchema) => DefinitionOp::DefinitionRemove,
        _ => {
            let message = format!("op {} not supported on table schemas", request.op);
            return Ok(refused(Error::new(Code::InvalidOperation, message).to_string()));
        }
    };
    if request.sources.is_empty() {
        return Ok(refused("must specify at least one source".into()));
    }
    let rows = request.sources.iter().map(|source| one(&desk, &request, op, source));
    Ok(OperateSchemaResponse { result: true, msg: String::new(), sources: join_all(rows).await })
}

async fn one(
    desk: &Desk,
    request: &OperateSchemaRequest,
    op: DefinitionOp,
    source: &str,
) -> CommonWorkerResponse {
    let revision = desk.state(|state| {
        state.tasks.get(&request.task).and_then(|t| t.subtasks.get(source)).map(|s| s.revision)
    });
    let Some(task_revision) = revision else {
        let message = format!("task {} has no source {source}", request.task);
        return bad(Error::new(Code::TaskNotFound, message).to_string(), source, "");
    };
    let binding = desk.binding(source);
    let owner =
        binding.as_ref().and_then(|b| desk.owner(b)).and_then(|seen| Some((seen.channel?, seen.sent)));
    let (Some(binding), Some((channel, sent))) = (binding, owner) else {
        return bad(format!("source {source} relevant worker-client not found"), source, "");
    };
    let authority = Authority {
        cluster_id: desk.tenure.cluster_id.clone(),
        term: desk.tenure.term,
        // That of the last assignment: a greater one would make the session's own pings stale.
        revision: sent,
    };
    let order = DefinitionRequest {
        authority: Some(authority),
        source_id: source.to_owned(),
        task: request.task.clone(),
        task_revision,
        op: op.into(),
        schema: request.database.clone(),
        table: request.table.clone(),
        create: request.schema.clone(),
        from_source: request.from_source,
        from_target: request.from_target,
    };
    let mut client = WorkerSessionClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let worker = &binding.worker;
    let deadline = desk.node.settings.timing.rpc;
    let unheard = |cause: String| {
        let message = format!("dm-worker {worker} did not answer for task {}", request.task);
        bad(Error::new(Code::WorkerTimeout, message).with_cause(cause).to_string(), source, worker)
    };
    match timeout(deadline, client.definition(order)).await {
        Ok(Ok(answer)) => {
            let answer = answer.into_inner();
            match answer.error {
                Some(error) => bad(Error::from(error).to_string(), source, worker),
                None => row(true, answer.text, source, worker),
            }
        }
        Ok(Err(status)) => unheard(status.message().to_owned()),
        Err(_) => unheard(format!("no answer within {} s", deadline.as_secs())),
    }
}
