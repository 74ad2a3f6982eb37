//! Seeded simulation of a whole cluster on one thread.
//!
//! Real: the masters' state machine, scheduler, leader duties, sessions, API server and consensus glue with openraft; the
//! workers' sessions, authority, source manager, subtask actors and their retries; the whole target protocol, down to the
//! text of its packets; gRPC and HTTP/2 of all of them. Simulated: the network (`net.rs`), clocks and randomness
//! (`machine.rs`, `hosts.rs`), the log's disk (`dm_consensus::MemoryLog` in place of sled), the target server
//! (`target/`), the source and the sync unit that reads it (`source.rs`). The small files of masters and workers
//! (snapshots, stamp, authority) are real files: the product syncs them before it goes on, so nothing of them is lost.
//!
//! Every seed is a process of its own, so that nothing global makes two runs of it differ. Environment:
//! `RAFT_DM_SIM_SEEDS` (how many, 200), `RAFT_DM_SIM_FROM` (first seed), and for `replay` `RAFT_DM_SIM_SEED`,
//! `RAFT_DM_SIM_SWITCH` and `RAFT_DM_SIM_LOG` (a level such as `info`).
mod hosts;
mod machine;
mod net;
mod oracle;
mod processes;
mod runner;
mod source;
mod switch;
mod target;
mod world;

use runner::{Outcome, replay_line, run_all, run_one};
use switch::Switch;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

/// One seed, in this process: what the other tests run, and what a person runs again.
#[test]
#[ignore = "runs the seed that RAFT_DM_SIM_SEED names"]
fn replay() {
    let switch = std::env::var("RAFT_DM_SIM_SWITCH").unwrap_or_else(|_| "none".to_owned());
    runner::run_here(number("RAFT_DM_SIM_SEED", 1), Switch::parse(&switch).expect("a known switch"));
}

#[test]
fn a_cluster_keeps_its_promises_under_every_seed() {
    let (from, count) = (number("RAFT_DM_SIM_FROM", 1), number("RAFT_DM_SIM_SEEDS", 200));
    let begun = std::time::Instant::now();
    let outcomes = run_all(from..from + count, Switch::None, |_| false);
    let failed: Vec<&Outcome> = outcomes.iter().filter(|o| o.violation.is_some()).collect();
    for outcome in &failed {
        println!("{}\n    {}", outcome.text, replay_line(outcome.seed, Switch::None));
    }
    println!("{count} seeds in {:.1} s", begun.elapsed().as_secs_f64());
    for what in ["terms", "epochs", "commits", "transactions"] {
        println!("{what} in all: {}", outcomes.iter().map(|o| o.count(what)).sum::<u64>());
    }
    // A world in which nothing ever breaks proves nothing.
    let terms: u64 = outcomes.iter().map(|o| o.count("terms")).sum();
    let epochs: u64 = outcomes.iter().map(|o| o.count("epochs")).sum();
    assert!(terms >= 3 * count && epochs >= 5 * count, "{terms} terms and {epochs} epochs in {count} seeds");
    assert!(
        failed.is_empty(),
        "{} of {count} seeds failed: {}",
        failed.len(),
        replay_line(failed[0].seed, Switch::None)
    );
}

#[test]
fn a_seed_is_the_same_history_every_time() {
    let first: Vec<Outcome> = [3, 4, 5].map(|seed| run_one(seed, Switch::None)).into();
    for outcome in &first {
        let again = run_one(outcome.seed, Switch::None);
        assert_eq!(outcome.text, again.text, "seed {}", outcome.seed);
    }
    // And when somebody looks on.
    assert_eq!(runner::run_logged(3, Switch::None).text, first[0].text);
    assert_ne!(first[0].text, first[2].text, "another seed is another history");
}

/// A broken promise is noticed within so many seeds, and as what it is.
fn is_caught(switch: Switch, within: u64, signs: &[&str]) {
    let is_it =
        |o: &Outcome| o.violation.as_ref().is_some_and(|text| signs.iter().any(|sign| text.contains(sign)));
    let outcomes = run_all(1..within + 1, switch, is_it);
    let others: Vec<&str> = outcomes.iter().filter_map(|o| o.violation.as_deref()).take(5).collect();
    let caught = outcomes.iter().find(|o| is_it(o));
    let caught =
        caught.unwrap_or_else(|| panic!("{} was not noticed in {within} seeds; {others:?}", switch.name()));
    println!("{}: {} seeds: {}", switch.name(), outcomes.len(), caught.text);
}

#[test]
fn no_epoch_check_is_caught() {
    is_caught(Switch::NoEpoch, 40, &["epoch of lane", "applied twice", "has no row"]);
}

#[test]
fn no_seq_check_is_caught() {
    is_caught(Switch::NoSeq, 40, &["seq of lane", "applied twice", "has no row"]);
}

#[test]
fn a_vote_that_is_not_flushed_is_caught() {
    is_caught(Switch::VoteNotFlushed, 200, &["lead in term", "two logs differ", "different states"]);
}

#[test]
fn a_stale_leader_that_is_obeyed_is_caught() {
    is_caught(Switch::StaleLeaderObeyed, 60, &["and then"]);
}

#[test]
fn a_snapshot_that_loses_a_field_is_caught() {
    is_caught(Switch::SnapshotLosesField, 20, &["different states"]);
}

#[test]
fn a_position_committed_before_its_rows_is_caught() {
    is_caught(Switch::PositionFirst, 20, &["has no row"]);
}

/// Correctness must not rest on these: nothing is noticed.
fn is_harmless(switch: Switch, seeds: u64) {
    let outcomes = run_all(1..seeds + 1, switch, |outcome| outcome.violation.is_some());
    if let Some(failed) = outcomes.iter().find(|o| o.violation.is_some()) {
        panic!("{}\n    {}", failed.text, replay_line(failed.seed, switch));
    }
}

#[test]
fn a_lease_that_is_ignored_breaks_nothing() {
    is_harmless(Switch::LeaseIgnored, 6);
}

#[test]
fn wrong_clocks_break_nothing() {
    is_harmless(Switch::ClocksWrong, 15);
}
