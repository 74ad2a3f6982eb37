//! Group commit: one thread makes whatever has been written durable, then tells everybody in order.
use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
};

use dm_failpoints::{Failpoint, hold};
use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::{Sentinel, Watch};
use crate::{
    FatalError,
    fatal::Fatality,
    types::{LogId, TypeConfig},
};

/// Jobs that wait for the disk; the engine itself bounds the bytes behind them.
const QUEUE: usize = 16 * 1024;
/// Jobs made durable by one flush.
const GROUP: usize = 1024;

/// What to do once everything written so far is durable.
pub enum Job {
    /// Entries up to `tail` were written.
    Append { callback: IOFlushed<TypeConfig>, tail: LogId },
    /// Something else was written.
    Sync(oneshot::Sender<io::Result<()>>),
    /// End the thread, after the jobs before it.
    Stop,
}

/// The thread's parts.
pub struct Durable {
    pub db: sled::Db,
    /// sled's file, opened by ourselves: its own flush does not reach the disk on Linux.
    pub file: File,
    pub sentinel: Arc<Mutex<Sentinel>>,
    pub watch: Watch,
    pub fatality: Fatality,
}

impl Durable {
    /// Makes everything written so far durable.
    pub fn flush(&self) -> io::Result<()> {
        let flush = || self.db.flush();
        match catch_unwind(AssertUnwindSafe(flush)) {
            Ok(result) => result.map_err(io::Error::other)?,
            Err(_) => return Err(io::Error::other("the log store panicked while flushing")),
        };
        self.file.sync_data()
    }

    /// The sentinel, for as long as the guard lives.
    pub fn sentinel(&self) -> MutexGuard<'_, Sentinel> {
        self.sentinel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, tail: Option<LogId>) -> io::Result<()> {
        if tail.is_some() {
            hold(Failpoint::BeforeFlush);
        }
        self.watch.time(|| {
            self.flush()?;
            let Some(tail) = tail else { return Ok(()) };
            hold(Failpoint::AfterFlush);
            self.sentinel().raise_tail(tail)?;
            hold(Failpoint::AfterAppend);
            Ok(())
        })
    }

    fn run(self, jobs: &mpsc::Receiver<Job>) {
        // Once a sync failed nothing is known about the disk any more: it is never tried again.
        let mut failed: Option<(io::ErrorKind, String)> = None;
        loop {
            let Ok(first) = jobs.recv() else { return };
            let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(GROUP)).collect();
            if failed.is_none() {
                let tail = group.iter().rev().find_map(|job| match job {
                    Job::Append { tail, .. } => Some(*tail),
                    _ => None,
                });
                if let Err(error) = self.commit(tail) {
                    self.fatality.raise(FatalError::Storage(format!("making the log durable: {error}")));
                    failed = Some((error.kind(), error.to_string()));
                }
            }
            let result = || match &failed {
                None => Ok(()),
                Some((kind, text)) => Err(io::Error::new(*kind, text.clone())),
            };
            let mut stop = false;
            for job in group {
                match job {
                    Job::Append { callback, .. } => callback.io_completed(result()),
                    // A receiver that is gone does not care.
                    Job::Sync(done) => drop(done.send(result())),
                    Job::Stop => stop = true,
                }
            }
            if stop {
                return;
            }
        }
    }
}

/// The running thread.
#[derive(Debug)]
pub struct Flusher {
    jobs: mpsc::SyncSender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flusher {
    pub fn start(durable: Durable) -> io::Result<Self> {
        let (sender, jobs) = mpsc::sync_channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("raft-flush".into()).spawn(move || durable.run(&jobs))?;
        Ok(Self { jobs: sender, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a job; never blocks.
    pub fn submit(&self, job: Job) -> io::Result<()> {
        self.jobs
            .try_send(job)
            .map_err(|_| io::Error::other("the log's flush thread has ended or is too far behind"))
    }

    /// Waits until everything written so far is durable.
    pub async fn sync(&self) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.submit(Job::Sync(done))?;
        wait.await.map_err(|_| io::Error::other("the log's flush thread has ended"))?
    }

    /// Ends the thread after the jobs in its queue. Blocks for as long as the disk does.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Blocking is right here: the queue may be full. An error says that the thread has ended.
            self.jobs.send(Job::Stop).ok();
            if thread.join().is_err() {
                tracing::error!("the log's flush thread had panicked");
            }
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}
