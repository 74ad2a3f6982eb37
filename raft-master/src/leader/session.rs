//! The leader's side of the stream to one worker process.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dm_proto::{
    error::Code,
    worker::{Authority, Down, Ping, Up, down, up, worker_session_client::WorkerSessionClient},
};
use prost::Message;
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, transport::Channel};
use tracing::{debug, error, info, warn};

use super::{assignment::assignment, dial, dial::DialError, sent::Sent, tenure::Tenure};
use crate::node::Node;

/// Between attempts to reach a worker: short at first, so that a restart is seen within the damping time.
const RETRY: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(500)];
/// Largest message of a worker: reports are whole.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// How often unsent things are tried again.
const TICK: Duration = Duration::from_millis(100);

/// One worker process, dialled again and again until the tenure ends or the registration changes.
pub struct Session {
    /// This master.
    pub node: Arc<Node>,
    /// The tenure that it belongs to.
    pub tenure: Arc<Tenure>,
    /// Name of the worker.
    pub worker: String,
    /// `host:port`.
    pub address: String,
    /// The process meant.
    pub incarnation: u64,
    /// Ends the task.
    pub end: CancellationToken,
}

/// Why a stream ended.
enum Ended {
    /// The tenure or the registration did.
    Told,
    /// The connection broke, or was silent.
    Lost(String),
    /// Another process answers at the address.
    Replaced(u64),
}

impl Session {
    /// Runs until told to end.
    pub async fn run(self) {
        let end = self.end.clone();
        tokio::select! {
            () = end.cancelled() => {}
            () = self.dial_for_ever() => {}
        }
        self.tenure.roster.lost(&self.worker, self.incarnation);
    }

    async fn dial_for_ever(&self) {
        let mut failures = 0_usize;
        loop {
            // A leader that can't prove a quorum says nothing to anybody.
            if !self.node.consensus.quorum_fresh() {
                tokio::time::sleep(RETRY[0]).await;
                continue;
            }
            failures = match self.attempt(failures).await {
                true => 0,
                false => failures + 1,
            };
            if failures > 0 {
                tokio::time::sleep(RETRY[(failures / 8).min(RETRY.len() - 1)]).await;
            } else {
                // A stream that ended is tried again at once: refusal is the proof that the process is gone.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// One connection; true when the worker reported on it.
    async fn attempt(&self, failures: usize) -> bool {
        let (roster, worker) = (&self.tenure.roster, &self.worker);
        match dial(&self.address, self.node.settings.timing.dial).await {
            Ok(channel) => match self.talk(channel).await {
                (reported, Ended::Told) => reported,
                (reported, Ended::Lost(reason)) => {
                    // A worker that refuses this leader is tried for ever, and logged now and then.
                    if reported || failures.is_multiple_of(60) {
                        warn!(%worker, %reason, "session with worker lost");
                    } else {
                        debug!(%worker, %reason, "no session with worker");
                    }
                    roster.lost(worker, self.incarnation);
                    reported
                }
                (_, Ended::Replaced(other)) => {
                    debug!(%worker, other, "another process answers for the worker");
                    roster.gone(worker, self.incarnation, Instant::now());
                    false
                }
            },
            Err(error @ DialError::Refused(_)) => {
                debug!(%worker, %error, "worker process is gone");
                roster.gone(worker, self.incarnation, Instant::now());
                false
            }
            Err(error) => {
                debug!(%worker, %error, "worker cannot be reached");
                roster.lost(worker, self.incarnation);
                false
            }
        }
    }

    async fn talk(&self, channel: Channel) -> (bool, Ended) {
        let mut client = WorkerSessionClient::new(channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (down, outgoing) = mpsc::channel(4);
        let mut sent = Sent::default();
        // The first assignment is on its way before the worker has to answer anything.
        self.send_assignment(&down, &mut sent);
        let opening = client.session(ReceiverStream::new(outgoing));
        let stream = match tokio::time::timeout(self.node.settings.timing.pace.lease, opening).await {
            Err(_) => return (false, Ended::Lost("the worker did not open the session in time".into())),
            Ok(Err(status)) => return (false, Ended::Lost(status.to_string())),
            Ok(Ok(response)) => response.into_inner(),
        };
        self.tenure.roster.opened(&self.worker, self.incarnation, channel);
        let mut reported = false;
        let ended = self.converse(stream, down, sent, &mut reported).await;
        (reported, ended)
    }

    async fn converse(
        &self,
        mut up: Streaming<Up>,
        down: mpsc::Sender<Down>,
        mut sent: Sent,
        reported: &mut bool,
    ) -> Ended {
        let mut applied = self.node.consensus.applied();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_up = Instant::now();
        loop {
            tokio::select! {
                () = self.end.cancelled() => return Ended::Told,
                message = up.message() => match message {
                    Ok(Some(message)) => {
                        last_up = Instant::now();
                        if let Some(up::Body::Pong(pong)) = &message.body {
                            sent.answered(pong.id);
                        }
                        // Reports of a worker that hears nothing say only that it lived when it was heard last.
                        let lives = sent.unanswered().unwrap_or(last_up);
                        if let Some(ended) = self.receive(message, lives, reported) {
                            return ended;
                        }
                    }
                    Ok(None) => return Ended::Lost("the worker closed the session".into()),
                    Err(status) => return Ended::Lost(status.to_string()),
                },
                changed = applied.changed() => {
                    if changed.is_err() {
                        return Ended::Told;
                    }
                    self.send_assignment(&down, &mut sent);
                }
                _ = tick.tick() => {
                    self.send_assignment(&down, &mut sent);
                    self.send_ping(&down, &mut sent);
                }
            }
            let lease = self.node.settings.timing.pace.lease;
            if last_up.elapsed() > lease {
                return Ended::Lost("the worker has been silent for a lease".into());
            }
            if sent.unanswered().is_some_and(|at| at.elapsed() > lease) {
                return Ended::Lost("the worker has not answered for a lease, though it is heard".into());
            }
        }
    }

    fn receive(&self, message: Up, now: Instant, reported: &mut bool) -> Option<Ended> {
        if message.incarnation != self.incarnation {
            return Some(Ended::Replaced(message.incarnation));
        }
        let report = match message.body {
            // Not a sign of obedience yet: a worker of another cluster says hello too.
            Some(up::Body::Hello(hello)) => return self.check_hello(hello.seen.unwrap_or_default()),
            Some(up::Body::Report(report)) => {
                *reported = true;
                Some(report)
            }
            Some(up::Body::Pong(_)) | None => None,
        };
        self.tenure.roster.heard(&self.worker, self.incarnation, report, now);
        None
    }

    fn check_hello(&self, seen: Authority) -> Option<Ended> {
        let worker = &self.worker;
        if !seen.cluster_id.is_empty() && seen.cluster_id != self.tenure.cluster_id {
            return Some(Ended::Lost(format!("it belongs to another cluster, {}", seen.cluster_id)));
        }
        if seen.term > self.tenure.term {
            return Some(Ended::Lost(format!("it has seen the leader of a later term, {}", seen.term)));
        }
        info!(%worker, incarnation = self.incarnation, term = self.tenure.term, "session with worker is open");
        None
    }

    /// Sends the assignment if it is not what was sent last; what can't be sent now is tried at the next tick.
    fn send_assignment(&self, down: &mpsc::Sender<Down>, sent: &mut Sent) {
        if !self.node.consensus.quorum_fresh() {
            return;
        }
        let grace =
            u64::try_from(self.node.settings.timing.master_loss_grace.as_millis()).unwrap_or(u64::MAX);
        // A state that has been looked at has nothing new, and assignments can be large.
        let wanted = self.node.state(|state, index| {
            (index != sent.computed)
                .then(|| (assignment(state, &self.worker, self.incarnation, grace), index))
        });
        let Some((wanted, index)) = wanted else { return };
        let roster = &self.tenure.roster;
        if sent.assignment.as_ref() == Some(&wanted) {
            sent.computed = index;
            roster.assigned(&self.worker, self.incarnation, index, None);
            return;
        }
        let message = Down {
            authority: Some(self.authority(index)),
            body: Some(down::Body::Assignment(wanted.clone())),
        };
        let bytes = message.encoded_len();
        if bytes > MAX_MESSAGE_BYTES {
            // Sent, it would break the session: the worker would pass for dead, and the next one would get it. So it goes
            // on with what it has been told, and commands that wait for it say that they wait in vain.
            sent.computed = index;
            sent.revision = index;
            if sent.too_large != bytes {
                sent.too_large = bytes;
                error!(worker = %self.worker, error = %too_large(bytes), "assignment not sent");
            }
            return;
        }
        if down.try_send(message).is_ok() {
            debug!(worker = %self.worker, revision = index, sources = wanted.sources.len(), "assignment sent");
            sent.assignment = Some(wanted);
            sent.too_large = 0;
            sent.revision = index;
            sent.computed = index;
            roster.assigned(&self.worker, self.incarnation, index, Some(index));
        }
    }

    fn send_ping(&self, down: &mpsc::Sender<Down>, sent: &mut Sent) {
        let due = sent.ping_due(self.node.settings.timing.ping);
        if !due || sent.revision == 0 || !self.node.consensus.quorum_fresh() {
            return;
        }
        let ping = Ping { id: sent.next_ping() };
        // The revision of the assignment: a ping tells the worker nothing new that it would have to persist.
        let message =
            Down { authority: Some(self.authority(sent.revision)), body: Some(down::Body::Ping(ping)) };
        if down.try_send(message).is_ok() {
            sent.pinged();
        }
    }

    fn authority(&self, revision: u64) -> Authority {
        Authority { cluster_id: self.tenure.cluster_id.clone(), term: self.tenure.term, revision }
    }
}

fn too_large(bytes: usize) -> dm_proto::error::Error {
    let message = format!("the assignment has {bytes} bytes, and a message may have {MAX_MESSAGE_BYTES}");
    Code::AssignmentTooLarge.error(message)
}
