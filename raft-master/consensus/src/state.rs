//! openraft's state machine over a [`Machine`]: the applied state in memory, snapshots in files.
use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use dm_failpoints::{Failpoint, hold};
use futures::{Stream, StreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use tokio::sync::watch;

use crate::{
    FatalError, Machine, StartError, disk,
    fatal::Fatality,
    snapshot::SnapshotFolder,
    stamp::REMEDY,
    types::{LogId, Snapshot, SnapshotData, SnapshotMeta, StoredMembership, TypeConfig},
};

/// The applied state; clones share it.
pub struct AppliedState<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    inner: RwLock<Inner<M>>,
    /// Index of the last applied entry, for everybody who waits for one.
    applied: watch::Sender<u64>,
    folder: SnapshotFolder,
    /// One writer of files at a time.
    files: Mutex<()>,
    cluster_id: watch::Receiver<Option<String>>,
    fatality: Fatality,
}

struct Inner<M> {
    machine: M,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl<M> Clone for AppliedState<M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<M> std::fmt::Debug for AppliedState<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppliedState").finish_non_exhaustive()
    }
}

impl<M: Machine> AppliedState<M> {
    /// The state of the newest intact snapshot, which must reach the log's beginning (`purged`).
    pub fn open(
        folder: SnapshotFolder,
        mut machine: M,
        purged: Option<LogId>,
        cluster_id: watch::Receiver<Option<String>>,
        fatality: Fatality,
    ) -> Result<Self, StartError> {
        let (stored, complaints) =
            folder.newest().map_err(|error| StartError::io("reading the snapshots", error))?;
        for complaint in &complaints {
            tracing::warn!(%complaint, "ignoring a damaged snapshot");
        }
        let reaches = stored.as_ref().and_then(|stored| stored.meta.last_log_id);
        if reaches < purged {
            return Err(StartError::Refused(format!(
                "the log begins after entry {:?}, but the snapshot reaches only {:?} ({}). {REMEDY}",
                purged.map(|id| id.index),
                reaches.map(|id| id.index),
                if complaints.is_empty() { "a snapshot is gone".into() } else { complaints.join("; ") },
            )));
        }
        let mut inner_meta = SnapshotMeta::default();
        if let Some(stored) = stored {
            let known = cluster_id.borrow().clone();
            if known.as_deref().unwrap_or_default() != stored.cluster_id {
                return Err(StartError::Refused(format!("the snapshot is of another cluster. {REMEDY}")));
            }
            machine.restore(&stored.data).map_err(|error| StartError::Refused(error.to_string()))?;
            inner_meta = stored.meta;
        }
        let applied = watch::channel(inner_meta.last_log_id.map_or(0, |id| id.index)).0;
        let inner = RwLock::new(Inner {
            machine,
            last_applied: inner_meta.last_log_id,
            membership: inner_meta.last_membership,
        });
        let files = Mutex::new(());
        Ok(Self { shared: Arc::new(Shared { inner, applied, folder, files, cluster_id, fatality }) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner<M>> {
        self.shared.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner<M>> {
        self.shared.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `f` with the state and the index it contains.
    pub fn with<R>(&self, f: impl FnOnce(&M, u64) -> R) -> R {
        let inner = self.read();
        f(&inner.machine, inner.last_applied.map_or(0, |id| id.index))
    }

    /// The index the state contains.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.shared.applied.subscribe()
    }

    fn publish(&self, id: Option<LogId>) {
        let index = id.map_or(0, |id| id.index);
        self.shared.applied.send_if_modified(|applied| std::mem::replace(applied, index) != index);
    }

    fn apply_one(
        &self,
        index: LogId,
        payload: &EntryPayload<crate::types::Command, u64, crate::types::PeerNode>,
    ) -> io::Result<Vec<u8>> {
        let mut inner = self.write();
        let response = match payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Normal(command) => match inner.machine.apply(index.index, &command.0) {
                Ok(response) => response,
                Err(error) => {
                    let error = FatalError::Incompatible(format!("log entry {}: {error}", index.index));
                    self.shared.fatality.raise(error.clone());
                    return Err(io::Error::other(error));
                }
            },
            EntryPayload::Membership(membership) => {
                inner.membership = StoredMembership::new(Some(index), membership.clone());
                Vec::new()
            }
        };
        inner.last_applied = Some(index);
        Ok(response)
    }

    /// Runs file work on a thread where blocking is allowed.
    async fn on_files<R: Send + 'static>(
        &self,
        work: impl FnOnce(&SnapshotFolder) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let shared = self.shared.clone();
        let work = move || {
            let _one_at_a_time = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
            work(&shared.folder)
        };
        disk::blocking(work).await?
    }

    async fn store(&self, meta: SnapshotMeta, data: SnapshotData) -> io::Result<()> {
        let cluster_id = self.shared.cluster_id.borrow().clone().unwrap_or_default();
        let written = self.on_files(move |folder| folder.write(&meta, &cluster_id, &data)).await;
        if let Err(error) = &written {
            self.shared.fatality.raise(FatalError::Storage(format!("writing a snapshot: {error}")));
        }
        written
    }
}

impl<M: Machine> RaftStateMachine<TypeConfig> for AppliedState<M> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder<M>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let inner = self.read();
        Ok((inner.last_applied, inner.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            hold(Failpoint::BeforeApply);
            let response = self.apply_one(entry.log_id, &entry.payload)?;
            self.publish(Some(entry.log_id));
            hold(Failpoint::AfterApply);
            if let Some(responder) = responder {
                responder.send(response);
            }
        }
        Ok(())
    }

    /// Takes its view of the state here, so that it fits the meta data whatever is applied meanwhile.
    async fn get_snapshot_builder(&mut self) -> Builder<M> {
        let inner = self.read();
        let meta =
            SnapshotMeta { last_log_id: inner.last_applied, last_membership: inner.membership.clone() };
        Builder { meta, data: SnapshotData::from(inner.machine.snapshot()), state: self.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: SnapshotData) -> io::Result<()> {
        hold(Failpoint::BeforeInstall);
        {
            let mut inner = self.write();
            if let Err(error) = inner.machine.restore(&data) {
                self.shared.fatality.raise(FatalError::Incompatible(error.to_string()));
                return Err(io::Error::other(error));
            }
            inner.last_applied = meta.last_log_id;
            inner.membership = meta.last_membership.clone();
        }
        self.publish(meta.last_log_id);
        hold(Failpoint::HalfInstall);
        self.store(meta.clone(), data).await?;
        hold(Failpoint::AfterInstall);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let (stored, _) = self.on_files(SnapshotFolder::newest).await?;
        Ok(stored.map(|stored| Snapshot { meta: stored.meta, snapshot: stored.data }))
    }
}

/// A view of the state, ready to be written.
#[derive(Debug)]
pub struct Builder<M> {
    state: AppliedState<M>,
    meta: SnapshotMeta,
    data: SnapshotData,
}

impl<M: Machine> RaftSnapshotBuilder<TypeConfig> for Builder<M> {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        self.state.store(self.meta.clone(), self.data.clone()).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: self.data.clone() })
    }
}
