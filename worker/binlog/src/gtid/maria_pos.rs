//! A MariaDB GTID position.

use std::collections::BTreeMap;
use std::fmt;

use super::{Gtid, GtidParseError};
use crate::Flavor;

/// A MariaDB GTID position: per domain the last transaction, which stands for everything up to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MariaDbGtidPos {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaDbGtidPos {
    /// Parses the server's text, e.g. `0-11-60,7-99-2`. When a domain is named twice (as in
    /// `gtid_binlog_state`) the greater sequence number counts.
    pub fn parse(text: &str) -> Result<Self, GtidParseError> {
        let mut pos = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            if let Gtid::MariaDb { domain, server, seq } = Gtid::parse(Flavor::MariaDb, part)? {
                pos.add(domain, server, seq);
            }
        }
        Ok(pos)
    }

    /// Whether no domain has a position.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Whether the position has reached this sequence number of the domain.
    pub fn contains(&self, domain: u32, seq: u64) -> bool {
        self.domains.get(&domain).is_some_and(|(_, last)| *last >= seq)
    }

    /// Moves the domain forward to this transaction; never back.
    pub fn add(&mut self, domain: u32, server: u32, seq: u64) {
        let slot = self.domains.entry(domain).or_insert((server, seq));
        if slot.1 <= seq {
            *slot = (server, seq);
        }
    }

    /// Takes the further position of each domain.
    pub fn union(&mut self, other: &Self) {
        for (domain, (server, seq)) in &other.domains {
            self.add(*domain, *server, *seq);
        }
    }

    /// Drops the domains in which `other` has got as far or further.
    pub fn subtract(&mut self, other: &Self) {
        self.domains.retain(|domain, (_, seq)| !other.contains(*domain, *seq));
    }

    /// Whether `other` has got as far or further in every domain.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.domains.iter().all(|(domain, (_, seq))| other.contains(*domain, *seq))
    }

    /// The last transaction of a domain.
    pub fn last_of(&self, domain: u32) -> Option<Gtid> {
        self.domains.get(&domain).map(|(server, seq)| Gtid::MariaDb { domain, server: *server, seq: *seq })
    }

    /// The last transaction of every domain.
    pub fn iter(&self) -> impl Iterator<Item = Gtid> + '_ {
        self.domains.iter().map(|(d, (s, n))| Gtid::MariaDb { domain: *d, server: *s, seq: *n })
    }
}

impl fmt::Display for MariaDbGtidPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, gtid) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{gtid}")?;
        }
        Ok(())
    }
}
