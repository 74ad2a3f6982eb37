//! DDL between the transactions of random histories.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use mysql_async::{Conn, Opts, prelude::Queryable};
use rand::{Rng, rngs::StdRng};

/// Alters `e1` and `e2` until it is told to stop.
pub async fn alter(opts: Opts, mut random: StdRng, stop: Arc<AtomicBool>) -> Result<()> {
    let mut conn = Conn::new(opts).await?;
    conn.query_drop("SET lock_wait_timeout = 2").await?;
    let mut columns = [Vec::new(), Vec::new()];
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let which = random.random_range(0..2);
        let (table, columns) = (["e1", "e2"][which], &mut columns[which]);
        next += 1;
        let place = if random.random_bool(0.5) { " FIRST" } else { "" };
        let add = format!("ADD COLUMN c{next} INT NOT NULL DEFAULT {next}{place}");
        let sql = match random.random_range(0..6) {
            0 => format!("TRUNCATE TABLE d.{table}"),
            1..=3 if columns.len() > 2 => format!("ALTER TABLE d.{table} DROP COLUMN {}", columns[0]),
            4 if !columns.is_empty() => format!("ALTER TABLE d.{table} {add}, DROP COLUMN {}", columns[0]),
            _ => format!("ALTER TABLE d.{table} {add}"),
        };
        match conn.query_drop(&sql).await {
            Ok(()) => {
                if sql.contains("DROP COLUMN") {
                    columns.remove(0);
                }
                if sql.contains("ADD COLUMN") {
                    columns.push(format!("c{next}"));
                }
            }
            // Writers have the table.
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1205 | 1213) => {}
            Err(error) => return Err(error.into()),
        }
        // How often is an input, not a wait for something.
        tokio::time::sleep(Duration::from_millis(random.random_range(5..150))).await;
    }
    Ok(conn.disconnect().await?)
}
