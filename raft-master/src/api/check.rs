//! Pre-checks, which workers run: masters never open a database connection.
use dm_proto::{
    error::{Code, Error},
    worker::{CheckItem, CheckRequest, worker_session_client::WorkerSessionClient},
};
use tokio::time::timeout;
use tonic::{Code as GrpcCode, transport::Channel};

use super::{desk::Desk, forward::MAX_MESSAGE_BYTES};

/// A check that could not be run. Nothing is known about the database then.
#[derive(Debug)]
pub struct NotRun(pub Error);

/// Runs one check on a worker, within the deadline of calls to workers.
pub async fn run(desk: &Desk, worker: &str, request: CheckRequest) -> Result<Vec<CheckItem>, NotRun> {
    let source = request.source_id.clone();
    let Some(channel) = desk.tenure.roster.get(worker).and_then(|seen| seen.channel) else {
        let message = format!("dm-worker {worker} has no session, so source {source} can't be checked");
        return Err(NotRun(Error::new(Code::WorkerTimeout, message)));
    };
    let deadline = desk.node.settings.timing.rpc;
    match timeout(deadline, client(channel).check(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner().items),
        Ok(Err(status)) if status.code() == GrpcCode::InvalidArgument => {
            Err(NotRun(Error::new(Code::CheckFailed, status.message())))
        }
        Ok(Err(status)) => Err(NotRun(
            Error::new(Code::WorkerTimeout, format!("dm-worker {worker} did not check source {source}"))
                .with_cause(status.message()),
        )),
        Err(_) => Err(NotRun(Error::new(
            Code::WorkerTimeout,
            format!("dm-worker {worker} did not check source {source} within {} s", deadline.as_secs()),
        ))),
    }
}

fn client(channel: Channel) -> WorkerSessionClient<Channel> {
    WorkerSessionClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The first failure as an error; `None` when nothing failed.
pub fn first_failure(items: &[CheckItem]) -> Option<Error> {
    let item = items.iter().find(|item| is_failure(item))?;
    Some(match &item.error {
        Some(error) => Error::from(error.clone()),
        None => Error::new(Code::CheckFailed, format!("{}: {}", item.name, item.message))
            .with_workaround(item.instruction.clone()),
    })
}

/// Whether an item forbids going on. A state that this version does not know counts as one.
pub fn is_failure(item: &CheckItem) -> bool {
    !matches!(item.state.as_str(), "success" | "warning")
}
