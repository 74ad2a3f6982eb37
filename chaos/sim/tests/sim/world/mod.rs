//! One simulated world: hosts, what breaks, and what is looked at after every step.
mod faults;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dm_consensus::MemoryLog;

use crate::{
    hosts::{Host, STEP},
    machine::{self, Dice},
    net,
    oracle::Oracle,
    processes::{self, Master, SOURCES, Told, Window},
    source,
    switch::Switch,
    target::{self, database},
};

/// The chaos lasts so long.
const CHAOS: Duration = Duration::from_secs(14);
/// Everything must be applied within this time after the last fault.
const CONVERGENCE: Duration = Duration::from_secs(90);
const TARGET: &str = "target:3306";
const WORKERS: usize = 3;

/// Something that ends by itself at a time.
enum Undo {
    Start(usize),
    Thaw(usize),
    Mend(Vec<(String, String)>),
    Speed,
}

pub struct World {
    seed: u64,
    switch: Switch,
    dice: Dice,
    now: u64,
    hosts: Vec<Host>,
    masters: Vec<String>,
    logs: Vec<MemoryLog>,
    windows: Vec<Window>,
    told: Arc<Mutex<Told>>,
    undo: Vec<(u64, Undo)>,
    oracle: Oracle,
    dir: tempfile::TempDir,
}

/// What a run was, in one line: equal for equal seeds.
pub fn run(seed: u64, switch: Switch) -> Result<String, String> {
    let mut world = World::new(seed, switch);
    let outcome = world.live();
    let summary = world.oracle.summary();
    outcome.map(|()| summary.clone()).map_err(|violation| format!("{violation} ({summary})"))
}

impl World {
    fn new(seed: u64, switch: Switch) -> Self {
        // No file here has to survive a power failure: memory will do.
        let shm = Path::new("/dev/shm");
        let place = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("raft-dm-sim").tempdir_in(place).unwrap();
        machine::seed(seed);
        net::seed(seed);
        database().seed(seed);
        let dice = Dice::new(seed);
        dm_proto::net::simulation::install(|address| {
            Box::pin(async { Ok(Box::new(net::connect(address).await?) as Box<_>) })
        });
        dm_worker::simulation::install(dm_worker::simulation::Upstream {
            identity: source::identity,
            unit: source::unit,
        });
        let adjust = match switch {
            Switch::NoEpoch => |spec: &mut dm_target::TargetSpec| spec.broken.no_epoch = true,
            Switch::NoSeq => |spec: &mut dm_target::TargetSpec| spec.broken.no_seq = true,
            Switch::PositionFirst => |spec: &mut dm_target::TargetSpec| spec.broken.position_first = true,
            _ => |_: &mut dm_target::TargetSpec| {},
        };
        dm_target::simulation::install(dm_target::simulation::Target { connect: target::connect, adjust });
        if switch == Switch::StaleLeaderObeyed {
            dm_worker::simulation::obey_stale_leaders();
        }
        if switch == Switch::SnapshotLosesField {
            dm_master::machine::simulation::lose_a_field();
        }
        let count = if seed.is_multiple_of(4) { 5 } else { 3 };
        let masters: Vec<String> = (1..=count).map(|n| format!("m{n}")).collect();
        let workers = (1..=WORKERS).map(|n| format!("w{n}"));
        let names = masters.iter().cloned().chain(workers).chain(["target".to_owned(), "source".to_owned()]);
        let hosts: Vec<Host> = names.map(|name| Host::new(&name)).collect();
        let logs: Vec<MemoryLog> = masters.iter().map(|_| MemoryLog::default()).collect();
        for log in &logs {
            log.set_slowest(Duration::from_millis(15));
            if switch == Switch::VoteNotFlushed {
                log.break_vote();
            }
        }
        let windows = masters.iter().map(|_| Window::default()).collect();
        source::create_tables();
        Self {
            seed,
            switch,
            dice,
            now: 0,
            hosts,
            masters,
            logs,
            windows,
            told: Arc::default(),
            undo: Vec::new(),
            oracle: Oracle::default(),
            dir,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        for host in 0..self.hosts.len() {
            self.start(host);
        }
        let begun = self.now + 30_000;
        while self.now < begun && target::database().commits < 20 {
            self.step()?;
            self.write();
        }
        if target::database().commits < 20 {
            return Err("nothing is applied within 30 s of the start".to_owned());
        }
        let until = self.now + u64::try_from(CHAOS.as_millis()).unwrap_or(0);
        let mut next = self.now;
        while self.now < until {
            if self.now >= next {
                next = self.now
                    + if self.storm() { self.dice.between(20, 250) } else { self.dice.between(100, 700) };
                self.break_something();
            }
            self.write();
            self.step()?;
        }
        self.heal_all();
        let until = self.now + u64::try_from(CONVERGENCE.as_millis()).unwrap_or(0);
        // Also what comes now has to be applied.
        for _ in 0..500 {
            self.step()?;
            self.write();
        }
        let acknowledged = self.told.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.clone();
        loop {
            match self.oracle.finish(&acknowledged, &self.windows) {
                Err(violation) if self.now >= until => return Err(violation),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
            for _ in 0..50 {
                self.step()?;
            }
        }
    }

    fn step(&mut self) -> Result<(), String> {
        self.now += u64::try_from(STEP.as_millis()).unwrap_or(1);
        net::deliver(self.now);
        let due: Vec<_> = self.undo.extract_if(.., |(at, _)| *at <= self.now).collect();
        for (_, undo) in due {
            match undo {
                Undo::Start(host) => self.start(host),
                Undo::Thaw(host) => self.hosts[host].frozen = false,
                Undo::Mend(ways) => ways.iter().for_each(|(from, to)| net::mend(from, to)),
                Undo::Speed => net::slow(3),
            }
        }
        for host in &mut self.hosts {
            host.step();
        }
        if self.now.is_multiple_of(100) && self.dice.once_in(3) {
            database().flush();
        }
        self.oracle.look(self.now, &self.masters, &self.windows)?;
        if self.now.is_multiple_of(50) {
            self.oracle.look_at_disks(&self.logs, self.dir.path())?;
        }
        Ok(())
    }

    /// The sources' own work.
    fn write(&mut self) {
        if self.dice.once_in(12) {
            let source = SOURCES[self.dice.below(2) as usize];
            // Most touch no hot row: its own value would refuse a second change, whatever the protocol lets pass.
            let key = self.dice.once_in(3).then(|| self.dice.below(source::HOT));
            source::sources().commit(source, key);
        }
    }

    fn start(&mut self, at: usize) {
        if self.hosts[at].is_running() {
            return;
        }
        let name = self.hosts[at].name.clone();
        let dir = self.dir.path().join(&name);
        let masters = self.masters.clone();
        if let Some(master) = masters.iter().position(|m| *m == name) {
            let main = Master {
                name,
                dir,
                log: self.logs[master].clone(),
                all: masters,
                window: self.windows[master].clone(),
                told: self.told.clone(),
                lease: Duration::from_millis(if self.switch == Switch::LeaseIgnored { 60 } else { 1200 }),
            };
            return self.hosts[at].start(main.run());
        }
        match name.as_str() {
            "target" => self.hosts[at].start(target::serve(TARGET)),
            "source" => self.hosts[at].start(source::serve()),
            _ => self.hosts[at].start(processes::worker(name, dir, masters)),
        }
    }

    fn heal_all(&mut self) {
        net::heal();
        self.undo.clear();
        database().twice = 0;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).quiet = true;
        for at in 0..self.hosts.len() {
            self.hosts[at].frozen = false;
            self.hosts[at].rate = 100;
            self.start(at);
        }
        tracing::info!(seed = self.seed, "healed");
    }
}
