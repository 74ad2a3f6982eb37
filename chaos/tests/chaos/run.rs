//! `dm-chaos run` as a user runs it: the real program with mixed faults finds nothing in the product, and finds what a
//! broken promise does.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dm_tests::{Program, Scratch};
use serde_json::Value as Json;

/// Starting, checking and ending take so long at most, beside the time of the faults.
const REST: Duration = Duration::from_secs(4 * 60);

/// Runs it; gives the exit code, what was printed, and the report.
async fn run(scenario: &str, seed: u64, time: Duration, broken: &str) -> Result<(Option<i32>, String, Json)> {
    let program = match std::env::var_os("DM_BIN_DIR") {
        Some(dir) => Path::new(&dir).join("dm-chaos"),
        None => env!("CARGO_BIN_EXE_dm-chaos").into(),
    };
    let scratch = Scratch::new("chaos-run")?;
    let (printed, out) = (scratch.path().join("printed"), scratch.path().join("report"));
    let minutes = time.as_secs_f64() / 60.0;
    let mut process = Program::new(program)
        .args([
            "run",
            "--scenario",
            scenario,
            "--seed",
            &seed.to_string(),
            "--minutes",
            &minutes.to_string(),
            "--out",
        ])
        .arg(&out)
        .env("RAFT_DM_BROKEN", broken)
        .output_to(&printed)
        .start()?;
    let ended = process.wait_ended(time + REST).await;
    let text = String::from_utf8_lossy(&std::fs::read(&printed)?).into_owned();
    let ended = ended.with_context(|| text.clone())?;
    let report = std::fs::read(out.join("report.json")).with_context(|| text.clone())?;
    let page = std::fs::read_to_string(out.join("report.html"))?;
    ensure!(page.contains("<svg") && page.contains(scenario), "the page is empty");
    Ok((ended.code(), text, serde_json::from_slice(&report)?))
}

/// Five minutes of everything. Longer: `dm-chaos run --minutes 30`.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_faults_find_nothing() -> Result<()> {
    let (code, text, report) = run("mixed", 20_261_125, Duration::from_secs(5 * 60), "").await?;
    println!("{text}");
    ensure!(code == Some(0) && report["findings"] == Json::Array(Vec::new()), "{text}");
    let injected = report["injected"].as_array().context("no faults")?;
    ensure!(injected.len() >= 20, "only {} faults", injected.len());
    ensure!(injected.iter().all(|i| i["first_row"].is_number()), "{injected:#?}");
    let between_masters =
        injected.iter().filter(|i| i["fault"].as_str().is_some_and(|f| f.starts_with("masters-")));
    ensure!(between_masters.count() >= 3, "nothing between masters: {text}");
    let count = |what: &str| report["summary"][what].as_u64().unwrap_or(0);
    ensure!(
        count("transactions") > 10_000
            && count("rows") > 10_000
            && count("lane_writes") > 1_000
            && count("ddls") > 100
            && report["summary"]["operations"][0].as_u64().is_some_and(|answered| answered > 500),
        "{text}"
    );
    Ok(())
}

/// As many faults between masters as 75 seconds have room for. All of their kinds: `dm-chaos run --scenario masters --minutes 6`.
#[tokio::test(flavor = "multi_thread")]
async fn faults_between_masters_find_nothing() -> Result<()> {
    let (code, text, report) = run("masters", 4, Duration::from_secs(75), "").await?;
    println!("{text}");
    ensure!(code == Some(0) && report["findings"] == Json::Array(Vec::new()), "{text}");
    let injected = report["injected"].as_array().context("no faults")?;
    ensure!(injected.len() >= 4, "only {} faults", injected.len());
    ensure!(injected.iter().all(|i| i["first_row"].is_number()), "{injected:#?}");
    Ok(())
}

/// Nothing but the target's own refusal is between a thawed worker and the rows of its successor: without it a run has to
/// find rows that came twice. A freeze may meet a moment in which nothing is on its way, hence several runs.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_twice_are_found() -> Result<()> {
    let broken = "no_epoch,no_seq,no_kill,no_ddl_kill,no_ddl_wait";
    for seed in 6..9 {
        let (code, text, report) = run("worker-asleep", seed, Duration::from_secs(40), broken).await?;
        println!("{text}");
        let findings = report["findings"].as_array().context("no findings")?;
        ensure!(code == Some(i32::from(!findings.is_empty())), "exit code {code:?}: {text}");
        if !findings.is_empty() {
            return Ok(());
        }
    }
    anyhow::bail!("three runs without a fence found nothing")
}
