//! Members killed and frozen.

use anyhow::{Result, ensure};
use dm_tests::Flavor;

use crate::pause::FENCED;
use crate::scene::{Scene, Setup, bounded};

async fn leader_killed(source: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(Setup { source, target, masters: 3, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let owner = scene.owner().await?;
        let old = scene.rig.cluster.leader().await?;
        scene.rig.cluster.kill9(&old)?;
        scene.flow(600).await?;
        let new = scene.rig.cluster.leader().await?;
        ensure!(new != old, "the dead {old} is still named as the leader");
        ensure!(scene.owner().await? == owner, "the worker was disturbed by the leader's death");
        scene.rig.cluster.restart(&old)?;
        scene.rig.cluster.wait_ready().await?;
        // The second leader, too: the first one has to have caught up again.
        scene.rig.cluster.kill9(&new)?;
        scene.flow(600).await?;
        scene.rig.cluster.leader().await.map(drop)
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("leader killed, twice").await
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_killed_mariadb() -> Result<()> {
    leader_killed(Flavor::MariaDb, Flavor::MariaDb).await
}

async fn worker_killed(source: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(Setup { source, target, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        for _ in 0..2 {
            let (old, owner) = (scene.rig.worker().await?, scene.owner().await?);
            scene.rig.cluster.kill9(&old)?;
            scene.taken_over(owner).await?;
            scene.bound_elsewhere(&old).await?;
            scene.flow(600).await?;
            scene.rig.cluster.restart(&old)?;
            scene.rig.cluster.wait_ready().await?;
        }
        anyhow::Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("worker killed, twice").await
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_killed_mariadb() -> Result<()> {
    worker_killed(Flavor::MariaDb, Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_killed_mysql() -> Result<()> {
    worker_killed(Flavor::MySql, Flavor::MySql).await
}

/// Frozen for longer than the lease, thawed when another one has long been at work; then needed again.
#[tokio::test(flavor = "multi_thread")]
async fn worker_frozen_and_thawed() -> Result<()> {
    let mut scene = Scene::start(Setup { masters: 3, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let (old, owner) = (scene.rig.worker().await?, scene.owner().await?);
        scene.freeze_unaware(&old)?;
        let new = scene.bound_elsewhere(&old).await?;
        let (epoch, _) = scene.taken_over(owner).await?;
        ensure!(epoch > owner.0, "epoch {epoch} after {}", owner.0);
        scene.flow(600).await?;
        let from = scene.log_length(&old)?;
        scene.rig.cluster.thaw(&old)?;
        // Its connections are closed; it tries anew with the epoch that it knows, and learns who owns the target.
        scene.refused(&old, from, FENCED).await?;
        scene.flow(600).await?;
        scene.rig.cluster.wait_ready().await?;
        ensure!(scene.owner().await?.0 == epoch, "the thawed worker has taken the target back");
        // It has rejoined for good: it can serve again.
        scene.rig.cluster.kill9(&new)?;
        ensure!(scene.bound_elsewhere(&new).await? == old, "{old} doesn't serve again");
        scene.flow(600).await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("worker frozen and thawed").await
}

/// A worker that is heard but hears nothing can't be told anything: its source moves, and the target refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn worker_that_hears_nothing() -> Result<()> {
    let mut scene = Scene::start(Setup { lease: "2s", ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let (old, owner) = (scene.rig.worker().await?, scene.owner().await?);
        scene.session(&old).black_hole_to_server();
        scene.bound_elsewhere(&old).await?;
        let (epoch, _) = scene.taken_over(owner).await?;
        ensure!(epoch > owner.0, "epoch {epoch} after {}", owner.0);
        scene.flow(600).await?;
        scene.session(&old).heal();
        scene.rig.cluster.wait_ready().await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("a worker that hears nothing").await
}
