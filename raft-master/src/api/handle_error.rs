//! `binlog skip, replace, inject, revert, list` (formerly `handle-error`).
use dm_proto::{
    error::{Code, Error},
    pb::{CommonWorkerResponse, ErrorOp, HandleErrorRequest, HandleErrorResponse},
    raft::{RemoveOperator, SetOperator, command::Body},
    worker::{ErrorOperator, OperatorKind, StopPoint},
};
use futures::future::join_all;
use serde_json::json;
use tokio::time::Instant;
use tracing::info;

use super::{
    desk::{Desk, subtask_report},
    forward::Call,
    rows::{bad, row},
    wait::{Expected, wait_for},
};
use crate::problem::Problem;

/// Commits what is wanted for each source; the workers consume it when they meet the event.
pub async fn handle(
    desk: Desk,
    call: Call,
    request: HandleErrorRequest,
) -> Result<HandleErrorResponse, Problem> {
    match operate(&desk, &call, &request).await {
        Ok(sources) => Ok(HandleErrorResponse { result: true, msg: String::new(), sources }),
        Err(Problem::Refused(error)) => {
            Ok(HandleErrorResponse { result: false, msg: error.to_string(), sources: Vec::new() })
        }
        Err(problem) => Err(problem),
    }
}

async fn operate(
    desk: &Desk,
    call: &Call,
    request: &HandleErrorRequest,
) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let op = ErrorOp::try_from(request.op).unwrap_or(ErrorOp::InvalidErrorOp);
    let place = match request.binlog_pos.is_empty() {
        true => None,
        false => Some(parse_place(&request.binlog_pos)?),
    };
    let sources = sources(desk, request)?;
    if op == ErrorOp::List {
        return Ok(sources.iter().map(|id| list(desk, &request.task, id, place.as_ref())).collect());
    }
    let kind = match op {
        ErrorOp::Skip => Some(OperatorKind::OperatorSkip),
        ErrorOp::Replace => Some(OperatorKind::OperatorReplace),
        ErrorOp::Inject => Some(OperatorKind::OperatorInject),
        ErrorOp::Revert => None,
        ErrorOp::List | ErrorOp::InvalidErrorOp => {
            let message = format!("op {} not supported", op.as_str_name());
            return Err(Error::new(Code::InvalidOperation, message).into());
        }
    };
    let all = sources.iter().map(|source| one(desk, call, request, kind, source, place.as_ref()));
    join_all(all).await.into_iter().collect()
}

/// One source: where, commit, and until its worker has it.
async fn one(
    desk: &Desk,
    call: &Call,
    request: &HandleErrorRequest,
    kind: Option<OperatorKind>,
    source: &str,
    place: Option<&(String, u64)>,
) -> Result<CommonWorkerResponse, Problem> {
    let task = &request.task;
    let worker = desk.binding(source).map(|b| b.worker).unwrap_or_default();
    let stopped = stop_point(desk, task, source).await;
    let Some((file, pos)) = place.cloned().or_else(|| stopped.clone().map(|s| (s.file, s.pos))) else {
        return Ok(bad(format!("source '{source}' has no error"), source, &worker));
    };
    let Some(kind) = kind else {
        let remove = RemoveOperator {
            task: task.clone(),
            source_id: source.to_owned(),
            id: 0,
            file: file.clone(),
            pos,
        };
        let there = desk.state(|state| {
            let subtask = state.tasks.get(task).and_then(|t| t.subtasks.get(source));
            subtask.is_some_and(|s| s.operators.at(&file, pos).is_some())
        });
        if !there && !call.is_repeated() {
            let message =
                format!("no operator is pending at {file}:{pos}; `dmctl binlog list {task}` shows them");
            return Ok(bad(Error::new(Code::InvalidOperation, message).to_string(), source, &worker));
        }
        desk.propose(Body::RemoveOperator(remove)).await?;
        info!(%task, %source, %file, pos, "error operator is reverted");
        return Ok(row(true, String::new(), source, &worker));
    };
    // The name of the transaction finds it also after the source was switched to another server.
    let gtid = stopped.filter(|s| s.file == file && s.pos == pos).map(|s| s.gtid).unwrap_or_default();
    let operator = ErrorOperator {
        id: 0,
        kind: kind.into(),
        file: file.clone(),
        pos,
        gtid: gtid.clone(),
        sqls: request.sqls.clone(),
    };
    let set = SetOperator { task: task.clone(), source_id: source.to_owned(), operator: Some(operator) };
    match desk.propose(Body::SetOperator(set)).await {
        Ok(_) => {}
        Err(Problem::Refused(error)) => return Ok(bad(error.to_string(), source, &worker)),
        Err(problem) => return Err(problem),
    }
    info!(%task, %source, kind = kind.as_str_name(), %file, pos, %gtid, "error operator is set");
    let Some(taken) = desk.state(|state| {
        let subtask = state.tasks.get(task).and_then(|t| t.subtasks.get(source))?;
        Some(Expected::TakenUp { revision: subtask.revision, resume_serial: subtask.resume_serial })
    }) else {
        return Ok(bad(format!("task {task} was stopped meanwhile"), source, &worker));
    };
    let rows = wait_for(desk, task, vec![(source.to_owned(), taken)], desk.node.settings.timing.rpc).await?;
    Ok(match rows.into_iter().next() {
        Some(answer) if !answer.result => {
            // It is stored all the same, and whoever gets the source next consumes it.
            row(true, format!("stored; no worker has taken it up yet: {}", answer.msg), source, &worker)
        }
        Some(answer) => answer,
        None => row(true, String::new(), source, &worker),
    })
}

/// Where the subtask stands still: only a report that answers the newest resume counts, an older one speaks of an
/// event that may be gone.
async fn stop_point(desk: &Desk, task: &str, source: &str) -> Option<StopPoint> {
    let until = Instant::now() + desk.node.settings.timing.pace.lease;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        let serial = desk.state(|state| {
            state.tasks.get(task).and_then(|t| t.subtasks.get(source)).map(|s| s.resume_serial)
        })?;
        let binding = desk.binding(source);
        let seen = binding.as_ref().and_then(|b| desk.owner(b));
        let report = match (&binding, &seen) {
            (Some(binding), Some(seen)) => subtask_report(seen, source, binding.epoch, task),
            _ => None,
        };
        if let Some(report) = report.filter(|r| r.resume_serial >= serial)
            && (report.stopped_at.is_some() || report.errors.is_empty())
        {
            return report.stopped_at.clone();
        }
        if tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            return None;
        }
    }
}

fn list(desk: &Desk, task: &str, source: &str, place: Option<&(String, u64)>) -> CommonWorkerResponse {
    let worker = desk.binding(source).map(|b| b.worker).unwrap_or_default();
    let pending: Vec<serde_json::Value> = desk.state(|state| {
        let subtask = state.tasks.get(task).and_then(|t| t.subtasks.get(source));
        let operators = subtask.into_iter().flat_map(|s| s.operators.iter());
        let wanted = operators.filter(|o| place.is_none_or(|(file, pos)| o.file == *file && o.pos == *pos));
        wanted.map(|o| listed(task, o)).collect()
    });
    row(true, serde_json::Value::Array(pending).to_string(), source, &worker)
}

/// DM's form: numbers of its own enum, empty fields left out.
fn listed(task: &str, operator: &ErrorOperator) -> serde_json::Value {
    let op = match operator.kind() {
        OperatorKind::OperatorSkip => ErrorOp::Skip,
        OperatorKind::OperatorReplace => ErrorOp::Replace,
        OperatorKind::OperatorInject => ErrorOp::Inject,
        OperatorKind::OperatorInvalid => ErrorOp::InvalidErrorOp,
    };
    let mut value = json!({
        "op": op as i32,
        "task": task,
        "binlogPos": format!("({}, {})", operator.file, operator.pos),
    });
    if !operator.sqls.is_empty() {
        value["sqls"] = json!(operator.sqls);
    }
    value
}

/// `FILE:POS`, also in DM's other form `(FILE, POS)`.
fn parse_place(text: &str) -> Result<(String, u64), Error> {
    let bare = text.trim().trim_matches(['"', '\'']).trim_start_matches('(').trim_end_matches(')');
    let parts = bare.rsplit_once([':', ',']);
    let place = parts.and_then(|(file, pos)| Some((file.trim().to_owned(), pos.trim().parse().ok()?)));
    place.filter(|(file, pos): &(String, u64)| !file.is_empty() && *pos > 0).ok_or_else(|| {
        Error::new(Code::PositionTextInvalid, format!("`{text}` is no position in a binlog"))
            .with_workaround("The form is `mysql-bin.000001:4`.")
    })
}

/// The sources named, or all of the task.
fn sources(desk: &Desk, request: &HandleErrorRequest) -> Result<Vec<String>, Problem> {
    let task = &request.task;
    let all: Vec<String> = desk.state(|state| {
        state.tasks.get(task).map(|t| t.subtasks.keys().cloned().collect()).unwrap_or_default()
    });
    let unknown = request.sources.iter().any(|id| !all.contains(id));
    if all.is_empty() || unknown {
        let message =
            format!("task {task} has no source or not exist, please check the task name and status");
        return Err(Error::new(Code::TaskNotFound, message).into());
    }
    Ok(if request.sources.is_empty() { all } else { request.sources.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_both_forms() {
        let want = ("mysql-bin.000001".to_owned(), 2345);
        for text in ["mysql-bin.000001:2345", "\"mysql-bin.000001:2345\"", "(mysql-bin.000001, 2345)"] {
            assert_eq!(parse_place(text).unwrap(), want, "{text}");
        }
        for text in ["mysql-bin.000001", "mysql-bin.000001:x", ":4", "b.1:0"] {
            assert!(parse_place(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_operator_is_listed_as_dm_lists_it() {
        let operator = ErrorOperator {
            id: 9,
            kind: OperatorKind::OperatorSkip.into(),
            file: "mysql-bin.000001".into(),
            pos: 2345,
            ..Default::default()
        };
        let want: serde_json::Value =
            serde_json::from_str(r#"{"op":1,"task":"task1","binlogPos":"(mysql-bin.000001, 2345)"}"#)
                .unwrap();
        assert_eq!(listed("task1", &operator), want);
    }
}
