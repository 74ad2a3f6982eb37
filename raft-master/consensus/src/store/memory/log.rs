//! The real log or the simulated one, as the engine uses it.
use std::{
    fmt::Debug,
    fs, io,
    ops::{Bound, RangeBounds},
    path::Path,
};

use openraft::{
    OptionalSend,
    storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage},
};

use super::{Job, MemoryLog};
use crate::{
    ConsensusConfig, StartError,
    fatal::Fatality,
    stamp::DataDir,
    store::{LogStore, Watch},
    types::{Entry, LogId, TypeConfig, Vote},
};

/// Entries in one message to a follower.
const READ_MOST: usize = 64;

/// The log that a member of a build for simulations uses.
#[derive(Debug, Clone)]
pub enum Log {
    /// The real one.
    Sled(LogStore),
    /// The simulated one.
    Memory(MemoryLog),
}

impl Log {
    /// Opens the data directory and its log.
    pub fn open(config: &ConsensusConfig, fatality: &Fatality) -> Result<(DataDir, Self), StartError> {
        let Some(log) = &config.memory_log else {
            let dir = DataDir::open(&config.data_dir, &config.name)?;
            let store = LogStore::open(&dir, fatality.clone())?;
            return Ok((dir, Self::Sled(store)));
        };
        let nothing = |path: &Path| {
            fs::create_dir(path)?;
            fs::write(path.join("db"), b"")
        };
        let dir = DataDir::open_with(&config.data_dir, &config.name, nothing)?;
        log.open();
        Ok((dir, Self::Memory(log.clone())))
    }

    /// See [`LogStore::watches`].
    pub fn watches(&self) -> Vec<Watch> {
        match self {
            Self::Sled(store) => store.watches(),
            Self::Memory(_) => Vec::new(),
        }
    }

    /// See [`LogStore::save_cluster`].
    pub fn save_cluster(&self, cluster_id: &str) -> io::Result<()> {
        match self {
            Self::Sled(store) => store.save_cluster(cluster_id),
            Self::Memory(_) => Ok(()),
        }
    }

    /// See [`LogStore::ends`].
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        match self {
            Self::Sled(store) => store.ends(),
            Self::Memory(log) => {
                let disk = log.disk();
                (disk.now.last(), disk.now.purged)
            }
        }
    }

    /// See [`LogStore::close`].
    pub fn close(&self) {
        if let Self::Sled(store) = self {
            store.close();
        }
    }
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        match self {
            Self::Sled(store) => store.try_get_log_entries(range).await,
            Self::Memory(log) => {
                Ok(log.read(range.start_bound().cloned(), range.end_bound().cloned(), usize::MAX))
            }
        }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        match self {
            Self::Sled(store) => store.limited_get_log_entries(start, end).await,
            Self::Memory(log) => Ok(log.read(Bound::Included(start), Bound::Excluded(end), READ_MOST)),
        }
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        match self {
            Self::Sled(store) => store.read_vote().await,
            Self::Memory(log) => Ok(log.disk().now.vote),
        }
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let (last_log_id, last_purged_log_id) = self.ends();
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        match self {
            Self::Sled(store) => store.save_vote(vote).await,
            Self::Memory(log) => {
                let broken = {
                    let mut disk = log.disk();
                    disk.now.vote = Some(*vote);
                    disk.vote_not_flushed
                };
                if broken { Ok(()) } else { log.sync().await }
            }
        }
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        match self {
            Self::Sled(store) => store.save_committed(committed).await,
            Self::Memory(log) => {
                log.disk().now.committed = committed;
                Ok(())
            }
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        match self {
            Self::Sled(store) => store.read_committed().await,
            Self::Memory(log) => {
                let disk = log.disk();
                Ok(disk.now.committed.filter(|committed| Some(*committed) <= disk.now.last()))
            }
        }
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        match self {
            Self::Sled(store) => store.append(entries, callback).await,
            Self::Memory(log) => {
                let entries = entries.into_iter().map(|entry| (entry.log_id.index, entry));
                log.disk().now.entries.extend(entries);
                log.submit(Job::Append(callback));
                Ok(())
            }
        }
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        match self {
            Self::Sled(store) => store.truncate_after(last_log_id).await,
            Self::Memory(log) => {
                let start = last_log_id.map_or(0, |id| id.index + 1);
                log.disk().now.entries.split_off(&start);
                log.sync().await
            }
        }
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        match self {
            Self::Sled(store) => store.purge(log_id).await,
            Self::Memory(log) => {
                let mut disk = log.disk();
                disk.now.purged = disk.now.purged.max(Some(log_id));
                disk.now.entries = disk.now.entries.split_off(&(log_id.index + 1));
                Ok(())
            }
        }
    }
}
