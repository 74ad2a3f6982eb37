//! The machine under test: an append-only list of what was applied.
use dm_consensus::{Incompatible, Machine, RestoreError};

/// A command that no version understands.
pub const POISON: &[u8] = b"from the future";

/// What was applied, in order, as (length, checksum) of each command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ledger {
    pub entries: Vec<(u32, u32)>,
}

/// How a command is remembered.
pub fn mark(command: &[u8]) -> (u32, u32) {
    (command.len() as u32, crc32fast::hash(command))
}

impl Machine for Ledger {
    fn apply(&mut self, _index: u64, command: &[u8]) -> Result<Vec<u8>, Incompatible> {
        if command == POISON {
            return Err(Incompatible::new("kind 99"));
        }
        self.entries.push(mark(command));
        Ok((self.entries.len() as u64).to_be_bytes().to_vec())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.entries.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat()).collect()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        if !snapshot.len().is_multiple_of(8) {
            return Err(RestoreError::new("odd length"));
        }
        let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
        self.entries = snapshot.chunks(8).map(|pair| (word(&pair[..4]), word(&pair[4..]))).collect();
        Ok(())
    }
}
