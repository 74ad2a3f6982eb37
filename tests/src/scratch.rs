//! Scratch folders and the cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result};

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Where things are kept between runs (database templates, the MySQL root): `RAFT_DM_CACHE`, or
/// `$HOME/.cache/raft-dm`.
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("RAFT_DM_CACHE") {
        return PathBuf::from(dir);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/raft-dm")
}

/// A folder of one test's own, removed when dropped; kept, and its path printed, when the test panics, when
/// [`Scratch::keep`] was called or when `RAFT_DM_KEEP=1`.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: AtomicBool,
}

impl Scratch {
    /// A new folder in the system's temporary folder (`TMPDIR`); `what` becomes part of its name.
    pub fn new(what: &str) -> Result<Self> {
        Self::new_in(&std::env::temp_dir(), what)
    }

    /// A new folder in `base`.
    pub fn new_in(base: &Path, what: &str) -> Result<Self> {
        fs::create_dir_all(base).with_context(|| format!("cannot create {}", base.display()))?;
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("raft-dm-{}-{serial}-{what}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep: AtomicBool::new(false) }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).with_context(|| format!("cannot create {}", path.display())),
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder when this value is dropped.
    pub fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let keep = self.keep.load(Ordering::Relaxed)
            || std::thread::panicking()
            || std::env::var_os("RAFT_DM_KEEP").is_some_and(|v| v != "0" && !v.is_empty());
        if keep {
            // A later sweep of what dead test processes left behind spares folders with this mark.
            let marked = fs::write(self.path.join(".keep"), b"");
            eprintln!(
                "kept: {}{}",
                self.path.display(),
                if marked.is_ok() { "" } else { " (unmarked: a later run may remove it)" }
            );
        } else if let Err(e) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {e}", self.path.display());
        }
    }
}

/// Removes the scratch folders in `base` whose test process is gone and that nobody asked to keep.
pub(crate) fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix("raft-dm-")) else { continue };
        let Some(pid) = rest.split('-').next().and_then(|p| p.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() && !entry.path().join(".keep").exists() {
            // Another test process may be sweeping too; whatever stays is taken next time.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
