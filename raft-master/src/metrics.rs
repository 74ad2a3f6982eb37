//! What `/metrics` shows. Every series exists with 0 before its first event.
use std::time::Instant;

use dm_state::Condition;
use prometheus::{Encoder, GaugeVec, IntCounter, IntGauge, Opts, Registry, TextEncoder};

use crate::{leader::Tenure, node::Node};

/// The process's metrics; names of DM where DM has them.
pub struct Metrics {
    registry: Registry,
    /// `dm_master_start_leader_counter`: tenures begun here.
    pub start_leader: IntCounter,
    /// `dm_master_source_bindings_total`: bindings committed here.
    pub bindings: IntCounter,
    /// `dm_master_is_leader`: 1 while the duties run.
    is_leader: IntGauge,
    /// `dm_master_worker_state`: DM's numbers, by worker; only on the leader.
    worker_state: GaugeVec,
    /// `dm_master_sources_unbound`: sources without a live worker; only meaningful on the leader.
    unbound: IntGauge,
}

/// A metric could not be set up; only a program error makes this happen.
pub type MetricsError = prometheus::Error;

impl Metrics {
    /// All series at 0.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let metrics = Self {
            start_leader: IntCounter::new(
                "dm_master_start_leader_counter",
                "Times this member took up the duties of the leader",
            )?,
            bindings: IntCounter::new(
                "dm_master_source_bindings_total",
                "Bindings of sources to workers committed by this member as leader",
            )?,
            is_leader: IntGauge::new(
                "dm_master_is_leader",
                "1 while this member is the leader and acts as such",
            )?,
            worker_state: GaugeVec::new(
                Opts::new("dm_master_worker_state", "0 offline, 1 free, 2 bound; on the leader only"),
                &["worker"],
            )?,
            unbound: IntGauge::new(
                "dm_master_sources_unbound",
                "Sources without a worker, as the leader knows",
            )?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.start_leader.clone()))?;
        metrics.registry.register(Box::new(metrics.bindings.clone()))?;
        metrics.registry.register(Box::new(metrics.is_leader.clone()))?;
        metrics.registry.register(Box::new(metrics.worker_state.clone()))?;
        metrics.registry.register(Box::new(metrics.unbound.clone()))?;
        Ok(metrics)
    }

    /// Brings the leader's gauges up to date.
    pub fn observe(&self, node: &Node, tenure: &Tenure, now: Instant) {
        self.is_leader.set(1);
        node.state(|state, _| {
            self.worker_state.reset();
            for name in state.workers.keys() {
                let value = match tenure.roster.condition(name, now) {
                    Condition::Dead | Condition::Released => 0.0,
                    _ if state.sources_of(name).next().is_some() => 2.0,
                    _ => 1.0,
                };
                self.worker_state.with_label_values(&[name]).set(value);
            }
            let unbound = state.sources.values().filter(|s| s.binding.is_none()).count();
            self.unbound.set(i64::try_from(unbound).unwrap_or(i64::MAX));
        });
    }

    /// Series that only a leader has go away with its office.
    pub fn leader_retired(&self) {
        self.is_leader.set(0);
        self.worker_state.reset();
        self.unbound.set(0);
    }

    /// Prometheus text.
    pub fn text(&self) -> Result<Vec<u8>, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
