//! `list-member`.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dm_consensus::{Member, SILENCE};
use dm_proto::pb::{
    ListLeaderMember, ListMasterMember, ListMemberRequest, ListMemberResponse, ListWorkerMember, MasterInfo,
    Members, WorkerInfo, members,
};
use dm_state::Condition;

use super::desk::Desk;
use crate::problem::Problem;

/// Longest wait for members and workers about which nothing is known yet.
const SETTLE: Duration = Duration::from_millis(500);

/// Sections in the order leader, master, worker; no filter means all.
pub async fn handle(desk: Desk, request: ListMemberRequest) -> Result<ListMemberResponse, Problem> {
    let all = !(request.leader || request.master || request.worker);
    let shown = |name: &str| request.names.is_empty() || request.names.iter().any(|n| n == name);
    let mut sections = Vec::new();
    if all || request.leader {
        sections.push(members::Member::Leader(leader(&desk, shown)));
    }
    if all || request.master {
        // Only a new leader has not heard everybody who is there: one that is dead for long costs no wait.
        let patience = SETTLE.saturating_sub(desk.tenure.began.elapsed());
        let silences = desk.node.consensus.silences(patience).await;
        let members = desk.node.consensus.members().into_iter().filter(|m| shown(&m.name));
        let masters = members.map(|m| master(m, &silences)).collect();
        sections.push(members::Member::Master(ListMasterMember { masters, ..Default::default() }));
    }
    if all || request.worker {
        settle(&desk).await;
        sections.push(members::Member::Worker(workers(&desk, shown)?));
    }
    let members = sections.into_iter().map(|member| Members { member: Some(member) }).collect();
    Ok(ListMemberResponse { result: true, msg: String::new(), members })
}

fn leader(desk: &Desk, shown: impl Fn(&str) -> bool) -> ListLeaderMember {
    let settings = &desk.node.settings;
    match shown(&settings.name) {
        true => ListLeaderMember {
            name: settings.name.clone(),
            addr: settings.advertise.clone(),
            ..Default::default()
        },
        false => ListLeaderMember::default(),
    }
}

/// A master is alive while it confirms the leader's heartbeats; nobody is asked while the caller waits.
fn master(member: Member, silences: &BTreeMap<u64, Option<Duration>>) -> MasterInfo {
    MasterInfo {
        alive: silences.get(&member.id).copied().flatten().is_some_and(|silence| silence < SILENCE),
        peer_ur_ls: vec![format!("http://{}", member.peer_addr)],
        client_ur_ls: vec![format!("http://{}", member.client_addr)],
        member_id: member.id,
        name: member.name,
    }
}

/// Right after an election, gives the workers a moment to be heard.
async fn settle(desk: &Desk) {
    let until = tokio::time::Instant::now() + SETTLE;
    let mut observed = desk.tenure.roster.changes();
    loop {
        observed.mark_unchanged();
        let liveness = desk.tenure.roster.liveness(Instant::now());
        let unknown = liveness.workers.values().any(|w| w.condition == Condition::Unknown);
        if !unknown || tokio::time::timeout_at(until, observed.changed()).await.is_err() {
            return;
        }
    }
}

fn workers(desk: &Desk, shown: impl Fn(&str) -> bool) -> Result<ListWorkerMember, Problem> {
    let now = Instant::now();
    let workers = desk.state(|state| {
        let shown = state.workers.iter().filter(|(name, _)| shown(name));
        let infos = shown.map(|(name, worker)| {
            // A worker may serve several sources; DM's field holds one.
            let sources: Vec<&str> = state.sources_of(name).map(|(id, _)| id.as_str()).collect();
            let condition = desk.tenure.roster.condition(name, now);
            let offline = match condition {
                Condition::Dead | Condition::Released => true,
                // Not heard of yet: what it owns it keeps, and it can't be given more.
                Condition::Unknown => sources.is_empty(),
                Condition::Live | Condition::Leaving => false,
            };
            let offline = offline || worker.incarnation == 0;
            let stage = match (offline, sources.is_empty()) {
                (true, _) => "offline",
                (false, true) => "free",
                (false, false) => "bound",
            };
            WorkerInfo {
                name: name.clone(),
                addr: worker.address.clone(),
                stage: stage.into(),
                source: sources.join(", "),
            }
        });
        infos.collect()
    });
    Ok(ListWorkerMember { workers, ..Default::default() })
}
