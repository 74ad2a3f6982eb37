//! Keeps one session task per registered worker process.
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{session, tenure::Tenure};
use crate::node::Node;

/// A session task is one of these; another address or process needs another task.
#[derive(Clone, PartialEq, Eq)]
struct Peer {
    address: String,
    incarnation: u64,
}

/// Runs until the tenure ends; all session tasks have ended when it returns.
pub async fn run(node: Arc<Node>, tenure: Arc<Tenure>) {
    let mut applied = node.consensus.applied();
    let mut running: BTreeMap<String, (Peer, CancellationToken)> = BTreeMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        applied.mark_unchanged();
        let registered = node.state(|state, _| {
            tenure.roster.follow(state, Instant::now());
            let peers = state.workers.iter().filter(|(_, w)| w.incarnation != 0).map(|(name, w)| {
                (name.clone(), Peer { address: w.address.clone(), incarnation: w.incarnation })
            });
            peers.collect::<BTreeMap<_, _>>()
        });
        running.retain(|name, (peer, end)| {
            let stays = registered.get(name) == Some(peer);
            if !stays {
                end.cancel();
            }
            stays
        });
        for (name, peer) in registered {
            if running.contains_key(&name) {
                continue;
            }
            info!(worker = %name, address = %peer.address, incarnation = peer.incarnation, "worker is registered");
            let end = tenure.end.child_token();
            let session = session::Session {
                node: node.clone(),
                tenure: tenure.clone(),
                worker: name.clone(),
                address: peer.address.clone(),
                incarnation: peer.incarnation,
                end: end.clone(),
            };
            tasks.spawn(session.run());
            running.insert(name, (peer, end));
        }
        tokio::select! {
            () = tenure.end.cancelled() => break,
            changed = applied.changed() => if changed.is_err() { break },
            Some(ended) = tasks.join_next() => if let Err(error) = ended {
                // Its entry goes with it, so that the next round starts the session again.
                warn!(%error, "a session task failed");
                running.values().for_each(|(_, end)| end.cancel());
                running.clear();
                tokio::time::sleep(Duration::from_millis(100)).await;
            },
        }
    }
    tenure.end.cancelled().await;
    while tasks.join_next().await.is_some() {}
}
