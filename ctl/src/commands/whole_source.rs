//! `stop-task`, `pause-task` and `resume-task` for all tasks of one source.

use super::{Context, status, task};
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::{CommonWorkerResponse, TaskOp};
use serde::Serialize;

/// The object that is printed.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    result: bool,
    msg: String,
    tasks: Vec<Task>,
}

#[derive(Debug, Serialize)]
struct Task {
    task: String,
    op: String,
    result: bool,
    msg: String,
    sources: Vec<Row>,
}

/// encoding/json leaves out what is empty in the rows.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    result: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    msg: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    source: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    worker: String,
}

impl From<CommonWorkerResponse> for Row {
    fn from(row: CommonWorkerResponse) -> Self {
        Self { result: row.result, msg: row.msg, source: row.source, worker: row.worker }
    }
}

pub(super) async fn operate(
    context: &mut Context,
    op: TaskOp,
    source: String,
    batch_size: usize,
) -> Result<String, Failure> {
    if batch_size == 0 {
        return Err(Failure::message("--batch-size must be greater than 0"));
    }
    let mut answer = status::ask(context, String::new(), vec![source.clone()]).await?;
    let mut outcome = Outcome { result: answer.result, msg: answer.msg, tasks: Vec::new() };
    if !answer.result || answer.sources.is_empty() {
        outcome.result = false;
        return jsonpb::plain(&outcome);
    }
    // One after another, which keeps to any --batch-size.
    for subtask in answer.sources.swap_remove(0).sub_task_status {
        let name = subtask.name;
        let (result, msg, sources) = match task::send(context, op, name.clone(), vec![source.clone()]).await {
            Ok(answer) => (answer.result, answer.msg, answer.sources),
            Err(Failure::Message(text)) => (false, text, Vec::new()),
            Err(other) => return Err(other),
        };
        let sources = sources.into_iter().map(Row::from).collect();
        outcome.tasks.push(Task { task: name, op: op.as_str_name().to_owned(), result, msg, sources });
    }
    outcome.tasks.sort_by(|a, b| a.task.cmp(&b.task));
    jsonpb::plain(&outcome)
}
