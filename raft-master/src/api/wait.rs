//! Waits until the workers are observed to do what has been committed.
use std::time::Duration;

use dm_proto::{
    error::{Code, Error},
    pb::CommonWorkerResponse,
    worker::Stage,
};
use dm_state::Binding;
use futures::future::join_all;
use tokio::time::Instant;

use super::{
    desk::{Desk, subtask_report},
    rows::{bad, good, row, worker_errors},
};
use crate::problem::Problem;

/// What one subtask, or a source, is expected to come to.
#[derive(Clone, Debug)]
pub enum Expected {
    /// This start, and this resume of it, runs or has finished.
    Running {
        /// Start that is meant.
        revision: u64,
        /// Resume that is meant.
        resume_serial: u64,
    },
    /// Its worker has taken up this resume, whatever comes of it.
    TakenUp {
        /// Start that is meant.
        revision: u64,
        /// Resume that is meant.
        resume_serial: u64,
    },
    /// It is paused.
    Paused {
        /// Start that is meant.
        revision: u64,
    },
    /// The owner has obeyed the state at this log index and knows no such subtask any more.
    Stopped {
        /// Log index of the command.
        index: u64,
        /// The only process that could write when the command was given; none when that was not certain. When another
        /// one answers, it knows nothing of the subtask, and the former may not have been told.
        writer: Option<Binding>,
    },
}

/// One row per source, in order; each waits until it is as expected, has failed, or the deadline has passed.
pub async fn wait_for(
    desk: &Desk,
    task: &str,
    expected: Vec<(String, Expected)>,
    deadline: Duration,
) -> Result<Vec<CommonWorkerResponse>, Problem> {
    let until = Instant::now() + deadline;
    let waits = expected.iter().map(|(source, expected)| wait_for_one(desk, task, source, expected, until));
    join_all(waits).await.into_iter().collect()
}

async fn wait_for_one(
    desk: &Desk,
    task: &str,
    source: &str,
    expected: &Expected,
    until: Instant,
) -> Result<CommonWorkerResponse, Problem> {
    let mut observed = desk.tenure.roster.changes();
    let mut unbound_since: Option<Instant> = None;
    loop {
        observed.mark_unchanged();
        let now = Instant::now();
        let binding = desk.binding(source).filter(|b| !desk.is_dead(b));
        let worker = binding.as_ref().map_or(String::new(), |b| b.worker.clone());
        match &binding {
            None => {
                // A worker that just died is replaced soon; without any other there is nothing to wait for.
                let since = *unbound_since.get_or_insert(now);
                if now.duration_since(since) > desk.node.settings.timing.pace.lease {
                    return Ok(bad(format!("{source} relevant worker-client not found"), source, ""));
                }
            }
            Some(binding) => {
                unbound_since = None;
                if let Some(row) =
                    desk.owner(binding).and_then(|seen| judge(&seen, desk, task, source, binding, expected))
                {
                    return Ok(row);
                }
            }
        }
        if now >= until {
            let error = Error::new(Code::StageNotReached, "fail to get expected result");
            return Ok(bad(error.to_string(), source, &worker));
        }
        // The tick looks at what changes without an observation: the passing of time.
        let tick = (now + Duration::from_millis(100)).min(until);
        let _ = tokio::time::timeout_at(tick, observed.changed()).await;
    }
}

fn judge(
    seen: &crate::leader::Seen,
    desk: &Desk,
    task: &str,
    source: &str,
    binding: &Binding,
    expected: &Expected,
) -> Option<CommonWorkerResponse> {
    let report = subtask_report(seen, source, binding.epoch, task);
    let worker = &binding.worker;
    match expected {
        Expected::Stopped { index, writer } => {
            let gone = report.is_none_or(|r| r.released);
            let told = writer.as_ref() == Some(binding);
            (gone && seen.obeys(desk.tenure.term, *index)).then(|| match told {
                true => good(source, worker),
                false => row(true, not_told(writer.as_ref()), source, worker),
            })
        }
        Expected::Running { revision, resume_serial } => {
            let report =
                report.filter(|r| r.task_revision == *revision && r.resume_serial >= *resume_serial)?;
            match report.stage() {
                Stage::Running | Stage::Finished if report.errors.is_empty() => Some(good(source, worker)),
                Stage::Running | Stage::Finished => {
                    Some(row(true, worker_errors(&report.errors).to_string(), source, worker))
                }
                Stage::Paused if !report.errors.is_empty() => {
                    Some(bad(worker_errors(&report.errors).to_string(), source, worker))
                }
                _ => None,
            }
        }
        Expected::TakenUp { revision, resume_serial } => {
            let taken = report.filter(|r| r.task_revision == *revision && r.resume_serial >= *resume_serial);
            taken.map(|_| good(source, worker))
        }
        Expected::Paused { revision } => {
            let report = report.filter(|r| r.task_revision == *revision)?;
            let paused = matches!(report.stage(), Stage::Paused | Stage::Finished);
            paused.then(|| match report.errors.is_empty() {
                true => good(source, worker),
                false => row(true, worker_errors(&report.errors).to_string(), source, worker),
            })
        }
    }
}

fn not_told(writer: Option<&Binding>) -> String {
    let who = writer.map_or("a former worker".to_owned(), |b| format!("the former worker {}", b.worker));
    format!(
        "stopped, but {who} of this source could not be told: unless its process has ended, it may go on writing to the \
         target until a master reaches it again, or `master-loss-grace` is over"
    )
}
