//! `query-status`: from what workers have pushed, never from a live query.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use dm_proto::{
    error::Error,
    pb::{ProcessResult, QueryStatusListRequest, QueryStatusListResponse, QueryStatusResponse, SourceStatus},
};
use dm_state::Binding;

use super::{
    desk::{Desk, subtask_report},
    rows::process_error,
    status_of::{not_started, reported},
};
use crate::problem::Problem;

/// A leader that has just been elected waits so long for the first reports.
const FIRST_REPORTS: Duration = Duration::from_secs(1);
/// A report older than this is marked. Workers report at least every second.
const STALE: Duration = Duration::from_secs(3);

/// The answer, and the age of the oldest report in it.
pub async fn handle(
    desk: Desk,
    request: QueryStatusListRequest,
) -> Result<(QueryStatusListResponse, Duration), Problem> {
    let sources = match asked(&desk, &request) {
        Ok(sources) => sources,
        Err(msg) => return Ok((QueryStatusListResponse { msg, ..Default::default() }, Duration::ZERO)),
    };
    first_reports(&desk, &sources).await?;
    let mut oldest = Duration::ZERO;
    let mut rows = Vec::new();
    for source in &sources {
        let (row, age) = status(&desk, source, &request.name)?;
        oldest = oldest.max(age);
        rows.push(row);
    }
    Ok((QueryStatusListResponse { result: true, msg: String::new(), sources: rows }, oldest))
}

/// The sources meant, or what is wrong with the request, in DM's words.
fn asked(desk: &Desk, request: &QueryStatusListRequest) -> Result<BTreeSet<String>, String> {
    desk.state(|state| {
        let unknown: Vec<&str> = request
            .sources
            .iter()
            .filter(|id| !state.sources.contains_key(*id))
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            return Err(format!("sources [{}] haven't been added", unknown.join(" ")));
        }
        if !request.sources.is_empty() {
            return Ok(request.sources.iter().cloned().collect());
        }
        if request.name.is_empty() {
            let shown = state
                .sources
                .iter()
                .filter(|(id, s)| s.binding.is_some() || state.tasks_of(id).next().is_some());
            return Ok(shown.map(|(id, _)| id.clone()).collect());
        }
        match state.tasks.get(&request.name) {
            Some(task) => Ok(task.subtasks.keys().cloned().collect()),
            None => Err(format!("task {} has no source or not exist", request.name)),
        }
    })
}

async fn first_reports(desk: &Desk, sources: &BTreeSet<String>) -> Result<(), Problem> {
    let until = tokio::time::Instant::now() + FIRST_REPORTS;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        let mut missing = false;
        for id in sources {
            let binding = desk.binding(id).filter(|b| !desk.is_dead(b));
            missing |= binding.is_some_and(|b| desk.owner(&b).is_none_or(|seen| seen.report.is_none()));
        }
        if !missing || tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            return Ok(());
        }
    }
}

fn status(desk: &Desk, source: &str, task: &str) -> Result<(QueryStatusResponse, Duration), Problem> {
    let wanted: Vec<String> = desk.state(|state| {
        let tasks = state.tasks_of(source).map(|(name, _)| name.clone());
        tasks.filter(|name| task.is_empty() || name == task).collect()
    });
    match desk.binding(source).filter(|b| !desk.is_dead(b)) {
        Some(binding) => Ok(bound(desk, source, task, wanted, &binding)),
        None => Ok((unbound(source, wanted), Duration::ZERO)),
    }
}

fn unbound(source: &str, wanted: Vec<String>) -> QueryStatusResponse {
    let messages = wanted.iter().map(|task| {
        format!(
            "can't find task={task} from dm-worker for source={source}, please use dmctl list-member to check if \
             worker is offline."
        )
    });
    let msg = match wanted.is_empty() {
        true => "source not bound".to_owned(),
        false => messages.collect::<Vec<_>>().join(" "),
    };
    QueryStatusResponse {
        result: false,
        msg,
        source_status: Some(SourceStatus {
            source: source.to_owned(),
            worker: "source not bound".into(),
            ..Default::default()
        }),
        sub_task_status: wanted.iter().map(|task| not_started(task, false)).collect(),
    }
}

fn bound(
    desk: &Desk,
    source: &str,
    task: &str,
    wanted: Vec<String>,
    binding: &Binding,
) -> (QueryStatusResponse, Duration) {
    let mut answer = QueryStatusResponse {
        result: true,
        source_status: Some(SourceStatus {
            source: source.to_owned(),
            worker: binding.worker.clone(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let seen = desk.owner(binding);
    let age = seen.as_ref().and_then(|s| s.report.as_ref()).map(|(_, at)| Instant::now().duration_since(*at));
    let mut tasks = wanted;
    if tasks.is_empty() && !task.is_empty() {
        tasks.push(task.to_owned());
    }
    for name in &tasks {
        let report = seen.as_ref().and_then(|seen| subtask_report(seen, source, binding.epoch, name));
        answer.sub_task_status.push(match report {
            Some(report) => reported(report),
            None => not_started(name, true),
        });
    }
    if tasks.is_empty() {
        answer.msg = "no sub task started".into();
    }
    match age {
        None => answer.msg = format!("worker {} has not reported yet", binding.worker),
        Some(age) if age >= STALE => {
            answer.msg = format!(
                "stale: the last report of worker {} is {:.1} s old",
                binding.worker,
                age.as_secs_f64()
            );
        }
        Some(_) => {}
    }
    let report = seen.and_then(|s| s.report).map(|(report, _)| report);
    let error = report.as_ref().and_then(|r| {
        r.sources.iter().find(|s| s.source_id == source && s.epoch == binding.epoch)?.error.as_ref()
    });
    if let (Some(error), Some(status)) = (error, &mut answer.source_status) {
        answer.msg = Error::from(error.clone()).to_string();
        status.result = Some(ProcessResult { errors: vec![process_error(error)], ..Default::default() });
    }
    (answer, age.unwrap_or_default())
}
