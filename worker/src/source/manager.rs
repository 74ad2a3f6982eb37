//! Reconciles the assignment with what runs here.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dm_proto::worker::Assignment;
use tokio::{sync::watch, time::MissedTickBehavior};
use tracing::{info, warn};

use super::bound::Bound;
use crate::runtime::Process;

/// How often the loss of all masters, and the end of released sources, are looked at.
const TICK: Duration = Duration::from_millis(200);

/// Owns every bound source of this process.
pub struct SourceManager {
    process: Arc<Process>,
    assignment: watch::Receiver<Option<Arc<Assignment>>>,
    bound: BTreeMap<String, Bound>,
    leaving: BTreeMap<String, Bound>,
    lost: bool,
}

impl SourceManager {
    pub fn new(process: Arc<Process>, assignment: watch::Receiver<Option<Arc<Assignment>>>) -> Self {
        Self { process, assignment, bound: BTreeMap::new(), leaving: BTreeMap::new(), lost: false }
    }

    /// Runs until the process stops; everything is drained and released at its end.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.process.shutdown.clone();
        loop {
            tokio::select! {
                changed = self.assignment.changed() => if changed.is_err() { break },
                _ = tick.tick() => {}
                () = shutdown.cancelled() => break,
            }
            self.watch_masters();
            self.reconcile();
        }
        // The actors see the shutdown themselves.
        for (source_id, bound) in self.bound.into_iter().chain(self.leaving) {
            bound.join().await;
            info!(source = %source_id, "source released");
        }
    }

    fn watch_masters(&mut self) {
        let lost = self.process.contact.lost();
        if lost != self.lost {
            if lost {
                warn!("no master was heard for longer than master-loss-grace: all subtasks stop");
            } else {
                info!("a master is heard again");
            }
        }
        self.lost = lost;
    }

    fn reconcile(&mut self) {
        let Some(wanted) = self.assignment.borrow_and_update().clone() else { return };
        let sources: &[_] = if self.lost { &[] } else { &wanted.sources };
        let gone: Vec<String> =
            self.bound.keys().filter(|id| !sources.iter().any(|s| s.source_id == **id)).cloned().collect();
        for source_id in gone {
            if let Some(bound) = self.bound.remove(&source_id) {
                info!(source = %source_id, "source is no longer bound here");
                bound.withdraw();
                self.leaving.insert(source_id, bound);
            }
        }
        let board = &self.process.board;
        self.leaving.retain(|source_id, bound| {
            let released = bound.released();
            if released {
                board.release_source(source_id);
                info!(source = %source_id, "source released");
            }
            !released
        });
        for source in sources {
            // Bound anew while its former subtasks still end: they go first. The next tick looks again.
            if self.leaving.contains_key(&source.source_id) {
                continue;
            }
            let process = &self.process;
            self.bound
                .entry(source.source_id.clone())
                .or_insert_with(|| {
                    info!(source = %source.source_id, epoch = source.epoch, "source bound");
                    process.board.forget_source(&source.source_id);
                    Bound::new(Arc::clone(process), &source.source_id)
                })
                .update(source);
        }
    }
}
