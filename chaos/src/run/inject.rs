//! How each fault is made and unmade.
use std::time::Duration;

use anyhow::Result;
use dm_tests::{Link, Network, within};
use mysql_async::prelude::Queryable;
use rand::{Rng, rngs::StdRng};

use super::{
    fault::Fault,
    house::{CALM, House},
};

/// How long a worker that slept does not hear the masters yet.
const UNAWARE: Duration = Duration::from_secs(1);
/// What `target-slow` and `masters-slow` add to each direction, in milliseconds.
const DELAY: std::ops::Range<u64> = 5..80;
/// By how much a clock jumps, in seconds: from less than a lease to days.
const JUMP: std::ops::Range<i64> = 1..200_000;
/// Share of packets that `masters-lossy` loses.
const LOSS: std::ops::Range<f64> = 0.02..0.3;

/// What makes a fault end.
pub enum Cure {
    Restart(String),
    Thaw(String),
    StartTarget,
    ThawTarget,
    HealTarget,
    StartSource(usize),
    HealSource(usize),
    HealSession(usize),
    HealNetwork,
    /// Thawed, and only then within the masters' reach.
    Wake(usize),
    /// There is room again.
    FreeDisk(String),
    /// Writes go on.
    ThawDisk(String),
    /// It tells the right time again.
    SetClock(String),
    Nothing,
}

/// Whom a fault meets.
#[derive(Debug)]
pub enum Victim {
    Member(String),
    /// The masters' way to a worker.
    Session(usize),
    Target,
    Source(usize),
    /// One master's links, those between two, or all those between masters.
    Links(Vec<String>),
    EveryMember,
}

impl Victim {
    /// For messages.
    pub fn name(&self, house: &House) -> String {
        match self {
            Self::Member(name) => name.clone(),
            Self::Session(n) => house.sessions[*n].0.clone(),
            Self::Target => "the target".to_owned(),
            Self::Source(n) => house.origins[*n].id.clone(),
            Self::Links(masters) => masters.join(", "),
            Self::EveryMember => "every member".to_owned(),
        }
    }
}

/// Injects a fault; gives what heals it.
pub async fn inject(house: &mut House, fault: Fault, victim: Victim, random: &mut StdRng) -> Result<Cure> {
    match victim {
        Victim::Member(name) if matches!(fault, Fault::ClockMaster | Fault::ClockWorker) => {
            let jump = random.random_range(JUMP);
            house.cluster.move_clock(&name, if random.random() { jump } else { -jump })?;
            Ok(Cure::SetClock(name))
        }
        Victim::Member(name) => member(house, name, fault).await,
        Victim::Session(n) => {
            let way = &house.sessions[n].1;
            match fault {
                Fault::WorkerAsleep => {
                    way.black_hole();
                    house.cluster.freeze(&house.sessions[n].0)?;
                    return Ok(Cure::Wake(n));
                }
                Fault::WorkerMute => way.black_hole_to_client(),
                Fault::WorkerDeaf => way.black_hole_to_server(),
                _ => way.black_hole(),
            }
            Ok(Cure::HealSession(n))
        }
        Victim::Source(n) => {
            let origin = &mut house.origins[n];
            match fault {
                Fault::SourceKill => {
                    origin.database.kill9()?;
                    return Ok(Cure::StartSource(n));
                }
                Fault::SourceCut => origin.way.cut(),
                _ => origin.way.black_hole(),
            }
            Ok(Cure::HealSource(n))
        }
        Victim::Target => {
            let way = &house.to_target;
            match fault {
                Fault::TargetKill => {
                    house.target.kill9()?;
                    return Ok(Cure::StartTarget);
                }
                Fault::TargetFreeze => {
                    house.target.freeze()?;
                    return Ok(Cure::ThawTarget);
                }
                Fault::ConnectionsKilled => {
                    kill_connections(house).await?;
                    return Ok(Cure::Nothing);
                }
                Fault::TargetCut => way.cut(),
                Fault::TargetMute => way.black_hole_to_client(),
                Fault::TargetSlow => way.delay(Duration::from_millis(random.random_range(DELAY))),
                _ => way.black_hole(),
            }
            Ok(Cure::HealTarget)
        }
        Victim::Links(masters) => {
            links(house.cluster.network()?, fault, &masters, random)?;
            Ok(Cure::HealNetwork)
        }
        Victim::EveryMember => {
            for name in [house.cluster.names(true), house.cluster.names(false)].concat() {
                house.cluster.stop(&name).await?;
                house.cluster.restart(&name)?;
                within(CALM, "the cluster to be ready", house.cluster.wait_ready()).await?;
            }
            Ok(Cure::Nothing)
        }
    }
}

/// Breaks the links of one master, or those between several.
fn links(network: &Network, fault: Fault, masters: &[String], random: &mut StdRng) -> Result<()> {
    use Fault::{MastersHalfOpen, MastersLeaderDeaf, MastersLeaderMute, MastersLossy, MastersSlow};
    if let [one] = masters {
        for other in network.others(one) {
            if fault != MastersLeaderDeaf {
                network.set(one, other, Link::CUT)?;
            }
            if fault != MastersLeaderMute {
                network.set(other, one, Link::CUT)?;
            }
        }
        return Ok(());
    }
    let link = match fault {
        MastersSlow => Link { delay: Duration::from_millis(random.random_range(DELAY)), ..Link::default() },
        MastersLossy => Link { loss: random.random_range(LOSS), ..Link::default() },
        MastersHalfOpen => Link { forgets: true, ..Link::default() },
        _ => Link::CUT,
    };
    for (n, one) in masters.iter().enumerate() {
        for other in &masters[n + 1..] {
            network.set_both(one, other, link)?;
        }
    }
    Ok(())
}

/// Kills, stops or freezes a process of ours.
async fn member(house: &mut House, name: String, fault: Fault) -> Result<Cure> {
    use Fault::{
        DiskFullMaster, DiskFullWorker, DiskHungMaster, DiskHungWorker, FollowerFreeze, FollowerKill,
        LeaderFreeze, LeaderKill, WorkerFreeze, WorkerKill,
    };
    match fault {
        DiskFullMaster | DiskFullWorker => {
            house.may_end.insert(name.clone());
            house.cluster.disk(&name)?.fill()?;
            return Ok(Cure::FreeDisk(name));
        }
        DiskHungMaster | DiskHungWorker => {
            house.may_end.insert(name.clone());
            house.cluster.disk(&name)?.freeze()?;
            return Ok(Cure::ThawDisk(name));
        }
        LeaderKill | FollowerKill | WorkerKill => house.cluster.kill9(&name)?,
        LeaderFreeze | FollowerFreeze | WorkerFreeze => {
            house.cluster.freeze(&name)?;
            return Ok(Cure::Thaw(name));
        }
        _ => house.cluster.stop(&name).await?,
    }
    Ok(Cure::Restart(name))
}

/// Ends a fault.
pub async fn heal(house: &mut House, cure: Cure) -> Result<()> {
    match cure {
        Cure::Restart(name) => house.cluster.restart(&name),
        Cure::Thaw(name) => house.cluster.thaw(&name),
        Cure::StartTarget => house.target.restart().await,
        Cure::ThawTarget => house.target.thaw(),
        Cure::HealTarget => {
            house.to_target.heal();
            Ok(())
        }
        Cure::StartSource(n) => house.origins[n].database.restart().await,
        Cure::HealSource(n) => {
            house.origins[n].way.heal();
            Ok(())
        }
        Cure::HealSession(n) => {
            house.sessions[n].1.heal();
            Ok(())
        }
        Cure::HealNetwork => {
            house.cluster.network()?.heal();
            Ok(())
        }
        Cure::Wake(n) => {
            let (name, way) = &house.sessions[n];
            house.cluster.thaw(name)?;
            // A part of the fault: the time in which it knows nothing.
            tokio::time::sleep(UNAWARE).await;
            way.heal();
            Ok(())
        }
        Cure::SetClock(name) => house.cluster.move_clock(&name, 0),
        Cure::FreeDisk(name) => house.cluster.disk(&name)?.free(),
        Cure::ThawDisk(name) => house.cluster.disk(&name)?.thaw(),
        Cure::Nothing => Ok(()),
    }
}

/// Ends every connection of the workers at the target: those that hold a lock of ours.
async fn kill_connections(house: &House) -> Result<()> {
    let mut conn = house.target.conn().await?;
    let ours: Option<u64> = within(CALM, "my connection", conn.query_first("SELECT CONNECTION_ID()")).await?;
    let all: Vec<(u64, String)> = within(
        CALM,
        "the target's connections",
        conn.query("SELECT id, command FROM information_schema.processlist"),
    )
    .await?;
    for (id, command) in all {
        if Some(id) == ours || command == "Daemon" {
            continue;
        }
        match within(CALM, "KILL", conn.query_drop(format!("KILL CONNECTION {id}"))).await {
            Ok(()) => {}
            // It has ended meanwhile.
            Err(e) if format!("{e:#}").contains("1094") => {}
            Err(e) => return Err(e),
        }
    }
    within(CALM, "close a connection", conn.disconnect()).await
}
