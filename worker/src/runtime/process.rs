//! What every part of the process shares.
use std::sync::Arc;

use dm_proto::{
    config::WorkerConfig,
    worker::{Assignment, Authority},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{AuthorityStore, Board, Contact, Refused};
use crate::metrics::Metrics;

/// Why an assignment was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(
        "the assignment is for incarnation {theirs} of worker {worker:?}; this process is {ours} of {name:?}"
    )]
    OtherProcess { worker: String, name: String, theirs: u64, ours: u64 },
}

/// One running worker process.
pub struct Process {
    pub settings: WorkerConfig,
    /// Random and new with every start: a binding names the worker and this.
    pub incarnation: u64,
    pub authority: AuthorityStore,
    pub board: Board,
    pub contact: Contact,
    pub metrics: Metrics,
    /// Cancelled once, at a planned stop.
    pub shutdown: CancellationToken,
    /// Cancelled last: sessions and the server end.
    pub closed: CancellationToken,
    /// Sessions that are open now.
    pub sessions: watch::Sender<usize>,
    assignment: watch::Sender<Option<Arc<Assignment>>>,
}

impl Process {
    pub fn new(settings: WorkerConfig, authority: AuthorityStore, metrics: Metrics) -> Self {
        Self {
            settings,
            incarnation: rand::random::<u64>().max(1),
            authority,
            board: Board::default(),
            contact: Contact::default(),
            metrics,
            shutdown: CancellationToken::new(),
            closed: CancellationToken::new(),
            sessions: watch::Sender::new(0),
            assignment: watch::Sender::new(None),
        }
    }

    pub fn stopping(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    pub fn assignments(&self) -> watch::Receiver<Option<Arc<Assignment>>> {
        self.assignment.subscribe()
    }

    /// The cluster that this worker obeys, empty before the first message.
    pub fn cluster_id(&self) -> String {
        self.authority.seen().map(|a| a.cluster_id).unwrap_or_default()
    }

    /// Any message of a leader: it is admitted, or the session ends.
    pub fn admit(&self, authority: Option<&Authority>) -> Result<(), Refused> {
        self.authority.admit(authority)?;
        self.contact.heard();
        Ok(())
    }

    /// Takes up what an admitted leader wants.
    pub fn obey(&self, authority: &Authority, assignment: Assignment) -> Result<(), NotTaken> {
        if assignment.incarnation != self.incarnation || assignment.worker != self.settings.name {
            return Err(NotTaken::OtherProcess {
                worker: assignment.worker,
                name: self.settings.name.clone(),
                theirs: assignment.incarnation,
                ours: self.incarnation,
            });
        }
        self.contact.set_grace(assignment.master_loss_grace_ms);
        self.assignment.send_if_modified(|current| {
            let differs = current.as_deref() != Some(&assignment);
            if differs {
                info!(
                    term = authority.term,
                    revision = authority.revision,
                    sources = assignment.sources.len(),
                    "assignment taken up"
                );
                *current = Some(Arc::new(assignment));
            }
            differs
        });
        self.board.set_obeyed(authority.clone());
        Ok(())
    }
}
