//! Writers that change a source all the time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout, timeout_at};

/// Accounts that transfers go between; the sum of their balances never changes.
const ACCOUNTS: u32 = 1000;
/// Each account's balance at first.
const BALANCE: u64 = 1000;

/// How long the source may take for one transaction or connection; its own bound on waiting for a lock is 50 s.
const ANSWER: Duration = Duration::from_secs(120);

/// What to write, and how fast.
#[derive(Debug, Clone)]
pub struct WorkloadOptions {
    /// The schema; made when absent, with the tables `accounts`, `ledger`, `items` and `heap` (which has no unique key).
    pub schema: String,
    /// Transactions per second over all connections.
    pub tps: u32,
    /// Connections, each one writer.
    pub connections: u32,
    /// Seed of the writers' choices.
    pub seed: u64,
    /// One of so many transactions changes `heap`. It has no unique key, so whoever applies the changes in parallel has
    /// to keep all of these transactions in their order.
    pub heap_in: u64,
    /// `ledger` has no unique key, and `items` is left alone: nothing but exactly-once keeps a transaction from being
    /// applied twice.
    pub keyless: bool,
}

impl Default for WorkloadOptions {
    fn default() -> Self {
        Self { schema: "work".to_owned(), tps: 200, connections: 4, seed: 1, heap_in: 1, keyless: false }
    }
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct WorkloadCounts {
    /// Transactions that the source answered as committed.
    pub transactions: u64,
    /// Transactions given up for a deadlock, a lost connection or another error (each was tried anew).
    pub retries: u64,
    /// Per writer the last serial that is committed in `ledger`; it has every serial from 1 to this one.
    pub ledger: Vec<u64>,
}

/// Running writers.
#[derive(Debug)]
pub struct Workload {
    stop: watch::Sender<bool>,
    committed: watch::Receiver<u64>,
    writers: JoinSet<Result<(u32, WorkloadCounts)>>,
}

impl Workload {
    /// Makes the tables when absent and starts to write.
    pub async fn start(source: Opts, options: WorkloadOptions) -> Result<Self> {
        let prepared = timeout(ANSWER, prepare(&source, &options)).await;
        prepared.context("the source does not answer")?.context("preparing the workload's tables")?;
        let (stop, stopped) = watch::channel(false);
        let (count, committed) = watch::channel(0);
        let mut writers = JoinSet::new();
        for writer in 0..options.connections {
            let (source, options) = (source.clone(), options.clone());
            let (stopped, count) = (stopped.clone(), count.clone());
            writers.spawn(async move {
                let counts = write(source, &options, writer, stopped, count).await;
                counts.map(|c| (writer, c)).with_context(|| format!("writer {writer}"))
            });
        }
        Ok(Self { stop, committed, writers })
    }

    /// Transactions committed until now.
    pub fn committed(&self) -> u64 {
        *self.committed.borrow()
    }

    /// Lets every writer end its transaction, and gives what was written.
    pub async fn stop(mut self) -> Result<WorkloadCounts> {
        self.stop.send_replace(true);
        let mut total = WorkloadCounts { ledger: vec![0; self.writers.len()], ..WorkloadCounts::default() };
        let end = Instant::now() + 2 * ANSWER;
        loop {
            let next = timeout_at(end, self.writers.join_next()).await.context("a writer does not end")?;
            let Some(ended) = next else { break };
            let (writer, counts) = ended??;
            total.transactions += counts.transactions;
            total.retries += counts.retries;
            total.ledger[writer as usize] = counts.ledger[0];
        }
        Ok(total)
    }
}

/// Whether a schema that a workload wrote, at the source or at a target, is whole: the sum of the balances, and each
/// writer's serials without a hole and without a repetition. Gives what is wrong.
pub async fn check_workload(opts: Opts, schema: &str) -> Result<Vec<String>> {
    timeout(ANSWER, check(opts, schema)).await.context("the server does not answer")?
}

async fn check(opts: Opts, schema: &str) -> Result<Vec<String>> {
    let mut conn = Conn::new(opts).await?;
    let mut wrong = Vec::new();
    let sum: Option<u64> =
        conn.query_first(format!("SELECT CAST(SUM(balance) AS UNSIGNED) FROM {schema}.accounts")).await?;
    let want = u64::from(ACCOUNTS) * BALANCE;
    if sum != Some(want) {
        wrong.push(format!("the balances sum up to {sum:?}, not to {want}"));
    }
    let writers: Vec<(u32, u64, u64, u64)> = conn
        .query(format!(
            "SELECT writer, COUNT(*), MIN(serial), MAX(serial) FROM {schema}.ledger GROUP BY writer"
        ))
        .await?;
    for (writer, count, min, max) in writers {
        if min != 1 || count != max {
            wrong.push(format!("writer {writer}: {count} serials from {min} to {max}"));
        }
    }
    conn.disconnect().await?;
    Ok(wrong)
}

async fn prepare(source: &Opts, options: &WorkloadOptions) -> Result<()> {
    let schema = &options.schema;
    let mut conn = Conn::new(source.clone()).await?;
    conn.query_drop(format!("CREATE DATABASE IF NOT EXISTS {schema}")).await?;
    for table in [
        "accounts (id INT UNSIGNED PRIMARY KEY, balance BIGINT NOT NULL)",
        if options.keyless {
            "ledger (writer INT UNSIGNED, serial BIGINT UNSIGNED, note VARCHAR(64), KEY (writer, serial))"
        } else {
            "ledger (writer INT UNSIGNED, serial BIGINT UNSIGNED, note VARCHAR(64), PRIMARY KEY (writer, serial))"
        },
        "items (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, code BIGINT UNSIGNED NOT NULL, name VARCHAR(64), \
         price DECIMAL(12,3), ratio DOUBLE, small FLOAT, made DATETIME(3), seen TIMESTAMP(6) NULL, raw VARBINARY(40), \
         long_text TEXT, UNIQUE KEY (code))",
        "heap (a INT, b VARCHAR(32), c DATETIME(6) NULL, KEY (a))",
    ] {
        conn.query_drop(format!("CREATE TABLE IF NOT EXISTS {schema}.{table} CHARSET=utf8mb4")).await?;
    }
    let accounts: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id},{BALANCE})")).collect();
    conn.query_drop(format!("INSERT IGNORE INTO {schema}.accounts VALUES {}", accounts.join(","))).await?;
    conn.disconnect().await?;
    Ok(())
}

/// One writer.
async fn write(
    source: Opts,
    options: &WorkloadOptions,
    writer: u32,
    mut stopped: watch::Receiver<bool>,
    count: watch::Sender<u64>,
) -> Result<WorkloadCounts> {
    let mut random = StdRng::seed_from_u64(options.seed ^ (u64::from(writer) << 32));
    let mut counts = WorkloadCounts::default();
    let period = Duration::from_secs_f64(f64::from(options.connections) / f64::from(options.tps.max(1)));
    let mut clock = tokio::time::interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut connected: Option<(Conn, u64)> = None;
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|s| *s) => break,
            _ = clock.tick() => {}
        }
        let (mut conn, serial) = match connected.take() {
            Some(pair) => pair,
            None => match connect(&source, &options.schema, writer).await {
                Ok(pair) => pair,
                // The source may be down on purpose: the next tick tries again.
                Err(_) => {
                    counts.retries += 1;
                    continue;
                }
            },
        };
        let written = conn.query_drop(transaction(&mut random, options, writer, serial + 1));
        let Ok(written) = timeout(ANSWER, written).await else {
            bail!("the source has not answered a transaction for {ANSWER:?}");
        };
        match written {
            Ok(()) => {
                counts.transactions += 1;
                count.send_modify(|n| *n += 1);
                connected = Some((conn, serial + 1));
            }
            // Whether it was committed is read back from the ledger on a new connection.
            Err(mysql_async::Error::Server(e)) if !matches!(e.code, 1205 | 1213 | 1053 | 1927 | 1290) => {
                return Err(mysql_async::Error::Server(e).into());
            }
            Err(_) => {
                counts.retries += 1;
                drop(conn);
            }
        }
    }
    let serial = match connected {
        Some((conn, serial)) => {
            conn.disconnect().await?;
            serial
        }
        None => connect(&source, &options.schema, writer).await.context("reading the last serial")?.1,
    };
    counts.ledger = vec![serial];
    Ok(counts)
}

/// A connection, and the writer's last committed serial.
async fn connect(source: &Opts, schema: &str, writer: u32) -> Result<(Conn, u64)> {
    let connecting = last_serial(source, schema, writer);
    timeout(ANSWER, connecting).await.context("the source does not answer")?
}

async fn last_serial(source: &Opts, schema: &str, writer: u32) -> Result<(Conn, u64)> {
    let mut conn = Conn::new(source.clone()).await?;
    conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    // FOR UPDATE waits for a transaction of this writer's former connection that still runs.
    let sql =
        format!("SELECT COALESCE(MAX(serial), 0) FROM {schema}.ledger WHERE writer = {writer} FOR UPDATE");
    let serial: Option<u64> = conn.query_first(sql).await?;
    Ok((conn, serial.unwrap_or_default()))
}

/// One transaction in one packet.
fn transaction(random: &mut StdRng, options: &WorkloadOptions, writer: u32, serial: u64) -> String {
    let s = &options.schema;
    let mut sql = format!("BEGIN; INSERT INTO {s}.ledger VALUES ({writer}, {serial}, 'n{serial}');");
    let (a, b) = (random.random_range(0..ACCOUNTS), random.random_range(0..ACCOUNTS));
    if a != b {
        // Always in the same order: transfers do not deadlock each other.
        let (low, high, amount) = (a.min(b), a.max(b), random.random_range(-9..10));
        sql += &format!(
            "UPDATE {s}.accounts SET balance=balance-({amount}) WHERE id={low};\
             UPDATE {s}.accounts SET balance=balance+({amount}) WHERE id={high};"
        );
    }
    if options.keyless {
        return sql + "COMMIT";
    }
    // Each writer has its own codes and key values, so that writers meet only in the accounts.
    let code = |n: u32| u64::from(writer) * 1_000_000 + u64::from(n);
    let n = random.random_range(0..5000);
    let name = ["a", "A", "é", "e", "ä ", "😀", "x'y\\\\z"][random.random_range(0..7)];
    sql += &match random.random_range(0..10) {
        0..6 => format!(
            "INSERT INTO {s}.items (code, name, price, ratio, small, made, seen, raw, long_text) VALUES \
             ({}, '{}', {}.125, {}/7, {}/3, NOW(3), NOW(6), UNHEX('00FF27{:04X}'), REPEAT('{}', {})) \
             ON DUPLICATE KEY UPDATE price=price+1, name=VALUES(name), ratio=ratio*1.1;",
            code(n),
            name.replace('\'', "''"),
            n % 1000,
            n,
            n,
            n,
            char::from(b'a' + u8::try_from(n % 26).unwrap_or(0)),
            n % 300
        ),
        6..8 => format!("UPDATE {s}.items SET small=small+1, seen=NULL WHERE code={};", code(n)),
        8 => format!("UPDATE IGNORE {s}.items SET code={} WHERE code={};", code(n + 5000), code(n)),
        _ => format!("DELETE FROM {s}.items WHERE code={};", code(n)),
    };
    if !serial.is_multiple_of(options.heap_in.max(1)) {
        return sql + "COMMIT";
    }
    let key = writer * 100 + random.random_range(0..20);
    sql += &match random.random_range(0..4) {
        0 | 1 => format!("INSERT INTO {s}.heap VALUES ({key}, 'h', NULL), ({key}, 'H', NULL);"),
        2 => format!("UPDATE {s}.heap SET b='é' WHERE a={key} LIMIT 1;"),
        _ => format!("DELETE FROM {s}.heap WHERE a={key} LIMIT 2;"),
    };
    sql + "COMMIT"
}
