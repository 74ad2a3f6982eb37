//! The connection to whichever master answers.

use crate::failure::Failure;
use dm_proto::error::Code as ErrorCode;
use dm_proto::pb::master_client::MasterClient;
use std::error::Error as _;
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

/// An address that has not answered after this is given company: the next one is dialled as well.
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// How long one address may take to connect and to answer the probe; as in DM.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// While a call waits, the connection is tested this often, so that a frozen master does not hold dmctl for ever.
const PING_EVERY: Duration = Duration::from_secs(1);
/// How long a ping may stay without an answer.
const PING_WITHIN: Duration = Duration::from_secs(3);
/// Greatest answer. Large from the start: DM's dmctl learns it by sending the request twice.
const ANSWER_MAX_BYTES: usize = 256 << 20;
/// A method that no master has. It is refused at once and never forwarded, which shows that the master is awake.
const PROBE: &str = "/raftdm.Probe/Answer";
/// Asks `start-task` to take over another cluster's progress tables; DM's message has no field for it.
const ADOPT_META: &str = "raftdm-adopt-meta";
/// Says that the request may have been carried out before, so that stopping what is gone already is no error.
const REPEATED: &str = "raftdm-repeated";
/// Names the request, also when it is sent again: what it changes, it changes once.
const REQUEST: &str = "raftdm-request";

/// What goes with a request besides its message.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// Deadline told to the server.
    pub timeout: Option<Duration>,
    /// `start-task --adopt-meta`.
    pub adopt_meta: bool,
}

/// A cluster's masters, and the connection to the first that answered.
#[derive(Debug)]
pub struct Masters {
    addresses: Vec<String>,
    /// Which of them the connection goes to.
    address: String,
    client: MasterClient<Channel>,
}

/// A master that is connected, or why not.
enum Tried {
    Connected(Channel),
    Silent(String),
}

impl Masters {
    /// Connects to the first address that answers; none has to be given up before the next is tried.
    pub async fn connect(addresses: Vec<String>) -> Result<Self, Failure> {
        let (address, client) = first_that_answers(&addresses).await?;
        Ok(Self { addresses, address, client })
    }

    /// Sends `message`. When the master is gone or says that it is unavailable, dials anew from the first address and
    /// sends it once more, as DM's dmctl does; when it knows of no leader, asks the others too. The masters take a repeated
    /// command as one.
    pub async fn call<Q: Clone, R>(
        &mut self,
        message: Q,
        options: CallOptions,
        send: impl AsyncFn(MasterClient<Channel>, Request<Q>) -> Result<Response<R>, Status>,
    ) -> Result<R, Failure> {
        let name = format!("{:032x}", rand::random::<u128>());
        let mut answer = send(self.client.clone(), request(message.clone(), options, &name)).await;
        if answer.as_ref().is_err_and(again) {
            (self.address, self.client) = first_that_answers(&self.addresses).await?;
            answer = send(self.client.clone(), repeated(message.clone(), options, &name)).await;
        }
        // A master that does not hear the leader is no reason not to ask one that does.
        let mut not_asked = self.addresses.clone();
        while answer.as_ref().is_err_and(leaderless) {
            not_asked.retain(|address| *address != self.address);
            if not_asked.is_empty() {
                break;
            }
            let Ok(next) = first_that_answers(&not_asked).await else { break };
            (self.address, self.client) = next;
            answer = send(self.client.clone(), repeated(message.clone(), options, &name)).await;
        }
        Ok(answer?.into_inner())
    }
}

fn repeated<Q>(message: Q, options: CallOptions, name: &str) -> Request<Q> {
    let mut request = request(message, options, name);
    request.metadata_mut().insert(REPEATED, MetadataValue::from_static("true"));
    request
}

fn request<Q>(message: Q, options: CallOptions, name: &str) -> Request<Q> {
    let mut request = Request::new(message);
    if let Ok(name) = name.parse() {
        request.metadata_mut().insert(REQUEST, name);
    }
    if let Some(timeout) = options.timeout {
        request.set_timeout(timeout);
    }
    if options.adopt_meta {
        request.metadata_mut().insert(ADOPT_META, MetadataValue::from_static("true"));
    }
    request
}

/// Unavailable and ResourceExhausted as in DM; a connection that broke under the call has a local cause.
fn again(status: &Status) -> bool {
    let lost = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled);
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
        || (lost && status.source().is_some())
}

/// What a master answers that can't reach a leader.
fn leaderless(status: &Status) -> bool {
    status.message().contains(&format!("code={}", ErrorCode::NotLeader.number()))
}

async fn first_that_answers(addresses: &[String]) -> Result<(String, MasterClient<Channel>), Failure> {
    let client = |channel| MasterClient::new(channel).max_decoding_message_size(ANSWER_MAX_BYTES);
    let mut causes = Vec::new();
    let mut dials = JoinSet::new();
    let mut not_yet = addresses.iter();
    loop {
        if let Some(address) = not_yet.next() {
            dials.spawn(dial_within(address.clone()));
        }
        let tried = match not_yet.as_slice() {
            [] => dials.join_next().await,
            _ => match tokio::time::timeout(NEXT_AFTER, dials.join_next()).await {
                Ok(tried) => tried,
                Err(_) => continue,
            },
        };
        match tried {
            Some(Ok(Ok((address, channel)))) => return Ok((address, client(channel))),
            Some(Ok(Err(cause))) => causes.push(cause),
            Some(Err(error)) => causes.push(error.to_string()),
            None => break,
        }
    }
    let error = ErrorCode::CtlConnect.error(format!("can't connect to {}", addresses.join(",")));
    Err(error.with_cause(format!("context deadline exceeded ({})", causes.join("; "))).into())
}

async fn dial_within(address: String) -> Result<(String, Channel), String> {
    match tokio::time::timeout(ANSWER_WITHIN, dial(&address)).await {
        Ok(Tried::Connected(channel)) => Ok((address, channel)),
        Ok(Tried::Silent(cause)) => Err(format!("{address}: {cause}")),
        Err(_) => Err(format!("{address}: no answer")),
    }
}

async fn dial(address: &str) -> Tried {
    let bare = address.trim_start_matches("http://").trim_start_matches("https://");
    let host = if bare.starts_with(':') { "127.0.0.1" } else { "" };
    let endpoint = match Endpoint::from_shared(format!("http://{host}{bare}")) {
        Ok(endpoint) => endpoint,
        Err(error) => return Tried::Silent(error.to_string()),
    };
    let endpoint = endpoint.http2_keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_WITHIN);
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return Tried::Silent(innermost(&error)),
    };
    // A frozen process still accepts connections: only an answer shows that somebody is there.
    let mut probe = tonic::client::Grpc::new(channel.clone());
    if let Err(error) = probe.ready().await {
        return Tried::Silent(innermost(&error));
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    match probe.unary(Request::new(()), PathAndQuery::from_static(PROBE), codec).await {
        Err(status) if status.source().is_some() || status.code() == Code::Unavailable => {
            Tried::Silent(status.message().to_owned())
        }
        Ok(_) | Err(_) => Tried::Connected(channel),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Splits and checks a list of addresses: each has a port; a scheme is removed only to look.
pub fn addresses(text: &str) -> Result<Vec<String>, Failure> {
    let items = text.split(',').map(str::trim).filter(|a| !a.is_empty()).map(|address| {
        let bare = address.trim_start_matches("http://").trim_start_matches("https://");
        let port = bare.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        match port {
            Some(_) => Ok(address.to_owned()),
            None => Err(Failure::message(format!("address {address}: missing port in address"))),
        }
    });
    let list = items.collect::<Result<Vec<_>, _>>()?;
    if list.is_empty() { Err(Failure::message("--master-addr not provided")) } else { Ok(list) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_needs_a_port() {
        assert_eq!(addresses(":8261, http://b:1").unwrap(), [":8261", "http://b:1"]);
        assert!(addresses("a").is_err() && addresses("").is_err() && addresses(" , ").is_err());
    }
}
