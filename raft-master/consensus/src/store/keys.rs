//! How an entry lies in the tree: several values of at most 4 KiB under `(index, part)`.
//!
//! sled moves a page above 128 KiB to a file of its own that it never syncs. A leaf page holds up to 16 values,
//! so small values keep every page inside the log file that we sync.
use dm_proto::peer as pb;
use prost::Message;

use crate::{
    codec,
    envelope::{self, Damage},
    types::Entry,
};

/// Bytes of one part; with its envelope it stays under 4 KiB.
const PART: usize = 4000;

/// `(index, part)` as a key: order of keys is order of the log.
pub fn key(index: u64, part: u16) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

/// Index and part of a key.
pub fn split(key: &[u8]) -> Option<(u64, u16)> {
    let (index, part) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*index), u16::from_be_bytes(part.try_into().ok()?)))
}

/// Adds an entry to a batch. The first part starts with the length of the whole.
pub fn insert(batch: &mut sled::Batch, entry: &Entry) -> Result<(), std::io::Error> {
    let message = codec::entry_to_pb(entry);
    let mut body = Vec::with_capacity(4 + message.encoded_len());
    let length = u32::try_from(message.encoded_len()).map_err(std::io::Error::other)?;
    body.extend_from_slice(&length.to_be_bytes());
    message.encode(&mut body).map_err(std::io::Error::other)?;
    for (part, bytes) in body.chunks(PART).enumerate() {
        let part = u16::try_from(part).map_err(|_| std::io::Error::other("entry of more than 250 MB"))?;
        let key = key(entry.log_id.index, part);
        batch.insert(&key, envelope::seal(&key, bytes));
    }
    Ok(())
}

/// Why the log in the store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDamage {
    /// A key of another shape.
    #[error("a key that is none of ours")]
    Key,
    /// A value that is damaged.
    #[error("log entry {index}: {damage}")]
    Value {
        /// Of the entry.
        index: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// An entry whose parts don't add up.
    #[error("log entry {index}: {what}")]
    Entry {
        /// Of the entry.
        index: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// Puts entries together from consecutive parts.
#[derive(Default)]
pub struct Assembler {
    index: u64,
    next_part: u16,
    length: usize,
    body: Vec<u8>,
}

impl Assembler {
    /// Takes the next value in key order; returns the entry that it completes.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Entry>, LogDamage> {
        let (index, part) = split(key).ok_or(LogDamage::Key)?;
        let wrong = |what: &str| LogDamage::Entry { index, what: what.to_owned() };
        let bytes = envelope::open(key, value).map_err(|damage| LogDamage::Value { index, damage })?;
        if part == 0 {
            self.finish()?;
            let (length, bytes) = bytes.split_first_chunk::<4>().ok_or_else(|| wrong("no length"))?;
            self.length = u32::from_be_bytes(*length) as usize;
            self.index = index;
            self.body.extend_from_slice(bytes);
        } else if self.next_part != part || self.index != index {
            return Err(wrong("a part is missing"));
        } else {
            self.body.extend_from_slice(bytes);
        }
        self.next_part = part.checked_add(1).ok_or_else(|| wrong("too many parts"))?;
        if self.body.len() < self.length {
            return Ok(None);
        }
        if self.body.len() > self.length {
            return Err(wrong("longer than it says"));
        }
        let message = pb::Entry::decode(self.body.as_slice()).map_err(|error| wrong(&error.to_string()))?;
        let entry = codec::entry_from_pb(message).map_err(|error| wrong(&error.to_string()))?;
        if entry.log_id.index != index {
            return Err(wrong("stored under another index"));
        }
        *self = Self::default();
        Ok(Some(entry))
    }

    /// Checks that nothing is left over.
    pub fn finish(&self) -> Result<(), LogDamage> {
        match self.next_part {
            0 => Ok(()),
            _ => Err(LogDamage::Entry { index: self.index, what: "its end is missing".into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::types::{Command, log_id};

    #[test]
    fn keys_sort_like_the_log() {
        assert!(key(1, 9) < key(2, 0) && key(255, 0) < key(256, 0) && key(7, 1) < key(7, 256));
        assert_eq!(split(&key(7, 3)), Some((7, 3)));
        assert_eq!(split(b"short"), None);
    }

    #[test]
    fn entries_of_every_size_come_back_and_gaps_are_found() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let tree = db.open_tree("log").unwrap();
        let sizes = [0, 1, 3980, 4000, 4001, 8000, 200 * 1024];
        let mut batch = sled::Batch::default();
        for (index, size) in sizes.iter().enumerate() {
            let payload = EntryPayload::Normal(Command(vec![7; *size]));
            insert(&mut batch, &Entry { log_id: log_id(1, index as u64), payload }).unwrap();
        }
        tree.apply_batch(batch).unwrap();
        let read = |tree: &sled::Tree| -> Result<Vec<Entry>, LogDamage> {
            let mut assembler = Assembler::default();
            let mut entries = Vec::new();
            for pair in tree.iter() {
                let (key, value) = pair.unwrap();
                assert!(value.len() <= 4096);
                entries.extend(assembler.push(&key, &value)?);
            }
            assembler.finish()?;
            Ok(entries)
        };
        let found: Vec<usize> = read(&tree)
            .unwrap()
            .into_iter()
            .map(|entry| match entry.payload {
                EntryPayload::Normal(command) => command.0.len(),
                _ => usize::MAX,
            })
            .collect();
        assert_eq!(found, sizes);
        tree.remove(key(6, 10)).unwrap();
        assert!(read(&tree).is_err());
        tree.remove(key(5, 1)).unwrap();
        assert!(read(&tree).is_err());
    }
}
