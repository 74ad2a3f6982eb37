//! What a person asks of a subtask beside what is committed: to show or change a table definition.
use std::time::Duration;

use dm_proto::{error::Code, worker::DefinitionRequest};
use tokio::sync::oneshot;
use tracing::info;

use super::{Attempt, SubtaskStatus};
use crate::failure::Failure;

/// The leader waits longer than this.
const DEADLINE: Duration = Duration::from_secs(20);

/// One request and who waits for its answer.
pub struct Order {
    request: DefinitionRequest,
    answer: oneshot::Sender<Result<String, Failure>>,
}

impl Order {
    /// Hands it to the subtask's actor, which is the only one that may connect to the target for it.
    pub async fn send(status: &SubtaskStatus, request: DefinitionRequest) -> Result<String, Failure> {
        let (answer, answered) = oneshot::channel();
        let busy = |what: &str| Failure::new(Code::WorkerStage, what.to_owned());
        status
            .orders()
            .try_send(Self { request, answer })
            .map_err(|_| busy("the subtask is ending or has too many orders"))?;
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(busy("the subtask has ended")),
            Err(_) => Err(busy("the subtask did not answer in time")),
        }
    }

    pub fn refuse_running(self) {
        let task = &self.request.task;
        let failure = Failure::new(
            Code::WorkerStage,
            format!("task {task} is not paused; its table definitions are in use"),
        )
        .workaround(format!("Please execute `dmctl pause-task {task}` first."));
        // Who asked may have gone.
        let _ = self.answer.send(Err(failure));
    }

    /// Does it, within the time that the asker waits.
    pub async fn carry_out(self, attempt: Attempt) {
        let request = self.request;
        info!(task = %request.task, source = %request.source_id, op = ?request.op(), schema = %request.schema, table = %request.table, "a table definition is asked for");
        let done = match tokio::time::timeout(DEADLINE, attempt.definition(&request)).await {
            Ok(done) => done,
            Err(_) => Err(Failure::new(Code::WorkerStage, "the servers did not answer in time")),
        };
        // Who asked may have gone.
        let _ = self.answer.send(done);
    }
}
