//! `offline-member`.
use std::time::Instant;

use dm_consensus::MembershipError;
use dm_proto::{
    error::{Code, Error},
    pb::{OfflineMemberRequest, OfflineMemberResponse},
    raft::{RemoveWorker, command::Body},
};
use dm_state::Condition;
use tracing::info;

use super::desk::Desk;
use crate::problem::Problem;

/// Removes a worker that is offline, or a master.
pub async fn handle(desk: Desk, request: OfflineMemberRequest) -> Result<OfflineMemberResponse, Problem> {
    let outcome = match request.r#type.as_str() {
        "worker" => worker(&desk, &request.name).await,
        "master" => master(&desk, &request.name).await,
        other => {
            Err(Error::new(Code::InvalidOperation, format!("offline-member type `{other}` is not known"))
                .into())
        }
    };
    match outcome {
        Ok(()) => Ok(OfflineMemberResponse { result: true, msg: String::new() }),
        Err(Problem::Refused(error)) => Ok(OfflineMemberResponse { result: false, msg: error.to_string() }),
        Err(problem) => Err(problem),
    }
}

async fn worker(desk: &Desk, name: &str) -> Result<(), Problem> {
    let Some(worker) = desk.state(|state| state.workers.get(name).cloned()) else {
        return Err(Error::new(Code::WorkerUnknown, format!("dm-worker with name {name} not exists")).into());
    };
    let condition = desk.tenure.roster.condition(name, Instant::now());
    if worker.incarnation != 0 && !matches!(condition, Condition::Dead | Condition::Released) {
        return Err(
            Error::new(Code::WorkerOnline, format!("dm-worker with name {name} is still online")).into()
        );
    }
    let remove = RemoveWorker { name: name.to_owned(), incarnation: worker.incarnation };
    desk.propose(Body::RemoveWorker(remove)).await?;
    info!(worker = %name, "worker is removed");
    Ok(())
}

async fn master(desk: &Desk, name: &str) -> Result<(), Problem> {
    let Some(member) = desk.node.consensus.members().into_iter().find(|m| m.name == name) else {
        return Err(
            Error::new(Code::InvalidOperation, format!("dm-master with name {name} not exists")).into()
        );
    };
    match desk.node.consensus.remove_member(member.id).await {
        Ok(()) => {
            info!(master = %name, "master is removed");
            Ok(())
        }
        Err(MembershipError::NotLeader { .. }) => Err(Problem::NotLeader),
        Err(MembershipError::Rejected(reason)) => Err(Error::new(Code::InvalidOperation, reason).into()),
        Err(MembershipError::Unknown(reason)) => Err(Problem::Unknown(reason)),
        Err(MembershipError::Fatal(reason)) => Err(Problem::Stopping(reason)),
    }
}
