//! Calls to other members, each with a deadline.
use std::{future::Future, sync::Arc, time::Duration};

use dm_proto::peer::{self as pb, peer_client::PeerClient};
use openraft::{
    OptionalSend, RPCTypes,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
        TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use tonic::{Code, Request, Response, Status, transport::Channel};

use super::{Channels, Purpose, SNAPSHOT_CHUNK, peer_client};
use crate::{
    codec::{self, Malformed},
    identity::Identity,
    types::{PeerNode, Snapshot, SnapshotData, TypeConfig, Vote},
};

/// Makes clients for the engine.
#[derive(Debug, Clone)]
pub struct NetworkFactory {
    pub identity: Arc<Identity>,
    pub channels: Arc<Channels>,
    /// Deadline of a call that waits for the other's disk.
    pub timeout: Duration,
    /// Deadline of a heartbeat.
    pub heartbeat_timeout: Duration,
}

impl NetworkFactory {
    fn client(&self, target: u64, node: &PeerNode, purpose: Purpose) -> Client {
        Client { factory: self.clone(), target, addr: node.peer_addr.clone(), purpose }
    }
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Purpose::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &PeerNode) -> Client {
        self.client(target, node, Purpose::Snapshot)
    }
}

/// Calls to one member for one purpose.
#[derive(Debug)]
pub struct Client {
    factory: NetworkFactory,
    target: u64,
    addr: String,
    purpose: Purpose,
}

type Rpc<T> = Result<T, RPCError<TypeConfig>>;

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(error))
}

fn malformed(error: Malformed) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&error))
}

impl Client {
    fn header(&self) -> Rpc<Option<pb::Header>> {
        // Before this member belongs to a cluster it has nothing to say.
        match self.factory.identity.header(self.target) {
            Some(header) => Ok(Some(header)),
            None => Err(unreachable(&Malformed("this member does not belong to a cluster yet"))),
        }
    }

    async fn call<F, Fut, T>(&self, action: RPCTypes, timeout: Duration, call: F) -> Rpc<T>
    where
        F: FnOnce(PeerClient<Channel>) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let addr = self.factory.channels.address(self.target);
        let addr = addr.as_ref().unwrap_or(&self.addr);
        let channel = self.factory.channels.get(addr, self.purpose).map_err(|error| unreachable(&error))?;
        let late = || {
            let id = self.factory.identity.node_id;
            RPCError::Timeout(Timeout { action, id, target: self.target, timeout })
        };
        match tokio::time::timeout(timeout, call(peer_client(channel))).await {
            Err(_) => Err(late()),
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => Err(late()),
            Ok(Err(status)) => {
                if status.code() == Code::FailedPrecondition {
                    tracing::warn!(%addr, message = status.message(), "a peer refused a call");
                }
                // With back-off whatever it was: a refusal is not cured by repeating it at once.
                Err(unreachable(&status))
            }
        }
    }

    async fn ask_vote(
        &self,
        request: VoteRequest<TypeConfig>,
        option: &RPCOption,
        pre: bool,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        let message = pb::VoteRequest {
            header: self.header()?,
            vote: Some(codec::vote_to_pb(&request.vote)),
            last_log_id: request.last_log_id.as_ref().map(codec::log_id_to_pb),
            leadership_transfer: request.leadership_transfer,
        };
        // The engine gives up by itself at its own bound; a grant needs the other's disk, so use all of it.
        let timeout = option.hard_ttl();
        let response = self
            .call(RPCTypes::Vote, timeout, |mut client| async move {
                match pre {
                    true => client.pre_vote(message).await,
                    false => client.vote(message).await,
                }
            })
            .await?;
        Ok(VoteResponse {
            vote: codec::vote_from_pb(response.vote).map_err(malformed)?,
            vote_granted: response.granted,
            last_log_id: response.last_log_id.map(codec::log_id_from_pb),
        })
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<TypeConfig>> {
        let message = pb::AppendRequest {
            header: self.header()?,
            vote: Some(codec::vote_to_pb(&request.vote)),
            prev_log_id: request.prev_log_id.as_ref().map(codec::log_id_to_pb),
            entries: request.entries.iter().map(codec::entry_to_pb).collect(),
            leader_commit: request.leader_commit.as_ref().map(codec::log_id_to_pb),
        };
        // The engine's own bound for entries is one heartbeat, less than a sync on a busy disk takes.
        let timeout = match self.purpose {
            Purpose::Heartbeat => option.hard_ttl().max(self.factory.heartbeat_timeout),
            _ => self.factory.timeout,
        };
        let response = self
            .call(RPCTypes::AppendEntries, timeout, |mut client| async move { client.append(message).await })
            .await?;
        use pb::append_response::Result as Answer;
        Ok(match response.result.ok_or(Malformed("no result")).map_err(malformed)? {
            Answer::Success(_) => AppendEntriesResponse::Success,
            Answer::Partial(partial) => {
                AppendEntriesResponse::PartialSuccess(partial.matching.map(codec::log_id_from_pb))
            }
            Answer::Conflict(_) => AppendEntriesResponse::Conflict,
            Answer::HigherVote(vote) => {
                AppendEntriesResponse::HigherVote(codec::vote_from_pb(Some(vote)).map_err(malformed)?)
            }
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        self.ask_vote(request, &option, false).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        self.ask_vote(request, &option, true).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let header = self.header()?;
        let cluster_id = self.factory.identity.cluster_id().unwrap_or_default();
        let first = pb::SnapshotChunk {
            header,
            vote: Some(codec::vote_to_pb(&vote)),
            meta: Some(codec::snapshot_meta_to_pb(&snapshot.meta, &cluster_id, &snapshot.snapshot)),
            data: Vec::new(),
        };
        let data = snapshot.snapshot;
        let chunks = (0..data.len().div_ceil(SNAPSHOT_CHUNK)).map(move |chunk| {
            let start = chunk * SNAPSHOT_CHUNK;
            let end = data.len().min(start + SNAPSHOT_CHUNK);
            pb::SnapshotChunk { data: data[start..end].to_vec(), ..Default::default() }
        });
        let stream = tokio_stream::iter(std::iter::once(first).chain(chunks));
        let send = self.call(RPCTypes::InstallSnapshot, option.hard_ttl(), |mut client| async move {
            client.snapshot(Request::new(stream)).await
        });
        let response = tokio::select! {
            closed = cancel => return Err(StreamingError::Closed(closed)),
            response = send => response?,
        };
        let vote = codec::vote_from_pb(response.vote).map_err(malformed)?;
        Ok(SnapshotResponse::new(vote))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        let message = pb::TransferRequest {
            header: self.header()?,
            from_leader: Some(codec::vote_to_pb(request.from_leader())),
            to_node: *request.to_node_id(),
            last_log_id: request.last_log_id().map(codec::log_id_to_pb),
        };
        let response = self
            .call(RPCTypes::TransferLeader, option.hard_ttl(), |mut client| async move {
                client.transfer_leader(message).await
            })
            .await?;
        if response.log_not_flushed {
            let expected = request.last_log_id().copied();
            let actual = response.actual_log_id.map(codec::log_id_from_pb);
            return Ok(Err(TransferLeaderError::LogNotFlushed { expected, actual }));
        }
        match response.actual_vote {
            None => Ok(Ok(())),
            Some(actual) => {
                let expected = *request.from_leader();
                let actual = codec::vote_from_pb(Some(actual)).map_err(malformed)?;
                Ok(Err(TransferLeaderError::VoteChanged { expected, actual }))
            }
        }
    }

    /// Short: a member that comes back must not wait long for its leader.
    fn backoff(&self) -> Option<Backoff> {
        let steps = [50, 100, 200].into_iter().chain(std::iter::repeat(300));
        Some(Backoff::new(steps.map(Duration::from_millis)))
    }
}
