//! A master killed at each failpoint, under write load and while its state changes.

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::TASK;
use dm_failpoints::Failpoint::{self, *};
use dm_tests::wait_until;

use crate::failpoints::{Killed, nothing};
use crate::scene::{LONG, Scene, Setup, bounded};

const MASTERS: &[&str] = &["m1", "m2", "m3"];

struct Masters {
    scene: Scene,
    killed: Killed,
    /// The newest change that a master has acknowledged.
    acknowledged: u64,
}

impl Masters {
    /// Kills whoever comes there first.
    async fn kill(
        &mut self,
        masters: &[&str],
        at: Failpoint,
        cause: impl AsyncFnOnce(&Scene) -> Result<()>,
    ) -> Result<String> {
        let dead = self.scene.killed_at(masters, at, cause).await?;
        self.killed.at(at);
        Ok(dead)
    }

    async fn restart(&mut self, masters: &[&str]) -> Result<()> {
        for master in masters {
            self.scene.rig.cluster.restart(master)?;
        }
        self.whole().await
    }

    /// All masters serve, a leader is there, what was acknowledged is known, the next change is acknowledged, and the
    /// target has what is committed now.
    async fn whole(&mut self) -> Result<()> {
        self.scene.rig.cluster.wait_ready().await?;
        for master in self.scene.rig.cluster.names(true) {
            let member = self.scene.rig.cluster.member(&master)?;
            wait_until(LONG, &format!("{master} to serve"), async || {
                member.metric("dm_master_is_leader", "").await.map(|_| true)
            })
            .await?;
        }
        self.scene.rig.cluster.wait_ready().await?;
        let (before, next) = (self.acknowledged, self.acknowledged + 1);
        ensure!(before == 0 || self.lists(before).await?, "the acknowledged change {before} is gone");
        wait_until(LONG, "a change to be acknowledged", async || self.scene.far_operator("skip", next).await)
            .await?;
        self.acknowledged = next;
        ensure!(self.lists(next).await?, "the acknowledged change {next} is not there");
        if before > 0 {
            wait_until(LONG, "the former change to be undone", async || {
                self.scene.far_operator("revert", before).await?;
                Ok(!self.lists(before).await?)
            })
            .await?;
        }
        self.scene.flow(20).await
    }

    async fn lists(&self, change: u64) -> Result<bool> {
        let listed = self.scene.rig.cluster.dmctl(&["binlog", "list", TASK]).await?.success()?;
        Ok(listed.to_string().contains(&format!("(mysql-bin.999990, {change})")))
    }

    async fn all(&mut self) -> Result<()> {
        self.whole().await?;
        self.writes().await?;
        self.votes().await?;
        self.installs().await?;
        self.truncates().await?;
        self.joins().await?;
        self.killed.are_all(&["master"])
    }

    /// The leader at each step, and then one of those that follow it.
    async fn writes(&mut self) -> Result<()> {
        let steps = [
            BeforeAppend,
            BeforeFlush,
            AfterFlush,
            AfterAppend,
            BeforeCommitted,
            AfterCommitted,
            BeforeApply,
            AfterApply,
            BeforeSnapshot,
            BeforeRename,
            AfterSnapshot,
            BeforePurge,
            HalfPurge,
            AfterPurge,
        ];
        for at in steps {
            let leader = self.scene.rig.cluster.leader().await?;
            let dead = self.kill(&[leader.as_str()], at, changes).await?;
            self.restart(&[&dead]).await?;
            let leader = self.scene.rig.cluster.leader().await?;
            let dead = self.kill(&others(&leader), at, changes).await?;
            self.restart(&[&dead]).await?;
        }
        Ok(())
    }

    /// The leader dies, and one of the others while it votes: for itself or for the third one.
    async fn votes(&mut self) -> Result<()> {
        for at in [BeforeVote, HalfVote, AfterVote] {
            for voter in 0..2 {
                let leader = self.scene.rig.cluster.leader().await?;
                let voter = others(&leader)[voter];
                self.scene.rig.cluster.kill9(&leader)?;
                self.kill(&[voter], at, nothing).await?;
                self.restart(&[&leader, voter]).await?;
            }
        }
        Ok(())
    }

    /// A follower comes back when the others' logs begin later.
    async fn installs(&mut self) -> Result<()> {
        let leader = self.scene.rig.cluster.leader().await?;
        let late = others(&leader)[0];
        self.scene.rig.cluster.kill9(late)?;
        // More than a snapshot's worth, and what is kept of the log.
        for _ in 0..12 {
            change(&self.scene).await?;
        }
        for at in [BeforeInstall, HalfInstall, AfterInstall] {
            // Armed before it starts.
            self.scene.arm(late, at.place())?;
            self.scene.rig.cluster.restart(late)?;
            self.kill(&[late], at, nothing).await?;
        }
        self.restart(&[late]).await
    }

    /// A leader has entries that nobody else has got; the others go on with other ones.
    async fn truncates(&mut self) -> Result<()> {
        let leader = self.scene.rig.cluster.leader().await?;
        let others = others(&leader);
        for master in others.iter().copied() {
            self.scene.arm(master, BeforeAppend.place())?;
        }
        self.scene.arm(&leader, AfterAppend.place())?;
        {
            let scene = &self.scene;
            let held = async {
                scene.held(&leader, AfterAppend.place()).await?;
                for master in others.iter().copied() {
                    scene.held(master, BeforeAppend.place()).await?;
                }
                anyhow::Ok(())
            };
            tokio::select! {
                held = held => held?,
                caused = changes(scene) => caused.context("nobody was held")?,
            }
        }
        for master in MASTERS {
            self.scene.rig.cluster.kill9(master)?;
            self.scene.disarm(master, BeforeAppend.place())?;
            self.scene.disarm(master, AfterAppend.place())?;
        }
        for master in others.iter().copied() {
            self.scene.rig.cluster.restart(master)?;
        }
        self.scene.rig.cluster.leader().await?;
        for at in [BeforeTruncate, HalfTruncate, AfterTruncate] {
            self.scene.arm(&leader, at.place())?;
            self.scene.rig.cluster.restart(&leader)?;
            self.kill(&[leader.as_str()], at, nothing).await?;
        }
        self.restart(&[&leader]).await
    }

    /// A new member, killed at every step of making its folder and of becoming a voter.
    async fn joins(&mut self) -> Result<()> {
        let new = "m4";
        self.scene.arm(new, BeforeStamp.place())?;
        self.scene.rig.cluster.add_master(new)?;
        self.kill(&[new], BeforeStamp, nothing).await?;
        for at in [AfterStamp, BeforeRename, HalfMade] {
            self.scene.arm(new, at.place())?;
            self.scene.rig.cluster.restart(new)?;
            self.kill(&[new], at, nothing).await?;
        }
        // The folder gets ready, and then: the cluster is about to be noted; it is noted in one file of two; the member is
        // a voter and does not know it.
        self.scene.arm(new, HalfMade.place())?;
        self.scene.rig.cluster.restart(new)?;
        self.scene.held(new, HalfMade.place()).await?;
        for (from, to) in [(HalfMade, BeforeStamp), (BeforeStamp, AfterStamp), (AfterStamp, BeforeStamp)] {
            self.scene.arm(new, to.place())?;
            self.scene.release(new, from.place())?;
            self.scene.held(new, to.place()).await?;
        }
        self.kill(&[new], BeforeStamp, nothing).await?;
        for at in [AfterStamp, BeforeStamp] {
            self.scene.arm(new, at.place())?;
            self.scene.rig.cluster.restart(new)?;
            self.kill(&[new], at, nothing).await?;
        }
        self.restart(&[new]).await?;
        let members = self.scene.rig.cluster.list_member().await?.to_string();
        ensure!(members.contains("\"m4\""), "{members}");
        Ok(())
    }
}

fn others(leader: &str) -> Vec<&'static str> {
    MASTERS.iter().copied().filter(|m| *m != leader).collect()
}

/// One change of the masters' state and back, acknowledged or not.
async fn change(scene: &Scene) -> Result<()> {
    for verb in ["skip", "revert"] {
        scene.far_operator(verb, 1 << 30).await?;
    }
    Ok(())
}

/// Changes without end.
async fn changes(scene: &Scene) -> Result<()> {
    loop {
        change(scene).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed_at_each_failpoint() -> Result<()> {
    let setup = Setup { masters: 3, snapshot_every: 10, ..Setup::default() };
    let scene = Scene::start(setup).await?;
    let mut masters = Masters { scene, killed: Killed::default(), acknowledged: 0 };
    let outcome = bounded(masters.scene.left(), masters.all()).await;
    masters.scene.explained(outcome)?;
    masters.scene.finish("a master killed at each failpoint").await
}
