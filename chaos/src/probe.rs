//! Measures failover from outside: when does a row that was committed at the source after a fault show at the target?
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use dm_tests::within;
use mysql_async::{Conn, Opts, prelude::Queryable};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Pause between two probe rows, and between two looks at the target: the resolution of every figure.
const TICK: Duration = Duration::from_millis(5);
/// How long a server may take for one of the probe's statements.
const ANSWER: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Observed {
    /// When the INSERT of row `i + 1` was begun; it is only entered after the source has committed it.
    began: Vec<Instant>,
    /// (highest row seen at the target, when), one entry per change.
    seen: Vec<(u64, Instant)>,
    /// Why the writer or the reader was without its server last, or has ended.
    broken: Option<String>,
}

/// A writer of numbered rows at the source and a reader of the highest number at the target; both connect anew while their
/// server is away, and end when this is dropped.
pub struct Probe {
    observed: Arc<Mutex<Observed>>,
    stop: CancellationToken,
    writer: AbortOnDropHandle<Result<()>>,
    reader: AbortOnDropHandle<Result<()>>,
}

/// Creates the probe's table; call it before the task starts, or the DDL is replicated.
pub async fn create_table(source: &mut Conn, schema: &str) -> Result<()> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {schema}.failover_probe (id BIGINT UNSIGNED NOT NULL PRIMARY KEY) ENGINE=InnoDB"
    );
    within(ANSWER, "create the probe table", source.query_drop(sql)).await
}

impl Probe {
    /// Starts writing and watching. Row numbers go on after those that are there.
    pub async fn start(source: Opts, target: Opts, schema: &str) -> Result<Self> {
        let table = format!("{schema}.failover_probe");
        let mut conn = within(ANSWER, "probe: connect to the source", Conn::new(source.clone())).await?;
        let newest = conn.query_first(format!("SELECT COALESCE(MAX(id), 0) FROM {table}"));
        let first: Option<u64> = within(ANSWER, "probe: read the newest row", newest).await?;
        within(ANSWER, "probe: close the source connection", conn.disconnect()).await?;
        let first = first.unwrap_or(0);
        let observed = Arc::new(Mutex::new(Observed::default()));
        let stop = CancellationToken::new();
        let writer = write(source, table.clone(), first, Arc::clone(&observed), stop.clone());
        let reader = read(target, table, first, Arc::clone(&observed), stop.clone());
        let writer = spawn(Arc::clone(&observed), writer);
        let reader = spawn(Arc::clone(&observed), reader);
        Ok(Self { observed, stop, writer, reader })
    }

    /// Time from `fault` until the first row whose INSERT was begun after it was seen at the target.
    pub async fn failover(&self, fault: Instant, deadline: Duration) -> Result<Duration> {
        loop {
            if let Some(found) = lock(&self.observed).failover(fault) {
                return Ok(found);
            }
            if self.writer.is_finished() || self.reader.is_finished() {
                let why = lock(&self.observed).broken.take();
                bail!("the probe itself has ended: {}", why.unwrap_or_else(|| "nobody knows why".to_owned()));
            }
            if fault.elapsed() > deadline {
                let why = lock(&self.observed)
                    .broken
                    .clone()
                    .map_or_else(String::new, |w| format!(" (the probe: {w})"));
                bail!("no row committed after the fault reached the target within {deadline:?}{why}");
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Written, seen and lag, at any time.
    pub fn gauge(&self) -> Gauge {
        Gauge(Arc::clone(&self.observed))
    }

    /// The longest time without a new probe row at the target between two moments.
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        lock(&self.observed).longest_gap(from, to)
    }

    /// Ends both tasks; returns how many rows were written.
    pub async fn stop(self) -> Result<u64> {
        self.stop.cancel();
        within(2 * ANSWER, "probe: end the writer", self.writer).await??;
        within(2 * ANSWER, "probe: end the reader", self.reader).await??;
        let rows = lock(&self.observed).began.len();
        Ok(rows as u64)
    }
}

/// What a probe sees, for whoever samples it.
pub struct Gauge(Arc<Mutex<Observed>>);

impl Gauge {
    /// Rows written so far.
    pub fn written(&self) -> u64 {
        lock(&self.0).began.len() as u64
    }

    /// Of them at the target.
    pub fn seen(&self) -> u64 {
        lock(&self.0).seen.last().map_or(0, |(highest, _)| *highest)
    }

    /// Age of the oldest row that the target lacks.
    pub fn lag(&self, now: Instant) -> Duration {
        let observed = lock(&self.0);
        let seen = observed.seen.last().map_or(0, |(highest, _)| *highest);
        let oldest = usize::try_from(seen).ok().and_then(|n| observed.began.get(n));
        oldest.map_or(Duration::ZERO, |began| now.saturating_duration_since(*began))
    }
}

impl Observed {
    fn failover(&self, fault: Instant) -> Option<Duration> {
        // Numbers are dense from the first one, so the index tells the row.
        let first_after = self.began.partition_point(|b| *b < fault);
        if first_after == self.began.len() {
            return None;
        }
        let number = first_after as u64 + 1;
        let at = self.seen.iter().find(|(highest, at)| *highest >= number && *at > fault)?.1;
        Some(at - fault)
    }

    fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        let mut last = from;
        let mut longest = Duration::ZERO;
        for at in self.seen.iter().map(|(_, at)| *at).filter(|at| *at > from && *at < to).chain([to]) {
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }
}

/// Whoever waits for a row learns at once why none will come.
fn spawn(
    observed: Arc<Mutex<Observed>>,
    task: impl Future<Output = Result<()>> + Send + 'static,
) -> AbortOnDropHandle<Result<()>> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let ended = task.await;
        if let Err(e) = &ended {
            lock(&observed).broken.get_or_insert(format!("{e:#}"));
        }
        ended
    }))
}

async fn write(
    source: Opts,
    table: String,
    first: u64,
    observed: Arc<Mutex<Observed>>,
    stop: CancellationToken,
) -> Result<()> {
    let mut conn = None;
    let mut number = first;
    let mut begun: Option<Instant> = None;
    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        // Begun when it was tried first: what came of a try that lost its connection is not known.
        let began = *begun.get_or_insert_with(Instant::now);
        let insert = format!("INSERT IGNORE INTO {table} VALUES ({})", number + 1);
        let written = async |conn: &mut Conn| conn.query_drop(insert).await;
        match ask(&mut conn, &source, written).await {
            Ok(()) => {
                number += 1;
                begun = None;
                lock(&observed).began.push(began);
            }
            Err(e) => lock(&observed).broken = Some(format!("at the source: {e:#}")),
        }
    }
    close(conn).await
}

async fn read(
    target: Opts,
    table: String,
    first: u64,
    observed: Arc<Mutex<Observed>>,
    stop: CancellationToken,
) -> Result<()> {
    let mut conn = None;
    let mut highest = 0;
    while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
        let newest = format!("SELECT COALESCE(MAX(id), 0) FROM {table}");
        let newest = async |conn: &mut Conn| conn.query_first::<u64, _>(newest).await;
        let found = ask(&mut conn, &target, newest).await;
        let now = Instant::now();
        match found {
            Ok(found) => {
                let found = found.unwrap_or(0).saturating_sub(first);
                if found > highest {
                    highest = found;
                    lock(&observed).seen.push((found, now));
                }
            }
            Err(e) => lock(&observed).broken = Some(format!("at the target: {e:#}")),
        }
    }
    close(conn).await
}

/// One statement, on a connection that is made anew after an error: the server may be away on purpose.
async fn ask<T>(
    conn: &mut Option<Conn>,
    server: &Opts,
    statement: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T>,
) -> Result<T> {
    let mut used = match conn.take() {
        Some(conn) => conn,
        None => within(ANSWER, "probe: connect", Conn::new(server.clone())).await?,
    };
    let answer = within(ANSWER, "probe: a statement", statement(&mut used)).await?;
    *conn = Some(used);
    Ok(answer)
}

async fn close(conn: Option<Conn>) -> Result<()> {
    match conn {
        Some(conn) => within(ANSWER, "probe: close a connection", conn.disconnect()).await,
        None => Ok(()),
    }
}

fn lock(observed: &Mutex<Observed>) -> MutexGuard<'_, Observed> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_begun_after_the_fault_count() {
        let t = Instant::now();
        let ms = |n| t + Duration::from_millis(n);
        let observed = Observed {
            began: vec![ms(0), ms(10), ms(30)],
            // Row 2 was begun before the fault and arrives after it: not a proof of life.
            seen: vec![(1, ms(5)), (2, ms(25)), (3, ms(90))],
            broken: None,
        };
        assert_eq!(observed.failover(ms(20)), Some(Duration::from_millis(70)));
        assert_eq!(observed.failover(ms(40)), None);
        assert_eq!(observed.longest_gap(ms(0), ms(100)), Duration::from_millis(65));
    }
}
