//! Runs seeds, each in a process of its own, as many at once as there are processors.
use std::{
    ops::Range,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{switch::Switch, world};

/// Begins the line by which a run tells its outcome.
const MARK: &str = "SIMULATION ";

/// How a seed ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    /// The whole line.
    pub text: String,
    pub violation: Option<String>,
}

impl Outcome {
    /// The number before a word of its line.
    pub fn count(&self, what: &str) -> u64 {
        let words: Vec<&str> = self.text.split([' ', ',']).filter(|w| !w.is_empty()).collect();
        words.windows(2).find(|pair| pair[1] == what).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    }
}

/// What to type to see it again.
pub fn replay_line(seed: u64, switch: Switch) -> String {
    format!(
        "RAFT_DM_SIM_SEED={seed} RAFT_DM_SIM_SWITCH={} RAFT_DM_SIM_LOG=info cargo test -p dm-sim --test sim -- replay \
         --exact --ignored --nocapture",
        switch.name()
    )
}

/// The seed in this process; panics on a violation.
pub fn run_here(seed: u64, switch: Switch) {
    if let Ok(level) = std::env::var("RAFT_DM_SIM_LOG") {
        // No filter by module: its hash maps would draw from the seed, and the history would be another one.
        let level: tracing::Level = level.parse().expect("a log level");
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).init();
    }
    // A thread of its own, on which nothing has been drawn at random before.
    let outcome = thread::spawn(move || world::run(seed, switch)).join();
    match outcome.expect("the simulation itself is broken") {
        Ok(summary) => println!("\n{MARK}seed {seed}: {summary}"),
        Err(violation) => {
            println!("\n{MARK}VIOLATION seed {seed}: {violation}");
            // The world is not torn down: what is broken may hang.
            std::process::exit(1);
        }
    }
}

/// The seed in another process.
pub fn run_one(seed: u64, switch: Switch) -> Outcome {
    run_with(seed, switch, None)
}

/// The same with a log, which nobody reads.
pub fn run_logged(seed: u64, switch: Switch) -> Outcome {
    run_with(seed, switch, Some("info"))
}

fn run_with(seed: u64, switch: Switch, log: Option<&str>) -> Outcome {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["replay", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RAFT_DM_SIM_SEED", seed.to_string())
        .env("RAFT_DM_SIM_SWITCH", switch.name())
        .env_remove("RAFT_DM_SIM_LOG")
        .envs(log.map(|level| ("RAFT_DM_SIM_LOG", level)))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix(MARK)).map(ToOwned::to_owned);
    match line {
        Some(text) if child.status.success() && !text.starts_with("VIOLATION") => {
            Outcome { seed, text, violation: None }
        }
        Some(text) => Outcome { seed, violation: Some(text.clone()), text },
        None => {
            let text = format!("seed {seed} broke: {}", String::from_utf8_lossy(&child.stderr));
            Outcome { seed, violation: Some(text.clone()), text }
        }
    }
}

/// All seeds, or those before `enough` says so.
pub fn run_all(seeds: Range<u64>, switch: Switch, enough: impl Fn(&Outcome) -> bool + Sync) -> Vec<Outcome> {
    let (next, stop, outcomes) =
        (AtomicU64::new(seeds.start), AtomicBool::new(false), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run_one(seed, switch);
                    if enough(&outcome) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|outcome: &Outcome| outcome.seed);
    outcomes
}
