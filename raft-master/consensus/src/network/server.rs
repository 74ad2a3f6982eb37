//! Calls from other members.
use std::{io, pin::pin, sync::Arc, time::Duration};

use dm_proto::peer::{
    self as pb,
    peer_server::{Peer, PeerServer},
};
use futures::{Stream, StreamExt};
use openraft::{
    Raft,
    async_runtime::watch::WatchReceiver,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest,
        VoteResponse,
    },
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::server::Connected};

use super::{MAX_MESSAGE, MAX_SNAPSHOT};
use crate::{
    Machine, bootstrap,
    codec::{self, Malformed},
    identity::Identity,
    snapshot,
    state::AppliedState,
    types::{Snapshot, SnapshotData, TypeConfig},
};

/// A snapshot's next chunk has to come within this time.
const CHUNK_WAIT: Duration = Duration::from_secs(10);

/// The peer service of one member.
#[derive(Debug)]
pub struct PeerService<M: Machine> {
    pub raft: Raft<TypeConfig, AppliedState<M>>,
    pub identity: Arc<Identity>,
    /// Deadline of an admission.
    pub admission: Duration,
}

/// Serves until `stop`; then finishes running calls within a bound.
pub async fn serve<M: Machine, I>(
    incoming: impl Stream<Item = io::Result<I>>,
    service: PeerService<M>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error>
where
    I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let service = PeerServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let mut server = pin!(server);
    tokio::select! {
        result = &mut server => return result,
        () = stop.cancelled() => {}
    }
    // Idle connections of peers close at once; a call that does not end is cut off.
    match tokio::time::timeout(Duration::from_secs(1), server).await {
        Ok(result) => result,
        Err(_) => Ok(()),
    }
}

fn malformed(error: Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("this member has stopped: {error}"))
}

fn vote_request(request: pb::VoteRequest) -> Result<VoteRequest<TypeConfig>, Status> {
    Ok(VoteRequest {
        vote: codec::vote_from_pb(request.vote).map_err(malformed)?,
        last_log_id: request.last_log_id.map(codec::log_id_from_pb),
        leadership_transfer: request.leadership_transfer,
    })
}

fn vote_response(response: VoteResponse<TypeConfig>) -> Response<pb::VoteResponse> {
    Response::new(pb::VoteResponse {
        vote: Some(codec::vote_to_pb(&response.vote)),
        granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(codec::log_id_to_pb),
    })
}

#[tonic::async_trait]
impl<M: Machine> Peer for PeerService<M> {
    async fn hello(&self, request: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        let from = request.into_inner().from_node;
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        Ok(Response::new(pb::HelloResponse {
            node: Some(codec::node_to_pb(&self.identity.node)),
            node_id: self.identity.node_id,
            cluster_id: self.identity.cluster_id().unwrap_or_default(),
            bootstrap_digest: self.identity.digest.clone(),
            initialized: membership.nodes().next().is_some(),
            knows_you: membership.get_node(&from).is_some(),
        }))
    }

    async fn join(&self, request: Request<pb::JoinRequest>) -> Result<Response<pb::JoinResponse>, Status> {
        let admission = bootstrap::admit_member(&self.raft, &self.identity, request.into_inner());
        match tokio::time::timeout(self.admission, admission).await {
            Ok(response) => response.map(Response::new),
            Err(_) => {
                Err(Status::deadline_exceeded("the new member did not catch up in time; it may ask again"))
            }
        }
    }

    async fn vote(&self, request: Request<pb::VoteRequest>) -> Result<Response<pb::VoteResponse>, Status> {
        let mut request = request.into_inner();
        self.identity.admit(request.header.take()).await?;
        Ok(vote_response(self.raft.vote(vote_request(request)?).await.map_err(stopped)?))
    }

    async fn pre_vote(
        &self,
        request: Request<pb::VoteRequest>,
    ) -> Result<Response<pb::VoteResponse>, Status> {
        let mut request = request.into_inner();
        self.identity.admit(request.header.take()).await?;
        Ok(vote_response(self.raft.pre_vote(vote_request(request)?).await.map_err(stopped)?))
    }

    async fn append(
        &self,
        request: Request<pb::AppendRequest>,
    ) -> Result<Response<pb::AppendResponse>, Status> {
        let request = request.into_inner();
        self.identity.admit(request.header).await?;
        let entries: Result<Vec<_>, _> = request.entries.into_iter().map(codec::entry_from_pb).collect();
        let request = AppendEntriesRequest {
            vote: codec::vote_from_pb(request.vote).map_err(malformed)?,
            prev_log_id: request.prev_log_id.map(codec::log_id_from_pb),
            entries: entries.map_err(malformed)?,
            leader_commit: request.leader_commit.map(codec::log_id_from_pb),
        };
        use pb::append_response::Result as Answer;
        let result = match self.raft.append_entries(request).await.map_err(stopped)? {
            AppendEntriesResponse::Success => Answer::Success(true),
            AppendEntriesResponse::PartialSuccess(matching) => {
                Answer::Partial(pb::PartialSuccess { matching: matching.as_ref().map(codec::log_id_to_pb) })
            }
            AppendEntriesResponse::Conflict => Answer::Conflict(true),
            AppendEntriesResponse::HigherVote(vote) => Answer::HigherVote(codec::vote_to_pb(&vote)),
        };
        Ok(Response::new(pb::AppendResponse { result: Some(result) }))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::SnapshotResponse>, Status> {
        let mut chunks = request.into_inner();
        let late = |_| Status::deadline_exceeded("the next chunk of the snapshot did not come");
        let first = tokio::time::timeout(CHUNK_WAIT, chunks.next()).await.map_err(late)?;
        let first = first.ok_or_else(|| Status::invalid_argument("an empty snapshot stream"))??;
        self.identity.admit(first.header).await?;
        let vote = codec::vote_from_pb(first.vote).map_err(malformed)?;
        let header = first.meta.ok_or_else(|| Status::invalid_argument("a snapshot without meta data"))?;
        if header.data_bytes > MAX_SNAPSHOT {
            return Err(Status::resource_exhausted("a snapshot of more than 1 GiB"));
        }
        let mut data = first.data;
        while let Some(chunk) = tokio::time::timeout(CHUNK_WAIT, chunks.next()).await.map_err(late)? {
            data.extend_from_slice(&chunk?.data);
            if data.len() as u64 > header.data_bytes {
                return Err(Status::invalid_argument("a snapshot longer than it says"));
            }
        }
        snapshot::check_data(&header, &data).map_err(Status::data_loss)?;
        let meta = codec::snapshot_meta_from_pb(header).map_err(malformed)?;
        let snapshot = Snapshot { meta, snapshot: SnapshotData::from(data) };
        let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(pb::SnapshotResponse { vote: Some(codec::vote_to_pb(&response.vote)) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferRequest>,
    ) -> Result<Response<pb::TransferResponse>, Status> {
        let request = request.into_inner();
        self.identity.admit(request.header).await?;
        let from = codec::vote_from_pb(request.from_leader).map_err(malformed)?;
        let last = request.last_log_id.map(codec::log_id_from_pb);
        let request = TransferLeaderRequest::new(from, request.to_node, last);
        let response = match self.raft.handle_transfer_leader(request).await.map_err(stopped)? {
            Ok(()) => pb::TransferResponse::default(),
            Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                pb::TransferResponse { actual_vote: Some(codec::vote_to_pb(&actual)), ..Default::default() }
            }
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => pb::TransferResponse {
                log_not_flushed: true,
                actual_log_id: actual.as_ref().map(codec::log_id_to_pb),
                ..Default::default()
            },
        };
        Ok(Response::new(response))
    }
}
