//! A packet that waits for a row lock at the target while the other end of its connection goes away.

use anyhow::{Result, ensure};

use crate::scene::{Scene, Setup, bounded};

/// The worker's half is reset; the server still believes in its own and goes on waiting.
#[tokio::test(flavor = "multi_thread")]
async fn connection_cut_while_a_packet_waits() -> Result<()> {
    let scene = Scene::start(Setup::default()).await?;
    let outcome = bounded(scene.left(), async {
        for both_sides in [false, true] {
            let owner = scene.owner().await?;
            let lock = scene.lock_rows().await?;
            if both_sides {
                scene.proxy.reset_connections();
            } else {
                scene.proxy.abandon_server_side();
            }
            let (epoch, _) = scene.taken_over(owner).await?;
            ensure!(epoch == owner.0, "the binding has changed");
            lock.release().await?;
            scene.flow(600).await?;
            scene.proxy.heal();
        }
        scene.flow(300).await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("connection cut while a packet waits for a lock").await
}

/// A supervisor starts the killed worker again at once; what it sent before is still waiting at the target.
#[tokio::test(flavor = "multi_thread")]
async fn worker_restarted_while_its_packet_waits() -> Result<()> {
    let mut scene = Scene::start(Setup::default()).await?;
    let outcome = bounded(scene.left(), async {
        let mut waited = 0;
        for _ in 0..3 {
            let (worker, owner) = (scene.rig.worker().await?, scene.owner().await?);
            let lock = scene.lock_rows().await?;
            scene.rig.cluster.kill9(&worker)?;
            let waiting = scene.waiting().await?;
            println!("{waiting} packets of the dead worker wait");
            waited += waiting;
            scene.rig.cluster.restart(&worker)?;
            let (epoch, _) = scene.taken_over(owner).await?;
            ensure!(epoch > owner.0, "a new incarnation has the epoch {epoch} of the old one");
            lock.release().await?;
            scene.flow(600).await?;
            scene.rig.cluster.wait_ready().await?;
        }
        // The server itself ends a wait after two seconds, so that a slow machine may miss one or two of them.
        ensure!(waited > 0, "no packet of a dead worker was ever seen waiting");
        Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("worker restarted while its packet waits for a lock").await
}
