//! Reads the source's binlog ahead of the applier, bounded in bytes.
use std::{fmt::Display, sync::Arc, time::Duration};

use bytes::Bytes;
use dm_binlog::{DecodeError, GtidSet};
use dm_proto::error::{Code, Scope};
use dm_replication::{
    BinlogClient, Password, ReplicationConfig, ReplicationError, ReplicationErrorKind, StartAt, Verdict,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::far::REACH;
use crate::{
    failure::{Failure, Next},
    subtask::SubtaskContext,
};

/// Bytes of events that wait for the applier.
const QUEUE_BYTES: usize = 8 << 20;
const QUEUE_EVENTS: usize = 16 << 10;
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Several heartbeats without a byte: the connection is half open.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Ids of replicas made by this program; the upper part of the range, where people seldom put servers.
const FIRST_SERVER_ID: u32 = 1_000_000_000;
const SERVER_IDS: u32 = 3_000_000_000;

/// One event, which counts in the queue until it is taken out.
type Item = (Result<Bytes, Failure>, Option<OwnedSemaphorePermit>);

/// The reading task and its queue.
pub struct Reader {
    queue: mpsc::Receiver<Item>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Begins there; what can't be asked for is reached from the beginning of its file, past transactions that are members of
/// the executed set.
pub fn position_start(file: &str, pos: u64) -> StartAt {
    StartAt::Position { file: file.to_owned(), pos: if pos > REACH { 4 } else { pos } }
}

pub fn gtid_start(set: GtidSet) -> StartAt {
    StartAt::Gtid(set)
}

/// Another number for every connection. With the same one the source would end the former connection first, and MariaDB
/// lets the new one wait until that is done: `net_write_timeout`, a minute, where the former owner is frozen with a full
/// socket. Nothing depends on the former connection's end: the target refuses what comes of it.
fn server_id(source: u32) -> u32 {
    let id = FIRST_SERVER_ID + rand::random_range(0..SERVER_IDS);
    if id == source { id + 1 } else { id }
}

/// Opens a replication connection.
pub async fn connect_binlog(context: &SubtaskContext, start: StartAt) -> Result<BinlogClient, Failure> {
    open_binlog(context, start).await.map_err(|e| failure(&e))
}

/// The same for whoever wants to know why it failed.
pub async fn open_binlog(context: &SubtaskContext, start: StartAt) -> Result<BinlogClient, ReplicationError> {
    let from = &context.source.from;
    let config = ReplicationConfig {
        host: from.host.clone(),
        port: from.port,
        user: from.user.clone(),
        password: Password::new(from.password.expose()),
        server_id: server_id(context.identity.server_id),
        flavor: context.identity.flavor,
        heartbeat: HEARTBEAT,
        read_timeout: READ_TIMEOUT,
        connect_timeout: CONNECT_TIMEOUT,
        start,
    };
    BinlogClient::connect(&config).await
}

pub async fn next_event(client: &mut BinlogClient) -> Result<Bytes, Failure> {
    client.next().await.map_err(|e| failure(&e))
}

/// An event that can't be read must not be skipped.
pub fn damaged(place: impl Display, error: DecodeError) -> Failure {
    Failure::new(Code::BinlogCorrupt, format!("a binlog event can't be decoded, {place}")).cause(error)
}

impl Reader {
    /// Starts reading ahead on an open connection.
    pub fn start(mut client: BinlogClient) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE_EVENTS);
        let budget = Arc::new(Semaphore::new(QUEUE_BYTES));
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                let reading = async {
                    loop {
                        let event = next_event(&mut client).await;
                        let failed = event.is_err();
                        let weight = event.as_ref().map_or(1, |b| b.len().clamp(1, QUEUE_BYTES));
                        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
                        let permit = Arc::clone(&budget).acquire_many_owned(weight).await.ok();
                        if sender.send((event, permit)).await.is_err() || failed {
                            break;
                        }
                    }
                };
                tokio::select! {
                    () = reading => {}
                    () = stop.cancelled() => {}
                }
                client.close().await;
            }
        });
        Self { queue, stop, task: Some(task) }
    }

    /// The next event, only if it is at hand.
    pub fn try_next(&mut self) -> Option<Result<Bytes, Failure>> {
        self.queue.try_recv().ok().map(|(event, _)| event)
    }

    /// Waits for the next event.
    pub async fn next(&mut self) -> Result<Bytes, Failure> {
        match self.queue.recv().await {
            Some((event, _)) => event,
            None => Err(Failure::internal("the reader has ended without saying why")),
        }
    }

    /// Ends the connection and waits until it is closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.queue.close();
        if let Some(task) = self.task.take() {
            // A panic of the task has been logged by the runtime.
            let _ = task.await;
        }
    }
}

impl Drop for Reader {
    /// Where the unit is dropped in the middle, the task still ends at once, and with it the connection.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Classifies an error of the replication connection.
pub fn failure(error: &ReplicationError) -> Failure {
    // MySQL's rule for every replica. Both modes let a position task go on until no such transaction is left.
    let anonymous = error.code == Some(1236) && error.message.contains("anonymous transaction");
    let (code, next) = match error.kind {
        ReplicationErrorKind::DuplicateServerId => (Code::BinlogRead, Next::Kicked),
        _ if error.verdict() == Verdict::Retry => (Code::BinlogRead, Next::Unreachable),
        ReplicationErrorKind::Diverged | ReplicationErrorKind::Purged => {
            (Code::SourceLacksTransactions, Next::Person)
        }
        // The server can't read its own file. Where it was reset under the stream, the next connect sees that.
        ReplicationErrorKind::Server if error.code == Some(1236) && !anonymous => {
            (Code::BinlogRead, Next::Retry)
        }
        _ => (Code::BinlogRead, Next::Person),
    };
    let failure = Failure::new(code, "get binlog event").scope(Scope::Upstream).cause(error).next(next);
    if anonymous {
        failure.workaround(
            "Please set gtid_mode=ON_PERMISSIVE at the source until the task has caught up, then execute `resume-task`.",
        )
    } else {
        failure
    }
}
