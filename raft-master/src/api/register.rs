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

/// A worker that was just killed may look alive for so long, and one that a new leader has just begun to look for may
/// look like nothing at all.
const SECOND_LOOK: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(50);

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
    if let Some(other) = other {
        let holder = format!("dm-worker with name {} already exists at {}", request.name, other.address);
        match holder_of(desk, &request.name).await {
            Holder::Gone => {}
            Holder::Lives => return Err(Error::new(Code::WorkerNameTaken, holder).into()),
            Holder::Unknown => {
                let message = format!("{holder}, and it is not known yet whether it still runs");
                return Err(Error::new(Code::WorkerNameInDoubt, message).into());
            }
        }
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

/// The process that has a name.
enum Holder {
    Gone,
    Lives,
    /// Neither heard of nor silent for a lease. Until then its name is not given away: its sources would move for nothing.
    Unknown,
}

/// What the process that has the name is like, after a second look.
async fn holder_of(desk: &Desk, worker: &str) -> Holder {
    let until = tokio::time::Instant::now() + SECOND_LOOK;
    let mut observed = desk.tenure.roster.changes();
    // One that registered a moment ago may not be in the roster, and would pass for dead.
    desk.state(|state| desk.tenure.roster.follow(state, Instant::now()));
    loop {
        observed.mark_unchanged();
        let holder = match desk.tenure.roster.condition(worker, Instant::now()) {
            Condition::Dead | Condition::Released => return Holder::Gone,
            Condition::Live | Condition::Leaving => Holder::Lives,
            Condition::Unknown => Holder::Unknown,
        };
        let now = tokio::time::Instant::now();
        if now >= until {
            return holder;
        }
        // The tick looks at what changes without an observation: the end of a lease.
        let tick = (now + TICK).min(until);
        let _ = tokio::time::timeout_at(tick, observed.changed()).await;
    }
}
