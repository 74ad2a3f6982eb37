//! Metrics of the sync unit.
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, exponential_buckets, linear_buckets,
};

/// The families; one subtask's samples come from [`SyncMetrics::of`].
pub struct SyncMetrics {
    worker: String,
    lag_gauge: GaugeVec,
    lag: HistogramVec,
    remaining: GaugeVec,
    finished_transactions: IntCounterVec,
    binlog_file: IntGaugeVec,
    binlog_pos: IntGaugeVec,
    event_size: HistogramVec,
    event_rows: HistogramVec,
    batch: HistogramVec,
    read_duration: HistogramVec,
    finished_jobs: IntCounterVec,
    added_jobs: IntCounterVec,
    flush_interval: HistogramVec,
    rows_missed: IntGaugeVec,
    spool_bytes: IntGaugeVec,
    rows_filtered: IntGaugeVec,
}

/// The samples of one subtask.
pub struct SubtaskSyncMetrics {
    pub lag_gauge: Gauge,
    pub lag: Histogram,
    pub remaining: Gauge,
    pub finished_transactions: IntCounter,
    pub source_file: IntGauge,
    pub source_pos: IntGauge,
    pub applied_file: IntGauge,
    pub applied_pos: IntGauge,
    pub event_size: Histogram,
    pub event_rows: Histogram,
    pub batch_statements: Histogram,
    pub batch_rows: Histogram,
    pub read_duration: Histogram,
    pub flush_interval: Histogram,
    pub rows_missed: IntGauge,
    pub spool_bytes: IntGauge,
    pub rows_filtered: IntGauge,
}

impl SyncMetrics {
    pub(super) fn new(worker: &str, registry: &Registry) -> prometheus::Result<Self> {
        let durations = exponential_buckets(0.000_005, 2.0, 25)?;
        let batches = linear_buckets(1.0, 50.0, 20)?;
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: Vec<f64>| {
            let family = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let family = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let int_gauge = |name: &str, help: &str, labels: &[&str]| {
            let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone())).map(|()| family)
        };
        const JOB: &[&str] =
            &["type", "task", "queueNo", "source_id", "worker", "target_schema", "target_table"];
        Ok(Self {
            worker: worker.to_owned(),
            lag_gauge: gauge(
                "dm_syncer_replication_lag_gauge",
                "replication lag in second between source and syncer",
                &["task", "source_id", "worker"],
            )?,
            lag: histogram(
                "dm_syncer_replication_lag",
                "replication lag histogram in second between source and syncer",
                &["task", "source_id", "worker"],
                vec![0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0],
            )?,
            remaining: gauge(
                "dm_syncer_remaining_time",
                "the remaining time in second to catch up master",
                &["task", "source_id", "worker"],
            )?,
            finished_transactions: counter(
                "dm_syncer_finished_transaction_total",
                "total number of finished transaction",
                &["task", "worker", "source_id"],
            )?,
            binlog_file: int_gauge(
                "dm_syncer_binlog_file",
                "current binlog file index",
                &["node", "task", "source_id"],
            )?,
            binlog_pos: int_gauge(
                "dm_syncer_binlog_pos",
                "current binlog pos",
                &["node", "task", "source_id"],
            )?,
            event_size: histogram(
                "dm_syncer_binlog_event_size",
                "size of a binlog event",
                &["task", "worker", "source_id"],
                exponential_buckets(16.0, 2.0, 20)?,
            )?,
            event_rows: histogram(
                "dm_syncer_binlog_event_row",
                "number of rows of a binlog event",
                &["worker", "task", "source_id"],
                linear_buckets(0.0, 100.0, 101)?,
            )?,
            batch: histogram(
                "dm_syncer_replication_transaction_batch",
                "number of sql's contained in a transaction that executed to downstream",
                &["worker", "task", "source_id", "queueNo", "type"],
                batches.clone(),
            )?,
            read_duration: histogram(
                "dm_syncer_read_binlog_duration",
                "bucketed histogram of read time (s) for single binlog event",
                &["task", "source_id"],
                durations,
            )?,
            finished_jobs: counter("dm_syncer_finished_jobs_total", "total number of finished jobs", JOB)?,
            added_jobs: counter("dm_syncer_added_jobs_total", "total number of added jobs", JOB)?,
            flush_interval: histogram(
                "dm_syncer_flush_checkpoints_time_interval",
                "checkpoint flushed time interval in seconds",
                &["worker", "task", "source_id"],
                batches,
            )?,
            rows_filtered: int_gauge(
                "dm_syncer_rows_filtered",
                "rows that event filters and expression filters skipped",
                &["worker", "task", "source_id"],
            )?,
            rows_missed: int_gauge(
                "dm_syncer_rows_missed",
                "changes that did not match exactly one row at the target",
                &["worker", "task", "source_id"],
            )?,
            spool_bytes: int_gauge(
                "dm_syncer_spool_bytes",
                "bytes on the worker's disk of transactions whose commit was not read yet",
                &["worker", "task", "source_id"],
            )?,
        })
    }

    /// The samples of one subtask, which exist from here on.
    pub fn of(&self, task: &str, source: &str) -> SubtaskSyncMetrics {
        let worker = self.worker.as_str();
        SubtaskSyncMetrics {
            lag_gauge: self.lag_gauge.with_label_values(&[task, source, worker]),
            lag: self.lag.with_label_values(&[task, source, worker]),
            remaining: self.remaining.with_label_values(&[task, source, worker]),
            finished_transactions: self.finished_transactions.with_label_values(&[task, worker, source]),
            source_file: self.binlog_file.with_label_values(&["master", task, source]),
            source_pos: self.binlog_pos.with_label_values(&["master", task, source]),
            applied_file: self.binlog_file.with_label_values(&["syncer", task, source]),
            applied_pos: self.binlog_pos.with_label_values(&["syncer", task, source]),
            event_size: self.event_size.with_label_values(&[task, worker, source]),
            event_rows: self.event_rows.with_label_values(&[worker, task, source]),
            batch_statements: self.batch.with_label_values(&[worker, task, source, "0", "statements"]),
            batch_rows: self.batch.with_label_values(&[worker, task, source, "0", "rows"]),
            read_duration: self.read_duration.with_label_values(&[task, source]),
            flush_interval: self.flush_interval.with_label_values(&[worker, task, source]),
            rows_filtered: self.rows_filtered.with_label_values(&[worker, task, source]),
            rows_missed: self.rows_missed.with_label_values(&[worker, task, source]),
            spool_bytes: self.spool_bytes.with_label_values(&[worker, task, source]),
        }
    }

    /// Counts row changes of one target table that were handed to a lane.
    pub fn jobs(&self, kind: &str, task: &str, source: &str, schema: &str, table: &str) -> [IntCounter; 2] {
        let labels = [kind, task, "0", source, self.worker.as_str(), schema, table];
        [self.added_jobs.with_label_values(&labels), self.finished_jobs.with_label_values(&labels)]
    }

    pub(super) fn forget(&self, task: &str, source: &str) {
        let worker = self.worker.as_str();
        // Absent label sets are no error here: the subtask may never have synced.
        let _ = self.lag_gauge.remove_label_values(&[task, source, worker]);
        let _ = self.remaining.remove_label_values(&[task, source, worker]);
        for node in ["master", "syncer"] {
            let _ = self.binlog_file.remove_label_values(&[node, task, source]);
            let _ = self.binlog_pos.remove_label_values(&[node, task, source]);
        }
    }
}
