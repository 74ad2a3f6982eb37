//! How to reach a source and where to start.

use std::fmt;
use std::time::Duration;

use dm_binlog::{Flavor, GtidSet};

/// A password that does not appear in logs and errors.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where the stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAt {
    /// After all transactions of this set.
    Gtid(GtidSet),
    /// At an event's position in a file; 4 is the first event. An empty file name is the first file.
    Position {
        /// File name.
        file: String,
        /// Byte offset, at most 4 GiB: the protocol has no more bits.
        pos: u64,
    },
}

/// What a [`crate::BinlogClient`] needs.
#[derive(Debug, Clone)]
pub struct ReplicationConfig {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User, with REPLICATION SLAVE.
    pub user: String,
    /// Its password.
    pub password: Password,
    /// Our id among the source's replicas: not 0, not the source's, not another replica's.
    pub server_id: u32,
    /// What the source must be.
    pub flavor: Flavor,
    /// How often an idle source shows that it lives.
    pub heartbeat: Duration,
    /// Silence after which the connection counts as lost; at least twice the heartbeat makes sense.
    pub read_timeout: Duration,
    /// Limit of connecting, authenticating and asking for the stream, together.
    pub connect_timeout: Duration,
    /// Where to begin.
    pub start: StartAt,
}
