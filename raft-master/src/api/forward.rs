//! Takes every call to the leader, wherever that is.
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dm_consensus::Member;
use dm_proto::{
    error::{Code, Error},
    pb::master_client::MasterClient,
};
use tokio::time::Instant;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tracing::{debug, info};

use super::{ADOPT_META, HOPS, INCARNATION, REPEATED, REQUEST, desk::Desk};
use crate::{node::Node, problem::Problem};

/// Answers of a leader to one call.
pub type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Client of another master.
pub type Client = MasterClient<Channel>;

/// A call may not be passed on more often than this; the masters disagree about who leads if it would.
const MAX_HOPS: u32 = 3;
/// Longest life of a call, whatever it waits for.
const CALL_DEADLINE: Duration = Duration::from_secs(120);
/// Wait for a leader where none answered for long; what dmctl needs for itself fits into the rest of a second.
const IMPATIENCE: Duration = Duration::from_millis(800);
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(25);
/// Largest request or answer between masters.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Metadata that travels with a call from master to master.
const PASSED_ON: [&str; 4] = [INCARNATION, ADOPT_META, REPEATED, REQUEST];
/// Longest name of a call.
const REQUEST_BYTES: usize = 64;

/// What a handler may know of a call beside its message.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Metadata that is passed on.
    pub metadata: BTreeMap<&'static str, String>,
    /// Masters that have passed it on so far.
    pub hops: u32,
}

impl Call {
    fn of(metadata: &MetadataMap) -> Self {
        let text = |key: &str| metadata.get(key).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let known = PASSED_ON.iter().filter_map(|key| text(key).map(|value| (*key, value)));
        let mut metadata: BTreeMap<_, _> = known.collect();
        if metadata.get(REQUEST).is_none_or(|name| name.is_empty() || name.len() > REQUEST_BYTES) {
            metadata.insert(REQUEST, format!("{:032x}", rand::random::<u128>()));
        }
        Self { metadata, hops: text(HOPS).and_then(|h| h.parse().ok()).unwrap_or(0) }
    }

    /// Its name: what it changes under that name, it changes once.
    pub fn name(&self) -> &str {
        self.metadata.get(REQUEST).map_or("", String::as_str)
    }

    /// Whether an earlier attempt of this call may have been carried out.
    pub fn is_repeated(&self) -> bool {
        self.metadata.contains_key(REPEATED)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let hops = (HOPS, (self.hops + 1).to_string());
        let pairs = self.metadata.iter().map(|(k, v)| (*k, v.clone())).chain([hops]);
        for (key, value) in pairs {
            if let Ok(value) = value.parse() {
                request.metadata_mut().insert(key, value);
            }
        }
        request
    }
}

/// Serves calls where the leader is: here, or at another master.
pub struct Forwarder {
    node: Arc<Node>,
    channels: Mutex<BTreeMap<String, Channel>>,
    /// When a leader last answered a call, here or elsewhere.
    leader_answered: Mutex<Instant>,
}

/// What one attempt came to.
enum Attempt<T> {
    Answered(Result<Response<T>, Status>),
    /// No leader answered; why, for the log.
    NoLeader {
        reason: String,
        /// It may have been carried out all the same.
        perhaps_done: bool,
    },
    /// The master that should know has waited for a leader already.
    GaveUp,
}

impl<T> Attempt<T> {
    /// Nobody has begun to carry it out.
    fn not_begun(reason: impl Into<String>) -> Self {
        Self::NoLeader { reason: reason.into(), perhaps_done: false }
    }

    /// It was cut off.
    fn cut_off(reason: impl Into<String>) -> Self {
        Self::NoLeader { reason: reason.into(), perhaps_done: true }
    }
}

impl Forwarder {
    /// For one process.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, channels: Mutex::default(), leader_answered: Mutex::new(Instant::now()) }
    }

    /// Runs `local` when this member leads, else `remote` against the leader; again after an election. What a call
    /// changes it changes once ([`Call::name`]), so an attempt whose outcome is unknown is repeated.
    pub async fn serve<Q, A>(
        &self,
        request: Request<Q>,
        local: impl Fn(Desk, Call, Q) -> Answer<Result<Response<A>, Problem>>,
        remote: impl Fn(Client, Request<Q>) -> Answer<Result<Response<A>, Status>>,
    ) -> Result<Response<A>, Status>
    where
        Q: Clone,
    {
        let mut call = Call::of(request.metadata());
        let message = request.into_inner();
        let begun = Instant::now();
        let mut without_leader: Option<Instant> = None;
        loop {
            let attempt = async {
                match Desk::open(&self.node).await {
                    Ok(desk) => self.here(desk.for_call(call.name()), &call, &message, &local).await,
                    Err(Problem::NotLeader) => self.there(&call, &message, &remote).await,
                    Err(problem) => Attempt::not_begun(format!("{problem:?}")),
                }
            };
            let left = CALL_DEADLINE.saturating_sub(begun.elapsed());
            let (reason, perhaps_done) = match tokio::time::timeout(left, attempt).await {
                Err(_) => {
                    return Err(Status::unknown(
                        Error::new(
                            Code::StageNotReached,
                            "the call took too long; what it asked for may still be done",
                        )
                        .to_string(),
                    ));
                }
                Ok(Attempt::Answered(answer)) => {
                    *self.leader_answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    return answer;
                }
                Ok(Attempt::GaveUp) => return Err(no_leader()),
                Ok(Attempt::NoLeader { reason, perhaps_done }) => (reason, perhaps_done),
            };
            if call.hops > 0 {
                // Whoever passed it on tries again, and may have turned to another master long ago: a second attempt from here could
                // be carried out after the call was answered.
                return Err(Status::unavailable(reason));
            }
            let since = *without_leader.get_or_insert_with(Instant::now);
            if self.node.stopping.is_cancelled() || since.elapsed() >= self.patience(since) {
                info!(%reason, "a call found no leader");
                return Err(no_leader());
            }
            debug!(%reason, "no leader yet");
            if perhaps_done {
                call.metadata.insert(REPEATED, "true".into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// While a leader answered of late an election may be running, and is worth waiting for. Otherwise the majority is
    /// more likely gone, and people are told so within a second.
    fn patience(&self, since: Instant) -> Duration {
        let answered = *self.leader_answered.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = self.node.settings.timing.election_patience;
        match since.saturating_duration_since(answered) < patience * 5 {
            true => patience,
            false => patience.min(IMPATIENCE),
        }
    }

    async fn here<Q: Clone, A>(
        &self,
        desk: Desk,
        call: &Call,
        message: &Q,
        local: impl Fn(Desk, Call, Q) -> Answer<Result<Response<A>, Problem>>,
    ) -> Attempt<A> {
        let end = desk.tenure.end.clone();
        // A handler must not go on for a leader that has lost its office.
        tokio::select! {
            () = end.cancelled() => Attempt::cut_off("this member lost the leadership"),
            answer = local(desk, call.clone(), message.clone()) => match answer {
                Ok(response) => Attempt::Answered(Ok(response)),
                Err(Problem::Refused(error)) => Attempt::Answered(Err(Status::unknown(error.to_string()))),
                Err(problem) => Attempt::cut_off(format!("{problem:?}")),
            },
        }
    }

    async fn there<Q: Clone, A>(
        &self,
        call: &Call,
        message: &Q,
        remote: impl Fn(Client, Request<Q>) -> Answer<Result<Response<A>, Status>>,
    ) -> Attempt<A> {
        let mut leadership = self.node.consensus.leadership();
        let now = leadership.borrow_and_update().clone();
        let Some(leader) = now.leader.filter(|_| !now.is_leader) else {
            return Attempt::not_begun("no leader is known");
        };
        if call.hops >= MAX_HOPS {
            return Attempt::GaveUp;
        }
        let channel = match self.channel(&leader) {
            Ok(channel) => channel,
            Err(error) => return Attempt::not_begun(error.to_string()),
        };
        let client = MasterClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let answer = remote(client, call.request(message.clone()));
        let other_leader =
            leadership.wait_for(|l| l.is_leader || l.leader.as_ref().is_some_and(|m| m.id != leader.id));
        tokio::select! {
            biased;
            answer = answer => match answer {
                // Not executed, or cut off: the leader died or another one was elected.
                Err(status) if status.code() == tonic::Code::Unavailable || is_transport(&status) => {
                    Attempt::cut_off(format!("{}: {status}", leader.client_addr))
                }
                Err(status) if status.message().contains("code=38043") => match self.leads_still(&leader) {
                    true => Attempt::GaveUp,
                    false => Attempt::cut_off(status.message()),
                },
                answer => Attempt::Answered(answer),
            },
            _ = other_leader => Attempt::cut_off("another leader was elected meanwhile"),
        }
    }

    /// Whether nobody else is known to lead by now.
    fn leads_still(&self, leader: &Member) -> bool {
        let leadership = self.node.consensus.leadership();
        let now = leadership.borrow();
        !now.is_leader && now.leader.as_ref().is_some_and(|m| m.id == leader.id)
    }

    /// A lazily connected channel to a master; a dead one reconnects by itself.
    fn channel(&self, leader: &Member) -> Result<Channel, tonic::transport::Error> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&leader.client_addr) {
            return Ok(channel.clone());
        }
        let channel = Endpoint::from_shared(format!("http://{}", leader.client_addr))?
            .connect_timeout(Duration::from_millis(500))
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_millis(500))
            .keep_alive_timeout(Duration::from_secs(1))
            // A master that froze while nothing was asked is found out before the next call, not by it.
            .keep_alive_while_idle(true);
        let channel = dm_proto::net::connect_lazy(channel);
        channels.insert(leader.client_addr.clone(), channel.clone());
        Ok(channel)
    }
}

/// A status made by the transport under the client, not by the master.
fn is_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// DM's words for it.
pub fn no_leader() -> Status {
    let error = Error::new(Code::NotLeader, "master is not leader, and can't forward request to leader");
    Status::unknown(error.to_string())
}
