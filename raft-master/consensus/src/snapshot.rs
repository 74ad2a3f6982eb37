//! Snapshot files: `[magic][header length][header CRC][header][data]`, the data's CRC in the header. The two
//! newest generations are kept.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dm_failpoints::{Failpoint, hold};
use dm_proto::peer as pb;
use prost::Message;

use crate::{
    codec, disk,
    types::{LogId, SnapshotData, SnapshotMeta},
};

const MAGIC: &[u8; 8] = b"RDMSNAP1";
const SUFFIX: &str = ".snapshot";
const GENERATIONS: usize = 2;

/// The folder of snapshot files.
#[derive(Debug, Clone)]
pub struct SnapshotFolder {
    path: PathBuf,
}

/// A snapshot read back and checked.
#[derive(Debug)]
pub struct Stored {
    pub meta: SnapshotMeta,
    pub cluster_id: String,
    pub data: SnapshotData,
}

impl SnapshotFolder {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Writes a snapshot durably, then removes generations that are too old.
    pub fn write(&self, meta: &SnapshotMeta, cluster_id: &str, data: &[u8]) -> io::Result<()> {
        let header = codec::snapshot_meta_to_pb(meta, cluster_id, data).encode_to_vec();
        let length = u32::try_from(header.len()).map_err(io::Error::other)?.to_be_bytes();
        let crc = crc32fast::hash(&header).to_be_bytes();
        let name = file_name(meta.last_log_id.as_ref());
        hold(Failpoint::BeforeSnapshot);
        disk::replace(&self.path, &name, &[MAGIC, &length, &crc, &header, data])?;
        hold(Failpoint::AfterSnapshot);
        for (_, path) in self.files()?.into_iter().skip(GENERATIONS) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// The newest snapshot that is intact, and what was wrong with newer ones.
    pub fn newest(&self) -> io::Result<(Option<Stored>, Vec<String>)> {
        let mut complaints = Vec::new();
        for (name, path) in self.files()? {
            match read(&path) {
                Ok(stored) => return Ok((Some(stored), complaints)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    complaints.push(format!("{name}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((None, complaints))
    }

    /// All snapshot files, the newest first.
    fn files(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(SUFFIX) {
                files.push((name, entry.path()));
            }
        }
        files.sort_by(|a, b| b.cmp(a));
        Ok(files)
    }
}

/// Names sort by index, then term.
fn file_name(id: Option<&LogId>) -> String {
    let (term, index) = id.map_or((0, 0), |id| (id.leader_id.term, id.index));
    format!("{index:020}-{term:020}{SUFFIX}")
}

fn read(path: &Path) -> io::Result<Stored> {
    let bytes = SnapshotData::from(fs::read(path)?);
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map(u32::from_be_bytes).ok_or_else(|| bad("too short"))
    };
    if bytes.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(bad("not a snapshot file of this version"));
    }
    let (length, crc) = (word(8)? as usize, word(12)?);
    let header = bytes.get(16..16 + length).ok_or_else(|| bad("too short"))?;
    if crc32fast::hash(header) != crc {
        return Err(bad("the header's checksum does not match"));
    }
    let header = pb::SnapshotMeta::decode(header).map_err(|error| bad(&error.to_string()))?;
    let data = bytes.slice(16 + length..);
    check_data(&header, &data).map_err(bad)?;
    let cluster_id = header.cluster_id.clone();
    let meta = codec::snapshot_meta_from_pb(header).map_err(|error| bad(&error.to_string()))?;
    Ok(Stored { meta, cluster_id, data })
}

/// Whether data is what its header says, from a file or from the network.
pub fn check_data(header: &pb::SnapshotMeta, data: &[u8]) -> Result<(), &'static str> {
    if header.data_bytes != data.len() as u64 {
        return Err("the length of the data does not match");
    }
    if header.data_crc != crc32fast::hash(data) {
        return Err("the checksum of the data does not match");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{StoredMembership, log_id};

    fn meta(index: u64) -> SnapshotMeta {
        SnapshotMeta { last_log_id: Some(log_id(1, index)), last_membership: StoredMembership::default() }
    }

    #[test]
    fn two_generations_are_kept_and_damage_falls_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = SnapshotFolder::new(dir.path().to_owned());
        assert!(folder.newest().unwrap().0.is_none());
        for index in [5, 50, 500] {
            folder.write(&meta(index), "c", format!("data {index}").as_bytes()).unwrap();
        }
        let files = folder.files().unwrap();
        assert_eq!(files.len(), 2);
        let (stored, complaints) = folder.newest().unwrap();
        let stored = stored.unwrap();
        assert_eq!(
            (stored.meta, stored.cluster_id.as_str(), &stored.data[..]),
            (meta(500), "c", &b"data 500"[..])
        );
        assert!(complaints.is_empty());
        let intact = fs::read(&files[0].1).unwrap();
        for bit in 0..intact.len() * 8 {
            let mut bad = intact.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&files[0].1, bad).unwrap();
            let (stored, complaints) = folder.newest().unwrap();
            assert_eq!(stored.unwrap().meta, meta(50), "bit {bit}");
            assert_eq!(complaints.len(), 1);
        }
    }
}
