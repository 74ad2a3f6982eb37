//! What can be broken.
use std::str::FromStr;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

/// One kind of fault. How long it stays is drawn when it is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL of the leader; started again when healed.
    LeaderKill,
    /// SIGTERM of the leader; started again when healed.
    LeaderStop,
    /// SIGSTOP of the leader, SIGCONT when healed.
    LeaderFreeze,
    /// SIGKILL of a master that does not lead.
    FollowerKill,
    /// SIGSTOP of a master that does not lead.
    FollowerFreeze,
    /// Nothing travels between the leader and anybody else.
    MastersLeaderAlone,
    /// Nobody hears the leader, which hears everybody.
    MastersLeaderMute,
    /// The leader hears nobody, and is heard.
    MastersLeaderDeaf,
    /// Nothing travels between a master that does not lead and anybody else.
    MastersFollowerAlone,
    /// No master hears another one; workers and clients hear all of them.
    MastersApart,
    /// Two masters do not hear each other, and both hear the third.
    MastersPairApart,
    /// Every packet between masters takes longer.
    MastersSlow,
    /// A share of the packets between masters is lost.
    MastersLossy,
    /// Connections between masters are half-open: silent, and not closed; new ones work.
    MastersHalfOpen,
    /// SIGKILL of a worker that serves a source.
    WorkerKill,
    /// SIGTERM of a worker that serves a source.
    WorkerStop,
    /// SIGSTOP of a worker that serves a source: thawed, its late packets have to be refused.
    WorkerFreeze,
    /// SIGSTOP of a worker that serves a source, for longer than its lease, with its way to the masters held: thawed first,
    /// it goes on as if it still owned the source, and only the target can tell it otherwise.
    WorkerAsleep,
    /// Nothing travels between the masters and a worker that serves a source.
    WorkerAlone,
    /// The masters hear nothing of a worker that hears them.
    WorkerMute,
    /// The masters are not heard by a worker that they hear.
    WorkerDeaf,
    /// SIGKILL of the target's server.
    TargetKill,
    /// SIGSTOP of the target's server.
    TargetFreeze,
    /// Connections to the target are reset, and new ones too.
    TargetCut,
    /// Connections to the target are half-open: silent, and not closed.
    TargetSilent,
    /// What the target answers does not arrive; what it is sent does.
    TargetMute,
    /// Every byte to and from the target takes longer.
    TargetSlow,
    /// Every connection of ours is ended by the target once (`KILL`).
    ConnectionsKilled,
    /// SIGKILL of a source's server.
    SourceKill,
    /// Connections to a source are reset, and new ones too.
    SourceCut,
    /// Connections to a source are half-open.
    SourceSilent,
    /// No room is left on a master's disk: it has to end, and is started again when there is room.
    DiskFullMaster,
    /// No room is left on the disk of a worker that serves a source.
    DiskFullWorker,
    /// A master's disk takes no write: it has to give up its part before others wait for it.
    DiskHungMaster,
    /// The disk of a worker that serves a source takes no write.
    DiskHungWorker,
    /// The wall clock of a master jumps.
    ClockMaster,
    /// The wall clock of a worker that serves a source jumps.
    ClockWorker,
    /// Every master and every worker is stopped and started again, one after another.
    RollingRestart,
}

impl Fault {
    /// As it is typed.
    pub fn name(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }

    /// Rows are expected at the target while it lasts; otherwise only once it is healed. What happens to masters disturbs no
    /// row: a worker needs none of them to go on.
    pub fn rows_go_on(self) -> bool {
        use Fault::{ConnectionsKilled, RollingRestart, TargetSlow};
        matches!(self.part().as_str(), "leader" | "masters" | "worker" | "disk" | "clock")
            || matches!(self, TargetSlow | ConnectionsKilled | RollingRestart)
    }

    /// Whether it meets the leader, and another one is to follow if it lasts.
    pub fn meets_leader(self) -> bool {
        use Fault::{
            LeaderFreeze, LeaderKill, LeaderStop, MastersLeaderAlone, MastersLeaderDeaf, MastersLeaderMute,
        };
        matches!(
            self,
            LeaderKill
                | LeaderStop
                | LeaderFreeze
                | MastersLeaderAlone
                | MastersLeaderMute
                | MastersLeaderDeaf
        )
    }

    /// What it breaks: the part of its name before the first hyphen. A scenario may be called so.
    pub fn part(self) -> String {
        let name = self.name();
        match name.split_once('-') {
            Some(("follower", _)) => "leader".to_owned(),
            Some((part, _)) => part.to_owned(),
            None => name,
        }
    }

    /// Whether both may be there at once: they break different things, and neither has to wait for what the other broke.
    pub fn goes_with(self, other: Self) -> bool {
        use Fault::{DiskFullMaster, DiskFullWorker, DiskHungMaster, DiskHungWorker};
        let part = |fault: Self| match fault {
            // Two of three masters away would be no fault of the product.
            DiskFullMaster | DiskHungMaster => "masters".to_owned(),
            DiskFullWorker | DiskHungWorker => "worker".to_owned(),
            fault => match fault.part() {
                part if part == "leader" => "masters".to_owned(),
                part => part,
            },
        };
        let members = |fault: Self| matches!(part(fault).as_str(), "masters" | "worker" | "rolling");
        let rolls = self == Self::RollingRestart || other == Self::RollingRestart;
        part(self) != part(other) && !(rolls && members(self) && members(other))
    }
}

/// From which faults is drawn: all (`mixed`), those of one part (`leader`, `masters`, `worker`, `target`, `source`, `disk`,
/// `clock`), or one by name.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub faults: Vec<Fault>,
}

impl Scenario {
    /// Whether anything in it needs a network between the masters that can break.
    pub fn needs_network(&self) -> bool {
        self.faults.iter().any(|f| f.part() == "masters")
    }

    /// Leaves out what needs such a network; an error when nothing is left.
    pub fn without_network(mut self) -> Result<Self> {
        self.faults.retain(|f| f.part() != "masters");
        self.faults.first().with_context(|| format!("nothing of `{}` can be done without it", self.name))?;
        Ok(self)
    }
}

impl FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = Fault::value_variants().iter().copied();
        let faults: Vec<Fault> = match name {
            "mixed" => all.collect(),
            name => all.filter(|f| f.part() == name || f.name() == name).collect(),
        };
        let known = || {
            let names: Vec<String> = Fault::value_variants().iter().map(|f| f.name()).collect();
            format!(
                "no scenario `{name}`: mixed, leader, masters, worker, target, source, disk, clock, {}",
                names.join(", ")
            )
        };
        faults.first().with_context(known)?;
        Ok(Self { name: name.to_owned(), faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_without_a_network() {
        let scenario = |name: &str| name.parse::<Scenario>().unwrap();
        assert!(scenario("mixed").needs_network() && !scenario("leader").needs_network());
        let left = scenario("mixed").without_network().unwrap();
        assert!(!left.needs_network() && left.faults.contains(&Fault::WorkerAlone));
        assert!(scenario("masters-apart").without_network().is_err());
    }

    #[test]
    fn scenarios_by_name() {
        let of = |name: &str| name.parse::<Scenario>().map(|s| s.faults);
        assert_eq!(of("mixed").unwrap().len(), Fault::value_variants().len());
        assert_eq!(of("worker-freeze").unwrap(), [Fault::WorkerFreeze]);
        assert!(of("leader").unwrap().contains(&Fault::FollowerKill));
        assert!(of("worker").unwrap().iter().all(|f| f.name().starts_with("worker-")));
        assert!(
            Fault::WorkerKill.goes_with(Fault::LeaderKill)
                && Fault::RollingRestart.goes_with(Fault::TargetKill)
        );
        assert!(
            !Fault::WorkerKill.goes_with(Fault::WorkerMute)
                && !Fault::WorkerStop.goes_with(Fault::RollingRestart)
        );
        assert_eq!(of("masters").unwrap().len(), 9);
        assert!(Fault::MastersApart.rows_go_on() && !Fault::TargetCut.rows_go_on());
        assert!(
            !Fault::MastersApart.goes_with(Fault::LeaderKill)
                && !Fault::MastersSlow.goes_with(Fault::RollingRestart)
                && Fault::MastersLossy.goes_with(Fault::WorkerKill)
        );
        assert!(of("nothing").unwrap_err().to_string().contains("rolling-restart"));
    }
}
