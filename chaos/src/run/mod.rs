//! `dm-chaos run`: faults drawn from a seed, under write load, with checkers and a report.
mod audit;
mod checks;
mod definer;
mod fault;
mod history;
mod house;
mod inject;
mod leaders;
mod members;
mod nemesis;
mod page;
mod report;
mod shards;
mod timeline;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use dm_tests::within;
use rand::{SeedableRng, rngs::StdRng};

use self::{
    checks::Checks,
    history::Operators,
    house::House,
    nemesis::Nemesis,
    report::Report,
    timeline::{Timeline, Watch},
};

pub use fault::{Fault, Scenario};

/// Bound on starting everything, and on all checks together.
const SETUP: Duration = Duration::from_secs(300);
const CHECKS: Duration = Duration::from_secs(900);

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    pub scenario: Scenario,
    pub seed: u64,
    /// Time in which faults are injected.
    pub time: Duration,
    /// Where the report goes.
    pub out: PathBuf,
}

/// Runs it; true when nothing was found.
pub async fn run(mut options: Options) -> Result<bool> {
    println!("==> {}", report::again(&options));
    let (mut network, mut left_out) = (None, None);
    if options.scenario.needs_network() {
        match within(SETUP, "start a network", House::network(options.seed)).await {
            Ok(made) => network = Some(made),
            Err(error) => {
                options.scenario =
                    options.scenario.without_network().with_context(|| format!("{error:#}"))?;
                left_out =
                    Some(format!("no faults between masters: this machine does not allow it: {error:#}"));
            }
        }
    }
    let mut house = within(SETUP, "start everything", House::start(network)).await?;
    let outcome = Box::pin(chaos(&options, &mut house, left_out)).await;
    if !matches!(outcome, Ok(true)) {
        house.cluster.keep();
        println!("==> logs stay in {}", house.cluster.dir().display());
    }
    outcome
}

async fn chaos(options: &Options, house: &mut House, left_out: Option<String>) -> Result<bool> {
    let timeline = Timeline::start();
    if let Some(left_out) = left_out {
        timeline.note(left_out);
    }
    let load = within(SETUP, "start the writers", house.write()).await?;
    let watch = Watch::start(house, &load, timeline.clone());
    let mut nemesis = Nemesis {
        random: StdRng::seed_from_u64(options.seed),
        timeline: timeline.clone(),
        injected: Vec::new(),
    };
    let operators = Operators::start(house, &mut nemesis.random)?;
    let faults = options.scenario.faults.iter().copied();
    let possible = |fault: &Fault| match fault.part().as_str() {
        "disk" => house.disks,
        "clock" => house.clocks,
        _ => true,
    };
    let faults: Vec<Fault> = faults.filter(possible).collect();
    let end = tokio::time::Instant::now() + options.time;
    let mut findings = Vec::new();
    while tokio::time::Instant::now() < end {
        // What does not come back is found here; more faults would hide it.
        if let Err(error) = nemesis.strike(house, &load, &faults).await {
            findings.push(format!("after {}: {error:#}", nemesis.last()));
            break;
        }
    }
    let (series, offices) = watch.stop().await?;
    nemesis.successors(&offices);
    let checks = Checks { house, timeline: &timeline };
    let checked = Box::pin(within(CHECKS, "the checks", checks.run(load, operators))).await;
    let summary = match checked {
        Ok(found) => found,
        Err(error) => {
            findings.push(format!("the checks themselves: {error:#}"));
            checks::Summary::default()
        }
    };
    findings.extend(summary.findings.iter().cloned());
    let report = Report::new(options, &timeline, nemesis.injected, series, summary, findings);
    report.print();
    let written =
        report.write(&options.out).with_context(|| format!("write into {}", options.out.display()))?;
    println!("==> {}", written.display());
    Ok(report.findings.is_empty())
}
