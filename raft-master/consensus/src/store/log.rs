//! openraft's log storage over the store.
use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dm_failpoints::{Failpoint, hold};
use dm_proto::peer as pb;
use openraft::{
    OptionalSend,
    storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage},
};
use prost::Message;

use super::{
    Sentinel, Watch,
    flusher::{Durable, Flusher, Job},
    keys::{self, Assembler},
    open::{self, COMMITTED, Found, PURGED, Trees, VOTE},
};
use crate::{
    StartError, codec, envelope,
    fatal::Fatality,
    stamp::DataDir,
    types::{Entry, LogId, TypeConfig, Vote},
};

/// Bytes of commands in one message to a follower.
const READ_BUDGET: usize = 1 << 20;
/// Keys removed by one batch.
const REMOVE_BATCH: usize = 512;

/// The log store; clones read and write the same one.
#[derive(Debug, Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    trees: Trees,
    sentinel: Arc<Mutex<Sentinel>>,
    state: Mutex<Found>,
    flusher: Flusher,
    watches: [Watch; 2],
}

impl LogStore {
    /// Opens and checks the store of a data directory.
    pub fn open(dir: &DataDir, fatality: Fatality) -> Result<Self, StartError> {
        let (trees, mut sentinel, file, found) = open::open(dir)?;
        let io = |error| StartError::io("making the log durable", error);
        if let Some(cluster_id) = &dir.stamp().cluster_id
            && sentinel.cluster_id().is_none()
        {
            sentinel.save_cluster(cluster_id).map_err(io)?;
        }
        if let Some(vote) = &found.vote
            && sentinel.vote().as_ref() != Some(vote)
        {
            sentinel.save_vote(vote).map_err(io)?;
        }
        let sentinel = Arc::new(Mutex::new(sentinel));
        let watches = [Watch::default(), Watch::default()];
        let durable = Durable {
            db: trees.db.clone(),
            file,
            sentinel: sentinel.clone(),
            watch: watches[0].clone(),
            fatality,
        };
        // Entries that a former life wrote but never acknowledged count as durable from now on.
        durable.flush().map_err(io)?;
        if let Some(last) = found.last {
            durable.sentinel().found_tail(last).map_err(io)?;
        }
        let flusher = Flusher::start(durable).map_err(io)?;
        let store =
            Self { shared: Arc::new(Shared { trees, sentinel, state: Mutex::new(found), flusher, watches }) };
        let left_over = store.state().purged.map_or(0, |purged| purged.index + 1);
        store.remove(0, left_over).map_err(|error| StartError::io("removing purged entries", error))?;
        Ok(store)
    }

    /// For the watchdog: the writes of engine and flusher.
    pub fn watches(&self) -> Vec<Watch> {
        self.shared.watches.to_vec()
    }

    /// Notes the cluster in the sentinel, durably.
    pub fn save_cluster(&self, cluster_id: &str) -> io::Result<()> {
        self.sentinel().save_cluster(cluster_id)
    }

    /// The last entry and the last purged one.
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let state = self.state();
        (state.last, state.purged)
    }

    /// Ends the flusher; later writes fail.
    pub fn close(&self) {
        self.shared.flusher.stop();
    }

    fn state(&self) -> MutexGuard<'_, Found> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sentinel(&self) -> MutexGuard<'_, Sentinel> {
        self.shared.sentinel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timed<R>(&self, write: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.shared.watches[1].time(write)
    }

    fn put<T: Message>(&self, key: &[u8], message: &T) -> io::Result<()> {
        let value = envelope::seal(key, &message.encode_to_vec());
        self.timed(|| self.shared.trees.meta.insert(key, value).map_err(io::Error::other).map(drop))
    }

    /// Removes the entries of indexes from `start` up to `end`, not included.
    fn remove(&self, start: u64, end: u64) -> io::Result<()> {
        if start >= end {
            return Ok(());
        }
        let tree = &self.shared.trees.log;
        let range = keys::key(start, 0)..keys::key(end, 0);
        loop {
            let mut batch = sled::Batch::default();
            let mut count = 0;
            for key in tree.range(range.clone()).keys().take(REMOVE_BATCH) {
                batch.remove(key.map_err(io::Error::other)?);
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            self.timed(|| tree.apply_batch(batch).map_err(io::Error::other))?;
        }
    }

    fn read(&self, start: u64, end: Option<u64>, budget: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if end.is_some_and(|end| start >= end) {
            return Ok(entries);
        }
        let from = Bound::Included(keys::key(start, 0));
        let to = end.map_or(Bound::Unbounded, |end| Bound::Excluded(keys::key(end, 0)));
        let mut assembler = Assembler::default();
        let mut bytes = 0;
        for pair in self.shared.trees.log.range::<[u8; 10], _>((from, to)) {
            let (key, value) = pair.map_err(io::Error::other)?;
            bytes += value.len();
            let damage = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            if let Some(entry) = assembler.push(&key, &value).map_err(damage)? {
                entries.push(entry);
                if bytes >= budget {
                    return Ok(entries);
                }
            }
        }
        assembler.finish().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, Some(end), READ_BUDGET)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.state().vote)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (last_log_id, last_purged_log_id) = self.ends();
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        hold(Failpoint::BeforeVote);
        self.put(VOTE, &codec::vote_to_pb(vote))?;
        self.shared.flusher.sync().await?;
        hold(Failpoint::HalfVote);
        self.timed(|| self.sentinel().save_vote(vote))?;
        hold(Failpoint::AfterVote);
        self.state().vote = Some(*vote);
        Ok(())
    }

    /// Not flushed: it rides on the next flush, and a restarted member learns the rest from the leader.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        match committed {
            Some(committed) => {
                hold(Failpoint::BeforeCommitted);
                self.put(COMMITTED, &codec::log_id_to_pb(&committed))?;
                hold(Failpoint::AfterCommitted);
                Ok(())
            }
            None => self.shared.trees.meta.remove(COMMITTED).map_err(io::Error::other).map(drop),
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        let committed = self.shared.trees.meta::<pb::LogId>(COMMITTED)?.map(codec::log_id_from_pb);
        // After a crash during the installation of a snapshot the log may be behind; the snapshot covers that.
        Ok(committed.filter(|committed| Some(*committed) <= self.state().last))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = sled::Batch::default();
        let mut tail = None;
        for entry in entries {
            keys::insert(&mut batch, &entry)?;
            tail = Some(entry.log_id);
        }
        let Some(tail) = tail else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        hold(Failpoint::BeforeAppend);
        self.timed(|| self.shared.trees.log.apply_batch(batch).map_err(io::Error::other))?;
        self.state().last = Some(tail);
        self.shared.flusher.submit(Job::Append { callback, tail })
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let (last, purged) = self.ends();
        let start = last_log_id.map_or(0, |id| id.index + 1);
        let Some(last) = last.filter(|last| last.index >= start) else { return Ok(()) };
        hold(Failpoint::BeforeTruncate);
        // Appends still in the flusher's queue would raise the tail again.
        self.shared.flusher.sync().await?;
        self.timed(|| self.sentinel().lower_tail(last_log_id))?;
        hold(Failpoint::HalfTruncate);
        self.remove(start, last.index + 1)?;
        self.shared.flusher.sync().await?;
        hold(Failpoint::AfterTruncate);
        self.state().last = last_log_id.max(purged);
        Ok(())
    }

    /// Not flushed: entries that come back after a crash are left over, and removed at the next start.
    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        hold(Failpoint::BeforePurge);
        self.put(PURGED, &codec::log_id_to_pb(&log_id))?;
        hold(Failpoint::HalfPurge);
        {
            let mut state = self.state();
            state.purged = state.purged.max(Some(log_id));
            state.last = state.last.max(Some(log_id));
        }
        self.remove(0, log_id.index + 1)?;
        hold(Failpoint::AfterPurge);
        Ok(())
    }
}
