//! Which family of servers wrote the binlog.

use std::fmt;
use std::str::FromStr;

/// The family of the server that wrote the binlog; the two differ in GTIDs and in some events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavor {
    /// MySQL and what follows its formats (Percona, TiDB's downstream view).
    MySql,
    /// MariaDB.
    MariaDb,
}

impl Flavor {
    /// The flavor told by a server's `@@version` text or by a format description event.
    pub fn from_version(version: &str) -> Self {
        if version.to_ascii_lowercase().contains("mariadb") { Self::MariaDb } else { Self::MySql }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        })
    }
}

/// A flavor name other than `mysql` and `mariadb`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown flavor {0:?}: it must be \"mysql\" or \"mariadb\"")]
pub struct UnknownFlavor(pub String);

impl FromStr for Flavor {
    type Err = UnknownFlavor;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_lowercase().as_str() {
            "mysql" => Ok(Self::MySql),
            "mariadb" => Ok(Self::MariaDb),
            _ => Err(UnknownFlavor(s.to_owned())),
        }
    }
}
