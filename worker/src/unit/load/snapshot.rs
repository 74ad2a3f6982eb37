//! One consistent snapshot of the source and the exact binlog position it stands at.
use std::time::Duration;

use dm_binlog::Flavor;
use mysql_async::{Conn, Opts, Row, prelude::Queryable};

use dm_proto::error::{Code, Scope};

use super::deadline::{ANSWER, within};
use crate::failure::{Failure, Next, from_mysql};

/// How long the global read lock may wait for running statements before it is given up and tried again.
const LOCK_WAIT_SECONDS: u32 = 5;
const LOCK_ATTEMPTS: u32 = 6;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);
/// All attempts, and the pauses between them.
const LOCK_DEADLINE: Duration = Duration::from_secs(60);
/// How long the source may stand still under our lock.
const LOCK_HELD: Duration = Duration::from_secs(5);
/// The same, as the source sees it when we are frozen or cut off: it ends our session and the lock with it.
const LOCK_HELD_SECONDS: u32 = 10;

/// Where a snapshot stands in the source's binlog: everything up to here is in it, nothing after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPosition {
    pub file: String,
    pub pos: u64,
    /// In the source's own text form; empty where the source writes no GTIDs.
    pub gtid_set: String,
}

/// An open snapshot: every read on its connection sees the source as it was at `position`.
pub struct Snapshot {
    pub conn: Conn,
    pub position: SnapshotPosition,
    /// Told to the user in the load's progress.
    pub method: &'static str,
}

impl Snapshot {
    /// Opens a snapshot whose position is exact.
    ///
    /// MariaDB's own consistent snapshot reports its position without any lock and without a privilege. On MySQL a
    /// short `FLUSH TABLES WITH READ LOCK` is the only exact way: the backup lock does not stop commits.
    pub async fn open(opts: &Opts, flavor: Flavor) -> Result<Self, Failure> {
        match flavor {
            Flavor::MariaDb => Self::open_mariadb(opts).await,
            Flavor::MySql => Self::open_mysql(opts).await,
        }
    }

    async fn open_mariadb(opts: &Opts) -> Result<Self, Failure> {
        let mut conn = reader(opts).await?;
        let position = within("open the snapshot", ANSWER, Self::mariadb_position(&mut conn)).await?;
        Ok(Self { conn, position, method: "MariaDB consistent snapshot, no lock" })
    }

    async fn mariadb_position(conn: &mut Conn) -> Result<SnapshotPosition, Failure> {
        begin(conn).await?;
        let rows: Vec<(String, String)> = conn
            .query("SHOW STATUS LIKE 'binlog_snapshot_%'")
            .await
            .map_err(|e| upstream(&e, "read the snapshot's binlog position"))?;
        let find = |name: &str| {
            rows.iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, v)| v.clone())
                .unwrap_or_default()
        };
        let (file, pos) = (find("Binlog_snapshot_file"), find("Binlog_snapshot_position"));
        let pos: u64 = pos.parse().map_err(|_| no_binlog())?;
        if file.is_empty() {
            return Err(no_binlog());
        }
        let gtid_set: Option<Option<String>> = conn
            .exec_first("SELECT BINLOG_GTID_POS(?, ?)", (&file, pos))
            .await
            .map_err(|e| upstream(&e, "read the GTID position of the snapshot"))?;
        let gtid_set = gtid_set.flatten().ok_or_else(no_binlog)?;
        Ok(SnapshotPosition { file, pos, gtid_set })
    }

    async fn open_mysql(opts: &Opts) -> Result<Self, Failure> {
        let mut conn = reader(opts).await?;
        let mut locker = connect(opts).await?;
        within("FLUSH TABLES WITH READ LOCK", LOCK_DEADLINE, lock(&mut locker)).await?;
        // The view is made while nothing can commit, and the position is read before anything can again. Past the
        // deadline the connection is dropped, and with it the lock.
        let held = async {
            begin(&mut conn).await?;
            let position = mysql_position(&mut locker).await?;
            locker.query_drop("UNLOCK TABLES").await.map_err(|e| upstream(&e, "UNLOCK TABLES"))?;
            Ok(position)
        };
        let position = within("open the snapshot under the read lock", LOCK_HELD, held).await?;
        // The lock is gone; how the connection ends changes nothing.
        drop(locker.disconnect().await);
        Ok(Self { conn, position, method: "FLUSH TABLES WITH READ LOCK while the snapshot was opened" })
    }

    /// Ends the snapshot.
    pub async fn close(self) -> Result<(), Failure> {
        let doing = "close the snapshot connection";
        let closing = async { self.conn.disconnect().await.map_err(|e| upstream(&e, doing)) };
        within(doing, ANSWER, closing).await
    }
}

fn upstream(error: &mysql_async::Error, doing: &str) -> Failure {
    from_mysql(error, Scope::Upstream, doing)
}

fn no_binlog() -> Failure {
    Failure::new(Code::DumpFailed, "the source reports no binlog position for a snapshot")
        .scope(Scope::Upstream)
        .next(Next::Person)
        .workaround("Please turn the binlog of the source on (log_bin) and resume the task.")
}

async fn connect(opts: &Opts) -> Result<Conn, Failure> {
    let doing = "connect to the source for the full load";
    let connecting = async { Conn::new(opts.clone()).await.map_err(|e| upstream(&e, doing)) };
    within(doing, ANSWER, connecting).await
}

/// A connection whose results are the stored bytes: no character set conversion, times in UTC.
async fn reader(opts: &Opts) -> Result<Conn, Failure> {
    let mut conn = connect(opts).await?;
    let settings = [
        "SET NAMES binary",
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION sql_mode = ''",
        "SET SESSION wait_timeout = 86400",
        "SET SESSION net_write_timeout = 3600",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ];
    let setting = async {
        for sql in settings {
            conn.query_drop(sql).await.map_err(|e| upstream(&e, sql))?;
        }
        Ok(())
    };
    within("set up a reading session at the source", ANSWER, setting).await?;
    Ok(conn)
}

async fn begin(conn: &mut Conn) -> Result<(), Failure> {
    let sql = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    conn.query_drop(sql).await.map_err(|e| upstream(&e, sql))
}

async fn lock(conn: &mut Conn) -> Result<(), Failure> {
    let wait = format!(
        "SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}, wait_timeout = {LOCK_HELD_SECONDS}, \
         net_read_timeout = {LOCK_HELD_SECONDS}, net_write_timeout = {LOCK_HELD_SECONDS}"
    );
    conn.query_drop(wait).await.map_err(|e| upstream(&e, "bound the wait for the read lock"))?;
    for attempt in 1..=LOCK_ATTEMPTS {
        match conn.query_drop("FLUSH TABLES WITH READ LOCK").await {
            Ok(()) => return Ok(()),
            Err(mysql_async::Error::Server(e)) if e.code == 1205 => {
                tracing::warn!(attempt, "the global read lock waits for a running statement of the source");
                tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            }
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1044 | 1045 | 1227) => {
                return Err(Failure::new(Code::DumpLockRefused, "no privilege for FLUSH TABLES WITH READ LOCK")
                    .scope(Scope::Upstream)
                    .cause(format!("Error {} ({}): {}", e.code, e.state, e.message))
                    .workaround("Please grant RELOAD (or FLUSH_TABLES) on the source to the account of the source configuration, then resume the task."));
            }
            Err(e) => return Err(upstream(&e, "FLUSH TABLES WITH READ LOCK")),
        }
    }
    Err(Failure::new(Code::DumpFailed, format!(
        "the global read lock was not granted in {LOCK_ATTEMPTS} attempts of {LOCK_WAIT_SECONDS} s: a long statement runs on the source"
    ))
    .scope(Scope::Upstream)
    .workaround("Please end the long-running statement (SHOW PROCESSLIST on the source); the load is tried again by itself.")
    .next(Next::Retry))
}

async fn mysql_position(conn: &mut Conn) -> Result<SnapshotPosition, Failure> {
    // 8.4 renamed the statement and removed the old name.
    let row: Option<Row> = match conn.query_first("SHOW BINARY LOG STATUS").await {
        Ok(row) => row,
        Err(mysql_async::Error::Server(e)) if e.code == 1064 => {
            conn.query_first("SHOW MASTER STATUS").await.map_err(|e| upstream(&e, "SHOW MASTER STATUS"))?
        }
        Err(e) => return Err(upstream(&e, "SHOW BINARY LOG STATUS")),
    };
    let row = row.ok_or_else(no_binlog)?;
    let file: String = row.get(0).ok_or_else(no_binlog)?;
    let pos: u64 = row.get(1).ok_or_else(no_binlog)?;
    let gtid_set: Option<String> = conn
        .query_first("SELECT @@GLOBAL.gtid_executed")
        .await
        .map_err(|e| upstream(&e, "read gtid_executed"))?;
    Ok(SnapshotPosition { file, pos, gtid_set: gtid_set.unwrap_or_default().replace(['\n', '\r'], "") })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use dm_tests::{Database, DatabaseOptions};

    /// A worker that freezes, or is cut off, while it holds the global read lock: the source takes it back by itself.
    #[tokio::test]
    async fn the_source_ends_a_read_lock_that_nobody_releases() {
        let source = Database::start(dm_tests::Flavor::MySql, DatabaseOptions::default()).await.unwrap();
        let mut frozen = connect(&source.opts()).await.unwrap();
        lock(&mut frozen).await.unwrap();
        let mut writer = source.conn().await.unwrap();
        writer.query_drop("SET SESSION lock_wait_timeout = 60").await.unwrap();
        writer.query_drop("CREATE DATABASE after_the_lock").await.unwrap();
    }
}
