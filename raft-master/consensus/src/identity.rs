//! Who this member is, and to which cluster it belongs.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dm_proto::peer as pb;
use tokio::sync::watch;
use tonic::Status;

use crate::{FatalError, disk, fatal::Fatality, stamp::DataDir, store::Log, types::PeerNode};

/// Shared by everything that talks to other members.
#[derive(Debug)]
pub struct Identity {
    /// Of the data directory.
    pub node_id: u64,
    /// How others reach this member.
    pub node: PeerNode,
    /// Of the initial-cluster list; empty when there is none.
    pub digest: Vec<u8>,
    cluster: watch::Sender<Option<String>>,
    dir: Mutex<DataDir>,
    store: Log,
    fatality: Fatality,
}

impl Identity {
    pub fn new(
        dir: DataDir,
        node: PeerNode,
        initial_cluster: &[(String, String)],
        cluster: watch::Sender<Option<String>>,
        store: Log,
        fatality: Fatality,
    ) -> Arc<Self> {
        let node_id = dir.stamp().node_id;
        Arc::new(Self {
            node_id,
            node,
            digest: digest(initial_cluster),
            cluster,
            dir: Mutex::new(dir),
            store,
            fatality,
        })
    }

    fn dir(&self) -> MutexGuard<'_, DataDir> {
        self.dir.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster, once known.
    pub fn cluster_id(&self) -> Option<String> {
        self.cluster.borrow().clone()
    }

    /// The cluster as a watch.
    pub fn cluster_watch(&self) -> watch::Receiver<Option<String>> {
        self.cluster.subscribe()
    }

    /// Whether this member has been a voter.
    pub fn joined(&self) -> bool {
        self.dir().stamp().joined
    }

    /// Records durably that this member has been a voter.
    pub async fn mark_joined(self: &Arc<Self>) -> std::io::Result<()> {
        let this = self.clone();
        disk::blocking(move || this.dir().mark_joined()).await?
    }

    /// Records durably that this member belongs to a cluster, unless it belongs to one already. Returns the
    /// cluster that it belongs to.
    pub async fn adopt(self: &Arc<Self>, cluster_id: &str) -> std::io::Result<String> {
        let (this, wanted) = (self.clone(), cluster_id.to_owned());
        let adopt = move || {
            let mut dir = this.dir();
            if let Some(known) = dir.stamp().cluster_id.clone() {
                return Ok(known);
            }
            dir.adopt(&wanted)?;
            this.store.save_cluster(&wanted)?;
            tracing::info!(cluster_id = %wanted, "this member now belongs to a cluster");
            this.cluster.send_replace(Some(wanted.clone()));
            Ok(wanted)
        };
        let adopted = disk::blocking(adopt).await?;
        if let Err(error) = &adopted {
            self.fatality.raise(FatalError::Storage(format!("recording the cluster id: {error}")));
        }
        adopted
    }

    /// The header of a call to another member; none before this member belongs to a cluster.
    pub fn header(&self, to_node: u64) -> Option<pb::Header> {
        let cluster_id = self.cluster_id()?;
        Some(pb::Header { cluster_id, from_node: self.node_id, to_node })
    }

    /// Lets in only calls of the own cluster that are meant for this very data directory. A member without a
    /// cluster takes that of the first caller who has its random node id in his membership: a founder with the
    /// same initial-cluster list, or the leader it asked for admission.
    pub async fn admit(self: &Arc<Self>, header: Option<pb::Header>) -> Result<(), Status> {
        let header = header.ok_or_else(|| Status::invalid_argument("no header"))?;
        if header.to_node != self.node_id {
            return Err(Status::failed_precondition(format!(
                "this is node {:x} ({}), not {:x}",
                self.node_id, self.node.name, header.to_node
            )));
        }
        if header.cluster_id.is_empty() {
            return Err(Status::invalid_argument("no cluster id"));
        }
        let own = match self.cluster_id() {
            Some(own) => own,
            None => {
                self.adopt(&header.cluster_id).await.map_err(|error| Status::internal(error.to_string()))?
            }
        };
        if own != header.cluster_id {
            return Err(Status::failed_precondition(format!(
                "this member belongs to cluster {own}, the caller to {}",
                header.cluster_id
            )));
        }
        Ok(())
    }

    /// Lets go of the data directory.
    pub fn release(&self) {
        self.dir().release();
    }
}

/// Tells lists of first members apart.
fn digest(initial_cluster: &[(String, String)]) -> Vec<u8> {
    initial_cluster.iter().flat_map(|(name, addr)| format!("{name}={addr}\n").into_bytes()).collect()
}
