//! The log of a simulation: in memory, with a disk that forgets what was not flushed when the machine stops.
//!
//! It keeps the promises of [`super::LogStore`] at the same places (what waits for a flush, what rides on the next
//! one) and nothing of sled, whose threads cannot be simulated; sled has tests of its own.
mod log;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Debug,
    io,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use log::Log;
use openraft::storage::IOFlushed;
use tokio::sync::{Notify, oneshot};

use crate::types::{Entry, LogId, TypeConfig, Vote};

#[derive(Debug, Clone, Default)]
struct Image {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
    purged: Option<LogId>,
    committed: Option<LogId>,
}

impl Image {
    fn last(&self) -> Option<LogId> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id).max(self.purged)
    }
}

enum Job {
    Append(IOFlushed<TypeConfig>),
    Sync(oneshot::Sender<()>),
}

#[derive(Default)]
struct Disk {
    /// What a power failure leaves.
    durable: Image,
    /// What has been written.
    now: Image,
    jobs: VecDeque<Job>,
    /// Longest time of a flush.
    slowest: Duration,
    vote_not_flushed: bool,
}

/// One member's log; it outlives the member's process.
#[derive(Clone, Default)]
pub struct MemoryLog {
    disk: Arc<Mutex<Disk>>,
    work: Arc<Notify>,
}

impl Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

impl MemoryLog {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a flush takes at most.
    pub fn set_slowest(&self, slowest: Duration) {
        self.disk().slowest = slowest;
    }

    /// Breaks a promise, to prove that the simulation notices: a vote is given, and no flush makes it durable.
    pub fn break_vote(&self) {
        self.disk().vote_not_flushed = true;
    }

    /// The process has ended; with `power_lost` everything that was not flushed is gone.
    pub fn crash(&self, power_lost: bool) {
        let mut disk = self.disk();
        disk.jobs.clear();
        if power_lost {
            disk.now = disk.durable.clone();
        }
    }

    /// `(index, term, checksum)` of every entry that a power failure would leave.
    pub fn durable(&self) -> Vec<(u64, u64, u32)> {
        let of = |entry: &Entry| {
            let text = format!("{:?}", entry.payload);
            let body = match &entry.payload {
                openraft::EntryPayload::Normal(command) => command.0.as_slice(),
                _ => text.as_bytes(),
            };
            (entry.log_id.index, entry.log_id.leader_id.term, crc32fast::hash(body))
        };
        self.disk().durable.entries.values().map(of).collect()
    }

    fn open(&self) {
        {
            let mut disk = self.disk();
            disk.jobs.clear();
            // What a former life wrote counts as durable from now on, as in the real store.
            disk.durable = disk.now.clone();
        }
        tokio::spawn(self.clone().flush_for_ever());
    }

    /// The flusher: one flush at a time, for all that was written before it began.
    async fn flush_for_ever(self) {
        loop {
            let (jobs, image, slowest) = {
                let mut disk = self.disk();
                (std::mem::take(&mut disk.jobs), disk.now.clone(), disk.slowest)
            };
            if jobs.is_empty() {
                self.work.notified().await;
                continue;
            }
            let most = u64::try_from(slowest.as_micros()).unwrap_or(u64::MAX);
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..=most))).await;
            let mut disk = self.disk();
            let vote = disk.durable.vote;
            disk.durable = image;
            if disk.vote_not_flushed {
                disk.durable.vote = vote;
            }
            drop(disk);
            for job in jobs {
                match job {
                    Job::Append(callback) => callback.io_completed(Ok(())),
                    // A receiver that is gone does not care.
                    Job::Sync(done) => drop(done.send(())),
                }
            }
        }
    }

    fn submit(&self, job: Job) {
        self.disk().jobs.push_back(job);
        self.work.notify_one();
    }

    async fn sync(&self) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.submit(Job::Sync(done));
        wait.await.map_err(io::Error::other)
    }

    fn read(&self, from: Bound<u64>, to: Bound<u64>, most: usize) -> Vec<Entry> {
        let empty = match (from, to) {
            (Bound::Included(a), Bound::Excluded(b)) => a >= b,
            (Bound::Included(a), Bound::Included(b)) => a > b,
            _ => false,
        };
        if empty {
            return Vec::new();
        }
        self.disk().now.entries.range((from, to)).take(most).map(|(_, entry)| entry.clone()).collect()
    }
}
