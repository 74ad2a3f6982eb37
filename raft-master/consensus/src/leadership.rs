//! Follows the engine's metrics: who leads, and whether the engine still runs.
use std::{future::Future, pin::pin, sync::Arc};

use openraft::{
    RaftMetrics, ServerState, alias::WatchReceiverOf, async_runtime::watch::WatchReceiver, errors::Fatal,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{FatalError, Leadership, Member, fatal::Fatality, network::Channels, types::TypeConfig};

/// The task that follows, and the watch it feeds.
pub fn follow(
    mut metrics: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>,
    own: u64,
    channels: Arc<Channels>,
    fatality: Fatality,
    stop: CancellationToken,
) -> (impl Future<Output = ()> + Send + 'static, watch::Receiver<Leadership>) {
    let (sender, receiver) = watch::channel(Leadership::default());
    let task = async move {
        let mut located = None;
        let mut fatal = pin!(fatality.wait());
        loop {
            let now = metrics.borrow_watched().clone();
            let running = now.running_state.clone();
            if located != *now.membership_config.log_id() {
                located = *now.membership_config.log_id();
                channels.locate(&members(&now));
            }
            let mut leadership = leadership(&now, own);
            // A stopped engine leads nobody.
            leadership.is_leader &= running.is_ok();
            sender.send_if_modified(|old| {
                let news = *old != leadership;
                *old = leadership;
                news
            });
            if let Err(error) = running {
                if !stop.is_cancelled() {
                    fatality.raise(match error {
                        Fatal::StorageError(error) => FatalError::Storage(error.to_string()),
                        other => FatalError::Engine(other.to_string()),
                    });
                }
                return;
            }
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() {
                    if !stop.is_cancelled() {
                        fatality.raise(FatalError::Engine("it ended without a word".into()));
                    }
                    break;
                },
                () = stop.cancelled() => break,
                // A member that must end leads nobody, whatever the engine thinks.
                _ = &mut fatal => break,
            }
        }
        sender.send_modify(|leadership| leadership.is_leader = false);
    };
    (task, receiver)
}

fn leadership(metrics: &RaftMetrics<TypeConfig>, own: u64) -> Leadership {
    let leader =
        metrics.current_leader.and_then(|id| members(metrics).into_iter().find(|member| member.id == id));
    let is_leader = metrics.state == ServerState::Leader && metrics.current_leader == Some(own);
    Leadership { term: metrics.current_term, is_leader, leader }
}

/// All members, by name.
pub fn members(metrics: &RaftMetrics<TypeConfig>) -> Vec<Member> {
    let membership = metrics.membership_config.membership();
    let mut members: Vec<Member> = membership
        .nodes()
        .map(|(id, node)| Member {
            id: *id,
            name: node.name.clone(),
            peer_addr: node.peer_addr.clone(),
            client_addr: node.client_addr.clone(),
            voter: membership.voter_ids().any(|voter| voter == *id),
        })
        .collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members
}
