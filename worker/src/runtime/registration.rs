//! Makes this process known to the masters.
use std::{sync::Arc, time::Duration};

use dm_proto::{
    error::Code,
    pb::{RegisterWorkerRequest, master_client::MasterClient},
};
use tonic::{Request, transport::Endpoint};
use tracing::{info, warn};

use super::Process;

const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(300);
/// Metadata key that carries the incarnation, decimal.
const INCARNATION_KEY: &str = "raftdm-incarnation";

/// A master has answered and refuses this worker for good.
#[derive(Debug, thiserror::Error)]
#[error(
    "[code=40077:class=dm-worker:scope=internal:level=high], Message: the masters refuse worker {name:?}: {answer}, \
     Workaround: Please check that the name and the advertise-addr of this worker are used by no other worker."
)]
pub struct Rejected {
    name: String,
    answer: String,
}

/// Without a word of a leader for so long the registration is repeated: the worker may have been removed while it was
/// cut off (`offline-member`), and nobody would ever dial it again. The masters take a repetition for what it is.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Registers, and registers again whenever no leader is heard; returns when the process stops or is refused.
pub async fn stay_registered(process: &Arc<Process>) -> Result<(), Rejected> {
    loop {
        register(process).await?;
        tokio::select! {
            () = process.contact.silent_for(AGAIN_AFTER) => {
                warn!(silence_s = AGAIN_AFTER.as_secs(), "no leader is heard: registering again");
            }
            () = process.shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Tries all `join` addresses in turn until one master accepts; returns early when the process stops.
async fn register(process: &Arc<Process>) -> Result<(), Rejected> {
    let mut failures: u32 = 0;
    loop {
        for address in &process.settings.join {
            let attempt = tokio::select! {
                attempt = tokio::time::timeout(ATTEMPT_DEADLINE, register_at(process, address)) => attempt,
                () = process.shutdown.cancelled() => return Ok(()),
            };
            match attempt {
                Ok(Ok(())) => {
                    info!(master = %address, name = %process.settings.name, "registered");
                    return Ok(());
                }
                Ok(Err(Attempt::Rejected(answer))) => {
                    return Err(Rejected { name: process.settings.name.clone(), answer });
                }
                Ok(Err(Attempt::Failed(reason))) => log_failure(failures, address, &reason),
                Err(_) => log_failure(failures, address, "no answer in time"),
            }
        }
        failures += 1;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = process.shutdown.cancelled() => return Ok(()),
        }
    }
}

enum Attempt {
    Failed(String),
    Rejected(String),
}

async fn register_at(process: &Process, address: &str) -> Result<(), Attempt> {
    let failed = |e: &dyn std::fmt::Display| Attempt::Failed(e.to_string());
    let uri = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let endpoint = Endpoint::from_shared(uri).map_err(|e| failed(&e))?.connect_timeout(ATTEMPT_DEADLINE);
    let channel = dm_proto::net::connect(endpoint).await.map_err(|e| failed(&e))?;
    let mut request = Request::new(RegisterWorkerRequest {
        name: process.settings.name.clone(),
        address: process.settings.advertise_addr.clone(),
    });
    let incarnation = process.incarnation.to_string().parse().map_err(|e| failed(&e))?;
    request.metadata_mut().insert(INCARNATION_KEY, incarnation);
    match MasterClient::new(channel).register_worker(request).await {
        Ok(answer) if answer.get_ref().result => Ok(()),
        Ok(answer) => {
            let text = answer.into_inner().msg;
            if is_passing(&text) { Err(Attempt::Failed(text)) } else { Err(Attempt::Rejected(text)) }
        }
        Err(status) => match status.code() {
            tonic::Code::AlreadyExists | tonic::Code::InvalidArgument | tonic::Code::PermissionDenied => {
                Err(Attempt::Rejected(status.message().to_owned()))
            }
            _ => Err(Attempt::Failed(status.to_string())),
        },
    }
}

/// Whether the answer may be another one in a moment: a group without a leader, or with one that does not know yet whether
/// the former process of this name still runs.
fn is_passing(answer: &str) -> bool {
    let has = |code: Code| answer.contains(&format!("code={}:", code.entry().number));
    has(Code::NotLeader) || has(Code::WorkerNameInDoubt) || answer.to_lowercase().contains("leader")
}

/// The first failures one by one, later ones seldom: a cluster that starts is no reason to fill the log.
fn log_failure(failures: u32, address: &str, reason: &str) {
    if failures < 3 || failures.is_multiple_of(30) {
        warn!(master = %address, reason, "registration did not succeed yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_for_good_ends_the_worker() {
        assert!(is_passing(&Code::WorkerNameInDoubt.error("x").to_string()));
        assert!(is_passing(&Code::NotLeader.error("x").to_string()));
        assert!(!is_passing(&Code::WorkerNameTaken.error("x").to_string()));
    }
}
