//! From the answer to a COMMIT at the source until a reader sees the row at the target.
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dm_tests::Database;
use futures::future::try_join_all;
use mysql_async::{Conn, prelude::Queryable};

use super::workload::{SCHEMA, WRITERS};

/// How often the reader looks.
const LOOK: Duration = Duration::from_millis(1);

/// Lags in rising order.
pub struct Lags(Vec<Duration>);

impl Lags {
    /// The lag below which so many of 100 stay.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * percent / 100).min(last)).copied().unwrap_or_default()
    }
}

/// Writes `tps` transactions of one row each second for `time`, and reads them at the target.
pub async fn measure(source: &Database, target: &Database, tps: u32, time: Duration) -> Result<Lags> {
    let mut reader = target.conn().await?;
    let first: i64 = reader
        .query_first(format!("SELECT COALESCE(MAX(id), 0) FROM {SCHEMA}.lag"))
        .await?
        .context("no highest id")?;
    let each = tps / WRITERS;
    let count = i64::from(each) * i64::try_from(time.as_secs())?;
    let last = first + count;
    let began = Instant::now();
    let writers = (0..WRITERS).map(|writer| async move {
        let mut conn = source.conn().await?;
        let mut acknowledged = Vec::new();
        for id in first + 1..=last {
            let due = began + Duration::from_secs_f64((id - first) as f64 / f64::from(each));
            // A steady rate: what is late is not made up for by being faster than the schedule.
            tokio::time::sleep_until(due.into()).await;
            conn.query_drop(format!("INSERT INTO {SCHEMA}.lag VALUES ({writer}, {id}, REPEAT('x', 60))"))
                .await?;
            acknowledged.push(((writer, id), Instant::now()));
        }
        conn.disconnect().await?;
        anyhow::Ok(acknowledged)
    });
    let (written, seen) = tokio::try_join!(
        try_join_all(writers),
        watch(&mut reader, first, last, time + Duration::from_secs(60))
    )?;
    reader.disconnect().await?;
    let mut lags = Vec::new();
    for (row, at) in written.into_iter().flatten() {
        let visible = seen.get(&row).with_context(|| format!("row {row:?} was never seen"))?;
        lags.push(visible.saturating_duration_since(at));
    }
    lags.sort();
    Ok(Lags(lags))
}

/// When each row was seen first.
async fn watch(
    conn: &mut Conn,
    first: i64,
    last: i64,
    most: Duration,
) -> Result<HashMap<(u32, i64), Instant>> {
    let mut seen = HashMap::new();
    // Up to here every row was seen; a later one may be visible before an earlier one.
    let mut whole = vec![first; WRITERS as usize];
    let began = Instant::now();
    while whole.iter().any(|id| *id < last) {
        ensure!(began.elapsed() < most, "rows up to {last} are not there: {whole:?}");
        let wanted: Vec<String> = whole
            .iter()
            .enumerate()
            .map(|(writer, id)| format!("(writer = {writer} AND id > {id})"))
            .collect();
        let rows: Vec<(u32, i64)> =
            conn.query(format!("SELECT writer, id FROM {SCHEMA}.lag WHERE {}", wanted.join(" OR "))).await?;
        let now = Instant::now();
        for (writer, id) in rows {
            seen.entry((writer, id)).or_insert(now);
        }
        for (writer, whole) in (0..).zip(&mut whole) {
            while seen.contains_key(&(writer, *whole + 1)) {
                *whole += 1;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(seen)
}
