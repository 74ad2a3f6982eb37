//! Privileges of the connected account, read from `SHOW GRANTS`.
use std::collections::BTreeSet;

use mysql_async::{Conn, prelude::Queryable};

/// What the account may do everywhere, and whether more may come from roles that are not expanded here.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grants {
    global: BTreeSet<String>,
    /// Privileges on one schema or table only.
    partial: BTreeSet<String>,
    roles: bool,
}

impl Grants {
    pub async fn read(conn: &mut Conn) -> Result<Self, mysql_async::Error> {
        let lines: Vec<String> = conn.query("SHOW GRANTS").await?;
        Ok(Self::parse(lines.iter().map(String::as_str)))
    }

    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut grants = Self::default();
        for line in lines {
            let Some(rest) = line.strip_prefix("GRANT ") else { continue };
            let Some((privileges, object)) = rest.split_once(" ON ") else {
                grants.roles = true;
                continue;
            };
            let set = if object.starts_with("*.*") { &mut grants.global } else { &mut grants.partial };
            // Column lists such as SELECT (a, b) are no grant of the table.
            set.extend(privileges.split(',').map(|p| p.trim().to_ascii_uppercase()));
        }
        grants
    }

    /// Granted everywhere, under any of these names.
    pub fn global(&self, names: &[&str]) -> bool {
        let all = self.global.contains("ALL PRIVILEGES") || self.global.contains("ALL");
        all || names.iter().any(|n| self.global.contains(*n))
    }

    /// Granted everywhere or on something.
    pub fn somewhere(&self, names: &[&str]) -> bool {
        let all = self.partial.contains("ALL PRIVILEGES") || self.partial.contains("ALL");
        self.global(names) || all || names.iter().any(|n| self.partial.contains(*n))
    }

    /// Roles could hold what is not seen.
    pub fn roles(&self) -> bool {
        self.roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_servers_forms_are_understood() {
        let grants = Grants::parse(
            [
                "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*X'",
                "GRANT SELECT ON `db`.* TO `u`@`%`",
            ]
            .into_iter(),
        );
        assert!(grants.global(&["REPLICATION SLAVE", "REPLICATION REPLICA"]));
        assert!(grants.global(&["REPLICATION CLIENT", "BINLOG MONITOR"]));
        assert!(!grants.global(&["SELECT"]) && grants.somewhere(&["SELECT"]));
        assert!(!grants.roles());
        let root = Grants::parse(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"].into_iter());
        assert!(root.global(&["RELOAD"]));
        assert!(Grants::parse(["GRANT `r`@`%` TO `u`@`%`"].into_iter()).roles());
    }
}
