//! `stop-task`, `pause-task`, `resume-task`.
use std::time::Duration;

use dm_proto::{
    error::{Code, Error},
    pb::{CommonWorkerResponse, OperateTaskRequest, OperateTaskResponse, TaskOp},
    raft::{RemoveSubtasks, SetStage, command::Body},
    worker::{MetaStage, Stage},
};
use dm_state::Binding;
use tracing::info;

use super::{
    desk::{Desk, subtask_report},
    forward::Call,
    wait::{Expected, wait_for},
};
use crate::problem::Problem;

/// Longest wait for another operation on the same task.
const LATCH: Duration = Duration::from_secs(10);

/// Commits the wish and waits until it is observed.
pub async fn handle(
    desk: Desk,
    call: Call,
    request: OperateTaskRequest,
) -> Result<OperateTaskResponse, Problem> {
    let mut answer = OperateTaskResponse { op: request.op, ..Default::default() };
    match operate(&desk, &call, &request).await {
        Ok(rows) => {
            answer.result = true;
            answer.sources = rows;
        }
        Err(Problem::Refused(error)) => answer.msg = error.to_string(),
        Err(problem) => return Err(problem),
    }
    Ok(answer)
}

async fn operate(
    desk: &Desk,
    call: &Call,
    request: &OperateTaskRequest,
) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let task = &request.name;
    let op = TaskOp::try_from(request.op).unwrap_or(TaskOp::InvalidOp);
    if !matches!(op, TaskOp::Stop | TaskOp::Delete | TaskOp::Pause | TaskOp::Resume) {
        let message = format!("op {} not supported on task", op.as_str_name());
        return Err(Error::new(Code::InvalidOperation, message).into());
    }
    let _latch = desk.tenure.latch.lock(&format!("task {task}"), LATCH).await.ok_or_else(|| {
        Error::new(
            Code::InvalidOperation,
            format!("another operation on task {task} is running, try again later"),
        )
    })?;
    let stops = matches!(op, TaskOp::Stop | TaskOp::Delete);
    let mut request = request.clone();
    let mut rows = Vec::new();
    if stops && call.is_repeated() {
        // The first attempt stopped them, and its answer was lost.
        let (there, gone) = stopped_before(desk, &request);
        let index = desk.node.state(|_, index| index);
        // What was known of the writers went with the answer that was lost.
        let stopped = |id: String| {
            let writer = desk.binding(&id);
            (id, Expected::Stopped { index, writer })
        };
        let gone = gone.into_iter().map(stopped).collect();
        rows = wait_for(desk, task, gone, desk.node.settings.timing.rpc).await?;
        if there.is_empty() {
            return Ok(rows);
        }
        request.sources = there;
    }
    let sources = sources(desk, &request)?;
    let expected = match op {
        TaskOp::Pause => set_stage(desk, task, &sources, Stage::Paused).await?,
        TaskOp::Resume => set_stage(desk, task, &sources, Stage::Running).await?,
        _ => {
            let remove = RemoveSubtasks { task: task.clone(), sources: sources.clone() };
            let writers: Vec<Option<Binding>> = sources.iter().map(|id| writer(desk, task, id)).collect();
            let index = desk.propose(Body::RemoveSubtasks(remove)).await?.index;
            let expected = |(id, writer): (&String, _)| (id.clone(), Expected::Stopped { index, writer });
            sources.iter().zip(writers).map(expected).collect()
        }
    };
    info!(%task, op = op.as_str_name(), ?sources, "task is operated");
    rows.extend(wait_for(desk, task, expected, desk.node.settings.timing.rpc).await?);
    Ok(rows)
}

/// The sources of the request, or of the task, that the task still has, and those of the request that it has no more.
fn stopped_before(desk: &Desk, request: &OperateTaskRequest) -> (Vec<String>, Vec<String>) {
    desk.state(|state| {
        let has = |id: &String| state.tasks.get(&request.name).is_some_and(|t| t.subtasks.contains_key(id));
        if request.sources.is_empty() {
            let all = state.tasks.get(&request.name).map(|t| t.subtasks.keys().cloned().collect());
            return (all.unwrap_or_default(), Vec::new());
        }
        request.sources.iter().cloned().partition(has)
    })
}

/// The sources meant: those named, or all of the task.
fn sources(desk: &Desk, request: &OperateTaskRequest) -> Result<Vec<String>, Problem> {
    let task = &request.name;
    let all: Vec<String> = desk.state(|state| {
        state.tasks.get(task).map(|t| t.subtasks.keys().cloned().collect()).unwrap_or_default()
    });
    if all.is_empty() {
        let message =
            format!("task {task} has no source or not exist, please check the task name and status");
        return Err(Error::new(Code::TaskNotFound, message).into());
    }
    let unknown: Vec<String> = request.sources.iter().filter(|id| !all.contains(id)).cloned().collect();
    if !unknown.is_empty() {
        let message = format!("sources [{}] need to be operate not exist for task {task}", unknown.join(" "));
        return Err(Error::new(Code::SubtasksNotFound, message).into());
    }
    Ok(match request.sources.is_empty() {
        true => all,
        false => request.sources.clone(),
    })
}

/// The process that alone can write for a subtask: the owner, once it has taken over. A new one may not have yet, and
/// then a former owner, cut off from the masters, still writes.
fn writer(desk: &Desk, task: &str, source: &str) -> Option<Binding> {
    let binding = desk.binding(source)?;
    let created = desk.state(|state| {
        let subtask = state.tasks.get(task).and_then(|t| t.subtasks.get(source));
        subtask.is_some_and(|s| s.meta == MetaStage::MetaCreated)
    });
    // Before the target's rows exist nobody has written anything.
    let taken_over = !created || {
        let seen = desk.owner(&binding)?;
        let report = subtask_report(&seen, source, binding.epoch, task);
        report.is_some_and(|r| matches!(r.stage(), Stage::Running | Stage::Paused | Stage::Finished))
    };
    taken_over.then_some(binding)
}

async fn set_stage(
    desk: &Desk,
    task: &str,
    sources: &[String],
    stage: Stage,
) -> Result<Vec<(String, Expected)>, Problem> {
    let command = SetStage { task: task.to_owned(), sources: sources.to_vec(), stage: stage.into() };
    desk.propose(Body::SetStage(command)).await?;
    Ok(desk.state(|state| {
        let subtasks = state.tasks.get(task).map(|t| &t.subtasks);
        let expected = sources.iter().filter_map(|id| {
            let s = subtasks?.get(id)?;
            let expected = match stage {
                Stage::Paused => Expected::Paused { revision: s.revision },
                _ => Expected::Running { revision: s.revision, resume_serial: s.resume_serial },
            };
            Some((id.clone(), expected))
        });
        expected.collect()
    }))
}
