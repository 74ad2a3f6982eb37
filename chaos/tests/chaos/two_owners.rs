//! Two take-overs at once.

use anyhow::{Result, ensure};

use crate::scene::{Scene, Setup, bounded};

/// The former owner is thawed while its successor is in the middle of taking over; then the successor dies there.
#[tokio::test(flavor = "multi_thread")]
async fn two_take_overs_at_once() -> Result<()> {
    let mut scene = Scene::start(Setup { lease: "2s", ..Setup::default() }).await?;
    let outcome = bounded(scene.left(), async {
        for (failpoint, kill) in
            [("before_kill", false), ("before_take_over", false), ("before_take_over", true)]
        {
            let (old, owner) = (scene.rig.worker().await?, scene.owner().await?);
            let other = if old == "w1" { "w2" } else { "w1" };
            scene.arm(other, failpoint)?;
            scene.freeze_unaware(&old)?;
            scene.held(other, failpoint).await?;
            scene.rig.cluster.thaw(&old)?;
            if kill {
                scene.rig.cluster.kill9(other)?;
                scene.rig.cluster.restart(other)?;
                scene.release(other, failpoint)?;
            } else {
                scene.release(other, failpoint)?;
            }
            let (epoch, _) = scene.taken_over(owner).await?;
            ensure!(epoch >= owner.0, "epoch {epoch} after {}", owner.0);
            scene.flow(600).await?;
            scene.session(&old).heal();
            scene.rig.cluster.wait_ready().await?;
        }
        anyhow::Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("two take-overs at once").await
}
