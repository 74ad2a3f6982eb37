//! Targets that forget.

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::TASK;
use dm_tests::Flush;

use crate::scene::{Scene, Setup, bounded};

impl Scene {
    /// Packets that the lane rows know of.
    async fn packets(&self) -> Result<u64> {
        let sql = format!("SELECT CAST(SUM(seq) AS UNSIGNED) FROM dm_meta.{TASK}_lane WHERE lane>=0");
        self.at_target(&sql).await?.context("no lane row")
    }
}

/// Killed while its commits are not even written to the kernel: the last ones are gone, although they were answered.
#[tokio::test(flavor = "multi_thread")]
async fn target_killed_with_relaxed_flush() -> Result<()> {
    let mut scene = Scene::start(Setup { flush: Flush::Lossy, ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        let mut lost = 0;
        // Now and then the kill comes right after a flush, and nothing is lost.
        for round in 1.. {
            ensure!(round <= 8, "the target lost nothing in 8 kills");
            scene.flow(600).await?;
            let before = scene.packets().await?;
            scene.rig.target.kill9()?;
            // The worker comes back only when the loss has been seen.
            scene.proxy.cut();
            scene.rig.target.restart().await?;
            let after = scene.packets().await?;
            lost = before.saturating_sub(after);
            scene.proxy.heal();
            if lost > 0 {
                break;
            }
        }
        println!("the target lost at least {lost} packets");
        scene.flow(600).await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("target killed with relaxed flush").await
}

/// Put back to a copy of itself, as a failover to a replica that lagged does it.
#[tokio::test(flavor = "multi_thread")]
async fn target_put_back_to_a_copy() -> Result<()> {
    let mut scene = Scene::start(Setup::default()).await?;
    let outcome = bounded(scene.left(), async {
        let copy = scene.rig.target.copy_datadir()?;
        scene.flow(100).await?;
        let before = scene.packets().await?;
        scene.rig.target.kill9()?;
        scene.proxy.cut();
        scene.rig.target.restore_datadir(&copy)?;
        scene.rig.target.restart().await?;
        let after = scene.packets().await?;
        ensure!(after < before, "the copy is not older: {after} packets, before {before}");
        println!("the copy is {} packets old", before - after);
        scene.proxy.heal();
        scene.flow(600).await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("target put back to a copy").await
}
