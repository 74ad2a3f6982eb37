//! Applications of the demo: they go on inserting, updating and deleting in transactions.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use dm_tests::within;
use mysql_async::{Conn, Opts, prelude::Queryable};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::MissedTickBehavior;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

const WRITERS: i32 = 4;
/// How long the source may take for one transaction; its own bound on waiting for a lock is 50 s.
const ANSWER: Duration = Duration::from_secs(120);

/// Writers over four connections; they end when this is dropped.
pub struct Writers {
    stop: CancellationToken,
    committed: Arc<AtomicU64>,
    tasks: Vec<AbortOnDropHandle<Result<()>>>,
}

impl Writers {
    /// Starts them; together they commit at most `per_second` transactions per second.
    pub async fn start(source: &Opts, per_second: u32) -> Result<Self> {
        let stop = CancellationToken::new();
        let committed = Arc::new(AtomicU64::new(0));
        let pause = Duration::from_secs_f64(f64::from(WRITERS) / f64::from(per_second.max(1)));
        let mut tasks = Vec::new();
        for writer in 1..=WRITERS {
            let conn = within(ANSWER, "connect a writer to the source", Conn::new(source.clone())).await?;
            let task = tokio::spawn(write(conn, writer, pause, Arc::clone(&committed), stop.clone()));
            tasks.push(AbortOnDropHandle::new(task));
        }
        Ok(Self { stop, committed, tasks })
    }

    /// Transactions committed so far.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Ends them after their current transaction; returns how many were committed.
    pub async fn stop(self) -> Result<u64> {
        self.stop.cancel();
        for task in self.tasks {
            within(2 * ANSWER, "end a writer", task).await??;
        }
        Ok(self.committed.load(Ordering::Relaxed))
    }
}

async fn write(
    mut conn: Conn,
    writer: i32,
    pause: Duration,
    committed: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(writer.unsigned_abs().into());
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut serial: u64 = 0;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        serial += 1;
        within(ANSWER, "a writer's transaction", transaction(&mut conn, &mut rng, writer, serial)).await?;
        committed.fetch_add(1, Ordering::Relaxed);
    }
    within(ANSWER, "close a writer's connection", conn.disconnect()).await
}

/// One transaction: an entry with a serial in the ledger, and something else.
async fn transaction(conn: &mut Conn, rng: &mut StdRng, writer: i32, serial: u64) -> Result<()> {
    let customer = rng.random_range(1..=50_000);
    let statements: Vec<String> = match rng.random_range(0..6) {
        0 => {
            // In the order of their keys, so that two transfers never lock each other out.
            let a = rng.random_range(1..=99);
            let b = rng.random_range(a + 1..=100);
            let amount = rng.random_range(-50..=50);
            vec![
                format!("UPDATE audit.account SET balance = balance - {amount} WHERE id = {a}"),
                format!("UPDATE audit.account SET balance = balance + {amount} WHERE id = {b}"),
            ]
        }
        1 => vec![format!(
            "UPDATE shop.customer SET credit = credit + 1, tags = {} WHERE id = {customer}",
            serial % 8
        )],
        2 => vec![format!(
            "INSERT INTO shop.purchase VALUES ({customer}, {}, 7, 0.1 * {serial}, 'open', 'écrit', NULL, NOW(6))",
            u64::from(writer.unsigned_abs()) * 1_000_000_000 + serial
        )],
        3 => vec![format!("DELETE FROM shop.purchase WHERE customer = {customer} LIMIT 1")],
        4 => {
            let who = ["'a'", "'A'", "'é'", "NULL"][rng.random_range(0..4)];
            vec![format!(
                "INSERT INTO shop.click VALUES ({who}, '/page/{}', 1 / 3), ({who}, '/home', 0.1)",
                serial % 50
            )]
        }
        _ => vec![format!(
            "DELETE FROM shop.click WHERE who = 'a' AND page = '/page/{}' ORDER BY weight LIMIT 1",
            serial % 50
        )],
    };
    // An application retries what the source's own lock detection has rolled back.
    loop {
        match run(conn, &statements, writer, serial).await {
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1213 | 1205) => {
                conn.query_drop("ROLLBACK").await?
            }
            other => return other.map_err(Into::into),
        }
    }
}

async fn run(
    conn: &mut Conn,
    statements: &[String],
    writer: i32,
    serial: u64,
) -> Result<(), mysql_async::Error> {
    conn.query_drop("BEGIN").await?;
    for sql in statements {
        conn.query_drop(sql).await?;
    }
    conn.query_drop(format!(
        "INSERT INTO audit.entry VALUES ({writer}, {serial}, 'written while migrating', 1)"
    ))
    .await?;
    conn.query_drop("COMMIT").await
}
