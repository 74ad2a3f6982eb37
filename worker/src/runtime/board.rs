//! What this process observes of itself, for reports to the leader and for metrics.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dm_proto::worker::{Authority, ProcessError, Report, SourceReport};
use tokio::sync::watch;

use crate::subtask::SubtaskStatus;

/// A source that is no longer ours stays in the reports for this long, so that the leader sees it released.
const KEEP_RELEASED: Duration = Duration::from_secs(30);

#[derive(Default)]
struct SourceEntry {
    epoch: u64,
    error: Option<ProcessError>,
    subtasks: BTreeMap<String, Arc<SubtaskStatus>>,
    released_at: Option<Instant>,
}

#[derive(Default)]
struct Inner {
    obeyed: Option<Authority>,
    leaving: bool,
    sources: BTreeMap<String, SourceEntry>,
}

/// The one place that reports are made from. Every change wakes the sessions.
pub struct Board {
    inner: Mutex<Inner>,
    changed: Arc<watch::Sender<u64>>,
}

impl Default for Board {
    fn default() -> Self {
        Self { inner: Mutex::default(), changed: Arc::new(watch::Sender::new(0)) }
    }
}

impl Board {
    /// Wakes on every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The bell that a subtask's status rings.
    pub fn bell(&self) -> Arc<watch::Sender<u64>> {
        Arc::clone(&self.changed)
    }

    pub fn set_obeyed(&self, authority: Authority) {
        self.change(|inner| inner.obeyed = Some(authority));
    }

    pub fn set_leaving(&self) {
        self.change(|inner| inner.leaving = true);
    }

    pub fn set_source(&self, source_id: &str, epoch: u64, error: Option<ProcessError>) {
        // Called at every look at the assignment: only news ring the bell.
        let mut inner = self.lock();
        let entry = inner.sources.entry(source_id.to_owned()).or_default();
        let same = entry.epoch == epoch && entry.error == error && entry.released_at.is_none();
        if !same {
            entry.epoch = epoch;
            entry.error = error;
            entry.released_at = None;
            drop(inner);
            self.changed.send_modify(|n| *n += 1);
        }
    }

    pub fn add_subtask(&self, source_id: &str, task: &str, status: Arc<SubtaskStatus>) {
        self.change(|inner| {
            inner.sources.entry(source_id.to_owned()).or_default().subtasks.insert(task.to_owned(), status);
        });
    }

    /// What is known of one subtask here.
    pub fn subtask(&self, source_id: &str, task: &str) -> Option<Arc<SubtaskStatus>> {
        self.lock().sources.get(source_id)?.subtasks.get(task).cloned()
    }

    pub fn remove_subtask(&self, source_id: &str, task: &str) {
        self.change(|inner| {
            if let Some(entry) = inner.sources.get_mut(source_id) {
                entry.subtasks.remove(task);
            }
        });
    }

    /// Forgets what a former binding of this source has left.
    pub fn forget_source(&self, source_id: &str) {
        self.change(|inner| {
            inner.sources.remove(source_id);
        });
    }

    /// The source is unbound here and everything of it has ended.
    pub fn release_source(&self, source_id: &str) {
        self.change(|inner| {
            if let Some(entry) = inner.sources.get_mut(source_id) {
                entry.released_at = Some(Instant::now());
            }
        });
    }

    /// Whether a full load runs here.
    pub fn loads(&self) -> bool {
        let inner = self.lock();
        inner.sources.values().flat_map(|e| e.subtasks.values()).any(|s| s.loads())
    }

    /// Everything observed, whole.
    pub fn report(&self) -> Report {
        let mut inner = self.lock();
        inner.sources.retain(|_, e| e.released_at.is_none_or(|at| at.elapsed() < KEEP_RELEASED));
        Report {
            obeyed: inner.obeyed.clone(),
            leaving: inner.leaving,
            sources: inner
                .sources
                .iter()
                .map(|(source_id, entry)| SourceReport {
                    source_id: source_id.clone(),
                    epoch: entry.epoch,
                    error: entry.error.clone(),
                    subtasks: entry.subtasks.values().map(|s| s.report()).collect(),
                })
                .collect(),
        }
    }

    fn change(&self, with: impl FnOnce(&mut Inner)) {
        with(&mut self.lock());
        self.changed.send_modify(|n| *n += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
