//! What the load has done so far: rows and bytes per table, rate and time left.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
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
}

#[derive(Default)]
struct Inner {
    snapshot: String,
    tables: Vec<Table>,
}

/// Filled by the reader; what is committed is counted by the target's connections over all tables and attributed here
/// in reading order (off by at most the bytes in flight while it runs, exact once drained).
pub struct Progress {
    started: Instant,
    inner: Mutex<Inner>,
}

impl Progress {
    pub fn new() -> Self {
        Self { started: Instant::now(), inner: Mutex::default() }
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
        let inner = self.lock();
        let mut left = committed;
        let mut report = LoadProgress { snapshot: inner.snapshot.clone(), ..LoadProgress::default() };
        for table in &inner.tables {
            let done = table.read_rows.min(left);
            left -= done;
            let bytes = match table.read_rows {
                0 => 0,
                rows => (u128::from(table.read_bytes) * u128::from(done) / u128::from(rows)) as u64,
            };
            let total = if table.read_whole { table.read_rows } else { table.estimate.max(table.read_rows) };
            report.rows_total += total;
            report.rows_done += done;
            report.bytes_done += bytes;
            report.tables.push(TableProgress {
                schema: table.schema.clone(),
                table: table.table.clone(),
                rows_total: total,
                rows_done: done,
                bytes_done: bytes,
                finished: table.read_whole && done == total,
            });
        }
        let rate = report.rows_done as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        report.rows_per_second = rate;
        if rate > 0.0 {
            report.eta_seconds = ((report.rows_total - report.rows_done) as f64 / rate).ceil() as u64;
        }
        report
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
}
