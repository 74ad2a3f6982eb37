//! The session that a leader opens.
use std::{pin::Pin, sync::Arc, time::Duration};

use dm_proto::error::Code;
use dm_proto::worker::{
    CheckRequest, CheckResponse, DefinitionRequest, DefinitionResponse, Down, Hello, Pong, Up, down, up,
    worker_session_server::WorkerSession,
};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use crate::{check, failure::Failure, runtime::Process, subtask::Order};

/// Reports are made at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// And this often while a full load runs here: a person watches how it gets on.
const REPORT_LOAD_EVERY: Duration = Duration::from_millis(250);
/// Changes closer together than this travel in one report.
const REPORT_GAP: Duration = Duration::from_millis(20);
/// Messages that wait for a slow leader; a full queue ends the session, it will open a new one.
const QUEUE: usize = 64;

pub struct SessionService {
    process: Arc<Process>,
}

impl SessionService {
    pub fn new(process: Arc<Process>) -> Self {
        Self { process }
    }
}

type Out = mpsc::Sender<Result<Up, Status>>;

#[tonic::async_trait]
impl WorkerSession for SessionService {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<Up, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<Down>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let peer = request.remote_addr();
        let (out, stream) = mpsc::channel(QUEUE);
        let process = Arc::clone(&self.process);
        tokio::spawn(async move {
            process.sessions.send_modify(|n| *n += 1);
            let ended = run(&process, request.into_inner(), &out).await;
            process.sessions.send_modify(|n| *n -= 1);
            match ended {
                Ok(()) => info!(?peer, "session ended"),
                Err(status) => {
                    warn!(?peer, reason = status.message(), "session refused");
                    // A leader that is already gone, or does not read, doesn't need the reason.
                    let _ = out.try_send(Err(status));
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(check::run(request.get_ref()).await))
    }

    async fn definition(
        &self,
        request: Request<DefinitionRequest>,
    ) -> Result<Response<DefinitionResponse>, Status> {
        let request = request.into_inner();
        let authority = request.authority.as_ref();
        self.process.admit(authority).map_err(|e| Status::failed_precondition(e.to_string()))?;
        let status = self.process.board.subtask(&request.source_id, &request.task);
        let answered = match status {
            Some(status) => Order::send(&status, request).await,
            None => Err(Failure::new(
                Code::SubtaskNotFound,
                format!("no subtask {} of source {} here", request.task, request.source_id),
            )),
        };
        Ok(Response::new(match answered {
            Ok(text) => DefinitionResponse { text, error: None },
            Err(failure) => DefinitionResponse { text: String::new(), error: Some((&failure.error).into()) },
        }))
    }
}

/// Until the leader closes, the process ends, or a message is refused.
async fn run(process: &Process, mut down: Streaming<Down>, out: &Out) -> Result<(), Status> {
    let mut changed = process.board.subscribe();
    let mut ticks = tokio::time::interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut load_ticks = tokio::time::interval(REPORT_LOAD_EVERY);
    load_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let hello = Hello { worker: process.settings.name.clone(), seen: process.authority.seen() };
    send(process, out, up::Body::Hello(hello))?;
    // A leader that was never admitted here is told nothing of what runs.
    let mut admitted = false;
    loop {
        tokio::select! {
            message = down.message() => {
                let Some(message) = message? else { return Ok(()) };
                obey(process, message, out)?;
                if !admitted {
                    admitted = true;
                    changed.mark_changed();
                }
            }
            _ = ticks.tick(), if admitted => {
                send_report(process, out)?;
            }
            // Whether a load runs is asked anew after every change.
            _ = load_ticks.tick(), if admitted && process.board.loads() => {
                send_report(process, out)?;
            }
            seen = changed.changed(), if admitted => {
                if seen.is_err() {
                    return Ok(());
                }
                tokio::time::sleep(REPORT_GAP).await;
                changed.mark_unchanged();
                if send_report(process, out)? {
                    // The last report is out; dropping the stream tells the leader the rest.
                    return Ok(());
                }
            }
            () = process.closed.cancelled() => return Ok(()),
        }
    }
}

/// Admits and does what one message says.
fn obey(process: &Process, message: Down, out: &Out) -> Result<(), Status> {
    let refused = |e: &dyn std::fmt::Display| Status::failed_precondition(e.to_string());
    process.admit(message.authority.as_ref()).map_err(|e| refused(&e))?;
    match message.body {
        Some(down::Body::Ping(ping)) => send(process, out, up::Body::Pong(Pong { id: ping.id })),
        Some(down::Body::Assignment(assignment)) => {
            let authority = message.authority.unwrap_or_default();
            process.obey(&authority, assignment).map_err(|e| refused(&e))
        }
        // A later version's message: nothing that we could do is asked.
        None => Ok(()),
    }
}

/// True when this report said that the process leaves.
fn send_report(process: &Process, out: &Out) -> Result<bool, Status> {
    let report = process.board.report();
    let leaving = report.leaving;
    send(process, out, up::Body::Report(report))?;
    Ok(leaving)
}

fn send(process: &Process, out: &Out, body: up::Body) -> Result<(), Status> {
    out.try_send(Ok(Up { incarnation: process.incarnation, body: Some(body) })).map_err(|e| match e {
        mpsc::error::TrySendError::Full(_) => Status::resource_exhausted("the leader does not read"),
        mpsc::error::TrySendError::Closed(_) => Status::cancelled("the leader has gone"),
    })
}
