//! A small file beside the log store that knows the newest vote and the durable tail of the log.
//!
//! The log store may drop a damaged suffix without saying so; this file is how that is noticed. Four slots of
//! 4 KiB: vote A/B and tail A/B. A vote is durable before it counts. The tail is written after the log is
//! durable, so it never runs ahead of it; it is synced once a second and before it is lowered. Between two
//! syncs only one slot of a pair is written, so at most one can be torn.
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::types::{LogId, Vote, log_id};

const SLOT: usize = 4096;
const TAIL_SYNC: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct VoteRecord {
    seq: u64,
    node_id: u64,
    cluster_id: Option<String>,
    /// Term, node voted for, committed.
    vote: Option<(u64, u64, bool)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TailRecord {
    seq: u64,
    node_id: u64,
    /// Term and index of the last entry known durable.
    tail: Option<(u64, u64)>,
}

/// The open file.
#[derive(Debug)]
pub struct Sentinel {
    file: File,
    vote: VoteRecord,
    tail: TailRecord,
    /// Which slot of the pair (0 or 1) the next record goes to.
    vote_slot: usize,
    tail_slot: usize,
    tail_synced: Instant,
}

impl Sentinel {
    /// Makes the file of a new data directory.
    pub fn create(path: &Path, node_id: u64) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(4 * SLOT as u64)?;
        let vote = VoteRecord { seq: 1, node_id, cluster_id: None, vote: None };
        let tail = TailRecord { seq: 1, node_id, tail: None };
        write_slot(&file, 0, &vote)?;
        write_slot(&file, 2, &tail)?;
        file.sync_all()
    }

    /// Opens the file; an error of kind `InvalidData` means that it can't be trusted.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let (vote, vote_slot) = newest(&file, 0, |record: &VoteRecord| record.seq)?;
        let (tail, tail_slot) = newest(&file, 2, |record: &TailRecord| record.seq)?;
        if vote.node_id != tail.node_id {
            return Err(damaged("its parts belong to different nodes"));
        }
        Ok(Self { file, vote, tail, vote_slot, tail_slot, tail_synced: Instant::now() })
    }

    /// The node this file was made for.
    pub fn node_id(&self) -> u64 {
        self.vote.node_id
    }

    /// The cluster it belongs to, once it does.
    pub fn cluster_id(&self) -> Option<&str> {
        self.vote.cluster_id.as_deref()
    }

    /// The newest vote it knows.
    pub fn vote(&self) -> Option<Vote> {
        self.vote.vote.map(|(term, node, committed)| match committed {
            true => Vote::new_committed(term, node),
            false => Vote::new(term, node),
        })
    }

    /// The last log entry known to be durable.
    pub fn tail(&self) -> Option<LogId> {
        self.tail.tail.map(|(term, index)| log_id(term, index))
    }

    /// Makes a vote durable.
    pub fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.vote.vote = Some((vote.leader_id.term, vote.leader_id.voted_for, vote.committed));
        self.write_vote()
    }

    /// Makes the cluster durable.
    pub fn save_cluster(&mut self, cluster_id: &str) -> io::Result<()> {
        self.vote.cluster_id = Some(cluster_id.to_owned());
        self.write_vote()
    }

    fn write_vote(&mut self) -> io::Result<()> {
        self.vote.seq += 1;
        write_slot(&self.file, self.vote_slot, &self.vote)?;
        self.file.sync_data()?;
        self.vote_slot ^= 1;
        Ok(())
    }

    /// Notes that the log is durable up to `tail`.
    pub fn raise_tail(&mut self, tail: LogId) -> io::Result<()> {
        self.write_tail(Some(tail))?;
        if self.tail_synced.elapsed() >= TAIL_SYNC {
            self.sync_tail()?;
        }
        Ok(())
    }

    /// Makes durable that the log, as it was found at a start, counts as durable up to `tail`.
    pub fn found_tail(&mut self, tail: LogId) -> io::Result<()> {
        if self.tail() < Some(tail) {
            self.write_tail(Some(tail))?;
            self.sync_tail()?;
        }
        Ok(())
    }

    /// Makes durable that entries behind `tail` no longer count, before they are removed.
    pub fn lower_tail(&mut self, tail: Option<LogId>) -> io::Result<()> {
        if self.tail() > tail {
            self.write_tail(tail)?;
            self.sync_tail()?;
        }
        Ok(())
    }

    fn write_tail(&mut self, tail: Option<LogId>) -> io::Result<()> {
        self.tail.tail = tail.map(|id| (id.leader_id.term, id.index));
        self.tail.seq += 1;
        write_slot(&self.file, 2 + self.tail_slot, &self.tail)
    }

    fn sync_tail(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.tail_slot ^= 1;
        self.tail_synced = Instant::now();
        Ok(())
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the sentinel file is damaged: {what}"))
}

fn write_slot<T: Serialize>(file: &File, slot: usize, record: &T) -> io::Result<()> {
    let body = serde_json::to_vec(record).map_err(io::Error::other)?;
    let length = u16::try_from(body.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(6 + body.len());
    bytes.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    file.write_all_at(&bytes, (slot * SLOT) as u64)
}

fn read_slot<T: DeserializeOwned>(file: &File, slot: usize) -> io::Result<Option<T>> {
    let mut bytes = vec![0; SLOT];
    match file.read_exact_at(&mut bytes, (slot * SLOT) as u64) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged("it is too short")),
        other => other?,
    }
    let length = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    let Some(body) = bytes.get(6..6 + length) else { return Ok(None) };
    if crc32fast::hash(body).to_be_bytes() != bytes[..4] {
        return Ok(None);
    }
    Ok(serde_json::from_slice(body).ok())
}

/// The newest valid record of a pair of slots, and which slot to write next.
fn newest<T: DeserializeOwned>(file: &File, base: usize, seq: impl Fn(&T) -> u64) -> io::Result<(T, usize)> {
    match (read_slot::<T>(file, base)?, read_slot::<T>(file, base + 1)?) {
        (None, None) => Err(damaged("no slot of a pair is valid")),
        (Some(a), None) => Ok((a, 1)),
        (None, Some(b)) => Ok((b, 0)),
        (Some(a), Some(b)) if seq(&a) >= seq(&b) => Ok((a, 1)),
        (Some(_), Some(b)) => Ok((b, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_records_survive_and_one_torn_slot_falls_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sentinel");
        Sentinel::create(&path, 7).unwrap();
        let mut sentinel = Sentinel::open(&path).unwrap();
        assert_eq!((sentinel.node_id(), sentinel.vote(), sentinel.tail()), (7, None, None));
        sentinel.save_vote(&Vote::new(1, 7)).unwrap();
        sentinel.save_vote(&Vote::new_committed(2, 9)).unwrap();
        sentinel.save_cluster("c").unwrap();
        sentinel.raise_tail(log_id(2, 10)).unwrap();
        sentinel.lower_tail(Some(log_id(2, 20))).unwrap();
        assert_eq!(sentinel.tail(), Some(log_id(2, 10)), "never raised by lowering");
        sentinel.lower_tail(Some(log_id(1, 5))).unwrap();
        let again = Sentinel::open(&path).unwrap();
        assert_eq!(again.vote(), Some(Vote::new_committed(2, 9)));
        assert_eq!(again.cluster_id(), Some("c"));
        assert_eq!(again.tail(), Some(log_id(1, 5)));
        // The newest vote slot torn: the older one counts (the log store has the vote too).
        let newest_slot = again.vote_slot ^ 1;
        again.file.write_all_at(b"garbage", (newest_slot * SLOT) as u64).unwrap();
        assert_eq!(Sentinel::open(&path).unwrap().vote(), Some(Vote::new_committed(2, 9)));
        again.file.write_all_at(b"garbage", ((newest_slot ^ 1) * SLOT) as u64).unwrap();
        assert_eq!(Sentinel::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
