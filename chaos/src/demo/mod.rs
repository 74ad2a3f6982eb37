//! The demo: a real database is copied and followed while things are killed.
mod data;
mod screen;
mod writer;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dm_tests::Flavor;
use serde_json::Value;

use self::{screen::Screen, writer::Writers};
use crate::{
    probe::{self, Probe},
    rig::{Rig, TASK},
};

const WRITES_PER_SECOND: u32 = 200;
const LOAD_DEADLINE: Duration = Duration::from_secs(300);
const FAILOVER_DEADLINE: Duration = Duration::from_secs(60);
/// How long sync is watched before and after each kill, so that there is something to see.
const WATCH: Duration = Duration::from_secs(3);
const REFRESH: Duration = Duration::from_millis(300);

/// Runs the demo; true when every table is equal at the end.
pub async fn run(keep: bool) -> Result<bool> {
    say("starting two MariaDB servers, three masters and two workers");
    let mut rig = Rig::start((Flavor::MariaDb, Flavor::MariaDb), 3, 2).await?;
    let equal = match play(&mut rig).await {
        Ok(equal) => equal,
        Err(error) => {
            rig.cluster.keep();
            return Err(error.context(rig.cluster.last_words()));
        }
    };
    if keep {
        explain(&rig);
        tokio::signal::ctrl_c().await.context("wait for ctrl-c")?;
    }
    Ok(equal)
}

async fn play(rig: &mut Rig) -> Result<bool> {
    say("creating the sample databases shop and audit, about 200,000 rows");
    let mut conn = rig.source.conn().await?;
    data::create(&mut conn).await?;
    probe::create_table(&mut conn, "audit").await?;
    conn.disconnect().await?;

    let writers = Writers::start(&rig.source.opts(), WRITES_PER_SECOND).await?;
    say("creating the source and starting the task; the files are yours to read:");
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
        tokio::time::sleep(REFRESH).await;
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

fn explain(rig: &Rig) {
    say("everything goes on running until you press Ctrl-C; to look around:");
    println!("    dmctl --master-addr {} list-member", rig.cluster.master_addrs());
    println!("    dmctl --master-addr {} query-status {TASK}", rig.cluster.master_addrs());
    println!(
        "    source: mariadb -h 127.0.0.1 -P {} -u root -p'{}'",
        rig.source.port(),
        rig.source.root_password()
    );
    println!(
        "    target: mariadb -h 127.0.0.1 -P {} -u root -p'{}'",
        rig.target.port(),
        rig.target.root_password()
    );
    println!("    files and logs: {}", rig.cluster.dir().display());
}

fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn say(text: &str) {
    println!("==> {text}");
}
