//! How one source transaction is named.

use std::cmp::Ordering;
use std::fmt;

use dm_binlog::{Flavor, Gtid};

/// How the transactions of a source are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// MySQL GTIDs (also tagged ones).
    MySqlGtid,
    /// MariaDB GTIDs; the source must run with `gtid_strict_mode`.
    MariaDbGtid,
    /// File and position of the commit event.
    Position,
}

/// The name of one source transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TxnId {
    /// By GTID.
    Gtid(Gtid),
    /// By the end of its commit event.
    Position {
        /// Counts the starts given by a person and the changes of GTID mode.
        generation: u64,
        /// Binlog file of the commit event.
        file: String,
        /// `log_pos` of the commit event (its end).
        pos: u64,
    },
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid(gtid) => write!(f, "{gtid}"),
            Self::Position { generation, file, pos } => write!(f, "{generation}/{file}:{pos}"),
        }
    }
}

impl TxnId {
    /// Parses the text that [`fmt::Display`] writes.
    pub fn parse(mode: Mode, text: &str) -> Option<Self> {
        match mode {
            Mode::MySqlGtid => Gtid::parse(Flavor::MySql, text).ok().map(Self::Gtid),
            Mode::MariaDbGtid => Gtid::parse(Flavor::MariaDb, text).ok().map(Self::Gtid),
            Mode::Position => {
                let (generation, rest) = text.split_once('/')?;
                let (file, pos) = rest.rsplit_once(':')?;
                Some(Self::Position {
                    generation: generation.parse().ok()?,
                    file: file.to_owned(),
                    pos: pos.parse().ok()?,
                })
            }
        }
    }
}

/// Order of binlog files: base name aside, numbers compare as numbers (999999 < 1000000).
pub(crate) fn compare_files(a: &str, b: &str) -> Ordering {
    match (split_file(a), split_file(b)) {
        (Some((base_a, num_a)), Some((base_b, num_b))) => num_a.cmp(&num_b).then_with(|| base_a.cmp(base_b)),
        _ => a.cmp(b),
    }
}

fn split_file(name: &str) -> Option<(&str, u64)> {
    let (base, number) = name.rsplit_once('.')?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((base, number.parse().ok()?))
}
