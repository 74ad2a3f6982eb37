//! Changes of leader and members.
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use openraft::{
    ChangeMembers, Instant,
    alias::InstantOf,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, RaftError},
    metrics::SerdeInstant,
};

use crate::{
    Consensus, Leadership, Machine, Member, MembershipError,
    consensus::ADMISSION_DEADLINE,
    types::{PeerNode, TypeConfig},
};

/// A member that confirms no heartbeat for so long does not answer.
pub const SILENCE: Duration = Duration::from_secs(1);

impl<M: Machine> Consensus<M> {
    /// Hands leadership to `to`, or to the voter that is most up to date, and waits until it leads.
    pub async fn transfer_leader(&self, to: Option<u64>) -> Result<(), MembershipError> {
        self.alive().map_err(MembershipError::Fatal)?;
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        let own = self.inner.identity.node_id;
        let Some(replication) = metrics.replication.filter(|_| metrics.current_leader == Some(own)) else {
            return Err(MembershipError::NotLeader { leader: self.other_leader() });
        };
        let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
        let best = replication.iter().filter(|(id, _)| **id != own && voters.contains(id));
        let best = best.max_by_key(|(_, matched)| **matched).map(|(id, _)| *id);
        let target = match to {
            Some(id) if id != own && voters.contains(&id) => id,
            Some(id) => return Err(MembershipError::Rejected(format!("{id:x} is not another voter"))),
            None => best.ok_or_else(|| MembershipError::Rejected("there is no other voter".into()))?,
        };
        let mut leadership = self.leadership();
        let asked = self.inner.raft.trigger().transfer_leader(target).await;
        asked.map_err(|error| MembershipError::Fatal(error.to_string()))?;
        let led = |now: &Leadership| now.leader.as_ref().is_some_and(|leader| leader.id == target);
        let waiting = leadership.wait_for(led);
        match tokio::time::timeout(self.inner.config.request_timeout, waiting).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MembershipError::Unknown("the new leader did not show up in time".into())),
        }
    }

    /// Adds a running, new member: first as a learner, then, when it has caught up, as a voter. (A member started
    /// with `join` asks for this by itself.)
    pub async fn add_member(&self, member: Member) -> Result<(), MembershipError> {
        let node =
            PeerNode { name: member.name, peer_addr: member.peer_addr, client_addr: member.client_addr };
        let adding = async {
            self.inner.raft.add_learner(member.id, node, true).await?;
            if member.voter {
                let voters = ChangeMembers::AddVoterIds(BTreeSet::from([member.id]));
                self.inner.raft.change_membership(voters, true).await?;
            }
            Ok(())
        };
        self.change(ADMISSION_DEADLINE, adding).await
    }

    /// Removes a member for good; its data directory can't come back. A removed leader hands over first.
    ///
    /// Refused when the voters left that answer are no majority of those left: the change would be in the log, could
    /// never be committed, and nothing else after it either.
    pub async fn remove_member(&self, id: u64) -> Result<(), MembershipError> {
        self.alive().map_err(MembershipError::Fatal)?;
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        if metrics.current_leader != Some(self.inner.identity.node_id) {
            return Err(MembershipError::NotLeader { leader: self.other_leader() });
        }
        let membership = metrics.membership_config.membership();
        if membership.get_node(&id).is_none() {
            return Err(MembershipError::Rejected(format!("there is no member {id:x}")));
        }
        let voter = membership.voter_ids().any(|voter| voter == id);
        if voter && membership.voter_ids().count() == 1 {
            return Err(MembershipError::Rejected("the last voter can't be removed".into()));
        }
        if voter {
            let all: BTreeSet<u64> = membership.voter_ids().collect();
            let rest: BTreeSet<u64> = all.iter().copied().filter(|other| *other != id).collect();
            let enough = |up: &BTreeSet<u64>| is_majority(up, &all) && is_majority(up, &rest);
            if !self.answering(enough).await? {
                return Err(MembershipError::Rejected(
                    "without it the members that answer are no majority; remove the dead one first".into(),
                ));
            }
        }
        let ids = BTreeSet::from([id]);
        let change = match voter {
            true => ChangeMembers::RemoveVoters(ids),
            false => ChangeMembers::RemoveNodes(ids),
        };
        let removing = async { self.inner.raft.change_membership(change, false).await.map(drop) };
        self.change(self.inner.config.request_timeout, removing).await
    }

    /// Waits until the members that have answered a heartbeat sent from now on are enough, [`SILENCE`] at most. What
    /// they answered before counts for nothing: one may have died since.
    async fn answering(&self, enough: impl Fn(&BTreeSet<u64>) -> bool) -> Result<bool, MembershipError> {
        let own = self.inner.identity.node_id;
        let now = InstantOf::<TypeConfig>::now();
        let mut watch = self.inner.raft.metrics();
        let heard = async {
            loop {
                let metrics = watch.borrow_watched().clone();
                let Some(acked) = metrics.heartbeat.filter(|_| metrics.current_leader == Some(own)) else {
                    return Err(MembershipError::NotLeader { leader: self.other_leader() });
                };
                let fresh = acked.iter().filter(|(_, at)| at.is_some_and(|at| *at >= now)).map(|(id, _)| *id);
                if enough(&fresh.chain([own]).collect()) {
                    return Ok(true);
                }
                if watch.changed().await.is_err() {
                    return Err(MembershipError::Fatal("the consensus engine has ended".into()));
                }
            }
        };
        tokio::time::timeout(SILENCE, heard).await.unwrap_or(Ok(false))
    }

    /// For how long each member has confirmed no heartbeat of this leader; `None` for one that never did, which is
    /// waited for as long as `patience`. Empty on a member that does not lead.
    pub async fn silences(&self, patience: Duration) -> BTreeMap<u64, Option<Duration>> {
        let own = self.inner.identity.node_id;
        let watch = self.inner.raft.metrics();
        let silences = || {
            let metrics = watch.borrow_watched().clone();
            let acked = metrics.heartbeat.filter(|_| metrics.current_leader == Some(own)).unwrap_or_default();
            let silence = |id, at: Option<SerdeInstant<InstantOf<TypeConfig>>>| match id == own {
                true => Some(Duration::ZERO),
                false => at.map(|at| at.elapsed()),
            };
            acked.into_iter().map(|(id, at)| (id, silence(id, at))).collect::<BTreeMap<_, _>>()
        };
        let mut changes = self.inner.raft.metrics();
        let all_heard = async {
            // An error means that the engine has ended: nothing more will be heard.
            while silences().values().any(Option::is_none) && changes.changed().await.is_ok() {}
        };
        // Past the deadline the answer says who has not been heard.
        let _ = tokio::time::timeout(patience, all_heard).await;
        silences()
    }

    async fn change(
        &self,
        deadline: Duration,
        change: impl Future<Output = Result<(), RaftError<TypeConfig, ClientWriteError<TypeConfig>>>>,
    ) -> Result<(), MembershipError> {
        self.alive().map_err(MembershipError::Fatal)?;
        match tokio::time::timeout(deadline, change).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(MembershipError::NotLeader { leader: self.other_leader() })
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(MembershipError::Rejected(error.to_string()))
            }
            Ok(Err(error)) => Err(MembershipError::Unknown(error.to_string())),
            Err(_) => Err(MembershipError::Unknown("no answer in time".into())),
        }
    }
}

fn is_majority(up: &BTreeSet<u64>, voters: &BTreeSet<u64>) -> bool {
    up.intersection(voters).count() * 2 > voters.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        let set = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<u64>>();
        assert!(is_majority(&set(&[1]), &set(&[1])));
        assert!(!is_majority(&set(&[1]), &set(&[1, 2])));
        assert!(is_majority(&set(&[1, 2, 9]), &set(&[1, 2, 3])));
        assert!(!is_majority(&set(&[1, 8, 9]), &set(&[1, 2, 3])), "others do not count");
    }
}
