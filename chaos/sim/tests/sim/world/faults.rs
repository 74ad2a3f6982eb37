//! What breaks, drawn from the seed.
use super::{Undo, WORKERS, World};
use crate::{net, switch::Switch, target::database};

impl World {
    fn kill(&mut self, at: usize, power_lost: bool, back: u64) {
        if !self.hosts[at].is_running() {
            return;
        }
        if let Some(master) = self.masters.iter().position(|m| *m == self.hosts[at].name) {
            self.windows[master].close();
            self.hosts[at].kill(power_lost);
            self.logs[master].crash(power_lost);
        } else {
            self.hosts[at].kill(power_lost);
            if self.hosts[at].name == "target" {
                database().crash(power_lost);
            }
        }
        self.undo.push((self.now + back, Undo::Start(at)));
    }

    /// One seed in three is a storm of power failures among the masters, which come back at once.
    pub(super) fn storm(&self) -> bool {
        self.seed % 3 == 1
    }

    /// A host that matters: the leader or an owner as often as everybody else.
    fn victim(&mut self) -> usize {
        let leader = self.windows.iter().position(|w| w.node().is_some_and(|n| n.tenure().is_some()));
        match (self.dice.once_in(3), leader) {
            (true, Some(leader)) => leader,
            _ => self.dice.below((self.masters.len() + WORKERS) as u64) as usize,
        }
    }

    /// The next fault.
    pub(super) fn break_something(&mut self) {
        if self.storm() && !self.dice.once_in(4) {
            let (at, back) = (self.dice.below(self.masters.len() as u64) as usize, self.dice.between(4, 150));
            return self.kill(at, true, back);
        }
        let at = self.victim();
        let (power_lost, back) = (self.dice.once_in(2), self.dice.between(50, 2500));
        let last = self.now + self.dice.between(100, 4500);
        match self.dice.below(16) {
            0..4 => self.kill(at, power_lost, back),
            4..6 => {
                self.hosts[at].frozen = true;
                self.undo.push((last, Undo::Thaw(at)));
            }
            6..9 => self.cut_off(at, last),
            9 => {
                let most = self.dice.between(20, 300);
                net::slow(most);
                self.undo.push((last, Undo::Speed));
            }
            10 => {
                // The target or the source, at most one time in sixteen each.
                let other = self.masters.len() + WORKERS + self.dice.below(2) as usize;
                self.kill(other, power_lost, back);
            }
            11 => database().twice = self.dice.below(2) * 10,
            12 => {
                let hours = if self.switch == Switch::ClocksWrong { 100 } else { 1 };
                let seconds = self.dice.below(2 * 3600 * hours) as i64 - 3600 * hours as i64;
                self.hosts[at].jump(seconds);
            }
            13 => {
                let (low, high) = if self.switch == Switch::ClocksWrong { (50, 200) } else { (95, 105) };
                self.hosts[at].rate = self.dice.between(low, high);
            }
            _ => {}
        }
    }

    /// Cuts a host off: from all or one, both ways or one way.
    fn cut_off(&mut self, at: usize, until: u64) {
        let name = self.hosts[at].name.clone();
        let (into, out) = match self.dice.below(3) {
            0 => (true, false),
            1 => (false, true),
            _ => (true, true),
        };
        let everybody = self.dice.once_in(2);
        let is_worker = !self.masters.contains(&name);
        let mut ways = Vec::new();
        for other in 0..self.hosts.len() {
            // A worker without masters that still reaches the databases is the one that matters.
            let database = self.hosts[other].name == "target" || self.hosts[other].name == "source";
            if other == at || (is_worker && database && !self.dice.once_in(4)) {
                continue;
            }
            if everybody || self.dice.once_in(3) {
                let other = self.hosts[other].name.clone();
                if into {
                    ways.push((other.clone(), name.clone()));
                }
                if out {
                    ways.push((name.clone(), other));
                }
            }
        }
        ways.iter().for_each(|(from, to)| net::cut(from, to));
        self.undo.push((until, Undo::Mend(ways)));
    }
}
