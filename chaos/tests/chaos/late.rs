//! A worker that stops after a packet is built and before it is sent, and sends it when another one owns the target.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dm_chaos::rig::TASK;
use dm_tests::{Database, Flavor, compare_databases};

use crate::pause::{FENCED, REFUSED};
use crate::scene::{SCHEMA, Scene, Setup, bounded};

/// Nobody kills the former owner's connections, as where the privilege is missing: the fence stands alone.
pub const FENCE_ALONE: &str = "no_kill,no_ddl_wait";
/// Nothing keeps a late writer off.
pub const NOTHING: &str = "no_epoch,no_seq,no_kill,no_ddl_wait";

/// The former owner, thawed.
pub struct Thawed {
    pub worker: String,
    /// Length of its log before.
    pub log_from: usize,
    /// Its attempt, which its packets carry.
    pub attempt: u64,
    /// How long it was held.
    held: Duration,
}

impl Thawed {
    /// Its idle connections may have ended at the target by themselves (`wait_timeout`, ten seconds, with a ping every
    /// three): what it sends comes to nothing then, and nothing is proven.
    pub fn too_late(&self) -> bool {
        let late = self.held > Duration::from_secs(6);
        if late {
            println!("the worker was held for {:?}, which is too long", self.held);
        }
        late
    }
}

/// Runs a scenario anew, up to three times, when this machine was too slow for it (false).
pub async fn in_time(mut scenario: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..3 {
        if scenario().await? {
            return Ok(());
        }
    }
    bail!("this machine is too slow: a take-over took more than six seconds, three times")
}

/// Short, because an idle connection of the frozen worker lives for ten seconds only.
pub fn setup(broken: &'static str) -> Setup {
    Setup { broken, lease: "1500ms", ..Setup::default() }
}

impl Scene {
    /// Holds the packet with three rows for `work.proof` until another owner has applied them, then lets it go.
    async fn late_packet(&mut self) -> Result<Thawed> {
        // The writers rest for a moment, so that this very packet is the one that is held.
        self.rest().await?;
        self.flow(0).await?;
        let (worker, owner) = (self.rig.worker().await?, self.owner().await?);
        self.arm(&worker, "before_send")?;
        self.prove(3).await?;
        self.held(&worker, "before_send").await?;
        let since = Instant::now();
        self.freeze_unaware(&worker)?;
        ensure!(self.proofs().await? == 0, "the held packet has been sent");
        self.rig.target.run(&["SET GLOBAL log_output='TABLE'", "SET GLOBAL general_log=ON"]).await?;
        self.write().await?;
        self.bound_elsewhere(&worker).await?;
        self.taken_over(owner).await?;
        self.proofs_are(3).await?;
        self.thawed(worker, owner.1, "before_send", since)
    }

    /// Lets the frozen worker go on.
    pub fn thawed(&self, worker: String, attempt: u64, failpoint: &str, since: Instant) -> Result<Thawed> {
        let log_from = self.log_length(&worker)?;
        self.release(&worker, failpoint)?;
        self.rig.cluster.thaw(&worker)?;
        Ok(Thawed { worker, log_from, attempt, held: since.elapsed() })
    }

    /// How many packets of the thawed worker the target has received since its log was turned on.
    async fn arrived(&self, thawed: &Thawed) -> Result<u64> {
        let sql = format!(
            "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE '%{TASK}_lane%`attempt` = {}%' \
             AND argument NOT LIKE '%`lane` = -1 %' AND argument NOT LIKE '%general_log%'{}",
            thawed.attempt,
            // MySQL logs each statement of a packet, MariaDB the packet.
            if self.rig.target.flavor() == Flavor::MariaDb {
                " AND argument LIKE '%INSERT%`proof`%'"
            } else {
                ""
            }
        );
        Ok(self.at_target(&sql).await?.unwrap_or_default())
    }

    /// Stops the writers and compares: the checker has to find `work.proof`.
    pub async fn must_differ(mut self, what: &str) -> Result<()> {
        self.rest().await?;
        let comparing = compare_databases(&self.rig.source, &self.rig.target, &[SCHEMA]);
        let compared = bounded(self.left(), comparing).await;
        // A lost connection here is no verdict; the servers' own logs tell why.
        let diff = compared.with_context(|| {
            let log = |db: &Database| std::fs::read_to_string(db.log()).unwrap_or_default();
            let tail =
                |text: String| text.lines().rev().take(30).map(|l| format!("{l}\n")).collect::<String>();
            format!(
                "source log, newest first:\n{}target log, newest first:\n{}",
                tail(log(&self.rig.source)),
                tail(log(&self.rig.target))
            )
        })?;
        let found = !diff.is_equal() && diff.to_string().contains("proof");
        println!("{what}: {diff}");
        self.explained(if found { Ok(()) } else { Err(anyhow::anyhow!("not noticed: {diff}")) })
    }
}

async fn refused(source: Flavor, target: Flavor) -> Result<bool> {
    let mut scene = Scene::start(Setup { source, target, ..setup(FENCE_ALONE) }).await?;
    let outcome = bounded(scene.left(), async {
        let thawed = scene.late_packet().await?;
        if thawed.too_late() {
            return Ok(false);
        }
        scene.refused(&thawed.worker, thawed.log_from, REFUSED).await?;
        ensure!(scene.arrived(&thawed).await? > 0, "the late packet never came to the target");
        scene.flow(600).await?;
        let found = scene.proofs().await?;
        ensure!(found == 3, "{found} rows of the packet that was sent late");
        Ok(true)
    })
    .await;
    if !scene.explained(outcome)? {
        return Ok(false);
    }
    scene.finish("late packet, the fence alone").await?;
    Ok(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn late_packet_is_refused_by_mariadb() -> Result<()> {
    in_time(async || refused(Flavor::MariaDb, Flavor::MariaDb).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn late_packet_is_refused_by_mysql() -> Result<()> {
    in_time(async || refused(Flavor::MySql, Flavor::MySql).await).await
}

/// The product as it is: the packet meets a connection that the new owner has killed.
#[tokio::test(flavor = "multi_thread")]
async fn late_packet_meets_a_killed_connection() -> Result<()> {
    let mut scene = Scene::start(setup("")).await?;
    let outcome = bounded(scene.left(), async {
        let thawed = scene.late_packet().await?;
        scene.refused(&thawed.worker, thawed.log_from, FENCED).await?;
        scene.flow(600).await?;
        let found = scene.proofs().await?;
        ensure!(found == 3, "{found} rows of the packet that was sent late");
        Ok(())
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("late packet, killed connection").await
}

/// Negative control.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_a_late_packet_is_noticed() -> Result<()> {
    in_time(async || {
        let mut scene = Scene::start(setup(NOTHING)).await?;
        let outcome = bounded(scene.left(), async {
            if scene.late_packet().await?.too_late() {
                return Ok(false);
            }
            scene.proofs_are(6).await?;
            Ok(true)
        })
        .await;
        if !scene.explained(outcome)? {
            return Ok(false);
        }
        scene.must_differ("fence off, late packet").await?;
        Ok(true)
    })
    .await
}
