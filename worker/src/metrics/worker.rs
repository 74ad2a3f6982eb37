//! The registry of the process.
use dm_proto::worker::Stage;
use prometheus::{Encoder, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::SyncMetrics;
use crate::failure::Failure;

/// All metrics of one worker process.
pub struct Metrics {
    registry: Registry,
    worker: String,
    task_state: IntGaugeVec,
    exits: [(&'static str, IntCounterVec); 3],
    /// Fence refusals by the target: packets of a former owner, stopped by the target itself.
    refused_packets: IntCounterVec,
    operate_error: IntCounterVec,
    goroutines: GaugeVec,
    pub sync: SyncMetrics,
}

impl Metrics {
    pub fn new(worker: &str) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let task_state = IntGaugeVec::new(
            Opts::new(
                "dm_worker_task_state",
                "state of task, 0 - invalidStage, 1 - New, 2 - Running, 3 - Paused, 4 - Stopped, 5 - Finished",
            ),
            &["task", "source_id", "worker"],
        )?;
        let exit = |name: &str, help: &str| {
            IntCounterVec::new(Opts::new(name, help), &["task", "source_id", "resumable_err"])
        };
        let exits = [
            ("Sync", exit("dm_syncer_exit_with_error_count", "counter of syncer exits with error")?),
            ("Load", exit("dm_loader_exit_with_error_count", "counter of loader exits with error")?),
            ("Dump", exit("dm_dumpling_exit_with_error_count", "counter of dumpling exits with error")?),
        ];
        let refused_packets = IntCounterVec::new(
            Opts::new("dm_target_refused_packets_total", "packets that the target's fence refused"),
            &["task", "source_id", "worker"],
        )?;
        let operate_error = IntCounterVec::new(
            Opts::new("dm_worker_operate_error", "number of different operate error"),
            &["worker", "type"],
        )?;
        let goroutines = GaugeVec::new(
            Opts::new("go_goroutines", "tasks of the runtime; DM's dashboards find instances by this name"),
            &[],
        )?;
        registry.register(Box::new(task_state.clone()))?;
        for (_, counter) in &exits {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(refused_packets.clone()))?;
        registry.register(Box::new(operate_error.clone()))?;
        registry.register(Box::new(goroutines.clone()))?;
        operate_error.with_label_values(&[worker, "SourceBound"]);
        let sync = SyncMetrics::new(worker, &registry)?;
        Ok(Self {
            registry,
            worker: worker.to_owned(),
            task_state,
            exits,
            refused_packets,
            operate_error,
            goroutines,
            sync,
        })
    }

    /// The text form for Prometheus.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let tasks = tokio::runtime::Handle::try_current().map_or(0, |h| h.metrics().num_alive_tasks());
        self.goroutines
            .with_label_values::<&str>(&[])
            .set(f64::from(u32::try_from(tasks).unwrap_or(u32::MAX)));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    pub fn task_state(&self, task: &str, source: &str, stage: Stage) {
        // Shown as running while it changes; DM has no other number for it.
        let number = match stage {
            Stage::Pausing | Stage::Resuming | Stage::Stopping => Stage::Running as i64,
            other => other as i64,
        };
        let labels = [task, source, self.worker.as_str()];
        if matches!(stage, Stage::Stopped | Stage::Finished) {
            // An absent label set is no error: the series may never have existed.
            let _ = self.task_state.remove_label_values(&labels);
        } else {
            self.task_state.with_label_values(&labels).set(number);
        }
        // Samples exist with value 0 before the first event.
        for (_, counter) in &self.exits {
            for resumable in ["true", "false"] {
                counter.with_label_values(&[task, source, resumable]);
            }
        }
        self.refused_packets.with_label_values(&labels);
    }

    pub fn exited_with_error(&self, task: &str, source: &str, unit: &str, failure: &Failure) {
        let resumable = if failure.error.retryable() { "true" } else { "false" };
        if let Some((_, counter)) = self.exits.iter().find(|(name, _)| *name == unit) {
            counter.with_label_values(&[task, source, resumable]).inc();
        }
    }

    pub fn packet_refused(&self, task: &str, source: &str) {
        self.refused_packets.with_label_values(&[task, source, &self.worker]).inc();
    }

    pub fn operate_error(&self, kind: &str) {
        self.operate_error.with_label_values(&[self.worker.as_str(), kind]).inc();
    }

    /// The subtask is gone from this worker: its gauges must not go on claiming something.
    pub fn forget_subtask(&self, task: &str, source: &str) {
        let _ = self.task_state.remove_label_values(&[task, source, &self.worker]);
        self.sync.forget(task, source);
    }
}
