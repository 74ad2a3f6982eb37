//! A writer that changes definitions between its rows.
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dm_tests::within;
use mysql_async::{Conn, Opts, prelude::Queryable};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

const TABLES: u32 = 3;
/// Between two statements, in milliseconds.
const REST: std::ops::Range<u64> = 5..60;
/// One of so many statements is a DDL.
const DDL_IN: u32 = 20;
/// How long the source may take for a statement.
const ANSWER: Duration = Duration::from_secs(60);

/// One writer; it ends when this is dropped.
pub struct Definer {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<u64>>,
}

impl Definer {
    /// Starts to make, change, empty and drop tables of a schema, and to write rows into them.
    pub fn start(source: Opts, schema: &str, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let task = define(source, schema.to_owned(), StdRng::seed_from_u64(seed), stop.clone());
        Self { stop, task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }

    /// Ends it; gives the number of DDLs that the source answered as done.
    pub async fn stop(self) -> Result<u64> {
        self.stop.cancel();
        within(2 * ANSWER, "end the writer of definitions", self.task)
            .await?
            .context("the writer of definitions")
    }
}

async fn define(source: Opts, schema: String, mut random: StdRng, stop: CancellationToken) -> Result<u64> {
    let mut conn: Option<Conn> = None;
    let mut ddls = 0;
    let mut serial = 0u64;
    loop {
        let rest = Duration::from_millis(random.random_range(REST));
        if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
            break;
        }
        serial += 1;
        // The source may be away on purpose, and what came of a statement that lost its connection is not known: the next
        // one looks at what is there.
        let mut used = match conn.take() {
            Some(conn) => conn,
            None => match within(ANSWER, "connect to the source", Conn::new(source.clone())).await {
                Ok(conn) => conn,
                Err(_) => continue,
            },
        };
        let step = step(&mut used, &schema, &mut random, serial);
        match tokio::time::timeout(ANSWER, step).await.context("the source does not answer a statement")? {
            Ok(ddl) => {
                ddls += u64::from(ddl);
                conn = Some(used);
            }
            Err(mysql_async::Error::Server(error)) => bail!("the source refuses: {error}"),
            Err(_) => {}
        }
    }
    if let Some(conn) = conn {
        within(ANSWER, "close a connection", conn.disconnect()).await?;
    }
    Ok(ddls)
}

/// One statement; true for a DDL.
async fn step(conn: &mut Conn, schema: &str, random: &mut StdRng, serial: u64) -> mysql_async::Result<bool> {
    let name = format!("changing_{}", random.random_range(0..TABLES));
    let table = format!("{schema}.{name}");
    let columns: Vec<String> = conn
        .exec(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = ? AND table_name = ? \
             ORDER BY ordinal_position",
            (schema, &name),
        )
        .await?;
    // Numbers; texts are called `t_...`.
    let added: Vec<&String> = columns.iter().filter(|c| c.starts_with("c_")).collect();
    let sql = if columns.is_empty() {
        format!("CREATE TABLE {table} (id BIGINT UNSIGNED PRIMARY KEY, note VARCHAR(64), KEY by_note (note))")
    } else if random.random_range(0..DDL_IN) > 0 {
        let row = match random.random_range(0..6) {
            0 => format!("DELETE FROM {table} ORDER BY id LIMIT 2"),
            1 => format!("UPDATE {table} SET note = CONCAT(LEFT(note, 20), '+') ORDER BY id DESC LIMIT 3"),
            _ => format!("INSERT INTO {table} (id, note) VALUES ({serial}, 'row {serial}')"),
        };
        conn.query_drop(row).await?;
        return Ok(false);
    } else {
        match (random.random_range(0..10), added.choose(random)) {
            (0, _) => format!("DROP TABLE {table}"),
            (1, _) => format!("TRUNCATE TABLE {table}"),
            (2, Some(column)) => format!("ALTER TABLE {table} DROP COLUMN {column}"),
            (3, Some(column)) => format!("ALTER TABLE {table} MODIFY {column} BIGINT NOT NULL DEFAULT 7"),
            (4, Some(column)) => {
                format!("ALTER TABLE {table} CHANGE {column} c_{serial} INT NOT NULL DEFAULT 7")
            }
            (5, _) => format!("ALTER TABLE {table} DROP KEY by_note, ADD KEY by_note (note, id)"),
            (6, _) if columns.len() < 10 => {
                format!("ALTER TABLE {table} ADD COLUMN t_{serial} VARCHAR(20) DEFAULT 'x' FIRST")
            }
            _ if columns.len() < 10 => {
                format!("ALTER TABLE {table} ADD COLUMN c_{serial} INT NOT NULL DEFAULT {serial}")
            }
            _ => format!("TRUNCATE TABLE {table}"),
        }
    };
    conn.query_drop(sql).await?;
    Ok(true)
}
