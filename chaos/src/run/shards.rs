//! Tables of several sources that become one at the target.
use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use dm_tests::within;
use mysql_async::{Conn, Opts, prelude::Queryable};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Schema of the shards at each source, and what they become.
pub const SCHEMA: &str = "shards";
pub const MERGED: &str = "merged.orders";
/// Shards of each source.
const SHARDS: u64 = 2;
/// Room of ids of one shard.
const IDS: u64 = 1_000_000;
const REST: std::ops::Range<u64> = 5..40;
const ANSWER: Duration = Duration::from_secs(60);

/// Lines of the task file: the rule, to be used by every source.
pub const ROUTES: &str = "routes:\n  shards:\n    schema-pattern: \"shards\"\n    table-pattern: \"orders_*\"\n    \
                          target-schema: \"merged\"\n    target-table: \"orders\"\n";

/// Makes the shards of a source.
pub async fn create(conn: &mut Conn) -> Result<()> {
    conn.query_drop(format!("CREATE DATABASE {SCHEMA}")).await?;
    for shard in 0..SHARDS {
        conn.query_drop(format!(
            "CREATE TABLE {SCHEMA}.orders_{shard} (id BIGINT UNSIGNED PRIMARY KEY, code VARCHAR(40) NOT NULL, amount \
             DECIMAL(12,2) NOT NULL, UNIQUE KEY (code)) CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
        ))
        .await?;
    }
    Ok(())
}

/// A writer of one source's shards; it ends when this is dropped.
pub struct Shards {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<()>>,
}

impl Shards {
    /// `number` tells the sources apart: their ids and codes do not overlap.
    pub fn start(source: Opts, number: u64) -> Self {
        let stop = CancellationToken::new();
        let task = write(source, number, StdRng::seed_from_u64(number), stop.clone());
        Self { stop, task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }

    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        within(2 * ANSWER, "end the writer of shards", self.task).await?.context("the writer of shards")
    }
}

async fn write(source: Opts, number: u64, mut random: StdRng, stop: CancellationToken) -> Result<()> {
    let mut conn: Option<Conn> = None;
    let mut serial = 0u64;
    loop {
        let rest = Duration::from_millis(random.random_range(REST));
        if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
            break;
        }
        let mut used = match conn.take() {
            Some(conn) => conn,
            None => match within(ANSWER, "connect to the source", Conn::new(source.clone())).await {
                Ok(conn) => conn,
                // The source may be away on purpose.
                Err(_) => continue,
            },
        };
        serial += 1;
        let shard = random.random_range(0..SHARDS);
        let table = format!("{SCHEMA}.orders_{shard}");
        let id = (number * SHARDS + shard) * IDS + serial;
        let sql = match random.random_range(0..8) {
            0 => format!("DELETE FROM {table} ORDER BY id LIMIT 1"),
            1 | 2 => format!(
                "UPDATE {table} SET amount = amount + 1.5, code = CONCAT('n-', id, '-{serial}') ORDER BY id LIMIT 5"
            ),
            _ => format!("INSERT INTO {table} VALUES ({id}, 'o-{id}', {serial}.25)"),
        };
        let written = tokio::time::timeout(ANSWER, used.query_drop(sql));
        match written.await.context("the source does not answer a statement")? {
            Ok(()) => conn = Some(used),
            Err(mysql_async::Error::Server(error)) => bail!("the source refuses: {error}"),
            Err(_) => {}
        }
    }
    if let Some(conn) = conn {
        within(ANSWER, "close a connection", conn.disconnect()).await?;
    }
    Ok(())
}

type Orders = BTreeMap<u64, (String, String)>;

async fn orders(server: Opts, tables: &[String]) -> Result<Orders> {
    let mut conn = within(ANSWER, "connect", Conn::new(server)).await?;
    let mut all = Orders::new();
    for table in tables {
        let rows = conn.query(format!("SELECT id, code, CAST(amount AS CHAR) FROM {table}"));
        let rows: Vec<(u64, String, String)> = within(ANSWER, "read the orders", rows).await?;
        for (id, code, amount) in rows {
            if all.insert(id, (code, amount)).is_some() {
                bail!("order {id} is there twice");
            }
        }
    }
    within(ANSWER, "close a connection", conn.disconnect()).await?;
    Ok(all)
}

/// What differs between the shards of all sources and the merged table; nothing may be written meanwhile.
pub async fn differences(sources: Vec<Opts>, target: Opts) -> Result<Vec<String>> {
    let tables: Vec<String> = (0..SHARDS).map(|shard| format!("{SCHEMA}.orders_{shard}")).collect();
    let mut wanted = Orders::new();
    for source in sources {
        wanted.append(&mut orders(source, &tables).await?);
    }
    let found = orders(target, &[MERGED.to_owned()]).await?;
    let ids: std::collections::BTreeSet<u64> = wanted.keys().chain(found.keys()).copied().collect();
    let wrong = ids.into_iter().filter(|id| wanted.get(id) != found.get(id));
    Ok(wrong
        .map(|id| {
            format!("order {id}: {:?} at its source, {:?} at the target", wanted.get(&id), found.get(&id))
        })
        .collect())
}
