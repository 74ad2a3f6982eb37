//! Opening the log store, and deciding whether it may be believed.
use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use dm_proto::peer as pb;
use prost::Message;

use super::{Sentinel, keys::Assembler};
use crate::{
    StartError, codec, disk, envelope,
    stamp::{DataDir, REMEDY},
    types::{LogId, Vote},
};

pub const VOTE: &[u8] = b"vote";
pub const PURGED: &[u8] = b"purged";
pub const COMMITTED: &[u8] = b"committed";
/// sled lets go of its lock a moment after the last handle is dropped.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// sled's parts.
#[derive(Debug, Clone)]
pub struct Trees {
    pub db: sled::Db,
    pub log: sled::Tree,
    pub meta: sled::Tree,
}

/// What the store holds, checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    /// The last entry, or `purged` when there is none.
    pub last: Option<LogId>,
}

impl Trees {
    fn open(path: &Path) -> sled::Result<Self> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(64 << 20)
            .mode(sled::Mode::HighThroughput)
            // Durability is our flusher's business; sled's thread only tidies up.
            .flush_every_ms(Some(1000));
        let db = config.open()?;
        Ok(Self { log: db.open_tree("log")?, meta: db.open_tree("meta")?, db })
    }

    /// The message under `key` in the metadata.
    pub fn meta<T: Message + Default>(&self, key: &[u8]) -> io::Result<Option<T>> {
        let Some(value) = self.meta.get(key).map_err(io::Error::other)? else { return Ok(None) };
        let name = String::from_utf8_lossy(key);
        let bad = |what: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {what}"))
        };
        let body = envelope::open(key, &value).map_err(|damage| bad(&damage))?;
        T::decode(body).map(Some).map_err(|error| bad(&error))
    }

    /// Reads everything once.
    fn scan(&self) -> Result<Found, String> {
        let text = |error: io::Error| error.to_string();
        let vote = self.meta::<pb::Vote>(VOTE).map_err(text)?;
        let vote = vote.map(|vote| codec::vote_from_pb(Some(vote))).transpose().map_err(|e| e.to_string())?;
        let purged = self.meta::<pb::LogId>(PURGED).map_err(text)?.map(codec::log_id_from_pb);
        self.meta::<pb::LogId>(COMMITTED).map_err(text)?;
        let mut assembler = Assembler::default();
        let mut last: Option<LogId> = None;
        for pair in self.log.iter() {
            let (key, value) = pair.map_err(|error| error.to_string())?;
            let Some(entry) = assembler.push(&key, &value).map_err(|e| e.to_string())? else { continue };
            let id = entry.log_id;
            match last {
                Some(before) if id.index != before.index + 1 => {
                    return Err(format!("log entries {} to {} are missing", before.index + 1, id.index - 1));
                }
                Some(before) if id.leader_id < before.leader_id => {
                    return Err(format!("the term of log entry {} is lower than that before it", id.index));
                }
                None if id.index > purged.map_or(0, |purged| purged.index + 1) => {
                    return Err(format!("log entries before {} are missing", id.index));
                }
                _ => last = Some(id),
            }
        }
        assembler.finish().map_err(|e| e.to_string())?;
        // Entries up to `purged` may be left over from a purge that was cut off.
        let last = last.max(purged);
        Ok(Found { vote, purged, last })
    }

    fn id_at(&self, index: u64) -> Result<Option<LogId>, String> {
        let mut assembler = Assembler::default();
        for pair in self.log.range(super::keys::key(index, 0)..super::keys::key(index + 1, 0)) {
            let (key, value) = pair.map_err(|error| error.to_string())?;
            if let Some(entry) = assembler.push(&key, &value).map_err(|e| e.to_string())? {
                return Ok(Some(entry.log_id));
            }
        }
        Ok(None)
    }
}

/// Makes an empty store.
pub fn create(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    let trees = Trees::open(path).map_err(io::Error::other)?;
    trees.db.flush().map_err(io::Error::other)?;
    drop(trees);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    disk::sync_dir(path)
}

/// sled panics on some kinds of damage; that too only means that the store can't be used.
fn unpanicked<R>(what: &str, f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("{what} panicked: {}", text.unwrap_or_default())
    })
}

fn open_trees(path: &Path) -> Result<Trees, StartError> {
    let started = Instant::now();
    // Half-written index snapshots of sled; it would take one for a finished one after a kill.
    let entries = fs::read_dir(path).map_err(|error| StartError::io("reading the log folder", error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(|error| StartError::io("removing a left-over", error))?;
        }
    }
    loop {
        let opened = unpanicked("opening the log store", || Trees::open(path));
        let error = match opened.map_err(|text| damaged(path, &text))? {
            Ok(trees) => return Ok(trees),
            Err(sled::Error::Io(error)) => error,
            Err(error) => return Err(damaged(path, &error.to_string())),
        };
        let text = error.to_string();
        if text.contains("acquire lock") {
            if started.elapsed() > LOCK_WAIT {
                return Err(StartError::InUse(path.display().to_string()));
            }
            // Our own lock is held already, so it is a former life of this process that is letting go.
            std::thread::sleep(Duration::from_millis(20));
        } else if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::StorageFull {
            return Err(StartError::io("opening the log store", error));
        } else {
            return Err(damaged(path, &text));
        }
    }
}

fn damaged(path: &Path, what: &str) -> StartError {
    StartError::Refused(format!("the log in {} is damaged: {what}. {REMEDY}", path.display()))
}

/// Opens the store of a data directory and compares it with what the sentinel knows.
pub fn open(dir: &DataDir) -> Result<(Trees, Sentinel, File, Found), StartError> {
    let path = dir.path().join("log");
    let refused = |what: String| StartError::Refused(format!("{what} in {}. {REMEDY}", dir.path().display()));
    let sentinel = Sentinel::open(&dir.path().join("sentinel")).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => refused(error.to_string()),
        _ => StartError::io("reading the sentinel file", error),
    })?;
    let stamp = dir.stamp();
    if sentinel.node_id() != stamp.node_id {
        return Err(refused("member.json and the sentinel file belong to different nodes".into()));
    }
    // The stamp is written first, so only the sentinel may lag.
    if sentinel.cluster_id().is_some() && sentinel.cluster_id() != stamp.cluster_id.as_deref() {
        return Err(refused("member.json and the sentinel file belong to different clusters".into()));
    }
    let trees = open_trees(&path)?;
    let scanned = unpanicked("reading the log", || trees.scan());
    let mut found = scanned.and_then(|found| found).map_err(|text| damaged(&path, &text))?;
    let file =
        File::open(path.join("db")).map_err(|error| StartError::io("opening the log's file", error))?;

    if let Some(tail) = sentinel.tail() {
        let lost =
            |what: String| damaged(&path, &format!("entry {} was acknowledged, but {what}", tail.index));
        match found.last {
            Some(last) if last.index >= tail.index => {}
            last => return Err(lost(format!("the log ends at {:?}", last.map(|last| last.index)))),
        }
        if found.purged.is_none_or(|purged| purged.index < tail.index) {
            let there = unpanicked("reading the log", || trees.id_at(tail.index));
            match there.and_then(|id| id).map_err(|text| damaged(&path, &text))? {
                Some(id) if id == tail => {}
                _ => return Err(lost("another entry is in its place".into())),
            }
        }
    }
    found.vote = match (found.vote, sentinel.vote()) {
        (Some(a), Some(b)) => match a.partial_cmp(&b) {
            Some(std::cmp::Ordering::Less) => Some(b),
            Some(_) => Some(a),
            None => return Err(refused(format!("there are two votes of one term, {a} and {b},"))),
        },
        (a, b) => a.or(b),
    };
    Ok((trees, sentinel, file, found))
}
