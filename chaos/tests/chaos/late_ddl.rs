//! A worker that stops before a TRUNCATE, and goes on when another one has run it and the table has new rows.

use std::time::Instant;

use anyhow::{Result, ensure};
use dm_chaos::rig::TASK;
use dm_tests::wait_until;

use crate::late::{FENCE_ALONE, NOTHING, Thawed, in_time, setup};
use crate::pause::{FENCED, REFUSED};
use crate::scene::{LONG, Scene, bounded};

impl Scene {
    async fn late_truncate(&mut self, failpoint: &str) -> Result<Thawed> {
        self.prove(3).await?;
        // The writers rest for a moment: the former owner must be thawed before its idle connections end.
        self.rest().await?;
        self.flow(0).await?;
        self.proofs_are(3).await?;
        let (worker, owner) = (self.rig.worker().await?, self.owner().await?);
        self.arm(&worker, failpoint)?;
        self.rig.source.run(&["TRUNCATE TABLE work.proof"]).await?;
        self.held(&worker, failpoint).await?;
        let since = Instant::now();
        self.freeze_unaware(&worker)?;
        ensure!(self.proofs().await? == 3, "the held TRUNCATE has been sent");
        self.write().await?;
        self.bound_elsewhere(&worker).await?;
        self.taken_over(owner).await?;
        self.proofs_are(0).await?;
        self.prove(5).await?;
        self.proofs_are(5).await?;
        // Its record goes with the next checkpoint; a late intent would stumble over it otherwise.
        let records = format!("SELECT COUNT(*) FROM dm_meta.{TASK}_ddl");
        wait_until(LONG, "no DDL record", async || Ok(self.at_target::<u64>(&records).await? == Some(0)))
            .await?;
        self.thawed(worker, owner.1, failpoint, since)
    }

    async fn new_rows_stand(&self) -> Result<()> {
        self.flow(600).await?;
        let found = self.proofs().await?;
        ensure!(found == 5, "{found} of 5 rows are left after the late TRUNCATE");
        Ok(())
    }
}

/// Held before its first packet: the fence refuses the intent, and the statement is never sent.
#[tokio::test(flavor = "multi_thread")]
async fn late_truncate_is_refused() -> Result<()> {
    in_time(async || {
        let mut scene = Scene::start(setup(FENCE_ALONE)).await?;
        let outcome = bounded(scene.left(), async {
            let thawed = scene.late_truncate("before_intent").await?;
            if thawed.too_late() {
                return Ok(false);
            }
            scene.refused(&thawed.worker, thawed.log_from, REFUSED).await?;
            scene.new_rows_stand().await?;
            Ok(true)
        })
        .await;
        if !scene.explained(outcome)? {
            return Ok(false);
        }
        scene.finish("late TRUNCATE, the fence alone").await?;
        Ok(true)
    })
    .await
}

/// Held between the intent and the statement: its connection is gone before the new owner looks.
#[tokio::test(flavor = "multi_thread")]
async fn late_truncate_meets_a_killed_connection() -> Result<()> {
    let mut scene = Scene::start(setup("")).await?;
    let outcome = bounded(scene.left(), async {
        let thawed = scene.late_truncate("before_ddl").await?;
        scene.refused(&thawed.worker, thawed.log_from, FENCED).await?;
        scene.new_rows_stand().await
    })
    .await;
    scene.explained(outcome)?;
    scene.finish("late TRUNCATE, killed connection").await
}

async fn noticed(failpoint: &str, broken: &'static str, what: &str) -> Result<()> {
    in_time(async || {
        let mut scene = Scene::start(setup(broken)).await?;
        let outcome = bounded(scene.left(), async {
            if scene.late_truncate(failpoint).await?.too_late() {
                return Ok(false);
            }
            scene.proofs_are(0).await?;
            Ok(true)
        })
        .await;
        if !scene.explained(outcome)? {
            return Ok(false);
        }
        scene.must_differ(what).await?;
        Ok(true)
    })
    .await
}

/// Negative control.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_a_late_truncate_is_noticed() -> Result<()> {
    noticed("before_intent", NOTHING, "fence off, late TRUNCATE").await
}

/// Negative control: the fence alone can't hold a statement that commits by itself.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_kill_a_late_truncate_is_noticed() -> Result<()> {
    noticed("before_ddl", FENCE_ALONE, "kill off, late TRUNCATE").await
}
