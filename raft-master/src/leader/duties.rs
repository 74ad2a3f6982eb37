//! Takes up the leader's duties with leadership and lays them down with it.
use std::{sync::Arc, time::Duration};

use dm_consensus::{Leadership, ReadError};
use dm_proto::raft::{InitCluster, command::Body};
use dm_state::CLUSTER_VERSION;
use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info, warn};

use super::{reconcile, sessions, tenure::Tenure};
use crate::node::Node;

/// Longest wait for the duties' tasks to end by themselves before they are aborted.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// Before duties that ended early are taken up again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs for the life of the process; one tenure after the other.
pub async fn run(node: Arc<Node>) {
    let mut leadership = node.consensus.leadership();
    loop {
        let now = leadership.borrow_and_update().clone();
        if now.is_leader {
            hold_office(&node, now.term, leadership.clone()).await;
        }
        tokio::select! {
            () = node.stopping.cancelled() => return,
            changed = leadership.changed() => if changed.is_err() { return },
            // Still the leader, and nobody does its work: a duty broke. A group whose leader does nothing is as good
            // as none, so they are taken up again.
            () = tokio::time::sleep(AGAIN), if now.is_leader => {}
        }
    }
}

/// Ends when `term` is over, however that comes about.
async fn term_over(term: u64, leadership: &mut watch::Receiver<Leadership>) {
    // An error means that consensus has stopped: no leadership without it.
    let _ = leadership.wait_for(|l| !l.is_leader || l.term != term).await;
}

async fn hold_office(node: &Arc<Node>, term: u64, mut leadership: watch::Receiver<Leadership>) {
    let cluster_id = tokio::select! {
        () = node.stopping.cancelled() => return,
        () = term_over(term, &mut leadership) => return,
        id = prepare(node) => match id { Some(id) => id, None => return },
    };
    node.metrics.start_leader.inc();
    info!(term, %cluster_id, "taking up the duties of the leader");
    let pace = node.settings.timing.pace;
    let tenure = Arc::new(node.state(|state, _| Tenure::new(term, cluster_id, pace, state)));
    let mut duties = JoinSet::new();
    duties.spawn(sessions::run(node.clone(), tenure.clone()));
    duties.spawn(reconcile::run(node.clone(), tenure.clone()));
    node.tenure.send_replace(Some(tenure.clone()));
    tokio::select! {
        () = node.stopping.cancelled() => {}
        () = term_over(term, &mut leadership) => {}
        // Duties end only when told to; one that ends alone leaves the others running without it.
        ended = duties.join_next() => error!(?ended, "a duty of the leader ended by itself"),
    }
    tenure.end.cancel();
    node.tenure.send_replace(None);
    let joined = tokio::time::timeout(END_DEADLINE, async { while duties.join_next().await.is_some() {} });
    if joined.await.is_err() {
        warn!(term, "duties of the leader did not end in time and are aborted");
        duties.shutdown().await;
    }
    node.metrics.leader_retired();
    info!(term, "laid down the duties of the leader");
}

/// Makes sure that the state contains everything committed before this term, and that the cluster has its id.
async fn prepare(node: &Arc<Node>) -> Option<String> {
    loop {
        match node.consensus.read_barrier().await {
            Ok(_) => {}
            Err(ReadError::NoQuorum(reason)) => {
                warn!(%reason, "leading, but no majority confirms it yet");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => {
                info!(%error, "not the leader any more");
                return None;
            }
        }
        let id = node.state(|state, _| state.cluster_id.clone());
        if !id.is_empty() {
            return Some(id);
        }
        let Some(cluster_id) = node.consensus.cluster_id() else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let init = InitCluster { cluster_id, cluster_version: CLUSTER_VERSION };
        if let Err(problem) = node.propose(Body::InitCluster(init)).await {
            warn!(?problem, "the cluster id could not be committed yet");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
