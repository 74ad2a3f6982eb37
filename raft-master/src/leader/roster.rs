//! Observed state of all workers, shared by the duties and the handlers of one tenure.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use dm_proto::worker::{Report, SubtaskReport};
use dm_state::{Condition, Liveness, State, WorkerLiveness};
use tokio::sync::watch;
use tonic::transport::Channel;

use super::seen::{Link, Pace, Seen};

/// What this leader has observed since it took office. Nothing here outlives the tenure.
pub struct Roster {
    pace: Pace,
    workers: Mutex<BTreeMap<String, Seen>>,
    version: watch::Sender<u64>,
}

impl Roster {
    /// Knows nobody yet.
    pub fn new(pace: Pace) -> Self {
        Self { pace, workers: Mutex::default(), version: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something was observed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Makes the roster hold exactly the processes that are registered. A new process of a known worker inherits the
    /// silence of the former one: one that registers again and again and never answers must not keep its sources.
    pub fn follow(&self, state: &State, now: Instant) {
        let mut workers = self.lock();
        workers.retain(|name, _| state.workers.get(name).is_some_and(|w| w.incarnation != 0));
        for (name, worker) in state.workers.iter().filter(|(_, w)| w.incarnation != 0) {
            let quiet_since = match workers.get(name) {
                Some(seen) if seen.incarnation == worker.incarnation => continue,
                Some(former) => former.quiet_since(),
                None => now,
            };
            workers.insert(name.clone(), Seen::unknown(worker.incarnation, quiet_since));
        }
    }

    /// Records an observation of that process; nothing when it is no longer the registered one.
    pub fn observe(&self, worker: &str, incarnation: u64, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.lock().get_mut(worker).filter(|s| s.incarnation == incarnation) {
            change(seen);
        }
        self.version.send_modify(|v| *v += 1);
    }

    /// A session is open.
    pub fn opened(&self, worker: &str, incarnation: u64, channel: Channel) {
        self.observe(worker, incarnation, |seen| {
            seen.link = Link::Open;
            seen.channel = Some(channel);
        });
    }

    /// The session or the attempt to have one ended, without proof that the process is gone.
    pub fn lost(&self, worker: &str, incarnation: u64) {
        self.observe(worker, incarnation, |seen| {
            seen.link = Link::Down;
            seen.channel = None;
            seen.sent = 0;
        });
    }

    /// Nobody listens at its address, or somebody else does.
    pub fn gone(&self, worker: &str, incarnation: u64, now: Instant) {
        self.observe(worker, incarnation, |seen| {
            if !matches!(seen.link, Link::Gone(_)) {
                seen.link = Link::Gone(now);
            }
            seen.channel = None;
            seen.sent = 0;
        });
    }

    /// Any message came.
    pub fn heard(&self, worker: &str, incarnation: u64, report: Option<Report>, now: Instant) {
        self.observe(worker, incarnation, |seen| {
            seen.heard = Some(now);
            if let Some(report) = report {
                seen.report = Some((Arc::new(report), now));
            }
        });
    }

    /// An assignment was computed from the state at `index`; `sent` is its revision if it was sent.
    pub fn assigned(&self, worker: &str, incarnation: u64, index: u64, sent: Option<u64>) {
        self.observe(worker, incarnation, |seen| {
            seen.computed = seen.computed.max(index);
            seen.sent = sent.unwrap_or(seen.sent);
        });
    }

    /// This process itself was not running for a while: what looked like silence was its own absence.
    pub fn forgive(&self, now: Instant) {
        self.lock().values_mut().for_each(|seen| seen.since = now);
    }

    /// What has been observed of a worker.
    pub fn get(&self, worker: &str) -> Option<Seen> {
        self.lock().get(worker).cloned()
    }

    /// Condition of a worker's registered process.
    pub fn condition(&self, worker: &str, now: Instant) -> Condition {
        self.lock().get(worker).map_or(Condition::Dead, |seen| seen.condition(now, self.pace))
    }

    /// Names of all live workers.
    pub fn live(&self, now: Instant) -> Vec<String> {
        let workers = self.lock();
        let live = workers.iter().filter(|(_, seen)| seen.condition(now, self.pace) == Condition::Live);
        live.map(|(name, _)| name.clone()).collect()
    }

    /// All last reports: worker, process, report.
    pub fn reports(&self) -> Vec<(String, u64, Arc<Report>)> {
        let workers = self.lock();
        let reported = workers.iter().filter_map(|(name, seen)| {
            seen.report.as_ref().map(|(report, _)| (name.clone(), seen.incarnation, report.clone()))
        });
        reported.collect()
    }

    /// The scheduler's view.
    pub fn liveness(&self, now: Instant) -> Liveness {
        let mut liveness = Liveness::default();
        for (name, seen) in self.lock().iter() {
            let condition = seen.condition(now, self.pace);
            let worker = WorkerLiveness { incarnation: seen.incarnation, condition };
            liveness.workers.insert(name.clone(), worker);
            let Some((report, _)) = &seen.report else { continue };
            for source in &report.sources {
                let found = source.subtasks.iter().map(|s: &SubtaskReport| s.epoch_found).max().unwrap_or(0);
                let known = liveness.epochs_found.get(&source.source_id).map_or(0, |(epoch, _)| *epoch);
                // A former owner may still report; the newest epoch is the present owner's.
                if found > 0 && source.epoch > known {
                    liveness.epochs_found.insert(source.source_id.clone(), (source.epoch, found));
                }
            }
        }
        liveness
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dm_proto::raft::{RegisterWorker, command::Body};
    use dm_state::{apply, command};

    use super::*;

    #[test]
    fn a_worker_that_only_registers_again_and_again_is_dead_after_a_lease() {
        let pace = Pace { lease: Duration::from_secs(3), damping: Duration::from_millis(300) };
        let (roster, mut state, start) = (Roster::new(pace), State::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for round in 0..20_u64 {
            let body = RegisterWorker { name: "w".into(), address: "a:1".into(), incarnation: round + 1 };
            apply(&mut state, &command(0, Body::RegisterWorker(body))).unwrap();
            roster.follow(&state, at(round * 200));
            roster.gone("w", round + 1, at(round * 200 + 10));
        }
        assert_eq!(roster.condition("w", at(19 * 200 + 20)), Condition::Dead);
        // As soon as a process answers it counts.
        roster.heard("w", 20, None, at(4000));
        roster.observe("w", 20, |seen| seen.link = Link::Open);
        assert_eq!(roster.condition("w", at(4001)), Condition::Live);
    }
}
