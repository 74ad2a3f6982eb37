//! Progress of one sync unit.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dm_proto::worker::SyncProgress;

/// Without a new event for this long, an empty pipeline counts as synced also when the last event was old.
const TPS_WINDOW: Duration = Duration::from_secs(1);
/// More marks than this are merged: lag gets coarser, memory stays bounded.
const MAX_MARKS: usize = 4096;

/// Where something is in the source's binlog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub pos: u64,
    pub gtids: String,
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

#[derive(Debug)]
struct Mark {
    /// Transactions read when this one was complete.
    read: u64,
    timestamp: u32,
}

#[derive(Debug)]
struct State {
    source: Place,
    applied: Place,
    events: u64,
    rows: u64,
    read: u64,
    applied_transactions: u64,
    rows_missed: u64,
    received_timestamp: u32,
    marks: VecDeque<Mark>,
    /// The reader has nothing more at hand.
    drained: bool,
    blocking_ddl: String,
    started: Instant,
    window: (Instant, u64),
    recent_tps: u64,
}

impl Default for State {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            source: Place::default(),
            applied: Place::default(),
            events: 0,
            rows: 0,
            read: 0,
            applied_transactions: 0,
            rows_missed: 0,
            received_timestamp: 0,
            marks: VecDeque::new(),
            drained: false,
            blocking_ddl: String::new(),
            started: now,
            window: (now, 0),
            recent_tps: 0,
        }
    }
}

/// Written by the unit, read by reports and metrics; lag is computed when asked.
#[derive(Debug, Default)]
pub struct SyncStats {
    state: Mutex<State>,
}

impl SyncStats {
    /// A new attachment: counters go on, what was in flight is forgotten.
    pub fn restart(&self) {
        let mut s = self.lock();
        s.marks.clear();
        s.read = 0;
        s.applied_transactions = 0;
        s.drained = false;
        s.window = (Instant::now(), 0);
    }

    pub fn event(&self, timestamp: u32) {
        let mut s = self.lock();
        s.events += 1;
        if timestamp > 0 {
            s.received_timestamp = timestamp;
        }
    }

    pub fn source_at(&self, source: Place) {
        self.lock().source = source;
    }

    /// One whole transaction was read and handed on.
    pub fn transaction_read(&self, timestamp: u32, rows: u64) {
        let mut s = self.lock();
        s.read += 1;
        s.rows += rows;
        let read = s.read;
        if s.marks.len() >= MAX_MARKS {
            // The oldest timestamp of the pair is the one that lag is measured by.
            if let Some(last) = s.marks.back_mut() {
                last.read = read;
            }
        } else {
            s.marks.push_back(Mark { read, timestamp });
        }
    }

    /// `transactions` of this attachment are committed at the target.
    pub fn applied(&self, transactions: u64, rows_missed: u64) {
        let mut s = self.lock();
        s.applied_transactions = transactions;
        s.rows_missed = rows_missed;
        while s.marks.front().is_some_and(|m| m.read <= transactions) {
            s.marks.pop_front();
        }
        let (since, before) = s.window;
        let elapsed = since.elapsed();
        if elapsed >= TPS_WINDOW {
            let per_second = transactions.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            s.recent_tps = per_second.round() as u64;
            s.window = (Instant::now(), transactions);
        }
    }

    pub fn applied_at(&self, applied: Place) {
        self.lock().applied = applied;
    }

    /// Whether everything that has been received is also handed on.
    pub fn set_drained(&self, drained: bool) {
        self.lock().drained = drained;
    }

    pub fn set_blocking_ddl(&self, sql: &str) {
        self.lock().blocking_ddl = sql.to_owned();
    }

    /// Seconds between now and the oldest transaction that is not applied; 0 when all are.
    pub fn lag_seconds(&self) -> u64 {
        let s = self.lock();
        s.marks.front().map_or(0, |m| unix_now().saturating_sub(u64::from(m.timestamp)))
    }

    pub fn progress(&self) -> SyncProgress {
        let s = self.lock();
        let oldest = s.marks.front().map(|m| m.timestamp);
        let synced = s.drained && s.marks.is_empty();
        let uptime = s.started.elapsed().as_secs().max(1);
        SyncProgress {
            source_binlog: s.source.text(),
            source_binlog_gtid: s.source.gtids.clone(),
            applied_binlog: s.applied.text(),
            applied_binlog_gtid: s.applied.gtids.clone(),
            total_events: s.events,
            total_rows: s.rows,
            total_tps: s.applied_transactions / uptime,
            recent_tps: if s.window.0.elapsed() > TPS_WINDOW * 5 { 0 } else { s.recent_tps },
            synced,
            seconds_behind: oldest.map_or(0, |t| unix_now().saturating_sub(u64::from(t))),
            receive_lag_seconds: if synced || s.received_timestamp == 0 {
                0
            } else {
                unix_now().saturating_sub(u64::from(s.received_timestamp))
            },
            rows_missed: s.rows_missed,
            transactions: s.applied_transactions,
            blocking_ddl: s.blocking_ddl.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_measured_by_the_oldest_unapplied_transaction() {
        let stats = SyncStats::default();
        let now = u32::try_from(unix_now()).unwrap();
        stats.transaction_read(now - 100, 1);
        stats.transaction_read(now - 50, 1);
        stats.set_drained(true);
        assert!(stats.lag_seconds() >= 100);
        assert!(!stats.progress().synced);
        stats.applied(1, 0);
        assert!((50..60).contains(&stats.lag_seconds()));
        stats.applied(2, 0);
        assert_eq!(stats.lag_seconds(), 0);
        assert!(stats.progress().synced);
    }
}
