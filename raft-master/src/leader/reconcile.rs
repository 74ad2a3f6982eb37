//! Brings bindings and meta stages in line with what is observed.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dm_proto::raft::command::Body;
use dm_state::plan;
use futures::{StreamExt, stream};
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::{
    damper::Damper,
    desired::{consumed_operators, meta_wishes},
    tenure::Tenure,
};
use crate::{node::Node, problem::Problem};

/// Time resolution of leases.
const TICK: Duration = Duration::from_millis(50);
/// A pause of this process longer than this makes every silence unproven.
const OWN_PAUSE: Duration = Duration::from_millis(1000);
/// Proposals in flight at once.
const IN_FLIGHT: usize = 32;

/// Runs until the tenure ends.
pub async fn run(node: Arc<Node>, tenure: Arc<Tenure>) {
    let end = tenure.end.clone();
    tokio::select! {
        () = end.cancelled() => {}
        () = reconcile(&node, &tenure) => {}
    }
    end.cancelled().await;
}

async fn reconcile(node: &Node, tenure: &Tenure) {
    let mut damper = Damper::new(node.settings.timing.moves_per_minute);
    let mut observed = tenure.roster.changes();
    let mut applied = node.consensus.applied();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_round = Instant::now();
    let mut backoff = Duration::ZERO;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = observed.changed() => {}
            changed = applied.changed() => if changed.is_err() { return },
        }
        let now = Instant::now();
        if now.duration_since(last_round) > OWN_PAUSE + backoff {
            warn!(
                pause_ms = now.duration_since(last_round).as_millis(),
                "this process was not running for a while"
            );
            tenure.roster.forgive(now);
        }
        last_round = now;
        if !node.consensus.quorum_fresh() {
            continue;
        }
        let commands = node.state(|state, _| decide(state, tenure, &mut damper, now));
        node.metrics.observe(node, tenure, now);
        backoff = match commands.is_empty() || act(node, commands, &mut damper).await {
            true => Duration::ZERO,
            false => (backoff * 2).clamp(TICK, Duration::from_secs(1)),
        };
        tokio::time::sleep(backoff).await;
        last_round = Instant::now();
    }
}

fn decide(state: &dm_state::State, tenure: &Tenure, damper: &mut Damper, now: Instant) -> Vec<Body> {
    tenure.roster.follow(state, now);
    let mut liveness = tenure.roster.liveness(now);
    liveness.held = damper.held(now);
    let mut commands = plan(state, &liveness);
    for (worker, incarnation, report) in tenure.roster.reports() {
        commands.extend(meta_wishes(state, &worker, incarnation, &report));
        commands.extend(consumed_operators(state, &worker, incarnation, &report));
    }
    commands
}

/// Proposes all; true when nothing went wrong.
async fn act(node: &Node, commands: Vec<Body>, damper: &mut Damper) -> bool {
    let proposals = commands.into_iter().map(|body| async move { (node.propose(body.clone()).await, body) });
    let outcomes: Vec<_> = stream::iter(proposals).buffer_unordered(IN_FLIGHT).collect().await;
    let mut fine = true;
    for (outcome, body) in outcomes {
        match (outcome, body) {
            (Ok(done), Body::Bind(bind)) => {
                damper.record(&bind.source_id, Instant::now());
                node.metrics.bindings.inc();
                info!(source = %bind.source_id, worker = %bind.worker, incarnation = bind.incarnation,
                    epoch = done.epoch, former_epoch = bind.expected_epoch, "source is bound");
            }
            (Ok(_), Body::WorkerGone(gone)) => info!(worker = %gone.name, "worker has left"),
            (Ok(_), Body::SetMeta(meta)) => {
                info!(task = %meta.task, source = %meta.source_id, meta = meta.meta, "meta stage is committed");
            }
            (Ok(_), Body::RemoveOperator(done)) => {
                info!(task = %done.task, source = %done.source_id, operator = done.id, "error operator is consumed");
            }
            (Ok(_), _) => {}
            (Err(Problem::NotLeader), _) => fine = false,
            (Err(problem), body) => {
                warn!(?problem, ?body, "a command of the scheduler was not carried out");
                fine = false;
            }
        }
    }
    fine
}
