//! Makes this process known to the masters.
use std::{sync::Arc, time::Duration};

use dm_proto::pb::{RegisterWorkerRequest, master_client::MasterClient};
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

/// Tries all `join` addresses in turn until one master accepts; returns early when the process stops.
pub async fn register(process: &Arc<Process>) -> Result<(), Rejected> {
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
    let channel = endpoint.connect().await.map_err(|e| failed(&e))?;
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
            // A group without a leader is no refusal of this worker.
            if text.contains("38043") || text.to_lowercase().contains("leader") {
                Err(Attempt::Failed(text))
            } else {
                Err(Attempt::Rejected(text))
            }
        }
        Err(status) => match status.code() {
            tonic::Code::AlreadyExists | tonic::Code::InvalidArgument | tonic::Code::PermissionDenied => {
                Err(Attempt::Rejected(status.message().to_owned()))
            }
            _ => Err(Attempt::Failed(status.to_string())),
        },
    }
}

/// The first failures one by one, later ones seldom: a cluster that starts is no reason to fill the log.
fn log_failure(failures: u32, address: &str, reason: &str) {
    if failures < 3 || failures.is_multiple_of(30) {
        warn!(master = %address, reason, "registration did not succeed yet");
    }
}
