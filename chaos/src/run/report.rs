//! What a run leaves behind: figures on the screen, JSON, and a page.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Serialize;

use super::{
    Options,
    checks::Summary,
    nemesis::Injected,
    page,
    timeline::{Event, Sample, Timeline},
};

/// Failover of one kind of fault, alone, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    pub fault: String,
    pub counted_from: &'static str,
    pub count: usize,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    pub command: String,
    pub version: String,
    pub scenario: String,
    pub seed: u64,
    pub findings: Vec<String>,
    pub summary: Summary,
    /// Until the first later row.
    pub figures: Vec<Figures>,
    /// Until another master led.
    pub successors: Vec<Figures>,
    pub injected: Vec<Injected>,
    pub events: Vec<Event>,
    /// Per source.
    pub samples: Vec<Vec<Sample>>,
}

/// The command that repeats a run.
pub fn again(options: &Options) -> String {
    let minutes = options.time.as_secs_f64() / 60.0;
    format!("dm-chaos run --scenario {} --seed {} --minutes {minutes}", options.scenario.name, options.seed)
}

impl Report {
    pub fn new(
        options: &Options,
        timeline: &Timeline,
        injected: Vec<Injected>,
        samples: Vec<Vec<Sample>>,
        summary: Summary,
        findings: Vec<String>,
    ) -> Self {
        Self {
            command: again(options),
            version: version(),
            scenario: options.scenario.name.clone(),
            seed: options.seed,
            findings,
            summary,
            figures: figures(&injected, |i| i.first_row.map(|seconds| (seconds, i.counted_from))),
            successors: figures(&injected, |i| i.successor.map(|seconds| (seconds, "injection"))),
            injected,
            events: timeline.events(),
            samples,
        }
    }

    /// Figures and findings, for a person.
    pub fn print(&self) {
        println!(
            "\n{} transactions, {} DDLs, {} rows compared, {} lane writes audited, {} operations of operators ({} without an \
             answer), {} faults; equal {:.1} s after the last write",
            self.summary.transactions,
            self.summary.ddls,
            self.summary.rows,
            self.summary.lane_writes,
            self.summary.operations.0,
            self.summary.operations.1,
            self.injected.len(),
            self.summary.converged
        );
        for (what, figures) in
            [("first later row at the target", &self.figures), ("another master leads", &self.successors)]
        {
            println!("{:<24} {:>6} {:>8} {:>8} {:>8}   {what}, ms", "", "", "p50", "p99", "max");
            for f in figures {
                println!(
                    "{:<24} {:>6} {:>8} {:>8} {:>8}   from {}",
                    f.fault, f.count, f.p50, f.p99, f.max, f.counted_from
                );
            }
        }
        for finding in &self.findings {
            println!("FOUND: {finding}");
        }
    }

    /// Writes `report.json` and `report.html` into a folder; gives the page's path.
    pub fn write(&self, out: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(out)?;
        std::fs::write(out.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        let page = out.join("report.html");
        std::fs::write(&page, page::page(self))?;
        Ok(page)
    }
}

/// The tree that this was built from, where git can tell.
fn version() -> String {
    let asked = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = asked
        .ok()
        .filter(|o| o.status.success())
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let commit = commit.filter(|c| !c.is_empty());
    commit.map_or_else(
        || env!("CARGO_PKG_VERSION").to_owned(),
        |c| format!("{} ({c})", env!("CARGO_PKG_VERSION")),
    )
}

/// Faults that came alone, and what is given of each in seconds, with what it is counted from.
fn figures(injected: &[Injected], of: impl Fn(&Injected) -> Option<(f64, &'static str)>) -> Vec<Figures> {
    let mut times: BTreeMap<_, (&'static str, Vec<u64>)> = BTreeMap::new();
    for entry in injected.iter().filter(|i| !i.mixed) {
        if let Some((seconds, counted_from)) = of(entry) {
            let (_, of_kind) = times.entry(entry.fault).or_insert((counted_from, Vec::new()));
            of_kind.push((seconds * 1000.0).round() as u64);
        }
    }
    let figures = times.into_iter().map(|(fault, (counted_from, mut times))| {
        times.sort_unstable();
        // The least value that so many percent do not exceed.
        let percentile = |p: usize| times[(times.len() * p).div_ceil(100).max(1) - 1];
        Figures {
            fault: fault.name(),
            counted_from,
            count: times.len(),
            p50: percentile(50),
            p99: percentile(99),
            max: percentile(100),
        }
    });
    figures.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Fault;

    #[test]
    fn figures_are_of_faults_that_came_alone() {
        let one = |ms: u64, mixed| Injected {
            fault: Fault::WorkerKill,
            whom: "w1".to_owned(),
            mixed,
            injected: 0.0,
            healed: 1.0,
            first_row: Some(ms as f64 / 1000.0),
            detected: None,
            reassigned: None,
            fence: None,
            successor: None,
            counted_from: "injection",
        };
        let mut injected: Vec<_> = (1..=100).map(|ms| one(ms, false)).collect();
        injected.push(one(9000, true));
        let [figures] = figures(&injected, |i| i.first_row.map(|s| (s, i.counted_from))).try_into().unwrap();
        assert_eq!((figures.count, figures.p50, figures.p99, figures.max), (100, 50, 99, 100));
    }
}
