//! What a server is started with.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::template::inner_path;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// Oracle's MySQL.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl Flavor {
    /// Both.
    pub const ALL: [Self; 2] = [Self::MariaDb, Self::MySql];

    /// `mysql` or `mariadb`, as DM's source configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }
}

/// What a commit that was answered survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// A `kill -9`, not a power cut: written to the kernel at each commit, never synced
    /// (`innodb_flush_log_at_trx_commit=2`, `sync_binlog=0`).
    Relaxed,
    /// Not even a `kill -9`: up to a second of answered commits may be gone
    /// (`innodb_flush_log_at_trx_commit=0`, `sync_binlog=0`).
    Lossy,
    /// A power cut (`innodb_flush_log_at_trx_commit=1`, `sync_binlog=1`).
    Durable,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// GTIDs: MySQL `gtid_mode=ON` (else `OFF`), MariaDB `gtid_strict_mode=1` (else 0). On by default.
    pub gtid: bool,
    /// Whether there is a binlog (in ROW format with FULL images). On by default.
    pub binlog: bool,
    /// What a commit survives. `Relaxed` by default.
    pub flush: Flush,
    /// `server_id`; a random one by default.
    pub server_id: Option<u32>,
    /// More lines for the `[mysqld]` section of `my.cnf`; they come last and win.
    pub extra: Vec<String>,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { gtid: true, binlog: true, flush: Flush::Relaxed, server_id: None, extra: Vec::new() }
    }
}

impl DatabaseOptions {
    /// Adds a line to `my.cnf`.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.extra.push(line.into());
        self
    }
}

/// Writes `my.cnf` and the file that gives root a password into the server's folder.
pub(super) fn write(
    flavor: Flavor,
    options: &DatabaseOptions,
    server_id: u32,
    port: u16,
    dir: &Path,
) -> Result<()> {
    let inner = inner_path(flavor, dir)?;
    let inner = inner.display();
    fs::create_dir_all(dir.join("tmp"))?;
    // Simulated instead of native asynchronous I/O: many servers side by side exhaust the kernel's aio slots, and
    // a frozen server must have no write in flight.
    let mut lines = vec![
        "[mysqld]".to_owned(),
        format!("datadir={inner}/data"),
        // Its own: MariaDB removes everybody's temporary tables from the folder when it starts, and a server that
        // lost one under its feet fails statements or crashes.
        format!("tmpdir={inner}/tmp"),
        format!("socket={inner}/sock"),
        format!("pid-file={inner}/pid"),
        format!("log-error={inner}/error.log"),
        format!("init-file={inner}/init.sql"),
        format!("port={port}"),
        format!("server-id={server_id}"),
        "bind-address=127.0.0.1".to_owned(),
        "skip-name-resolve".to_owned(),
        "character-set-server=utf8mb4".to_owned(),
        "max-connections=400".to_owned(),
        // Instead of a day: whoever waits for a table that nobody lets go of is told so.
        "lock-wait-timeout=60".to_owned(),
        "max-allowed-packet=64M".to_owned(),
        "innodb-buffer-pool-size=96M".to_owned(),
        "innodb-use-native-aio=0".to_owned(),
        "performance-schema=OFF".to_owned(),
        "secure-file-priv=".to_owned(),
    ];
    let lines_of = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    lines.extend(lines_of(match options.flush {
        Flush::Relaxed => "innodb-flush-log-at-trx-commit=2 sync-binlog=0 innodb-doublewrite=0",
        Flush::Lossy => "innodb-flush-log-at-trx-commit=0 sync-binlog=0 innodb-doublewrite=0",
        Flush::Durable => "innodb-flush-log-at-trx-commit=1 sync-binlog=1",
    }));
    lines.extend(lines_of(match flavor {
        Flavor::MySql => "mysqlx=0 innodb-redo-log-capacity=64M loose-log-error-verbosity=3",
        Flavor::MariaDb => "innodb-log-file-size=32M",
    }));
    if options.binlog {
        lines.extend(lines_of("log-bin=binlog binlog-format=ROW binlog-row-image=FULL"));
    } else {
        lines.push("skip-log-bin".to_owned());
    }
    lines.extend(lines_of(match (flavor, options.gtid) {
        (Flavor::MySql, true) => "gtid-mode=ON enforce-gtid-consistency=ON",
        (Flavor::MySql, false) => "gtid-mode=OFF",
        (Flavor::MariaDb, true) => "gtid-strict-mode=1",
        (Flavor::MariaDb, false) => "gtid-strict-mode=0",
    }));
    lines.extend(options.extra.iter().cloned());
    fs::write(dir.join("my.cnf"), lines.join("\n") + "\n")?;

    // Run at each start: a restored copy of the data gets the password too. One statement per line.
    let user = "'root'@'127.0.0.1'";
    let password = super::ROOT_PASSWORD;
    fs::write(
        dir.join("init.sql"),
        format!(
            "SET SESSION sql_log_bin=0;\n\
             CREATE USER IF NOT EXISTS {user};\n\
             ALTER USER {user} IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
        ),
    )?;
    Ok(())
}
