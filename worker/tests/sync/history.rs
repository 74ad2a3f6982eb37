//! Random histories of transactions at the source, over tables whose unique values move from row to row.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use dm_tests::Database;
use mysql_async::{Conn, Opts, Row, prelude::Queryable};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Sessions that write side by side.
const WRITERS: u64 = 4;
/// Unique values of a number.
const NUMBERS: u32 = 60;
/// Rows of a transaction that must not share a batch with many others.
const BALLAST: u32 = 500;

/// Beginnings of unique texts: many are equal to one another under a collation and differ in bytes.
const TEXTS: [&str; 14] = ["s", "S", "ss", "SS", "ß", "a", "A", "á", "Ä", "ae", "æ", "o", "ø", "O"];

/// Writers that go on until they are told to stop.
pub struct History {
    stop: Arc<AtomicBool>,
    pub committed: Arc<AtomicU64>,
    writers: Vec<tokio::task::JoinHandle<Result<()>>>,
}

impl History {
    /// What each session does follows from the seed; how they meet does not.
    pub fn start(source: &Database, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let committed = Arc::new(AtomicU64::new(0));
        let shards = Arc::new(tokio::sync::Mutex::new(()));
        let writers = (0..WRITERS).map(|number| {
            let (stop, committed, shards) = (Arc::clone(&stop), Arc::clone(&committed), Arc::clone(&shards));
            let opts = source.opts();
            tokio::spawn(async move {
                let mut writer = Writer::open(opts, number, seed, shards).await?;
                while !stop.load(Ordering::Relaxed) {
                    if writer.transaction().await? {
                        committed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(writer.conn.disconnect().await?)
            })
        });
        let (opts, stopping) = (source.opts(), Arc::clone(&stop));
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1000) + WRITERS);
        let mut writers: Vec<_> = writers.collect();
        writers.push(tokio::spawn(crate::history_ddl::alter(opts, random, stopping)));
        Self { stop, committed, writers }
    }

    /// Ends the writers; gives the number of transactions.
    pub async fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            tokio::time::timeout(Duration::from_secs(60), writer).await???;
        }
        Ok(self.committed.load(Ordering::Relaxed))
    }
}

struct Writer {
    conn: Conn,
    random: StdRng,
    /// Its own serial numbers and row ids: every `WRITERS`th.
    next: u32,
    /// Unique values of a row that it has deleted: they come back in its next transaction, most likely.
    freed: Option<(i64, Option<String>)>,
    /// Whose transaction may touch the shards: values are unique over both.
    shards: Arc<tokio::sync::Mutex<()>>,
}

impl Writer {
    async fn open(opts: Opts, number: u64, seed: u64, shards: Arc<tokio::sync::Mutex<()>>) -> Result<Self> {
        let mut conn = Conn::new(opts).await?;
        conn.query_drop("SET NAMES utf8mb4").await?;
        conn.query_drop("SET innodb_lock_wait_timeout = 1").await?;
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1000) + number);
        Ok(Self { conn, random, next: u32::try_from(number)? + 1, freed: None, shards })
    }

    /// True when it committed something.
    async fn transaction(&mut self) -> Result<bool> {
        let serial = self.fresh();
        let ballast = if self.random.random_bool(0.15) { BALLAST } else { self.random.random_range(1..4) };
        let shards = self.random.random_bool(0.3);
        let guard = if shards { Some(Arc::clone(&self.shards).lock_owned().await) } else { None };
        let done = self.changes(serial, ballast, shards).await;
        let commit = match done {
            Ok(()) => self.random.random_bool(0.93),
            // The source rolled it back: deadlock, lock wait.
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1213 | 1205) => false,
            Err(error) => return Err(error.into()),
        };
        self.conn.query_drop(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
        drop(guard);
        Ok(commit)
    }

    async fn changes(&mut self, serial: u32, ballast: u32, shards: bool) -> Result<(), mysql_async::Error> {
        self.conn.query_drop("BEGIN").await?;
        let rows: Vec<String> = (0..ballast).map(|i| format!("({serial},{i})")).collect();
        self.conn.query_drop(format!("INSERT INTO d.la VALUES {}", rows.join(","))).await?;
        for _ in 0..self.random.random_range(1..5) {
            let saved = self.random.random_bool(0.1);
            if saved {
                self.conn.query_drop("SAVEPOINT sp").await?;
            }
            match if shards { 6 } else { self.random.random_range(0..6) } {
                0..=2 => self.keyed().await?,
                3 => self.family().await?,
                4 => self.keyless().await?,
                5 => self.altered().await?,
                _ => self.shard().await?,
            }
            if saved && self.random.random_bool(0.7) {
                self.conn.query_drop("ROLLBACK TO SAVEPOINT sp").await?;
            }
        }
        self.conn.query_drop(format!("INSERT INTO d.lb VALUES ({serial},{ballast})")).await
    }

    /// A statement that the source may refuse for a key's sake.
    async fn try_run(&mut self, sql: String) -> Result<(), mysql_async::Error> {
        match self.conn.query_drop(sql).await {
            // Duplicate; no parent.
            Err(mysql_async::Error::Server(e)) if matches!(e.code, 1062 | 1452 | 1761) => Ok(()),
            other => other,
        }
    }

    /// Some row of a table; None of an empty one.
    async fn any(&mut self, columns: &str, table: &str) -> Result<Option<Row>, mysql_async::Error> {
        let mut all: Vec<Row> = self.conn.query(format!("SELECT {columns} FROM d.{table}")).await?;
        let count = all.len();
        Ok((count > 0).then(|| all.swap_remove(self.random.random_range(0..count))))
    }

    async fn any_id(&mut self, table: &str) -> Result<u32, mysql_async::Error> {
        Ok(self.any("id", table).await?.and_then(|r| r.get(0)).unwrap_or(0))
    }

    fn fresh(&mut self) -> u32 {
        let id = self.next;
        self.next += WRITERS as u32;
        id
    }

    fn number(&mut self) -> u32 {
        self.random.random_range(0..NUMBERS)
    }

    /// A quoted text of a few classes of equal ones.
    fn text(&mut self) -> String {
        let start = TEXTS.choose(&mut self.random).unwrap_or(&"a");
        let space = if self.random.random_bool(0.2) { " " } else { "" };
        format!("'{start}{}{space}'", self.random.random_range(0..8))
    }

    fn or_null(&mut self, value: String) -> String {
        if self.random.random_bool(0.2) { "NULL".to_owned() } else { value }
    }

    /// Values of k behind its id.
    fn keyed_values(&mut self, u: u32) -> String {
        let text = self.text();
        let (a, b, c, t) = (self.or_null(text), self.number() % 9, self.text(), self.text());
        let (b, c) = (self.or_null(b.to_string()), self.or_null(c));
        let rest: u32 = self.random.random();
        format!("{u}, {a}, {b}, {c}, CONCAT({t}, '--{rest}'), {}", rest % 1000)
    }

    async fn keyed(&mut self) -> Result<(), mysql_async::Error> {
        if let Some((u, a)) = self.freed.take() {
            return self.again(u, a).await;
        }
        let id = self.any_id("k").await?;
        match self.random.random_range(0..8) {
            0 | 1 => {
                let (new, u) = (self.fresh(), self.number());
                let values = self.keyed_values(u);
                self.try_run(format!("INSERT INTO d.k VALUES ({new}, {values})")).await
            }
            2 => {
                let text = self.text();
                let (a, v) = (self.or_null(text), self.number());
                self.try_run(format!("UPDATE d.k SET a = {a}, v = {v} WHERE id = {id}")).await
            }
            3 => {
                let (b, c, t) = (self.number() % 9, self.text(), self.text());
                let sql = format!("UPDATE d.k SET b = {b}, c = {c}, t = CONCAT({t}, '--') WHERE id = {id}");
                self.try_run(sql).await
            }
            4 => {
                let new = self.fresh();
                self.try_run(format!("UPDATE d.k SET id = {new}, v = v + 1 WHERE id = {id}")).await
            }
            5 => {
                // Two rows change their unique values.
                let other = self.any_id("k").await?;
                let u: Option<u32> =
                    self.conn.query_first(format!("SELECT u FROM d.k WHERE id = {id}")).await?;
                let w: Option<u32> =
                    self.conn.query_first(format!("SELECT u FROM d.k WHERE id = {other}")).await?;
                let (Some(u), Some(w)) = (u, w) else { return Ok(()) };
                self.try_run(format!("UPDATE d.k SET u = -{id} WHERE id = {id} AND u = {u}")).await?;
                self.try_run(format!("UPDATE d.k SET u = {u} WHERE id = {other} AND u = {w}")).await?;
                self.try_run(format!("UPDATE d.k SET u = {w} WHERE id = {id} AND u = -{id}")).await?;
                // Somebody else had the value meanwhile.
                self.try_run(format!("UPDATE d.k SET u = {id} + 1000 WHERE u < 0")).await
            }
            _ => {
                // Its unique values come back at once in another row, here or in the next transaction.
                let row = self.any("id, u, a", "k").await?;
                let Some((id, u, a)) = row.map(mysql_async::from_row::<(u32, i64, Option<String>)>) else {
                    return Ok(());
                };
                self.conn.query_drop(format!("DELETE FROM d.k WHERE id = {id}")).await?;
                if self.random.random_bool(0.7) {
                    self.freed = Some((u, a));
                    return Ok(());
                }
                self.again(u, a).await
            }
        }
    }

    /// A new row with unique values that an old one had, in other letters.
    async fn again(&mut self, u: i64, a: Option<String>) -> Result<(), mysql_async::Error> {
        let (new, v) = (self.fresh(), self.number());
        let a = a.map_or("NULL".to_owned(), |a| format!("'{}'", a.to_uppercase()));
        self.try_run(format!("INSERT INTO d.k VALUES ({new}, {u}, {a}, NULL, 'x', NULL, {v})")).await
    }

    /// Two tables that merge into one at the target: no value is in both.
    async fn shard(&mut self) -> Result<(), mysql_async::Error> {
        let (one, two) = if self.random.random_bool(0.5) { ("s1", "s2") } else { ("s2", "s1") };
        let (id, a, v) = (self.any_id(one).await?, self.text(), self.number());
        match self.random.random_range(0..5) {
            0 | 1 => {
                let new = self.fresh();
                let sql = format!(
                    "INSERT INTO d.{one} SELECT {new}, {a}, {v} FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM d.{two} WHERE a = {a})"
                );
                self.try_run(sql).await
            }
            2 => {
                let sql = format!(
                    "UPDATE d.{one} SET a = {a}, v = {v} WHERE id = {id} AND NOT EXISTS (SELECT 1 FROM d.{two} WHERE a = {a})"
                );
                self.try_run(sql).await
            }
            3 => self.conn.query_drop(format!("DELETE FROM d.{one} WHERE id = {id}")).await,
            _ => {
                // From one shard to the other, under the same key.
                let Some(row) = self.any("id, a, v", one).await? else { return Ok(()) };
                let (id, a, v): (u32, String, Option<u32>) = mysql_async::from_row(row);
                self.conn.query_drop(format!("DELETE FROM d.{one} WHERE id = {id}")).await?;
                let v = v.map_or("NULL".to_owned(), |v| v.to_string());
                self.try_run(format!("INSERT INTO d.{two} VALUES ({id}, '{a}', {v})")).await
            }
        }
    }

    /// Tables that are altered meanwhile.
    async fn altered(&mut self) -> Result<(), mysql_async::Error> {
        let (table, new, v) = (["e1", "e2"][self.random.random_range(0..2)], self.fresh(), self.number());
        let sql = match self.random.random_range(0..4) {
            0 | 1 => format!("INSERT INTO d.{table} (id, v) VALUES ({new}, {v})"),
            2 => format!("UPDATE d.{table} SET v = v + 1 WHERE v = {v}"),
            _ => format!("DELETE FROM d.{table} WHERE v = {v}"),
        };
        self.conn.query_drop(sql).await
    }

    /// Parents and children.
    async fn family(&mut self) -> Result<(), mysql_async::Error> {
        let (parent, new, a, u) = (self.any_id("p").await?, self.fresh(), self.text(), self.number());
        match self.random.random_range(0..6) {
            0 => self.try_run(format!("INSERT INTO d.p VALUES ({new}, {a})")).await,
            1 | 2 => self.try_run(format!("INSERT INTO d.ch VALUES ({new}, {parent}, {u})")).await,
            3 => self.try_run(format!("UPDATE d.p SET id = {new} WHERE id = {parent}")).await,
            4 => self.try_run(format!("DELETE FROM d.p WHERE id = {parent}")).await,
            _ => {
                let child = self.any_id("ch").await?;
                self.try_run(format!("UPDATE d.ch SET u = {u}, pid = NULL WHERE id = {child}")).await
            }
        }
    }

    async fn keyless(&mut self) -> Result<(), mysql_async::Error> {
        let (w, v) = (self.random.random_range(0..4), self.number() % 5);
        let sql = match self.random.random_range(0..4) {
            0 | 1 => format!("INSERT INTO d.n VALUES ({w}, {v}), ({w}, {v})"),
            2 => format!("UPDATE d.n SET v = v + 1 WHERE w = {w} LIMIT 1"),
            _ => format!("DELETE FROM d.n WHERE w = {w} LIMIT 2"),
        };
        self.conn.query_drop(sql).await
    }
}
