//! A set of GTIDs of either flavor.

use std::fmt;

use super::{Gtid, GtidParseError, MariaDbGtidPos, MySqlGtidSet};
use crate::Flavor;

/// A set of GTIDs of one flavor. Operations on two sets or a set and an id of different flavors
/// never happen in one stream: they answer "not contained" and change nothing (asserted in debug).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GtidSet {
    /// MySQL: intervals per source.
    MySql(MySqlGtidSet),
    /// MariaDB: one last transaction per domain.
    MariaDb(MariaDbGtidPos),
}

impl GtidSet {
    /// The empty set.
    pub fn new(flavor: Flavor) -> Self {
        match flavor {
            Flavor::MySql => Self::MySql(MySqlGtidSet::default()),
            Flavor::MariaDb => Self::MariaDb(MariaDbGtidPos::default()),
        }
    }

    /// Parses the server's text; the empty text is the empty set.
    pub fn parse(flavor: Flavor, text: &str) -> Result<Self, GtidParseError> {
        Ok(match flavor {
            Flavor::MySql => Self::MySql(MySqlGtidSet::parse(text)?),
            Flavor::MariaDb => Self::MariaDb(MariaDbGtidPos::parse(text)?),
        })
    }

    /// The flavor of the set.
    pub fn flavor(&self) -> Flavor {
        match self {
            Self::MySql(_) => Flavor::MySql,
            Self::MariaDb(_) => Flavor::MariaDb,
        }
    }

    /// Whether no id is in the set.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(pos) => pos.is_empty(),
        }
    }

    /// Whether the id is in the set.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        match (self, gtid) {
            (Self::MySql(set), Gtid::MySql { sid, tag, gno }) => set.contains(sid, tag, *gno),
            (Self::MariaDb(pos), Gtid::MariaDb { domain, seq, .. }) => pos.contains(*domain, *seq),
            _ => false,
        }
    }

    /// Adds one id (on MariaDB: everything up to it in its domain).
    pub fn add(&mut self, gtid: &Gtid) {
        match (self, gtid) {
            (Self::MySql(set), Gtid::MySql { sid, tag, gno }) => {
                set.add_interval(*sid, tag.clone(), *gno, *gno);
            }
            (Self::MariaDb(pos), Gtid::MariaDb { domain, server, seq }) => pos.add(*domain, *server, *seq),
            _ => debug_assert!(false, "a GTID of another flavor"),
        }
    }

    /// Adds all ids of `other`.
    pub fn union(&mut self, other: &Self) {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.union(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.union(b),
            _ => debug_assert!(other.is_empty(), "a GTID set of another flavor"),
        }
    }

    /// Removes all ids of `other`. On MariaDB: drops the domains where `other` is as far.
    pub fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.subtract(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.subtract(b),
            _ => debug_assert!(other.is_empty(), "a GTID set of another flavor"),
        }
    }

    /// Whether every id of this set is in `other`.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MySql(a), Self::MySql(b)) => a.is_subset_of(b),
            (Self::MariaDb(a), Self::MariaDb(b)) => a.is_subset_of(b),
            _ => self.is_empty(),
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(pos) => pos.fmt(f),
        }
    }
}
