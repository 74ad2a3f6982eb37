//! Which server is behind the source's address, and how it names transactions.
use std::collections::BTreeMap;

use dm_binlog::Flavor;
use dm_proto::error::Scope;
use mysql_async::{Conn, prelude::Queryable};

use crate::failure::{Failure, from_mysql};

const VARIABLES: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_id', 'server_uuid', \
     'server_uid', 'gtid_mode', 'gtid_strict_mode', 'gtid_executed', 'gtid_binlog_pos', 'gtid_domain_id', 'log_bin', \
     'binlog_format', 'binlog_row_image', \
     'lower_case_table_names', 'innodb_native_foreign_keys')";

/// Variables of the server that decide how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceIdentity {
    pub flavor: Flavor,
    pub version: String,
    pub server_id: u32,
    variables: BTreeMap<String, String>,
}

impl SourceIdentity {
    pub async fn read(conn: &mut Conn) -> Result<Self, Failure> {
        let rows: Vec<(String, String)> = conn
            .query(VARIABLES)
            .await
            .map_err(|e| from_mysql(&e, Scope::Upstream, "fail to read the variables of the source"))?;
        Ok(Self::of(rows))
    }

    /// From variables and their values.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let version = variables.get("version").cloned().unwrap_or_default();
        let flavor = if version.to_lowercase().contains("mariadb") { Flavor::MariaDb } else { Flavor::MySql };
        let server_id = variables.get("server_id").and_then(|v| v.parse().ok()).unwrap_or(0);
        Self { flavor, version, server_id, variables }
    }

    /// Value of a variable, empty when the server has no such variable.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.variable(name).to_ascii_uppercase().as_str(), "ON" | "1" | "ON_PERMISSIVE")
    }

    /// Name of the server itself, the same for its whole life and no other server's.
    pub fn text(&self) -> String {
        match self.flavor {
            Flavor::MySql => format!("mysql:{}", self.variable("server_uuid")),
            // The uid came with later releases; the id alone is the best an older server tells.
            Flavor::MariaDb => format!("mariadb:{}:{}", self.server_id, self.variable("server_uid")),
        }
    }

    /// True when every transaction of this server's binlog has a GTID that we can rely on.
    pub fn has_gtids(&self) -> bool {
        match self.flavor {
            Flavor::MySql => self.variable("gtid_mode").eq_ignore_ascii_case("ON"),
            Flavor::MariaDb => self.is_on("gtid_strict_mode"),
        }
    }

    /// True when changes of foreign keys' rules (ON DELETE CASCADE and such) are in the binlog: the engine carries them
    /// out unseen before MySQL 9.6, and on MariaDB.
    pub fn logs_cascades(&self) -> bool {
        let number: Vec<u32> = self.version.split(['.', '-']).map_while(|p| p.parse().ok()).take(2).collect();
        self.flavor == Flavor::MySql
            && number.as_slice() >= [9, 6].as_slice()
            && !self.is_on("innodb_native_foreign_keys")
    }

    /// Everything in its binlog so far, as the server writes it.
    pub fn executed_gtids(&self) -> String {
        let name = match self.flavor {
            Flavor::MySql => "gtid_executed",
            Flavor::MariaDb => "gtid_binlog_pos",
        };
        self.variable(name).replace(['\n', ' '], "")
    }

    /// Table names of the source differ by letter case.
    pub fn case_sensitive(&self) -> bool {
        self.variable("lower_case_table_names") == "0"
    }
}
