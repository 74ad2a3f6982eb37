//! What every part of the process shares.
use std::sync::{Arc, Mutex, PoisonError, atomic::AtomicU64};

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
    /// One assignment at a time is compared with what was obeyed and taken up.
    taking: Mutex<()>,
    /// Bytes on disk of transactions whose commit was not read yet.
    pub spool_bytes: Arc<AtomicU64>,
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
            taking: Mutex::new(()),
            spool_bytes: Arc::default(),
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
        // Sessions of a former and a present leader may be open at once: what was admitted a moment ago on this one
        // must not take the place of what the other one has brought since.
        let _one = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        self.authority.admit(Some(authority))?;
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

#[cfg(test)]
mod tests {
    use dm_proto::config::WorkerFile;

    use super::*;

    #[test]
    fn an_assignment_that_was_overtaken_between_admission_and_taking_up_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = WorkerFile {
            name: Some("w".into()),
            worker_addr: Some("127.0.0.1:8262".into()),
            join: Some("127.0.0.1:8261".into()),
            ..WorkerFile::default()
        };
        let authority = AuthorityStore::open(dir.path()).unwrap();
        let process = Process::new(file.validate().unwrap(), authority, Metrics::new("w").unwrap());
        let at = |term| Authority { cluster_id: "c".into(), term, revision: 1 };
        let assignment = |grace| Assignment {
            worker: "w".into(),
            incarnation: process.incarnation,
            master_loss_grace_ms: grace,
            ..Default::default()
        };
        process.admit(Some(&at(5))).unwrap();
        process.admit(Some(&at(6))).unwrap();
        process.obey(&at(6), assignment(6)).unwrap();
        assert!(matches!(process.obey(&at(5), assignment(5)), Err(NotTaken::Refused(_))));
        let taken = process.assignments().borrow().clone().unwrap();
        assert_eq!(taken.master_loss_grace_ms, 6, "the later leader's stays");
    }
}
