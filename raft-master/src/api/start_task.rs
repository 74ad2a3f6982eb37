//! `start-task`.
use std::{collections::BTreeSet, time::Duration};

use dm_proto::{
    config::TaskConfig,
    error::{Code, Error},
    pb::{CommonWorkerResponse, StartTaskRequest, StartTaskResponse},
    raft::{StartTask, command::Body},
    worker::{CheckItem, CheckRequest},
};
use dm_state::Binding;
use futures::future::try_join_all;
use tokio::time::Instant;
use tracing::info;

use super::{
    ADOPT_META,
    check::{self, NotRun},
    checktext::{self, Most},
    desk::Desk,
    forward::Call,
    rows::bad,
    wait::{Expected, wait_for},
};
use crate::{node::now_ms, problem::Problem};

/// Longest wait for another operation on the same task.
const LATCH: Duration = Duration::from_secs(10);

/// Parses, checks, commits, waits; what is wrong with the request is in the answer.
pub async fn handle(desk: Desk, call: Call, request: StartTaskRequest) -> Result<StartTaskResponse, Problem> {
    let mut answer = StartTaskResponse::default();
    match start(&desk, &call, &request, &mut answer.check_result).await {
        Ok(outcome) => {
            answer.result = outcome.result;
            answer.sources = outcome.rows;
            answer.msg = outcome.warnings.join("; ");
        }
        Err(Problem::Refused(error)) => answer.msg = error.to_string(),
        Err(problem) => return Err(problem),
    }
    Ok(answer)
}

/// What a start came to.
struct Outcome {
    result: bool,
    rows: Vec<CommonWorkerResponse>,
    /// Settings of the file that have no effect, and such.
    warnings: Vec<String>,
}

async fn start(
    desk: &Desk,
    call: &Call,
    request: &StartTaskRequest,
    check_text: &mut String,
) -> Result<Outcome, Problem> {
    let config = TaskConfig::parse(&request.task)?;
    let of_config: BTreeSet<String> = config.sources().map(str::to_owned).collect();
    let asked: BTreeSet<String> = match request.sources.is_empty() {
        true => of_config.clone(),
        false => request.sources.iter().cloned().collect(),
    };
    let foreign: Vec<CommonWorkerResponse> =
        asked.difference(&of_config).map(|id| bad("source not found in task's config", id, "")).collect();
    if !foreign.is_empty() {
        return Ok(Outcome { result: false, rows: foreign, warnings: Vec::new() });
    }
    let task = config.name.clone();
    let _latch = desk.tenure.latch.lock(&format!("task {task}"), LATCH).await.ok_or_else(|| {
        Error::new(
            Code::InvalidOperation,
            format!("another operation on task {task} is running, try again later"),
        )
    })?;
    let unknown: Vec<&String> =
        desk.state(|state| asked.iter().filter(|id| !state.sources.contains_key(*id)).collect());
    if !unknown.is_empty() {
        let message =
            format!("sources {unknown:?} not found: they are in the task file and were never created");
        return Err(Error::new(Code::TaskSourceUnknown, message).into());
    }
    let command = StartTask {
        task: task.clone(),
        config: request.task.clone(),
        sources: asked.iter().cloned().collect(),
        remove_meta: request.remove_meta,
        adopt_meta: call.metadata.get(ADOPT_META).is_some_and(|v| v == "true"),
        start_time: request.start_time.clone(),
    };
    if !is_repetition(desk, call, &command)? {
        let owners = owners(desk, &asked).await?;
        let items = pre_check(desk, &request.task, &owners).await?;
        let verdict = checktext::verdict(&items, Most::default());
        *check_text = verdict.text;
        if !verdict.passed {
            return Ok(Outcome { result: false, rows: Vec::new(), warnings: Vec::new() });
        }
        desk.propose(Body::StartTask(command)).await?;
        info!(%task, sources = ?asked, "task is started");
    } else {
        checktext::PASSED.clone_into(check_text);
    }
    let (expected, created_at_ms) = expected(desk, &task, &asked);
    let rows = wait_for(desk, &task, expected, desk.node.settings.timing.rpc).await?;
    desk.tenure.answered.record(&task, created_at_ms, now_ms());
    Ok(Outcome { result: true, rows, warnings: config.warnings })
}

/// True when this very start is in force and its answer may have been lost; an error when the task exists otherwise.
fn is_repetition(desk: &Desk, call: &Call, c: &StartTask) -> Result<bool, Problem> {
    let (taken, same, at) = desk.state(|state| {
        let subtasks = state.tasks.get(&c.task).map(|t| &t.subtasks);
        let existing = |id: &String| subtasks.and_then(|s| s.get(id));
        let taken: Vec<String> = c.sources.iter().filter(|id| existing(id).is_some()).cloned().collect();
        let same = c.sources.iter().all(|id| {
            existing(id).is_some_and(|s| {
                s.config == c.config
                    && s.remove_meta == c.remove_meta
                    && s.adopt_meta == c.adopt_meta
                    && s.start_time == c.start_time
            })
        });
        let at = c.sources.iter().filter_map(existing).map(|s| s.created_at_ms).max().unwrap_or(0);
        (taken, same, at)
    });
    if taken.is_empty() {
        return Ok(false);
    }
    if same && (call.is_repeated() || desk.tenure.answered.is_repetition(&c.task, at, now_ms())) {
        return Ok(true);
    }
    let message = format!("subtasks with name {} for sources [{}] already exist", c.task, taken.join(" "));
    Err(Error::new(Code::SubtaskExists, message).into())
}

/// The live owners of the sources; waits while sources are on their way to a new one.
pub(super) async fn owners(
    desk: &Desk,
    sources: &BTreeSet<String>,
) -> Result<Vec<(String, Binding)>, Problem> {
    let until = Instant::now() + desk.node.settings.timing.pace.lease;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        let mut owners = Vec::new();
        let mut unbound = Vec::new();
        for id in sources {
            let ready = desk.binding(id).filter(|b| desk.owner(b).is_some_and(|s| s.channel.is_some()));
            match ready {
                Some(binding) => owners.push((id.clone(), binding)),
                None => unbound.push(id.clone()),
            }
        }
        if unbound.is_empty() {
            return Ok(owners);
        }
        if tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            let message = format!("sources [{}] have not bound", unbound.join(" "));
            return Err(Error::new(Code::SourcesUnbound, message).into());
        }
    }
}

pub(super) async fn pre_check(
    desk: &Desk,
    task: &str,
    owners: &[(String, Binding)],
) -> Result<Vec<CheckItem>, Problem> {
    let checks = owners.iter().map(|(id, binding)| async move {
        let source_config =
            desk.state(|state| state.sources.get(id).map(|s| s.config.clone()).unwrap_or_default());
        let request = CheckRequest { source_id: id.clone(), source_config, task_config: task.to_owned() };
        let items = check::run(desk, &binding.worker, request).await;
        items.map_err(|NotRun(error)| Problem::Refused(error))
    });
    Ok(try_join_all(checks).await?.into_iter().flatten().collect())
}

type Waits = (Vec<(String, Expected)>, u64);

fn expected(desk: &Desk, task: &str, sources: &BTreeSet<String>) -> Waits {
    desk.state(|state| {
        let subtasks = state.tasks.get(task).map(|t| &t.subtasks);
        let of = |id: &String| subtasks.and_then(|s| s.get(id));
        let waits = sources.iter().filter_map(|id| {
            let s = of(id)?;
            Some((id.clone(), Expected::Running { revision: s.revision, resume_serial: s.resume_serial }))
        });
        let at = sources.iter().filter_map(of).map(|s| s.created_at_ms).max().unwrap_or(0);
        (waits.collect(), at)
    })
}
