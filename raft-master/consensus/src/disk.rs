//! Small file operations: durable, and closed to others.
use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use dm_failpoints::{Failpoint, hold};

/// Access for the owner alone: log and snapshots hold the passwords of sources and targets.
const PRIVATE: u32 = 0o700;

/// Runs work that waits for the disk on a thread where that is allowed.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> io::Result<R> {
    // A simulation has one thread, and files that answer at once.
    #[cfg(feature = "simulation")]
    if dm_proto::net::simulation::active() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Makes a folder that is closed to others, unless it is there already.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(PRIVATE).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        other => other,
    }
}

/// Closes a folder to others.
pub fn close_to_others(dir: &Path) -> io::Result<()> {
    match fs::metadata(dir)?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => fs::set_permissions(dir, Permissions::from_mode(PRIVATE)),
    }
}

/// Makes the names in a folder durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces `dir/name` by `bytes` so that after a crash either the old or the new content is there, whole.
pub fn replace(dir: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    drop(file);
    hold(Failpoint::BeforeRename);
    fs::rename(&temporary, dir.join(name))?;
    sync_dir(dir)
}
