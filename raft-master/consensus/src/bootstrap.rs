//! How a new data directory becomes a member: by founding a cluster, or by asking to be admitted.
//!
//! Founding: the first name of initial-cluster asks all others for the random ids of their data directories, makes
//! the cluster id, and initializes the group. All first members have to be up once. A directory that was wiped
//! comes back with another id, finds the cluster existing without it, and refuses: it must ask to be admitted.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use dm_proto::peer as pb;
use openraft::{
    ChangeMembers, Raft, RaftMetrics,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, InitializeError, RaftError},
};
use tonic::Status;

use crate::{
    FatalError, Machine, codec,
    fatal::Fatality,
    identity::Identity,
    network::{Channels, Purpose, peer_client},
    state::AppliedState,
    types::{PeerNode, TypeConfig},
};

const PAUSE: Duration = Duration::from_millis(100);
/// A complaint about the same hindrance is logged at most this often.
const COMPLAIN: Duration = Duration::from_secs(5);

/// What it takes to become a member.
pub struct Bootstrap<M: Machine> {
    pub raft: Raft<TypeConfig, AppliedState<M>>,
    pub identity: Arc<Identity>,
    pub channels: Arc<Channels>,
    pub initial_cluster: Vec<(String, String)>,
    pub join: Vec<String>,
    pub timeout: Duration,
    /// Deadline of an admission, which waits until this member has caught up.
    pub admission: Duration,
    pub fatality: Fatality,
}

enum Progress {
    Done,
    /// Try again, because of this.
    Again(String),
}

impl<M: Machine> Bootstrap<M> {
    /// Runs until this member is a voter under its present addresses.
    pub async fn run(self) {
        let mut complained: Option<std::time::Instant> = None;
        loop {
            let step = match self.step().await {
                Ok(step) => step,
                Err(error) => return self.fatality.raise(error),
            };
            match step {
                Progress::Done => return,
                Progress::Again(why) => {
                    if complained.is_none_or(|at| at.elapsed() > COMPLAIN) {
                        complained = Some(std::time::Instant::now());
                        tracing::info!(%why, "not a member of a cluster yet");
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn metrics(&self) -> RaftMetrics<TypeConfig> {
        self.raft.metrics().borrow_watched().clone()
    }

    async fn step(&self) -> Result<Progress, FatalError> {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let own = membership.get_node(&self.identity.node_id);
        let voter = membership.voter_ids().any(|id| id == self.identity.node_id);
        if let (Some(own), true) = (own, voter) {
            if !self.identity.joined() {
                let marked = self.identity.mark_joined().await;
                marked
                    .map_err(|error| FatalError::Storage(format!("marking the data directory: {error}")))?;
            }
            if *own == self.identity.node {
                return Ok(Progress::Done);
            }
            // Came back under other addresses.
            let others = membership.nodes().map(|(_, node)| node.peer_addr.clone()).collect();
            return self.ask_to_join(others).await;
        }
        if self.identity.joined() {
            return Ok(Progress::Again(
                "this member was removed from the cluster; wipe its data directory to join again".into(),
            ));
        }
        if !self.join.is_empty() {
            return self.ask_to_join(self.join.clone()).await;
        }
        self.found().await
    }

    async fn hello(&self, addr: &str) -> Result<pb::HelloResponse, Status> {
        let channel = self.channels.get(addr, Purpose::Log).map_err(|e| Status::internal(e.to_string()))?;
        let request = pb::HelloRequest {
            bootstrap_digest: self.identity.digest.clone(),
            from_name: self.identity.node.name.clone(),
            from_node: self.identity.node_id,
        };
        let mut client = peer_client(channel);
        match tokio::time::timeout(self.timeout, client.hello(request)).await {
            Ok(response) => Ok(response?.into_inner()),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    async fn found(&self) -> Result<Progress, FatalError> {
        let founder = self.initial_cluster.first().is_some_and(|(name, _)| *name == self.identity.node.name);
        let mut nodes = BTreeMap::from([(self.identity.node_id, self.identity.node.clone())]);
        for (name, addr) in self.initial_cluster.iter().filter(|(name, _)| *name != self.identity.node.name) {
            let hello = match self.hello(addr).await {
                Ok(hello) => hello,
                Err(status) => return Ok(Progress::Again(format!("{name} at {addr}: {}", status.message()))),
            };
            let node = codec::node_from_pb(hello.node.unwrap_or_default());
            let own = self.identity.cluster_id();
            if hello.initialized && !hello.knows_you {
                return Err(FatalError::Refused(format!(
                    "{name} already belongs to cluster {}, which does not know this data directory (new or wiped). \
                     Remove the former member `{}` from the cluster, then start this one with --join instead of \
                     --initial-cluster",
                    hello.cluster_id, self.identity.node.name
                )));
            }
            if let Some(own) = &own
                && !hello.cluster_id.is_empty()
                && *own != hello.cluster_id
            {
                return Err(FatalError::Refused(format!(
                    "{name} belongs to cluster {}, this member to {own}",
                    hello.cluster_id
                )));
            }
            if node.name != *name || hello.bootstrap_digest != self.identity.digest {
                return Ok(Progress::Again(format!(
                    "{addr} answers as `{}` with another initial-cluster; it must be the same on all members",
                    node.name
                )));
            }
            if own.is_none() && !hello.cluster_id.is_empty() && founder {
                return Ok(Progress::Again(format!(
                    "{name} is being taken into cluster {}",
                    hello.cluster_id
                )));
            }
            nodes.insert(hello.node_id, node);
        }
        if !founder {
            return Ok(Progress::Again("waiting for the first member of initial-cluster".into()));
        }
        let fresh = format!("{:032x}", rand::random::<u128>());
        let adopted = self.identity.adopt(&fresh).await;
        adopted.map_err(|error| FatalError::Storage(format!("recording the cluster id: {error}")))?;
        match self.raft.initialize(nodes).await {
            Ok(()) => tracing::info!("founded the cluster"),
            // By a former life of this process.
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(error) => return Err(FatalError::Engine(format!("founding the cluster: {error}"))),
        }
        Ok(Progress::Again("waiting for the first election".into()))
    }

    async fn ask_to_join(&self, mut addrs: Vec<String>) -> Result<Progress, FatalError> {
        let mut why = "nobody to ask".to_owned();
        let mut next = 0;
        // Each answer may name the leader; that many hints are followed at most.
        while next < addrs.len().min(32) {
            let addr = addrs[next].clone();
            next += 1;
            let request = pb::JoinRequest {
                node_id: self.identity.node_id,
                node: Some(codec::node_to_pb(&self.identity.node)),
                cluster_id: self.identity.cluster_id().unwrap_or_default(),
            };
            let channel = match self.channels.get(&addr, Purpose::Log) {
                Ok(channel) => channel,
                Err(error) => return Err(FatalError::Refused(format!("join address {addr}: {error}"))),
            };
            let mut client = peer_client(channel);
            let answer = tokio::time::timeout(self.admission, client.join(request)).await;
            match answer {
                Err(_) => why = format!("{addr} does not answer"),
                Ok(Err(status)) => why = format!("{addr}: {}", status.message()),
                Ok(Ok(answer)) => {
                    let answer = answer.into_inner();
                    if !answer.refused.is_empty() {
                        return Err(FatalError::Refused(answer.refused));
                    }
                    if !answer.cluster_id.is_empty() {
                        let adopted = self.identity.adopt(&answer.cluster_id).await;
                        adopted.map_err(|e| FatalError::Storage(format!("recording the cluster id: {e}")))?;
                        return Ok(Progress::Again("admitted; waiting for the membership to arrive".into()));
                    }
                    why = format!("{addr} is not the leader");
                    if !answer.leader_peer_addr.is_empty() && !addrs.contains(&answer.leader_peer_addr) {
                        addrs.insert(next, answer.leader_peer_addr);
                    }
                }
            }
        }
        Ok(Progress::Again(why))
    }
}

/// The leader's side: admits a new member, or takes note of another address of a known one.
pub async fn admit_member<M: Machine>(
    raft: &Raft<TypeConfig, AppliedState<M>>,
    identity: &Identity,
    request: pb::JoinRequest,
) -> Result<pb::JoinResponse, Status> {
    let refused = |refused: String| Ok(pb::JoinResponse { refused, ..Default::default() });
    let node = codec::node_from_pb(request.node.unwrap_or_default());
    if request.node_id == 0 || node.name.is_empty() || node.peer_addr.is_empty() {
        return Err(Status::invalid_argument("a member needs id, name and peer address"));
    }
    let Some(cluster_id) = identity.cluster_id() else {
        return Err(Status::unavailable("this member does not belong to a cluster yet"));
    };
    if !request.cluster_id.is_empty() && request.cluster_id != cluster_id {
        return refused(format!(
            "this is cluster {cluster_id}, but {} belongs to {}",
            node.name, request.cluster_id
        ));
    }
    let metrics = raft.metrics().borrow_watched().clone();
    let membership = metrics.membership_config.membership();
    if metrics.current_leader != Some(identity.node_id) {
        let leader = metrics.current_leader.and_then(|id| membership.get_node(&id));
        let leader_peer_addr = leader.map(|leader| leader.peer_addr.clone()).unwrap_or_default();
        return Ok(pb::JoinResponse { leader_peer_addr, ..Default::default() });
    }
    let taken = membership.nodes().find(|(id, known)| **id != request.node_id && known.name == node.name);
    if let Some((id, known)) = taken {
        return refused(format!(
            "the cluster already has a member `{}` (id {id:x}, at {}); remove it first, or choose another name",
            known.name, known.peer_addr
        ));
    }
    let known = membership.get_node(&request.node_id).cloned();
    let voter = membership.voter_ids().any(|id| id == request.node_id);
    match known {
        Some(known) if known == node => {}
        Some(_) => {
            let nodes = BTreeMap::from([(request.node_id, node.clone())]);
            raft.change_membership(ChangeMembers::SetNodes(nodes), true).await.map_err(change_failed)?;
        }
        None => tracing::info!(name = %node.name, id = request.node_id, "admitting a new member"),
    }
    if !voter {
        // Returns once the new member has caught up; the caller bounds the wait.
        raft.add_learner(request.node_id, node, true).await.map_err(change_failed)?;
        let voters = ChangeMembers::AddVoterIds(BTreeSet::from([request.node_id]));
        raft.change_membership(voters, true).await.map_err(change_failed)?;
    }
    Ok(pb::JoinResponse { cluster_id, ..Default::default() })
}

fn change_failed(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Status {
    Status::unavailable(error.to_string())
}

/// What this member is called and where it is.
pub fn own_node(name: &str, peer_addr: &str, client_addr: &str) -> PeerNode {
    PeerNode { name: name.to_owned(), peer_addr: peer_addr.to_owned(), client_addr: client_addr.to_owned() }
}
