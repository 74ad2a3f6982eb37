//! What this worker has obeyed: the greatest (term, revision) of one cluster, kept over restarts.
use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Mutex,
};

use dm_failpoints::{Failpoint, hold};
use dm_proto::worker::Authority;
use serde::{Deserialize, Serialize};
use tracing::warn;

const FILE_NAME: &str = "authority.json";

/// Why a message of a master was not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(
        "this worker belongs to cluster {ours}, the message came from cluster {theirs}; a worker changes its \
         cluster only with an empty data-dir"
    )]
    ForeignCluster { ours: String, theirs: String },
    #[error(
        "stale authority: term {term} revision {revision} is smaller than the obeyed term {seen_term} revision {seen_revision}"
    )]
    Stale { term: u64, revision: u64, seen_term: u64, seen_revision: u64 },
    #[error("the message carries no authority")]
    Missing,
    #[error("cannot store the authority in the data-dir: {0}")]
    Disk(#[from] io::Error),
}

/// The stored form. Field names are part of the data-dir format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    cluster_id: String,
    term: u64,
    revision: u64,
}

/// The authority file of a data-dir. Nothing is obeyed before it is on disk here.
#[derive(Debug)]
pub struct AuthorityStore {
    path: PathBuf,
    state: Mutex<Stored>,
}

impl AuthorityStore {
    /// Reads the store of a data-dir, which is created when absent.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        make_private(data_dir)?;
        let path = data_dir.join(FILE_NAME);
        let state = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged: {e}", path.display()))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(e) => return Err(e),
        };
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// The greatest authority seen, `None` before the first one.
    pub fn seen(&self) -> Option<Authority> {
        let state = self.lock();
        (!state.cluster_id.is_empty()).then(|| Authority {
            cluster_id: state.cluster_id.clone(),
            term: state.term,
            revision: state.revision,
        })
    }

    /// Accepts an authority that is at least as great as everything obeyed so far, and makes it durable first.
    pub fn admit(&self, authority: Option<&Authority>) -> Result<(), Refused> {
        let Some(new) = authority.filter(|a| !a.cluster_id.is_empty()) else { return Err(Refused::Missing) };
        let mut state = self.lock();
        if !state.cluster_id.is_empty() && state.cluster_id != new.cluster_id {
            return Err(Refused::ForeignCluster {
                ours: state.cluster_id.clone(),
                theirs: new.cluster_id.clone(),
            });
        }
        let (old, greatest) = ((state.term, state.revision), (new.term, new.revision));
        #[cfg(feature = "simulation")]
        let old = if crate::simulation::stale_obeyed() { (0, 0) } else { old };
        if !state.cluster_id.is_empty() && greatest < old {
            return Err(Refused::Stale {
                term: new.term,
                revision: new.revision,
                seen_term: state.term,
                seen_revision: state.revision,
            });
        }
        if greatest > old || state.cluster_id.is_empty() {
            let next = Stored { cluster_id: new.cluster_id.clone(), term: new.term, revision: new.revision };
            hold(Failpoint::BeforeAuthority);
            store(&self.path, &next)?;
            hold(Failpoint::AfterAuthority);
            *state = next;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stored> {
        // A panic while holding the lock can't leave a half-written value: it is assigned whole.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Makes a data-dir that is closed to other users, or closes one that is there.
fn make_private(data_dir: &Path) -> io::Result<()> {
    const PRIVATE: u32 = 0o700;
    if !data_dir.is_dir() {
        if let Some(parent) = data_dir.parent() {
            fs::create_dir_all(parent)?;
        }
        return DirBuilder::new().mode(PRIVATE).create(data_dir);
    }
    if fs::metadata(data_dir)?.permissions().mode() & 0o077 != 0
        && let Err(error) = fs::set_permissions(data_dir, Permissions::from_mode(PRIVATE))
    {
        // A mounted volume may belong to somebody else.
        warn!(path = %data_dir.display(), %error, "the data-dir stays open to other users");
    }
    Ok(())
}

/// Writes beside, syncs, renames, syncs the folder: after a crash the file is the old or the new one, whole.
fn store(path: &Path, value: &Stored) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&beside)?;
    file.write_all(&serde_json::to_vec(value).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(cluster: &str, term: u64, revision: u64) -> Authority {
        Authority { cluster_id: cluster.to_owned(), term, revision }
    }

    #[test]
    fn smaller_and_foreign_authorities_are_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = AuthorityStore::open(dir.path()).unwrap();
        assert!(store.seen().is_none());
        store.admit(Some(&authority("c", 2, 10))).unwrap();
        store.admit(Some(&authority("c", 2, 10))).unwrap();
        store.admit(Some(&authority("c", 3, 4))).unwrap();
        let store = AuthorityStore::open(dir.path()).unwrap();
        assert_eq!(store.seen(), Some(authority("c", 3, 4)));
        assert!(matches!(store.admit(Some(&authority("c", 2, 99))), Err(Refused::Stale { .. })));
        assert!(matches!(store.admit(Some(&authority("c", 3, 3))), Err(Refused::Stale { .. })));
        assert!(matches!(store.admit(Some(&authority("d", 9, 9))), Err(Refused::ForeignCluster { .. })));
        assert!(matches!(store.admit(None), Err(Refused::Missing)));
        assert_eq!(store.seen(), Some(authority("c", 3, 4)));
    }

    #[test]
    fn a_data_dir_is_closed_to_other_users() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new").join("w1");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        AuthorityStore::open(&path).unwrap();
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        AuthorityStore::open(&path).unwrap();
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_first_start() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE_NAME), b"{\"cluster_id\":").unwrap();
        assert!(AuthorityStore::open(dir.path()).is_err());
    }
}
