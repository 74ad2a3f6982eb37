//! Changes of leader and members.
use std::{collections::BTreeSet, future::Future, time::Duration};

use openraft::{
    ChangeMembers,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, RaftError},
};

use crate::{
    Consensus, Leadership, Machine, Member, MembershipError,
    consensus::ADMISSION_DEADLINE,
    types::{PeerNode, TypeConfig},
};

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
    pub async fn remove_member(&self, id: u64) -> Result<(), MembershipError> {
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        if membership.get_node(&id).is_none() {
            return Err(MembershipError::Rejected(format!("there is no member {id:x}")));
        }
        let voter = membership.voter_ids().any(|voter| voter == id);
        if voter && membership.voter_ids().count() == 1 {
            return Err(MembershipError::Rejected("the last voter can't be removed".into()));
        }
        let ids = BTreeSet::from([id]);
        let change = match voter {
            true => ChangeMembers::RemoveVoters(ids),
            false => ChangeMembers::RemoveNodes(ids),
        };
        let removing = async { self.inner.raft.change_membership(change, false).await.map(drop) };
        self.change(self.inner.config.request_timeout, removing).await
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
