//! Rows of the target that a test holds or counts.

use anyhow::{Result, bail, ensure};
use dm_tests::{wait_until, within};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;

use crate::scene::{LONG, Scene};

/// Locks on all rows of `accounts`, until released.
pub struct RowLock {
    conn: Conn,
}

impl RowLock {
    /// Releases the locks.
    pub async fn release(mut self) -> Result<()> {
        within(LONG, "release the row locks", self.conn.query_drop("ROLLBACK")).await?;
        within(LONG, "close the connection", self.conn.disconnect()).await
    }
}

impl Scene {
    /// Locks all rows of `accounts` at the target, and waits until a packet waits for one of them.
    pub async fn lock_rows(&self) -> Result<RowLock> {
        let mut conn = self.rig.target.conn().await?;
        for _ in 0..50 {
            conn.query_drop("BEGIN").await?;
            match conn.query_drop("SELECT COUNT(*) FROM work.accounts FOR UPDATE").await {
                Ok(()) => {
                    wait_until(LONG, "a packet to wait for a lock", async || Ok(self.waiting().await? > 0))
                        .await?;
                    return Ok(RowLock { conn });
                }
                // The lanes take the same rows in another order.
                Err(mysql_async::Error::Server(e)) if matches!(e.code, 1205 | 1213) => {}
                Err(e) => return Err(e.into()),
            }
        }
        bail!("50 deadlocks in a row")
    }

    /// Statements at the target that wait for a row lock. (`innodb_trx` would show an old picture: it is not renewed for
    /// who asks more often than ten times a second.)
    pub async fn waiting(&self) -> Result<u64> {
        let sql = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'";
        Ok(self.at_target::<(String, u64)>(sql).await?.unwrap_or_default().1)
    }

    /// Rows of `work.proof` at the target.
    pub async fn proofs(&self) -> Result<u64> {
        Ok(self.at_target("SELECT COUNT(*) FROM work.proof").await?.unwrap_or_default())
    }

    /// Waits until `work.proof` has so many rows at the target.
    pub async fn proofs_are(&self, count: u64) -> Result<()> {
        wait_until(LONG, &format!("{count} rows in work.proof"), async || {
            let found = self.proofs().await?;
            ensure!(found == count, "{found} rows");
            Ok(true)
        })
        .await
    }

    /// One transaction with so many equal rows in `work.proof`, which has no key.
    pub async fn prove(&self, count: usize) -> Result<()> {
        let rows = vec!["(1, 'proof')"; count].join(", ");
        self.rig.source.run(&[&format!("INSERT INTO work.proof VALUES {rows}")]).await
    }
}
