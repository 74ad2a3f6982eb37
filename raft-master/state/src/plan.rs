//! The scheduler: which commands bring the bindings in line with the workers that live.
use std::collections::BTreeMap;

use dm_proto::raft::{Bind, WorkerGone, command::Body};

use crate::{
    liveness::{Condition, Liveness},
    state::{Source, State},
};

/// Commands to propose now; empty when nothing has to change. Every source goes to a live worker, the one with the
/// fewest sources first; a bound source stays where it is until its worker is dead, leaves, or is another process.
/// The caller wraps the bodies with its time, and calls again after they are applied.
pub fn plan(state: &State, liveness: &Liveness) -> Vec<Body> {
    let mut commands = Vec::new();
    for (name, worker) in &state.workers {
        if worker.incarnation != 0 && liveness.condition(name, worker.incarnation) == Condition::Released {
            commands
                .push(Body::WorkerGone(WorkerGone { name: name.clone(), incarnation: worker.incarnation }));
        }
    }
    let mut load = live_load(state, liveness);
    for (source_id, source) in &state.sources {
        if liveness.held.contains(source_id) {
            continue;
        }
        if let Some(command) = place(state, liveness, source_id, source, &mut load) {
            commands.push(command);
        }
    }
    commands
}

/// Live workers and how many sources each one keeps.
fn live_load(state: &State, liveness: &Liveness) -> BTreeMap<String, usize> {
    let mut load: BTreeMap<String, usize> = state
        .workers
        .iter()
        .filter(|(name, w)| w.incarnation != 0 && liveness.condition(name, w.incarnation) == Condition::Live)
        .map(|(name, _)| (name.clone(), 0))
        .collect();
    for binding in state.sources.values().filter_map(|s| s.binding.as_ref()) {
        if let Some(count) = load.get_mut(&binding.worker) {
            *count += 1;
        }
    }
    load
}

fn place(
    state: &State,
    liveness: &Liveness,
    source_id: &str,
    source: &Source,
    load: &mut BTreeMap<String, usize>,
) -> Option<Body> {
    let (expected_epoch, floor) = match &source.binding {
        None => (0, 0),
        Some(b) => {
            let found = liveness.epochs_found.get(source_id);
            let floor =
                found.filter(|(epoch, found)| *epoch == b.epoch && *found >= b.epoch).map_or(0, |f| f.1);
            // What the registered process of that worker is like; 0 is a process that left.
            let registered = state.workers.get(&b.worker).map_or(0, |w| w.incarnation);
            let condition = match registered {
                0 => Condition::Dead,
                incarnation => liveness.condition(&b.worker, incarnation),
            };
            match condition {
                // Not for long: either it answers, or the lease runs out.
                Condition::Unknown => return None,
                Condition::Released => return None, // WorkerGone unbinds first
                Condition::Live | Condition::Leaving if registered == b.incarnation && floor == 0 => {
                    return None;
                }
                Condition::Leaving if registered == b.incarnation => return None,
                // The same worker first: another process of it, or one that needs a higher epoch.
                Condition::Live => return Some(bind(state, source_id, &b.worker, b.epoch, floor)),
                Condition::Leaving | Condition::Dead => (b.epoch, floor),
            }
        }
    };
    let (worker, _) = load.iter().min_by_key(|(name, count)| (**count, (*name).clone()))?;
    let worker = worker.clone();
    *load.entry(worker.clone()).or_default() += 1;
    Some(bind(state, source_id, &worker, expected_epoch, floor))
}

fn bind(state: &State, source_id: &str, worker: &str, expected_epoch: u64, epoch_floor: u64) -> Body {
    Body::Bind(Bind {
        source_id: source_id.to_owned(),
        worker: worker.to_owned(),
        incarnation: state.workers.get(worker).map_or(0, |w| w.incarnation),
        expected_epoch,
        epoch_floor,
    })
}
