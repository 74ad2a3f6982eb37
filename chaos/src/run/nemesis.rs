//! Injects faults, heals them, and measures when rows flow again.
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dm_tests::wait_until_value;
use futures::future::try_join_all;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use serde::Serialize;

use super::{
    fault::Fault,
    house::{CALM, House, Load},
    inject::{Victim, heal, inject},
    leaders::Office,
    timeline::{Kind, Timeline},
};

/// Bound on the time until rows flow again.
const BACK: Duration = Duration::from_secs(120);
/// How long a fault lasts, in milliseconds: shorter and longer than the lease of 3 s.
const HOLD: std::ops::Range<u64> = 200..7000;
/// Least time of `worker-asleep`.
const ASLEEP: Duration = Duration::from_secs(4);
/// Rest between two faults, in milliseconds.
const REST: std::ops::Range<u64> = 100..2500;

/// One fault that was injected, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Injected {
    pub fault: Fault,
    /// The member or the server.
    pub whom: String,
    /// Another fault was there at the same time.
    pub mixed: bool,
    /// Seconds from the run's beginning.
    pub injected: f64,
    pub healed: f64,
    /// Seconds until the first row whose INSERT was begun later was at the target, of the slowest source.
    pub first_row: Option<f64>,
    /// Seconds from the injection until the cluster noticed, until a source had another worker, and until that one owned the
    /// target; where it came to that.
    pub detected: Option<f64>,
    pub reassigned: Option<f64>,
    pub fence: Option<f64>,
    /// Seconds until another master led, where the leader was met and another one did.
    pub successor: Option<f64>,
    /// From when the first row is counted: rows may flow while the fault lasts, or only once it is healed.
    pub counted_from: &'static str,
}

pub struct Nemesis {
    pub random: StdRng,
    pub timeline: Timeline,
    pub injected: Vec<Injected>,
}

impl Nemesis {
    /// The last fault, for a message.
    pub fn last(&self) -> String {
        self.injected
            .last()
            .map_or_else(|| "no fault".to_owned(), |i| format!("{} of {}", i.fault.name(), i.whom))
    }

    /// Says of each fault that met the leader when another master led, before the next fault.
    pub fn successors(&mut self, offices: &[Office]) {
        let begun: Vec<f64> = self.injected.iter().map(|i| i.injected).collect();
        for entry in self.injected.iter_mut().filter(|i| i.fault.meets_leader()) {
            let end = begun.iter().copied().find(|at| *at > entry.healed).unwrap_or(f64::INFINITY);
            let next = offices.iter().find(|o| o.at > entry.injected && o.at < end && o.master != entry.whom);
            entry.successor = next.map(|office| office.at - entry.injected);
        }
    }

    /// One fault, or two at once of different parts; returns when everything is whole again.
    pub async fn strike(&mut self, house: &mut House, load: &Load, faults: &[Fault]) -> Result<()> {
        let first = *faults.choose(&mut self.random).context("none of the faults can be had here")?;
        let second = faults.choose(&mut self.random).copied();
        let two = self.random.random_ratio(1, 4);
        let hold = Duration::from_millis(self.random.random_range(HOLD));
        let rest = Duration::from_millis(self.random.random_range(REST));
        // Below the lease it would be a freeze like any other; above ten seconds the target closes its connections.
        let hold = if first == Fault::WorkerAsleep { hold.max(ASLEEP) } else { hold };
        let second = second.filter(|s| two && first.goes_with(*s));
        // Both are chosen first: who leads and who serves is not known while the masters are apart.
        let mut chosen = vec![(first, self.choose(house, first).await?)];
        if let Some(second) = second {
            chosen.push((second, self.choose(house, second).await?));
        }
        let mut open = Vec::new();
        for (fault, victim) in chosen {
            let whom = victim.name(house);
            self.timeline.note(format!("{} of {whom}", fault.name()));
            let at = Instant::now();
            let cure = inject(house, fault, victim, &mut self.random).await?;
            self.injected.push(Injected {
                fault,
                whom,
                mixed: second.is_some(),
                injected: self.timeline.seconds(at),
                healed: 0.0,
                first_row: None,
                detected: None,
                reassigned: None,
                fence: None,
                successor: None,
                counted_from: if fault.rows_go_on() && second.is_none() { "injection" } else { "healing" },
            });
            open.push((self.injected.len() - 1, at, cure));
        }
        let alone = second.is_none() && first.rows_go_on();
        let begun = open.first().map_or_else(Instant::now, |(_, at, _)| *at);
        let timeline = self.timeline.clone();
        let injected = &mut self.injected;
        let healing = async {
            tokio::time::sleep(hold).await;
            for (n, _, cure) in open {
                heal(house, cure).await?;
                if let Some(entry) = injected.get_mut(n) {
                    entry.healed = timeline.seconds(Instant::now());
                    timeline.note(format!("healed: {} of {}", entry.fault.name(), entry.whom));
                }
            }
            anyhow::Ok(Instant::now())
        };
        let first_row = if alone {
            let (rows, healed) = tokio::join!(first_rows(load, begun), healing);
            healed?;
            rows?
        } else {
            let healed = healing.await?;
            first_rows(load, healed).await?
        };
        let fresh = if second.is_some() { 2 } else { 1 };
        for entry in self.injected.iter_mut().rev().take(fresh) {
            entry.first_row = Some(first_row.as_secs_f64());
        }
        house.whole().await?;
        let events = self.timeline.events();
        for entry in self.injected.iter_mut().rev().take(fresh) {
            let first = |kind| {
                let later = events.iter().find(|e| e.kind == kind && e.at >= entry.injected);
                later.map(|e| e.at - entry.injected)
            };
            (entry.detected, entry.reassigned, entry.fence) =
                (first(Kind::Detected), first(Kind::Reassigned), first(Kind::Fence));
        }
        self.timeline.note(format!("whole again; rows flowed after {} ms", first_row.as_millis()));
        tokio::time::sleep(rest).await;
        Ok(())
    }

    /// Whom a fault meets.
    async fn choose(&mut self, house: &House, fault: Fault) -> Result<Victim> {
        use Fault::{
            ClockMaster, ClockWorker, DiskFullMaster, DiskFullWorker, DiskHungMaster, DiskHungWorker,
            FollowerFreeze, FollowerKill, LeaderFreeze, LeaderKill, LeaderStop, MastersApart,
            MastersFollowerAlone, MastersHalfOpen, MastersLeaderAlone, MastersLeaderDeaf, MastersLeaderMute,
            MastersLossy, MastersPairApart, MastersSlow, RollingRestart, SourceCut, SourceKill, SourceSilent,
            WorkerAlone, WorkerAsleep, WorkerDeaf, WorkerFreeze, WorkerKill, WorkerMute, WorkerStop,
        };
        Ok(match fault {
            LeaderKill | LeaderStop | LeaderFreeze => Victim::Member(house.cluster.leader().await?),
            FollowerKill | FollowerFreeze => Victim::Member(self.follower(house).await?),
            MastersLeaderAlone | MastersLeaderMute | MastersLeaderDeaf => {
                Victim::Links(vec![house.cluster.leader().await?])
            }
            MastersFollowerAlone => Victim::Links(vec![self.follower(house).await?]),
            MastersPairApart => {
                let mut masters = house.cluster.names(true);
                masters.remove(self.random.random_range(0..masters.len()));
                Victim::Links(masters)
            }
            MastersApart | MastersSlow | MastersLossy | MastersHalfOpen => {
                Victim::Links(house.cluster.names(true))
            }
            WorkerKill | WorkerStop | WorkerFreeze => Victim::Member(self.serving(house).await?),
            WorkerAlone | WorkerAsleep | WorkerMute | WorkerDeaf => {
                let name = self.serving(house).await?;
                let n = house.sessions.iter().position(|(worker, _)| *worker == name);
                Victim::Session(n.context("no such worker")?)
            }
            SourceKill | SourceCut | SourceSilent => {
                Victim::Source(self.random.random_range(0..house.origins.len()))
            }
            DiskFullMaster | DiskHungMaster | ClockMaster => {
                let masters = house.cluster.names(true);
                Victim::Member(masters.choose(&mut self.random).context("no master")?.clone())
            }
            DiskFullWorker | DiskHungWorker | ClockWorker => Victim::Member(self.serving(house).await?),
            RollingRestart => Victim::EveryMember,
            _ => Victim::Target,
        })
    }

    /// A master that does not lead.
    async fn follower(&mut self, house: &House) -> Result<String> {
        let leader = house.cluster.leader().await?;
        let followers: Vec<String> =
            house.cluster.names(true).into_iter().filter(|name| *name != leader).collect();
        followers.choose(&mut self.random).context("no follower").cloned()
    }

    /// A worker that serves a source.
    async fn serving(&mut self, house: &House) -> Result<String> {
        let n = self.random.random_range(0..house.origins.len());
        let source = &house.origins[n].id;
        wait_until_value(CALM, format!("{source} to be bound"), || house.cluster.bound_worker(source)).await
    }
}

/// Time until every source has a row at the target that was begun after `from`.
async fn first_rows(load: &Load, from: Instant) -> Result<Duration> {
    let times = try_join_all(load.probes.iter().map(|probe| probe.failover(from, BACK))).await?;
    Ok(times.into_iter().max().unwrap_or_default())
}
