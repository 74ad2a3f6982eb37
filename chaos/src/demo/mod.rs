//! The demo: a real database is copied and followed while things are killed.
mod compose;
mod data;
mod ending;
mod screen;
mod writer;

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use dm_tests::{Flavor, within};
use serde_json::Value;

use self::{ending::Signals, screen::Screen, writer::Writers};
use crate::{
    probe::{self, Probe},
    rig::{Rig, TASK},
};

const WRITES_PER_SECOND: u32 = 200;
const FILL_DEADLINE: Duration = Duration::from_secs(300);
const LOAD_DEADLINE: Duration = Duration::from_secs(300);
const FAILOVER_DEADLINE: Duration = Duration::from_secs(60);
/// How long sync is watched before and after each kill, so that there is something to see.
const WATCH: Duration = Duration::from_secs(3);
const REFRESH: Duration = Duration::from_millis(300);
/// The load of the sample rows takes a second or two: a few frames have to show it.
const LOAD_REFRESH: Duration = Duration::from_millis(50);

/// Runs the demo; true when every table is equal at the end. With `keep` everything goes on running, also after a
/// failure, until a signal comes.
pub async fn run(keep: bool) -> Result<bool> {
    let mut signals = Signals::listen()?;
    say("starting two MariaDB servers, three masters and two workers");
    let mut rig = tokio::select! {
        started = Rig::start((Flavor::MariaDb, Flavor::MariaDb), 3, 2) => started?,
        signal = signals.next() => bail!("ended by {signal}"),
    };
    let (outcome, ended) = tokio::select! {
        outcome = play(&mut rig) => (outcome, false),
        signal = signals.next() => (Err(anyhow!("ended by {signal}")), true),
    };
    let failed = !ended && !outcome.as_ref().is_ok_and(|equal| *equal);
    let outcome = outcome.map_err(|e| match ended {
        true => e,
        false => anyhow!("{e:#}\nlast log lines:\n{}", rig.cluster.last_words()),
    });
    if keep && !ended {
        match &outcome {
            Ok(true) => {}
            Ok(false) => say("FAILED: source and target differ"),
            Err(error) => say(&format!("FAILED: {error:#}")),
        }
        ending::explain(&rig)?;
        let signal = signals.next().await;
        say(&format!("{signal}: ending everything"));
    }
    ending::close(rig, failed)?;
    outcome
}

async fn play(rig: &mut Rig) -> Result<bool> {
    say("creating the sample databases shop and audit, about 200,000 rows");
    let mut conn = rig.source.conn().await?;
    within(FILL_DEADLINE, "fill the sample databases", async {
        data::create(&mut conn).await?;
        probe::create_table(&mut conn, "audit").await?;
        anyhow::Ok(conn.disconnect().await?)
    })
    .await?;

    let writers = Writers::start(&rig.source.opts(), WRITES_PER_SECOND).await?;
    say("creating the source and starting the task; the files are yours to read, also afterwards:");
    rig.start_task(&data::SCHEMAS).await?;
    for entry in std::fs::read_dir(rig.cluster.dir())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            println!("    {}", path.display());
        }
    }

    let mut screen = Screen::new();
    watch_load(rig, &mut screen, &writers).await?;
    watch(rig, &mut screen, &writers, WATCH).await?;

    let probe = Probe::start(rig.source.opts(), rig.target.opts(), "audit").await?;
    let leader = rig.cluster.leader().await?;
    screen.leave();
    say(&format!("killing the leader {leader} with SIGKILL"));
    let fault = Instant::now();
    rig.cluster.kill9(&leader)?;
    let flowed = probe.failover(fault, FAILOVER_DEADLINE).await?;
    let next = rig.cluster.leader().await?;
    say(&format!(
        "{next} leads and answers after {}; a row written after the kill was at the target after {}",
        ms(fault.elapsed()),
        ms(flowed)
    ));
    watch(rig, &mut screen, &writers, WATCH).await?;

    let worker = rig.worker().await?;
    screen.leave();
    say(&format!("killing {worker}, which runs the task, with SIGKILL"));
    let fault = Instant::now();
    rig.cluster.kill9(&worker)?;
    let flowed = probe.failover(fault, FAILOVER_DEADLINE).await?;
    let next = rig.worker().await?;
    say(&format!(
        "{next} has taken over; a row written after the kill was at the target after {}",
        ms(flowed)
    ));
    watch(rig, &mut screen, &writers, WATCH).await?;

    screen.leave();
    probe.stop().await?;
    let written = writers.stop().await?;
    say(&format!("writers stopped after {written} transactions; comparing every table row by row"));
    let diff = rig.wait_equal(&data::SCHEMAS).await?;
    println!("{diff}");
    Ok(diff.is_equal())
}

/// Shows the load until the binlog is followed.
async fn watch_load(rig: &Rig, screen: &mut Screen, writers: &Writers) -> Result<()> {
    let began = Instant::now();
    loop {
        let status = refresh(rig, screen, writers).await?;
        if status["sources"][0]["subTaskStatus"][0]["unit"] == "Sync" {
            return Ok(());
        }
        anyhow::ensure!(
            began.elapsed() < LOAD_DEADLINE,
            "the load takes longer than {LOAD_DEADLINE:?}: {status:#}"
        );
        tokio::time::sleep(LOAD_REFRESH).await;
    }
}

async fn watch(rig: &Rig, screen: &mut Screen, writers: &Writers, time: Duration) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < time {
        refresh(rig, screen, writers).await?;
        tokio::time::sleep(REFRESH).await;
    }
    Ok(())
}

async fn refresh(rig: &Rig, screen: &mut Screen, writers: &Writers) -> Result<Value> {
    let members = rig.cluster.list_member().await?;
    let status = rig.cluster.dmctl(&["query-status", TASK]).await?.json()?;
    screen.show(&members, &status, writers.committed());
    Ok(status)
}

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn say(text: &str) {
    println!("==> {text}");
}
