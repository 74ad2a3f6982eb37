//! Progress of one sync unit.
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dm_proto::worker::SyncProgress;

const TPS_WINDOW: Duration = Duration::from_secs(1);
/// More marks than this are merged: lag gets coarser, memory stays bounded.
const MAX_MARKS: usize = 4096;

/// Where something is in the source's binlog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub pos: u64,
}

impl Place {
    /// DM's form: `(file, pos)`.
    pub fn text(&self) -> String {
        if self.file.is_empty() { String::new() } else { format!("({}, {})", self.file, self.pos) }
    }

    /// Number of the binlog file, 0 when there is none.
    pub fn file_number(&self) -> i64 {
        self.file.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// One submitted batch.
#[derive(Debug)]
struct Mark {
    number: u64,
    /// Source time of its oldest transaction.
    timestamp: u32,
}

#[derive(Debug, Default)]
struct State {
    source: Place,
    applied: Place,
    applied_gtids: String,
    events: u64,
    rows: u64,
    rows_missed: u64,
    rows_filtered: u64,
    /// Transactions committed in this attachment.
    transactions: u64,
    received_timestamp: u32,
    submitted: u64,
    marks: VecDeque<Mark>,
    /// Source time of the oldest transaction that is read and not yet submitted.
    open: Option<u32>,
    /// The reader has nothing more at hand.
    drained: bool,
    blocking_ddl: String,
    undecided_xa: String,
    started: Option<Instant>,
    window: Option<(Instant, u64)>,
    recent_tps: u64,
}

/// Written by the unit, read by reports and metrics; lag is computed when asked.
#[derive(Debug, Default)]
pub struct SyncStats {
    state: Mutex<State>,
    careful: AtomicBool,
    spool_bytes: Arc<AtomicU64>,
}

impl SyncStats {
    /// The next attempt sends transactions one by one, to find the one that the target refuses.
    pub fn set_careful(&self) {
        self.careful.store(true, Ordering::Relaxed);
    }

    /// Whether this attempt does.
    pub fn take_careful(&self) -> bool {
        self.careful.swap(false, Ordering::Relaxed)
    }

    /// Counts the bytes on disk of transactions that are held until their commit is read.
    pub fn spool_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.spool_bytes)
    }

    pub fn spool_bytes(&self) -> u64 {
        self.spool_bytes.load(Ordering::Relaxed)
    }

    /// A new attachment: totals go on, what was in flight is forgotten.
    pub fn restart(&self) {
        let mut s = self.lock();
        s.marks.clear();
        s.submitted = 0;
        s.transactions = 0;
        s.open = None;
        s.drained = false;
        s.blocking_ddl.clear();
        s.undecided_xa.clear();
        s.window = None;
        s.started.get_or_insert_with(Instant::now);
    }

    /// An event has come; `place` is its end, where it tells one.
    pub fn event(&self, timestamp: u32, place: &Place) {
        let mut s = self.lock();
        s.events += 1;
        if timestamp > 0 {
            s.received_timestamp = timestamp;
        }
        if s.source != *place {
            s.source.clone_from(place);
        }
    }

    /// A transaction is read and waits for its batch, its DDL or its rest.
    pub fn opened(&self, timestamp: u32) {
        let mut s = self.lock();
        if s.open.is_none() {
            s.open = Some(timestamp);
        }
    }

    /// Everything open is handed to the target protocol.
    pub fn submitted(&self, rows: u64) {
        let mut s = self.lock();
        let Some(timestamp) = s.open.take() else { return };
        s.submitted += 1;
        s.rows += rows;
        let number = s.submitted;
        if s.marks.len() >= MAX_MARKS {
            // The older timestamp of the two is the one that lag is measured by.
            if let Some(last) = s.marks.back_mut() {
                last.number = number;
            }
        } else {
            s.marks.push_back(Mark { number, timestamp });
        }
    }

    /// A transaction is in the batch that grows.
    pub fn added(&self, rows: u64) {
        self.lock().rows += rows;
    }

    /// What the attachment says of its batches.
    pub fn acknowledged(&self, in_flight: u64, transactions: u64, rows_missed: u64) {
        let mut s = self.lock();
        let done = s.submitted.saturating_sub(in_flight);
        while s.marks.front().is_some_and(|m| m.number <= done) {
            s.marks.pop_front();
        }
        s.transactions = transactions;
        s.rows_missed = rows_missed;
        match s.window {
            Some((since, before)) if since.elapsed() >= TPS_WINDOW => {
                let per_second = transactions.saturating_sub(before) as f64 / since.elapsed().as_secs_f64();
                s.recent_tps = per_second.round() as u64;
                s.window = Some((Instant::now(), transactions));
            }
            Some(_) => {}
            None => s.window = Some((Instant::now(), transactions)),
        }
    }

    /// Everything up to this place is applied; empty: that is not known.
    pub fn applied(&self, place: Place) {
        if !place.file.is_empty() {
            self.lock().applied = place;
        }
    }

    /// Rows that event filters and expression filters skipped.
    pub fn filtered(&self, rows: u64) {
        self.lock().rows_filtered += rows;
    }

    /// Their number so far.
    pub fn rows_filtered(&self) -> u64 {
        self.lock().rows_filtered
    }

    /// Executed GTIDs at the target; everything received from the source is at least that.
    pub fn gtids(&self, applied: String) {
        self.lock().applied_gtids = applied;
    }

    /// Whether everything that has been received is also handed on.
    pub fn set_drained(&self, drained: bool) {
        self.lock().drained = drained;
    }

    pub fn set_blocking_ddl(&self, sql: &str) {
        self.lock().blocking_ddl = sql.to_owned();
    }

    /// XA transactions that are prepared at the source and not decided.
    pub fn set_undecided(&self, text: String) {
        self.lock().undecided_xa = text;
    }

    /// Seconds between now and the oldest transaction that is not applied; 0 when all are.
    pub fn lag_seconds(&self) -> u64 {
        self.lock().lag()
    }

    /// Source and applied place, for metrics.
    pub fn places(&self) -> (Place, Place) {
        let s = self.lock();
        (s.source.clone(), s.applied.clone())
    }

    pub fn progress(&self) -> SyncProgress {
        let s = self.lock();
        let synced = s.synced();
        let uptime = s.started.map_or(1, |at| at.elapsed().as_secs().max(1));
        SyncProgress {
            source_binlog: s.source.text(),
            source_binlog_gtid: if synced { s.applied_gtids.clone() } else { String::new() },
            applied_binlog: s.applied.text(),
            applied_binlog_gtid: s.applied_gtids.clone(),
            total_events: s.events,
            total_rows: s.rows,
            total_tps: s.transactions / uptime,
            recent_tps: s.recent_tps,
            synced,
            seconds_behind: s.lag(),
            receive_lag_seconds: if synced || s.received_timestamp == 0 {
                0
            } else {
                age(s.received_timestamp)
            },
            rows_missed: s.rows_missed,
            rows_filtered: s.rows_filtered,
            transactions: s.transactions,
            blocking_ddl: s.blocking_ddl.clone(),
            undecided_xa: s.undecided_xa.clone(),
            spool_bytes: self.spool_bytes(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lag(&self) -> u64 {
        self.marks.front().map(|m| m.timestamp).or(self.open).map_or(0, age)
    }

    fn synced(&self) -> bool {
        self.drained && self.marks.is_empty() && self.open.is_none()
    }
}

/// Seconds since a time of the source's clock.
fn age(timestamp: u32) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    now.saturating_sub(u64::from(timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_measured_by_the_oldest_unapplied_transaction() {
        let stats = SyncStats::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
        stats.opened(now - 100);
        stats.opened(now - 90);
        assert!(stats.lag_seconds() >= 100);
        stats.submitted(2);
        stats.opened(now - 50);
        stats.submitted(2);
        stats.set_drained(true);
        assert!(stats.lag_seconds() >= 100);
        assert!(!stats.progress().synced);
        stats.acknowledged(1, 1, 0);
        assert!((50..60).contains(&stats.lag_seconds()));
        stats.acknowledged(0, 2, 0);
        assert_eq!(stats.lag_seconds(), 0);
        assert!(stats.progress().synced);
    }
}
