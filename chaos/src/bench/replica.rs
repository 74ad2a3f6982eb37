//! MariaDB's own replica, the rival.
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dm_tests::{Database, within};
use mysql_async::{Conn, prelude::Queryable};

/// Where the source's binlog ends.
pub async fn position(conn: &mut Conn, deadline: Duration) -> Result<String> {
    let asked = conn.query_first("SELECT @@gtid_binlog_pos");
    within(deadline, "read the GTID position", asked).await?.context("no GTID position")
}

/// Makes a database a replica of the source from this position on, and starts it.
pub async fn replicate(source: &Database, replica: &Database, at: &str) -> Result<()> {
    let mut conn = replica.conn().await?;
    // The copy's own transactions would count as later than the source's.
    conn.query_drop("RESET MASTER").await?;
    conn.query_drop(format!("SET GLOBAL gtid_slave_pos = '{at}'")).await?;
    conn.query_drop(format!(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={}, MASTER_USER='root', MASTER_PASSWORD='{}', MASTER_USE_GTID=slave_pos",
        source.port(),
        source.root_password()
    ))
    .await?;
    conn.query_drop("START SLAVE").await?;
    conn.disconnect().await?;
    Ok(())
}

/// Lets the stopped replica go on with so many threads; gives how long it took to come to `end`.
pub async fn follow(replica: &mut Conn, threads: u32, end: &str, deadline: Duration) -> Result<Duration> {
    replica.query_drop(format!("SET GLOBAL slave_parallel_threads = {threads}")).await?;
    replica.query_drop("SET GLOBAL slave_parallel_mode = 'optimistic'").await?;
    let began = Instant::now();
    replica.query_drop("START SLAVE").await?;
    reached(replica, end, deadline).await?;
    Ok(began.elapsed())
}

/// Waits until a running replica has applied everything up to `end`.
pub async fn reached(replica: &mut Conn, end: &str, deadline: Duration) -> Result<()> {
    // Ends when the position is applied, and not before.
    let seconds = deadline.as_secs();
    let waited: Option<i64> =
        replica.query_first(format!("SELECT MASTER_GTID_WAIT('{end}', {seconds})")).await?;
    ensure!(waited == Some(0), "MariaDB's replica did not reach {end}");
    Ok(())
}
