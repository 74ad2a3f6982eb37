//! `operate-source create | stop | show`.
use std::{collections::BTreeSet, time::Duration};

use dm_proto::{
    config::SourceConfig,
    error::{Code, Error},
    pb::{CommonWorkerResponse, OperateSourceRequest, OperateSourceResponse, SourceOp},
    raft::{PutSource, RemoveSource, command::Body},
    worker::CheckRequest,
};
use futures::future::try_join_all;
use tokio::time::Instant;
use tracing::info;

use super::{
    check::{self, NotRun, first_failure},
    desk::Desk,
    forward::Call,
    rows::{bad, good, row},
};
use crate::{node::now_ms, problem::Problem};

const FREE: &str = "source is added but there is no free worker to bound";
/// Longest wait for another operation on the sources.
const LATCH: Duration = Duration::from_secs(10);

/// Answers; what is wrong with the request is in `msg`.
pub async fn handle(
    desk: Desk,
    call: Call,
    request: OperateSourceRequest,
) -> Result<OperateSourceResponse, Problem> {
    let op = SourceOp::try_from(request.op).unwrap_or(SourceOp::InvalidSourceOp);
    let answer = match op {
        SourceOp::StartSource => create(&desk, &call, &request).await,
        SourceOp::StopSource => stop(&desk, &call, &request).await,
        SourceOp::ShowSource => show(&desk, &request),
        SourceOp::UpdateSource => Err(Problem::Refused(Error::new(
            Code::InvalidOperation,
            "Update worker config is not supported by dm-ha now",
        ))),
        SourceOp::InvalidSourceOp => Err(Problem::Refused(Error::new(
            Code::InvalidOperation,
            format!("op {} is not supported for operate-source", request.op),
        ))),
    };
    match answer {
        Ok(sources) => Ok(OperateSourceResponse { result: true, msg: String::new(), sources }),
        Err(Problem::Refused(error)) => {
            Ok(OperateSourceResponse { result: false, msg: error.to_string(), sources: Vec::new() })
        }
        Err(problem) => Err(problem),
    }
}

/// A source of the request, parsed.
struct Wanted {
    id: String,
    yaml: String,
}

fn parse(request: &OperateSourceRequest) -> Result<Vec<Wanted>, Error> {
    let mut ids = BTreeSet::new();
    let mut wanted = Vec::new();
    for yaml in &request.config {
        let config = SourceConfig::parse(yaml)?;
        if !ids.insert(config.source_id.clone()) {
            let message = format!("source config with ID {} is given twice", config.source_id);
            return Err(Error::new(Code::SourceExists, message));
        }
        wanted.push(Wanted { id: config.source_id, yaml: yaml.clone() });
    }
    if wanted.is_empty() {
        return Err(Error::new(
            Code::InvalidOperation,
            "operate-source create needs at least one source file",
        ));
    }
    Ok(wanted)
}

async fn create(
    desk: &Desk,
    call: &Call,
    request: &OperateSourceRequest,
) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let wanted = parse(request)?;
    let _latch = desk.tenure.latch.lock("sources", LATCH).await.ok_or_else(busy)?;
    let mut missing = Vec::new();
    for source in &wanted {
        let stored = desk
            .state(|state| state.sources.get(&source.id).map(|s| (s.config == source.yaml, s.created_at_ms)));
        match stored {
            None => missing.push(source),
            // Its own earlier attempt, perhaps, whose answer was lost.
            Some((true, _)) if call.is_repeated() => {}
            Some((true, at)) if desk.tenure.answered.is_repetition(&key(&source.id), at, now_ms()) => {}
            Some(_) => {
                let message = format!("source config with ID {} already exists", source.id);
                return Err(Error::new(Code::SourceExists, message).into());
            }
        }
    }
    if !missing.is_empty() {
        let worker = checker(desk, &request.worker_name).await?;
        try_join_all(missing.iter().map(|source| check_source(desk, &worker, source))).await?;
    }
    // What is there already is put again under the call's name, or an attempt of it that is still on its way would do it later.
    let again = |source: &Wanted| call.is_repeated() && !missing.iter().any(|m| m.id == source.id);
    for source in wanted.iter().filter(|s| again(s)).chain(missing.iter().copied()) {
        let put = PutSource { source_id: source.id.clone(), config: source.yaml.clone() };
        desk.propose(Body::PutSource(put)).await?;
        info!(source = %source.id, "source is created");
    }
    let mut rows = Vec::new();
    for source in &wanted {
        rows.push(wait_bound(desk, &source.id).await?);
        let at = desk.state(|state| state.sources.get(&source.id).map_or(0, |s| s.created_at_ms));
        desk.tenure.answered.record(&key(&source.id), at, now_ms());
    }
    Ok(rows)
}

fn key(source_id: &str) -> String {
    format!("source {source_id}")
}

fn busy() -> Problem {
    Problem::Refused(Error::new(
        Code::InvalidOperation,
        "another operation on sources is running, try again later",
    ))
}

/// A live worker that can check; right after an election the sessions are only being opened.
async fn checker(desk: &Desk, name: &str) -> Result<String, Problem> {
    let mut observed = desk.tenure.roster.changes();
    let until = Instant::now() + desk.node.settings.timing.pace.lease;
    loop {
        observed.mark_unchanged();
        let live = desk.tenure.roster.live(std::time::Instant::now());
        if let Some(worker) = live.into_iter().find(|w| name.is_empty() || w == name) {
            return Ok(worker);
        }
        if !name.is_empty() && !desk.state(|state| state.workers.contains_key(name)) {
            return Err(
                Error::new(Code::WorkerUnknown, format!("dm-worker with name {name} not exists")).into()
            );
        }
        if tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            let message = "no dm-worker is online, and only workers can check a source";
            return Err(Error::new(Code::SourcesUnbound, message).into());
        }
    }
}

async fn check_source(desk: &Desk, worker: &str, source: &Wanted) -> Result<(), Problem> {
    let request = CheckRequest {
        source_id: source.id.clone(),
        source_config: source.yaml.clone(),
        task_config: String::new(),
    };
    let items = check::run(desk, worker, request).await.map_err(|NotRun(error)| error)?;
    match first_failure(&items) {
        Some(error) => Err(error.annotate(format!("source {}", source.id)).into()),
        None => Ok(()),
    }
}

async fn wait_bound(desk: &Desk, source_id: &str) -> Result<CommonWorkerResponse, Problem> {
    let until = Instant::now() + desk.node.settings.timing.pace.lease;
    let mut observed = desk.tenure.roster.changes();
    let mut applied = desk.node.consensus.applied();
    loop {
        observed.mark_unchanged();
        applied.mark_unchanged();
        if let Some(binding) = desk.binding(source_id) {
            let report = desk.owner(&binding).and_then(|seen| seen.report);
            let source = report.as_ref().and_then(|(r, _)| {
                r.sources.iter().find(|s| s.source_id == source_id && s.epoch == binding.epoch)
            });
            if let Some(source) = source {
                return Ok(match &source.error {
                    None => good(source_id, &binding.worker),
                    Some(error) => bad(Error::from(error.clone()).to_string(), source_id, &binding.worker),
                });
            }
        }
        let changed = async {
            tokio::select! { r = observed.changed() => r.is_ok(), r = applied.changed() => r.is_ok() }
        };
        if tokio::time::timeout_at(until, changed).await.is_err() {
            // Bound without a report is fine: the worker was named, and reports when it can.
            let worker = desk.binding(source_id).map(|b| b.worker);
            return Ok(match worker {
                Some(worker) => good(source_id, &worker),
                None => row(true, FREE.into(), source_id, ""),
            });
        }
    }
}

async fn stop(
    desk: &Desk,
    call: &Call,
    request: &OperateSourceRequest,
) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let _latch = desk.tenure.latch.lock("sources", LATCH).await.ok_or_else(busy)?;
    let mut ids: BTreeSet<String> = request.source_id.iter().cloned().collect();
    for yaml in &request.config {
        ids.insert(SourceConfig::parse(yaml)?.source_id);
    }
    if ids.is_empty() {
        return Err(Error::new(Code::InvalidOperation, "operate-source stop needs a source").into());
    }
    let mut rows = Vec::new();
    if call.is_repeated() {
        // The first attempt removed them, and its answer was lost.
        let gone: Vec<String> =
            desk.state(|state| ids.iter().filter(|id| !state.sources.contains_key(*id)).cloned().collect());
        for id in &gone {
            // Under the call's name: an attempt of it that is still on its way does nothing any more.
            desk.propose(Body::RemoveSource(RemoveSource { source_id: id.clone() })).await?;
        }
        rows.extend(gone.iter().map(|id| good(id, "")));
        ids.retain(|id| !gone.contains(id));
    }
    for id in &ids {
        let (known, tasks) = desk.state(|state| {
            let tasks: Vec<String> = state.tasks_of(id).map(|(name, _)| name.clone()).collect();
            (state.sources.contains_key(id), tasks)
        });
        if !known {
            return Err(
                Error::new(Code::SourceNotFound, format!("source config with ID {id} not exists")).into()
            );
        }
        if !tasks.is_empty() {
            let message = format!("source with name {id} need to operate has existing tasks {tasks:?}");
            return Err(Error::new(Code::SourceHasTasks, message).into());
        }
    }
    for id in &ids {
        let binding = desk.binding(id);
        let removed = desk.propose(Body::RemoveSource(RemoveSource { source_id: id.clone() })).await?;
        info!(source = %id, "source is removed");
        rows.push(match binding {
            None => {
                let msg = "source is stopped and hasn't bound to worker before being stopped";
                row(true, msg.into(), id, "")
            }
            Some(binding) => released(desk, id, &binding.worker, removed.index).await,
        });
    }
    Ok(rows)
}

/// Waits until the former owner has obeyed.
async fn released(desk: &Desk, source_id: &str, worker: &str, index: u64) -> CommonWorkerResponse {
    let until = Instant::now() + desk.node.settings.timing.pace.lease;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        if desk.tenure.roster.get(worker).is_none_or(|seen| seen.obeys(desk.tenure.term, index)) {
            return good(source_id, worker);
        }
        if tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            // Committed all the same; the worker will learn it with its next assignment.
            return row(
                true,
                "source is stopped, its worker has not confirmed it yet".into(),
                source_id,
                worker,
            );
        }
    }
}

fn show(desk: &Desk, request: &OperateSourceRequest) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let (known, unknown): (Vec<_>, Vec<_>) = desk.state(|state| {
        let ids: Vec<String> = match request.source_id.is_empty() {
            true => state.sources.keys().cloned().collect(),
            false => request.source_id.clone(),
        };
        ids.into_iter().partition(|id| state.sources.contains_key(id))
    });
    let mut bound = Vec::new();
    let mut rows: Vec<_> =
        unknown.iter().map(|id| bad(format!("source config with ID {id} not exists"), id, "")).collect();
    for id in known {
        match desk.binding(&id).filter(|b| !desk.is_dead(b)) {
            Some(binding) => bound.push(good(&id, &binding.worker)),
            None => rows.push(row(true, FREE.into(), &id, "")),
        }
    }
    rows.extend(bound);
    Ok(rows)
}
