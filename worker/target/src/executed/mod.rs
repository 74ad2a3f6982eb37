//! The executed set: which source transactions are applied.

mod mariadb;
mod position;

use std::fmt;

use dm_binlog::{Flavor, Gtid, GtidSet};

pub use mariadb::MariaDbExecuted;
pub use position::PositionExecuted;

use crate::error::TargetError;
use crate::txn::{Mode, TxnId};

/// Which source transactions are applied: *membership, never order*.
///
/// MySQL GTIDs: exactly the members. MariaDB: per domain everything up to a `low`, and explicit members above it.
/// Positions: everything up to a `low` and explicit members above it, within one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutedSet {
    /// MySQL GTIDs.
    MySql(GtidSet),
    /// MariaDB GTIDs.
    MariaDb(MariaDbExecuted),
    /// Positions.
    Position(PositionExecuted),
}

/// Where to start reading the source: before the first hole of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumePoint {
    /// Ask the server for everything that is not in this set.
    Gtid(GtidSet),
    /// Read from here; None = nothing is executed, the caller knows where the start is.
    Position(Option<(String, u64)>),
}

impl ExecutedSet {
    /// The empty set.
    pub fn empty(mode: Mode, generation: u64) -> Self {
        match mode {
            Mode::MySqlGtid => Self::MySql(GtidSet::new(Flavor::MySql)),
            Mode::MariaDbGtid => Self::MariaDb(MariaDbExecuted::default()),
            Mode::Position => Self::Position(PositionExecuted::new(generation)),
        }
    }

    /// Everything in the server's own set (a snapshot's GTID set, a start given by a person).
    pub fn from_gtid_set(set: GtidSet) -> Self {
        match set {
            GtidSet::MySql(_) => Self::MySql(set),
            GtidSet::MariaDb(pos) => Self::MariaDb(MariaDbExecuted::up_to(pos)),
        }
    }

    /// Everything up to a position, in the given generation.
    pub fn up_to_position(generation: u64, file: &str, pos: u64) -> Self {
        Self::Position(PositionExecuted::up_to(generation, file, pos))
    }

    /// How its members are named.
    pub fn mode(&self) -> Mode {
        match self {
            Self::MySql(_) => Mode::MySqlGtid,
            Self::MariaDb(_) => Mode::MariaDbGtid,
            Self::Position(_) => Mode::Position,
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(set) => set.is_empty(),
            Self::Position(set) => set.is_empty(),
        }
    }

    /// Whether the transaction is applied. A name of another mode or generation never is.
    pub fn contains(&self, txn: &TxnId) -> bool {
        match (self, txn) {
            (Self::MySql(set), TxnId::Gtid(gtid)) => set.contains(gtid),
            (Self::MariaDb(set), TxnId::Gtid(Gtid::MariaDb { domain, server, seq })) => {
                set.contains(*domain, *server, *seq)
            }
            (Self::Position(set), TxnId::Position { generation, file, pos }) => {
                set.contains(*generation, file, *pos)
            }
            _ => false,
        }
    }

    /// Adds exactly this transaction.
    pub fn insert(&mut self, txn: &TxnId) -> Result<(), TargetError> {
        match (self, txn) {
            (Self::MySql(set), TxnId::Gtid(gtid @ Gtid::MySql { .. })) => set.add(gtid),
            (Self::MariaDb(set), TxnId::Gtid(Gtid::MariaDb { domain, server, seq })) => {
                set.insert(*domain, *server, *seq);
            }
            (Self::Position(set), TxnId::Position { generation, file, pos })
                if *generation == set.generation() =>
            {
                set.insert(file, *pos);
            }
            (set, txn) => return Err(wrong_kind(set, txn)),
        }
        Ok(())
    }

    /// Adds this transaction when it and everything before it in the source's order is applied, so that the explicit
    /// list can be short.
    pub fn advance(&mut self, txn: &TxnId) -> Result<(), TargetError> {
        match (self, txn) {
            (Self::MariaDb(set), TxnId::Gtid(Gtid::MariaDb { domain, server, seq })) => {
                set.advance(*domain, *server, *seq);
            }
            (Self::Position(set), TxnId::Position { generation, file, pos })
                if *generation == set.generation() =>
            {
                set.advance(file, *pos);
            }
            (set, txn) => return set.insert(txn),
        }
        Ok(())
    }

    /// The transaction is prepared and not decided, or a DDL that later ones pass: it is a hole, which the set's low mark does
    /// not hide until the transaction joins. `start` is where it begins in the binlog.
    pub fn hold(&mut self, txn: &TxnId, start: (&str, u64)) -> Result<(), TargetError> {
        match (self, txn) {
            // Exactly the members: a hole is one by itself.
            (Self::MySql(_), TxnId::Gtid(Gtid::MySql { .. })) => {}
            (Self::MariaDb(set), TxnId::Gtid(Gtid::MariaDb { domain, seq, .. })) => set.hold(*domain, *seq),
            (Self::Position(set), TxnId::Position { generation, file, pos })
                if *generation == set.generation() =>
            {
                set.hold(file, *pos, start);
            }
            (set, txn) => return Err(wrong_kind(set, txn)),
        }
        Ok(())
    }

    /// Adds everything of another set. Of two generations the younger one stays alone.
    pub fn merge(&mut self, other: &Self) -> Result<(), TargetError> {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.union(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.merge(b),
            (Self::Position(a), Self::Position(b)) => a.merge(b),
            (_, b) if b.is_empty() => {}
            (a, b) => {
                return Err(TargetError::Misuse {
                    message: format!(
                        "cannot merge an executed set of {:?} with one of {:?}",
                        a.mode(),
                        b.mode()
                    ),
                });
            }
        }
        Ok(())
    }

    /// Drops the explicit members that `covered` contains.
    pub fn prune(&mut self, covered: &Self) {
        match (self, covered) {
            (Self::MySql(a), Self::MySql(b)) => a.subtract(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.prune(b),
            (Self::Position(a), Self::Position(b)) => a.prune(b),
            _ => {}
        }
    }

    /// The part without explicit members above a hole: what may be the base of a watermark.
    pub fn without_explicit(&self) -> Self {
        match self {
            Self::MySql(_) => self.clone(),
            Self::MariaDb(set) => Self::MariaDb(set.low_only()),
            Self::Position(set) => Self::Position(set.low_only()),
        }
    }

    /// Where to start reading.
    pub fn resume_point(&self) -> ResumePoint {
        match self {
            Self::MySql(set) => ResumePoint::Gtid(set.clone()),
            Self::MariaDb(set) => ResumePoint::Gtid(GtidSet::MariaDb(set.low().clone())),
            Self::Position(set) => ResumePoint::Position(set.first_missing().map(|(f, p)| (f.to_owned(), p))),
        }
    }

    /// Parses the text that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let bad =
            |why: &str| TargetError::Corrupt { what: "an executed set".to_owned(), message: why.to_owned() };
        let (kind, rest) = text.split_once('=').ok_or_else(|| bad("it has no kind"))?;
        match kind {
            "mysql" => GtidSet::parse(Flavor::MySql, rest).map(Self::MySql).map_err(|e| bad(&format!("{e}"))),
            "mariadb" => MariaDbExecuted::parse(rest).map(Self::MariaDb).map_err(|e| bad(&e)),
            "position" => PositionExecuted::parse(rest).map(Self::Position).map_err(|e| bad(&e)),
            _ => Err(bad("its kind is unknown")),
        }
    }
}

fn wrong_kind(set: &ExecutedSet, txn: &TxnId) -> TargetError {
    TargetError::Misuse {
        message: format!("transaction {txn} does not belong to an executed set of {:?}", set.mode()),
    }
}

impl fmt::Display for ExecutedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => write!(f, "mysql={set}"),
            Self::MariaDb(set) => write!(f, "mariadb={set}"),
            Self::Position(set) => write!(f, "position={set}"),
        }
    }
}

#[cfg(test)]
mod tests;
