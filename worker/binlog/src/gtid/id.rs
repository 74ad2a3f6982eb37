//! One global transaction id.

use std::fmt;

use super::parse::{number, number_u32, uuid, write_uuid};
use super::{GtidParseError, Tag};
use crate::Flavor;

/// The source id of a MySQL GTID: the `server_uuid` of the server where the transaction began.
pub type Sid = [u8; 16];

/// One global transaction id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gtid {
    /// `uuid:gno` or `uuid:tag:gno`.
    MySql {
        /// `server_uuid` of the first server.
        sid: Sid,
        /// Tag, mostly empty.
        tag: Tag,
        /// Sequence number, from 1.
        gno: u64,
    },
    /// `domain-server-seq`.
    MariaDb {
        /// Replication domain: an independent stream of transactions.
        domain: u32,
        /// `server_id` of the first server.
        server: u32,
        /// Sequence number in the domain.
        seq: u64,
    },
}

impl Gtid {
    /// The flavor of this id.
    pub fn flavor(&self) -> Flavor {
        match self {
            Self::MySql { .. } => Flavor::MySql,
            Self::MariaDb { .. } => Flavor::MariaDb,
        }
    }

    /// Parses the server's text of one id.
    pub fn parse(flavor: Flavor, text: &str) -> Result<Self, GtidParseError> {
        let text = text.trim();
        match flavor {
            Flavor::MySql => {
                let mut parts = text.split(':').map(str::trim);
                let sid = uuid(parts.next().unwrap_or_default())?;
                let second = parts
                    .next()
                    .ok_or_else(|| GtidParseError::new(text, "the sequence number is missing"))?;
                let (tag, gno) = match parts.next() {
                    Some(third) => (Tag::new(second)?, number(third)?),
                    None => (Tag::NONE, number(second)?),
                };
                if parts.next().is_some() || gno == 0 {
                    return Err(GtidParseError::new(text, "one transaction id was expected"));
                }
                Ok(Self::MySql { sid, tag, gno })
            }
            Flavor::MariaDb => {
                let mut parts = text.split('-');
                let (Some(domain), Some(server), Some(seq), None) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return Err(GtidParseError::new(text, "the form is domain-server-sequence"));
                };
                Ok(Self::MariaDb {
                    domain: number_u32(domain)?,
                    server: number_u32(server)?,
                    seq: number(seq)?,
                })
            }
        }
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { sid, tag, gno } => {
                write_uuid(f, sid)?;
                if !tag.is_empty() {
                    write!(f, ":{tag}")?;
                }
                write!(f, ":{gno}")
            }
            Self::MariaDb { domain, server, seq } => write!(f, "{domain}-{server}-{seq}"),
        }
    }
}
