//! What the load has done so far: rows and bytes per table, rate and time left.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dm_proto::worker::{LoadProgress, TableProgress};

#[derive(Debug, Default, Clone)]
struct Table {
    schema: String,
    table: String,
    estimate: u64,
    read_rows: u64,
    read_bytes: u64,
    read_whole: bool,
    /// When its first rows were asked for, or later, when they were the next ones to come to the target.
    began: Option<Instant>,
    /// How long it took, as of the first report in which it was finished.
    took: Option<Duration>,
}

#[derive(Default)]
struct Inner {
    snapshot: String,
    tables: Vec<Table>,
}

/// Filled by the reader; what is committed is counted by the target's connections over all tables and attributed here
/// in reading order (off by at most the bytes in flight while it runs, exact once drained).
pub struct Progress {
    inner: Mutex<Inner>,
}

impl Progress {
    pub fn new() -> Self {
        Self { inner: Mutex::default() }
    }

    /// Says how the snapshot was taken, and where it stands.
    pub fn set_snapshot(&self, text: String) {
        self.lock().snapshot = text;
    }

    /// Adds a table with the row count that the server's statistics estimate; returns its index.
    pub fn add_table(&self, schema: &str, table: &str, estimate: u64) -> usize {
        let mut inner = self.lock();
        inner.tables.push(Table {
            schema: schema.to_owned(),
            table: table.to_owned(),
            estimate,
            ..Table::default()
        });
        inner.tables.len() - 1
    }

    /// Reading a table begins now: the time before, for the snapshot and the definitions, is in no rate.
    pub fn begin(&self, index: usize) {
        if let Some(table) = self.lock().tables.get_mut(index) {
            table.began = Some(Instant::now());
        }
    }

    /// Rows of a table that were read and handed to the target's queue.
    pub fn add_read(&self, index: usize, rows: u64, bytes: u64) {
        if let Some(table) = self.lock().tables.get_mut(index) {
            table.read_rows += rows;
            table.read_bytes += bytes;
        }
    }

    /// The last row of the table was read: the estimate becomes the count.
    pub fn read_whole(&self, index: usize) {
        if let Some(table) = self.lock().tables.get_mut(index) {
            table.read_whole = true;
        }
    }

    /// The form that goes into a report; `committed` rows are at the target.
    pub fn report(&self, committed: u64) -> LoadProgress {
        let mut inner = self.lock();
        let mut report = LoadProgress { snapshot: inner.snapshot.clone(), ..LoadProgress::default() };
        let began = inner.tables.iter().find_map(|t| t.began);
        let elapsed = began.map(|at| at.elapsed()).unwrap_or_default();
        let mut left = committed;
        let mut waits = false;
        for table in &mut inner.tables {
            // Its rows are read, but rows of earlier tables are still on their way: that is not its time.
            if waits && table.began.is_some() {
                table.began = Some(Instant::now());
            }
            let shown = table.report(left);
            waits |= !shown.finished;
            left -= shown.rows_done;
            report.rows_total += shown.rows_total;
            report.rows_done += shown.rows_done;
            report.bytes_done += shown.bytes_done;
            report.tables.push(shown);
        }
        report.rows_per_second = rate(report.rows_done, elapsed);
        // In reading order: each table waits for those before it.
        let mut before = 0;
        for table in &mut report.tables {
            before += table.rows_total - table.rows_done;
            if report.rows_per_second > 0.0 && !table.finished {
                table.eta_seconds = (before as f64 / report.rows_per_second).ceil() as u64;
            }
        }
        if report.rows_per_second > 0.0 {
            report.eta_seconds = (before as f64 / report.rows_per_second).ceil() as u64;
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// With so many rows at the target that belong to this table or to later ones.
    fn report(&mut self, committed: u64) -> TableProgress {
        let done = self.read_rows.min(committed);
        let bytes = match self.read_rows {
            0 => 0,
            rows => (u128::from(self.read_bytes) * u128::from(done) / u128::from(rows)) as u64,
        };
        let total = if self.read_whole { self.read_rows } else { self.estimate.max(self.read_rows) };
        let finished = self.read_whole && done == total;
        let elapsed = self.began.map(|at| at.elapsed()).unwrap_or_default();
        let time = if finished { *self.took.get_or_insert(elapsed) } else { elapsed };
        TableProgress {
            schema: self.schema.clone(),
            table: self.table.clone(),
            rows_total: total,
            rows_done: done,
            bytes_done: bytes,
            finished,
            rows_per_second: rate(done, time),
            eta_seconds: 0,
        }
    }
}

/// Rows per second; no time at all counts as a millisecond.
fn rate(rows: u64, time: Duration) -> f64 {
    rows as f64 / time.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_was_too_low_never_shows_more_than_everything() {
        let progress = Progress::new();
        let t = progress.add_table("d", "t", 10);
        progress.add_read(t, 25, 100);
        let report = progress.report(25);
        assert_eq!((report.rows_done, report.rows_total, report.eta_seconds), (25, 25, 0));
        progress.add_table("d", "u", 75);
        assert_eq!(progress.report(25).rows_total, 100);
    }

    #[test]
    fn only_committed_rows_count_and_a_finished_table_says_what_was_there() {
        let progress = Progress::new();
        let t = progress.add_table("d", "t", 1000);
        progress.add_read(t, 20, 100);
        progress.read_whole(t);
        let report = progress.report(10);
        assert_eq!((report.rows_done, report.rows_total, report.bytes_done), (10, 20, 50));
        assert!(!report.tables[0].finished);
        assert!(progress.report(20).tables[0].finished);
    }

    #[test]
    fn a_table_waits_for_those_before_it_and_a_finished_one_keeps_its_rate() {
        let progress = Progress::new();
        let tables = [progress.add_table("d", "a", 50), progress.add_table("d", "b", 1000)];
        let idle = progress.report(0);
        assert_eq!((idle.rows_per_second, idle.eta_seconds, idle.tables[1].eta_seconds), (0.0, 0, 0));
        progress.begin(tables[0]);
        progress.add_read(tables[0], 100, 100);
        let running = progress.report(10);
        assert!(running.tables[0].rows_per_second > 0.0 && running.tables[0].eta_seconds > 0);
        assert_eq!(running.tables[1].rows_per_second, 0.0);
        assert!(running.tables[1].eta_seconds >= running.tables[0].eta_seconds);
        assert_eq!(running.tables[1].eta_seconds, running.eta_seconds);
        progress.read_whole(tables[0]);
        let kept = progress.report(100).tables[0].rows_per_second;
        progress.begin(tables[1]);
        let later = progress.report(100);
        assert_eq!((later.tables[0].rows_per_second, later.tables[0].eta_seconds), (kept, 0));
        assert!(later.tables[1].eta_seconds > 0);
    }
}
