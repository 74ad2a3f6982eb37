//! Masters that do not hear each other.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::TASK;
use dm_tests::{Link, wait_until_value};

use crate::scene::{LONG, Scene, Setup, bounded};

/// The masters' lease: nobody else may be given a source before it is over, and a new leader has to be there by then.
const LEASE: Duration = Duration::from_secs(3);

/// Cut off from everybody, a leader answers and orders nothing more; another one leads before the lease is over, and no row
/// notices.
#[tokio::test(flavor = "multi_thread")]
async fn leader_alone() -> Result<()> {
    let mut scene = Scene::start(Setup { masters: 3, network: true, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let (old, owner) = (scene.rig.cluster.leader().await?, scene.owner().await?);
        let network = scene.rig.cluster.network()?;
        let began = Instant::now();
        for other in network.others(&old) {
            network.set_both(&old, other, Link::CUT)?;
        }
        let new = wait_until_value(LONG, "another leader", async || {
            Ok(Some(scene.rig.cluster.leader().await?).filter(|name| *name != old))
        })
        .await?;
        let took = began.elapsed();
        println!("{old} alone: {new} leads after {} ms", took.as_millis());
        ensure!(took < LEASE, "{new} leads only after {took:?}");
        // Asked where it is: no client outside hears it.
        let read = scene.rig.cluster.dmctl_at(&old, &["list-member"]).await?;
        ensure!(read.success().is_err(), "{old} answers as if it still led: {}", read.stdout);
        let order = scene.rig.cluster.dmctl_at(&old, &["pause-task", TASK]).await?;
        ensure!(order.success().is_err(), "{old} obeys as if it still led: {}", order.stdout);
        scene.flow(600).await?;
        ensure!(scene.owner().await? == owner, "the worker was disturbed by the leader's partition");
        network.heal();
        scene.rig.cluster.wait_ready().await?;
        let known = wait_until_value(LONG, format!("{old} to follow"), async || {
            let members = scene.rig.cluster.dmctl_at(&old, &["list-member"]).await?.success()?;
            let leader = members["members"][0]["leader"]["name"].as_str().context("no leader")?.to_owned();
            Ok(Some(leader).filter(|leader| *leader != old))
        })
        .await?;
        println!("healed: {old} follows {known}");
        // What it was ordered meanwhile was never done, and is not done now.
        scene.rig.wait_syncing(LONG).await?;
        scene.flow(600).await?;
        ensure!(scene.owner().await? == owner, "the worker was disturbed by the healing");
        anyhow::Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("leader alone").await
}

/// No master hears another one for longer than the lease: nobody leads, and the rows go on.
#[tokio::test(flavor = "multi_thread")]
async fn every_master_alone() -> Result<()> {
    let mut scene = Scene::start(Setup { masters: 3, network: true, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let owner = scene.owner().await?;
        let network = scene.rig.cluster.network()?;
        let masters = scene.rig.cluster.names(true);
        let began = Instant::now();
        for (n, one) in masters.iter().enumerate() {
            for other in &masters[n + 1..] {
                network.set_both(one, other, Link::CUT)?;
            }
        }
        while began.elapsed() < 2 * LEASE {
            scene.flow(600).await?;
        }
        for master in &masters {
            let read = scene.rig.cluster.dmctl_at(master, &["list-member"]).await?;
            ensure!(read.success().is_err(), "{master} answers without a majority: {}", read.stdout);
        }
        network.heal();
        scene.rig.cluster.wait_ready().await?;
        scene.rig.wait_syncing(LONG).await?;
        scene.flow(600).await?;
        ensure!(scene.owner().await? == owner, "the worker was disturbed by a time without a leader");
        anyhow::Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("every master alone").await
}

/// A follower and the leader do not hear each other, and the third master hears both: nobody else leads, and a client that
/// asks the follower first is answered by way of another one.
#[tokio::test(flavor = "multi_thread")]
async fn two_masters_apart() -> Result<()> {
    let mut scene = Scene::start(Setup { masters: 3, network: true, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let (leader, owner) = (scene.rig.cluster.leader().await?, scene.owner().await?);
        let network = scene.rig.cluster.network()?;
        let mut others = scene.rig.cluster.names(true);
        others.retain(|name| *name != leader);
        let [apart, third] = &others[..] else { anyhow::bail!("three masters, not {others:?}") };
        network.set_both(&leader, apart, Link::CUT)?;
        let began = Instant::now();
        let mut asked = 0;
        while began.elapsed() < 2 * LEASE {
            let by = [apart.as_str(), third, &leader];
            let sent = Instant::now();
            let members = scene.rig.cluster.dmctl_by(&by, &["list-member", "--leader"]).await?.success();
            let members = members.with_context(|| format!("{apart} asked first, after {asked} answers"))?;
            let leads = members["members"][0]["leader"]["name"].as_str();
            ensure!(leads == Some(&leader), "{leads:?} instead of {leader} leads");
            ensure!(sent.elapsed() < LEASE, "the answer came after {:?}", sent.elapsed());
            asked += 1;
            scene.flow(100).await?;
        }
        println!("{leader} and {apart} apart: {asked} answers");
        network.heal();
        scene.rig.cluster.wait_ready().await?;
        scene.flow(600).await?;
        ensure!(scene.owner().await? == owner, "the worker was disturbed by a partition of two masters");
        anyhow::Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("two masters apart").await
}
