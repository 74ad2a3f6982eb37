//! What the cluster itself says of its members, from moment to moment.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use dm_proto::pb::{ListMemberRequest, ListMemberResponse, master_client::MasterClient, members::Member};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::{
    history::is_operators,
    timeline::{Kind, Timeline},
};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a master may take to answer one.
const ANSWER: Duration = Duration::from_secs(1);

/// Clients of all masters, by their addresses, comma-separated; they connect when they are used.
pub fn clients(addresses: &str, patience: Duration) -> Result<Vec<MasterClient<Channel>>> {
    let client = |address: &str| {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect_timeout(Duration::from_secs(1)).timeout(patience).connect_lazy();
        anyhow::Ok(MasterClient::new(channel))
    };
    addresses.split(',').map(client).collect()
}

/// Notes when another master leads, when a worker is missed or is back, and when a source is given to another worker.
pub async fn watch(addresses: String, timeline: Timeline, stop: CancellationToken) -> Result<()> {
    let mut masters = clients(&addresses, ANSWER)?;
    let mut before: Option<Known> = None;
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let Some(master) = masters.first_mut() else { return Ok(()) };
        let request = ListMemberRequest { leader: true, worker: true, ..ListMemberRequest::default() };
        let asked = tokio::time::timeout(ANSWER, master.list_member(request)).await;
        let Ok(Ok(answer)) = asked else {
            // It may be away on purpose: ask another one.
            masters.rotate_left(1);
            continue;
        };
        let now = Known::of(answer.get_ref());
        if let Some(before) = &before {
            before.note_changes(&now, &timeline);
        }
        before = Some(now);
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Known {
    leader: String,
    /// By worker, whether it is missed.
    missed: BTreeMap<String, bool>,
    /// By source, its worker.
    owners: BTreeMap<String, String>,
}

impl Known {
    fn of(answer: &ListMemberResponse) -> Self {
        let mut known = Self::default();
        for member in answer.members.iter().filter_map(|m| m.member.as_ref()) {
            match member {
                Member::Leader(leader) => known.leader.clone_from(&leader.name),
                Member::Worker(list) => {
                    for worker in &list.workers {
                        known.missed.insert(worker.name.clone(), worker.stage == "offline");
                        let sources: BTreeSet<&str> =
                            worker.source.split(", ").filter(|s| !s.is_empty()).collect();
                        for source in sources.into_iter().filter(|s| !is_operators(s)) {
                            if worker.stage == "bound" {
                                known.owners.insert(source.to_owned(), worker.name.clone());
                            }
                        }
                    }
                }
                Member::Master(_) => {}
            }
        }
        known
    }

    fn note_changes(&self, now: &Self, timeline: &Timeline) {
        if now.leader != self.leader && !now.leader.is_empty() {
            timeline.note_as(Kind::Detected, format!("{} is said to lead", now.leader));
        }
        for (worker, missed) in &now.missed {
            if self.missed.get(worker).is_some_and(|before| before != missed) {
                let (kind, what) =
                    if *missed { (Kind::Detected, "is missed") } else { (Kind::Other, "is back") };
                timeline.note_as(kind, format!("{worker} {what}"));
            }
        }
        for (source, owner) in &now.owners {
            if self.owners.get(source) != Some(owner) {
                timeline.note_as(Kind::Reassigned, format!("{source} is given to {owner}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dm_proto::pb::{ListLeaderMember, ListWorkerMember, Members, WorkerInfo};

    use super::*;

    fn answer(leader: &str, workers: &[(&str, &str, &str)]) -> ListMemberResponse {
        let worker = |(name, stage, source): &(&str, &str, &str)| WorkerInfo {
            name: (*name).to_owned(),
            stage: (*stage).to_owned(),
            source: (*source).to_owned(),
            ..WorkerInfo::default()
        };
        let members = [
            Member::Leader(ListLeaderMember { name: leader.to_owned(), ..ListLeaderMember::default() }),
            Member::Worker(ListWorkerMember {
                workers: workers.iter().map(worker).collect(),
                ..ListWorkerMember::default()
            }),
        ];
        let members = members.map(|member| Members { member: Some(member) }).to_vec();
        ListMemberResponse { result: true, msg: String::new(), members }
    }

    #[test]
    fn what_changes_is_noted_as_what_it_is() {
        let timeline = Timeline::start();
        let before =
            Known::of(&answer("m1", &[("w1", "bound", "source-1, operators-3"), ("w2", "free", "")]));
        let now = Known::of(&answer("m2", &[("w1", "offline", ""), ("w2", "bound", "source-1")]));
        before.note_changes(&now, &timeline);
        now.note_changes(&now, &timeline);
        let noted: Vec<_> = timeline.events().into_iter().map(|e| (e.kind, e.what)).collect();
        let expected = [
            (Kind::Detected, "m2 is said to lead"),
            (Kind::Detected, "w1 is missed"),
            (Kind::Reassigned, "source-1 is given to w2"),
        ];
        assert_eq!(noted, expected.map(|(kind, what)| (kind, what.to_owned())));
    }
}
