//! Whose data directory this is: `member.json` and the lock on it.
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use dm_failpoints::{Failpoint, hold};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{StartError, disk, store::Sentinel};

const STAMP: &str = "member.json";
const FORMAT: u32 = 1;
/// What to do about a directory that must not be used.
pub const REMEDY: &str = "Remove this member (`dmctl offline-member --master --name NAME`), wipe its data directory, \
    and let it come back with --join and without --initial-cluster: it gets a new id. If a majority of members refuses, or \
    this is the only one, see docs/recovery.md.";

/// The content of `member.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Version of the directory's layout.
    pub format: u32,
    /// False while the directory is being made; nothing was promised to anybody yet.
    pub ready: bool,
    /// Identity of this directory.
    pub node_id: u64,
    /// Name of the member it was made for.
    pub name: String,
    /// The cluster it belongs to, once it does.
    pub cluster_id: Option<String>,
    /// Whether it has been a voter: from then on it never asks for admission again, as it may have been removed.
    #[serde(default)]
    pub joined: bool,
}

/// A locked data directory.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    stamp: Stamp,
    /// Held for its lock; none once released.
    lock: Option<File>,
}

impl DataDir {
    /// Locks the directory, makes it when it is new, and checks whose it is.
    pub fn open(path: &Path, name: &str) -> Result<Self, StartError> {
        Self::open_with(path, name, crate::store::create)
    }

    /// The same with another kind of log, which `make_log` makes.
    pub fn open_with(
        path: &Path,
        name: &str,
        make_log: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self, StartError> {
        let io = |what: &str| {
            let what = format!("{what} {}", path.display());
            move |error: io::Error| StartError::io(what, error)
        };
        disk::make_private_dir(path).map_err(io("making the data directory"))?;
        let lock = File::create(path.join("lock")).map_err(io("locking the data directory"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StartError::InUse(path.display().to_string()))?;
        if let Err(error) = disk::close_to_others(path) {
            // A mounted volume may belong to somebody else; the folders in it are ours.
            tracing::warn!(path = %path.display(), %error, "the data directory stays open to other users");
        }
        let text = match fs::read(path.join(STAMP)) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StartError::io("reading member.json", error)),
        };
        let refused = |what: String| StartError::Refused(format!("{what} in {}. {REMEDY}", path.display()));
        let remains = ["sentinel", "log", "snapshots"].iter().find(|part| path.join(part).exists());
        let stamp = match (text, remains) {
            (None, Some(part)) => return Err(refused(format!("there is `{part}` but no member.json"))),
            (None, None) => None,
            (Some(text), _) => {
                let stamp: Stamp = serde_json::from_slice(&text)
                    .map_err(|error| refused(format!("member.json is damaged ({error})")))?;
                if stamp.format != FORMAT {
                    return Err(refused(format!("the layout is of format {}, not {FORMAT},", stamp.format)));
                }
                // A directory that was never finished has promised nothing: start over, with a new identity.
                stamp.ready.then_some(stamp)
            }
        };
        let stamp = match stamp {
            Some(stamp) => stamp,
            None => Self::create(path, name, make_log).map_err(io("making the data directory"))?,
        };
        if stamp.name != name {
            return Err(refused(format!("the data belongs to member `{}`, not `{name}`,", stamp.name)));
        }
        for part in ["sentinel", "log/db", "snapshots"] {
            if !path.join(part).exists() {
                return Err(refused(format!("`{part}` is gone")));
            }
        }
        for part in ["log", "snapshots"] {
            disk::close_to_others(&path.join(part)).map_err(io("closing to other users a folder of"))?;
        }
        Ok(Self { path: path.to_owned(), stamp, lock: Some(lock) })
    }

    fn create(path: &Path, name: &str, make_log: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Stamp> {
        // 48 bits: unique enough for a handful of members, and exact in every JSON reader.
        let node_id = rand::random_range(1..1_u64 << 48);
        let mut stamp = Stamp {
            format: FORMAT,
            ready: false,
            node_id,
            name: name.to_owned(),
            cluster_id: None,
            joined: false,
        };
        write_stamp(path, &stamp)?;
        for (part, remove) in [
            ("sentinel", fs::remove_file as fn(PathBuf) -> io::Result<()>),
            ("log", fs::remove_dir_all),
            ("snapshots", fs::remove_dir_all),
        ] {
            match remove(path.join(part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::create_dir(path.join("snapshots"))?;
        Sentinel::create(&path.join("sentinel"), node_id)?;
        make_log(&path.join("log"))?;
        disk::sync_dir(path)?;
        hold(Failpoint::HalfMade);
        stamp.ready = true;
        write_stamp(path, &stamp)?;
        tracing::info!(path = %path.display(), node_id, "made a new data directory");
        Ok(stamp)
    }

    /// Records the cluster this directory belongs to from now on.
    pub fn adopt(&mut self, cluster_id: &str) -> io::Result<()> {
        self.restamp(Stamp { cluster_id: Some(cluster_id.to_owned()), ..self.stamp.clone() })
    }

    /// Records that this directory's member has become a voter.
    pub fn mark_joined(&mut self) -> io::Result<()> {
        self.restamp(Stamp { joined: true, ..self.stamp.clone() })
    }

    fn restamp(&mut self, stamp: Stamp) -> io::Result<()> {
        if self.lock.is_none() {
            return Err(io::Error::other("the data directory has been released"));
        }
        write_stamp(&self.path, &stamp)?;
        self.stamp = stamp;
        Ok(())
    }

    /// Lets go of the lock, at the very end.
    pub fn release(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        // By name, not just by closing: a child being forked at this moment holds the file for another moment.
        if let Err(error) = flock(&lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "unlocking the data directory");
        }
    }

    /// Whose directory it is.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        self.release();
    }
}

fn write_stamp(path: &Path, stamp: &Stamp) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(stamp).map_err(io::Error::other)?;
    hold(Failpoint::BeforeStamp);
    disk::replace(path, STAMP, &[&text, b"\n"])?;
    hold(Failpoint::AfterStamp);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_keeps_its_identity_and_refuses_others() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path(), "m1").unwrap();
        let id = first.stamp().node_id;
        assert!(matches!(DataDir::open(dir.path(), "m1"), Err(StartError::InUse(_))));
        drop(first);
        let mut again = DataDir::open(dir.path(), "m1").unwrap();
        assert_eq!(again.stamp().node_id, id);
        again.adopt("c").unwrap();
        drop(again);
        assert!(matches!(DataDir::open(dir.path(), "m2"), Err(StartError::Refused(_))));
        assert_eq!(DataDir::open(dir.path(), "m1").unwrap().stamp().cluster_id.as_deref(), Some("c"));
        fs::remove_file(dir.path().join("sentinel")).unwrap();
        assert!(matches!(DataDir::open(dir.path(), "m1"), Err(StartError::Refused(_))));
        fs::remove_file(dir.path().join(STAMP)).unwrap();
        assert!(matches!(DataDir::open(dir.path(), "m1"), Err(StartError::Refused(_))));
    }

    #[test]
    fn passwords_are_closed_to_other_users_also_in_a_directory_of_an_older_version() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("new").join("m1");
        let mode = |part: &str| fs::metadata(path.join(part)).unwrap().permissions().mode() & 0o777;
        drop(DataDir::open(&path, "m1").unwrap());
        assert_eq!(["", "log", "snapshots"].map(mode), [0o700; 3]);
        for part in ["", "log", "snapshots"] {
            fs::set_permissions(path.join(part), fs::Permissions::from_mode(0o755)).unwrap();
        }
        drop(DataDir::open(&path, "m1").unwrap());
        assert_eq!(["", "log", "snapshots"].map(mode), [0o700; 3]);
    }

    #[test]
    fn a_half_made_directory_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let stamp =
            Stamp { format: 1, ready: false, node_id: 5, name: "m1".into(), cluster_id: None, joined: false };
        write_stamp(dir.path(), &stamp).unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        assert_ne!(DataDir::open(dir.path(), "m1").unwrap().stamp().node_id, 5);
    }
}
