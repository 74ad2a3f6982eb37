//! How a worker makes itself known.
use std::time::{Duration, Instant};

use dm_proto::{
    error::{Code, Error},
    pb::{RegisterWorkerRequest, RegisterWorkerResponse},
    raft::{RegisterWorker, command::Body},
};
use dm_state::Condition;
use tracing::info;

use super::{INCARNATION, desk::Desk, forward::Call};
use crate::problem::Problem;

/// A worker that was just killed may look alive for so long.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Commits the registration; the leader then dials the worker.
pub async fn handle(
    desk: Desk,
    call: Call,
    request: RegisterWorkerRequest,
) -> Result<RegisterWorkerResponse, Problem> {
    match register(&desk, &call, request).await {
        Ok(()) => Ok(RegisterWorkerResponse { result: true, ..Default::default() }),
        Err(Problem::Refused(error)) => {
            Ok(RegisterWorkerResponse { msg: error.to_string(), ..Default::default() })
        }
        Err(problem) => Err(problem),
    }
}

async fn register(desk: &Desk, call: &Call, request: RegisterWorkerRequest) -> Result<(), Problem> {
    let incarnation = call.metadata.get(INCARNATION).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if incarnation == 0 {
        let message = format!("a worker registers with its incarnation in the metadata `{INCARNATION}`");
        return Err(Error::new(Code::InvalidOperation, message).into());
    }
    if tonic::transport::Endpoint::from_shared(format!("http://{}", request.address)).is_err()
        || !request.address.contains(':')
    {
        let message = format!("`{}` is no address that a master can dial", request.address);
        return Err(Error::new(Code::WorkerAddrInvalid, message).into());
    }
    let known = desk.state(|state| state.workers.get(&request.name).cloned());
    let other = known.filter(|w| w.address != request.address && w.incarnation != incarnation);
    if let Some(other) = other
        && stays_live(desk, &request.name).await
    {
        let message = format!("dm-worker with name {} already exists at {}", request.name, other.address);
        return Err(Error::new(Code::WorkerNameTaken, message).into());
    }
    let done = desk
        .propose(Body::RegisterWorker(RegisterWorker {
            name: request.name.clone(),
            address: request.address.clone(),
            incarnation,
        }))
        .await?;
    if done.changed {
        info!(worker = %request.name, address = %request.address, incarnation, "worker has registered");
    }
    Ok(())
}

/// Whether the process that has the name is alive, and goes on being it.
async fn stays_live(desk: &Desk, worker: &str) -> bool {
    let until = tokio::time::Instant::now() + SECOND_LOOK;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        if desk.tenure.roster.condition(worker, Instant::now()) != Condition::Live {
            return false;
        }
        if tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            return true;
        }
    }
}
