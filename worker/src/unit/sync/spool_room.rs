//! The worker's room on disk for transactions that are too large for memory.
//!
//! Files are written and read a quarter of a MiB at a time where their events pass: that is a copy to or from the system's
//! cache, and threads that only wait for it would each keep memory.
use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dm_proto::error::{Code, Scope};

use crate::failure::Failure;

/// Events of one transaction that are held in memory until its commit is read, in bytes.
pub const MEMORY_BYTES: u64 = 16 << 20;

/// One subtask's part of the room that all subtasks of the process share.
#[derive(Debug, Default)]
pub struct SpoolRoom {
    dir: PathBuf,
    /// Bytes that all subtasks together may take.
    limit: u64,
    memory: u64,
    /// Taken by all subtasks.
    total: Arc<AtomicU64>,
    /// Taken by this one.
    own: Arc<AtomicU64>,
}

impl SpoolRoom {
    /// `total` counts for the whole process, `own` for whoever shows it.
    pub fn new(dir: PathBuf, limit: u64, memory: u64, total: Arc<AtomicU64>, own: Arc<AtomicU64>) -> Self {
        Self { dir, limit, memory, total, own }
    }

    /// What one transaction may take in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.memory
    }

    /// A file without a name.
    pub fn file(&self) -> Result<File, Failure> {
        tempfile::tempfile_in(&self.dir).map_err(|e| self.broken(&e))
    }

    /// Takes bytes of the room.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn take(&self, bytes: u64) -> Result<(), Failure> {
        let free = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        match self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free) {
            Ok(_) => {
                self.own.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => Err(self.full(&format!(
                "all tasks of this worker hold {} MiB of them, {} MiB are allowed",
                used >> 20,
                self.limit >> 20
            ))),
        }
    }

    pub fn give_back(&self, bytes: u64) {
        self.total.fetch_sub(bytes, Ordering::Relaxed);
        self.own.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn full(&self, why: &str) -> Failure {
        Failure::new(
            Code::SpoolFull,
            format!(
                "events of a transaction whose commit was not read yet can't be kept in {}: {why}; nothing of it was applied",
                self.dir.display()
            ),
        )
        .scope(Scope::Internal)
    }

    /// The file can't be written or read.
    pub fn broken(&self, error: &io::Error) -> Failure {
        self.full("the disk refuses").cause(error)
    }
}
