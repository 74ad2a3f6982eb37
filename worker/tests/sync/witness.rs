//! Looks at the target all the time: whatever is visible there is whole transactions.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mysql_async::{Conn, Opts, prelude::Queryable};

/// Between two looks.
const PACE: Duration = Duration::from_millis(30);

/// Rows of `la` without their transaction's row of `lb`, or in another number than it says, and the other way round.
const HALVES: &str = "SELECT la.serial FROM (SELECT serial, COUNT(*) rows_seen FROM d.la GROUP BY serial) la \
     LEFT JOIN d.lb ON lb.serial = la.serial WHERE lb.serial IS NULL OR lb.n <> rows_seen \
     UNION ALL SELECT lb.serial FROM d.lb LEFT JOIN d.la ON la.serial = lb.serial AND la.i = 0 WHERE la.serial IS NULL LIMIT 1";

/// A reader of the target beside the task.
pub struct Witness {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<u64>>,
}

impl Witness {
    pub fn start(target: Opts) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let (mut conn, mut different, mut last) = (None, 0, None);
            while !stopping.load(Ordering::Relaxed) {
                match look(&mut conn, &target).await {
                    Ok((Some(serial), _)) => bail!("transaction {serial} of the source is visible in part"),
                    Ok((None, count)) => {
                        different += u64::from(last.replace(count) != Some(count));
                    }
                    // The server is gone for a moment, or has killed the session: the test's doing.
                    Err(_) => conn = None,
                }
                tokio::time::sleep(PACE).await;
            }
            Ok(different)
        });
        Self { stop, task }
    }

    /// Gives how many different states were seen.
    pub async fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(60), self.task).await.context("the reader hangs")??
    }
}

/// A transaction that is there in part, if any, and how many there are.
async fn look(conn: &mut Option<Conn>, target: &Opts) -> Result<(Option<u32>, u64), mysql_async::Error> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(Conn::new(target.clone()).await?),
    };
    conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let half: Option<u32> = conn.query_first(HALVES).await?;
    let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM d.lb").await?;
    conn.query_drop("COMMIT").await?;
    Ok((half, count.unwrap_or(0)))
}
