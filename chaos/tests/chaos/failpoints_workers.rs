//! A worker killed at each failpoint, under write load.

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::{SOURCE, TASK};
use dm_failpoints::Failpoint::{self, *};
use dm_tests::{TaskFile, wait_until};

use crate::failpoints::{Killed, nothing};
use crate::scene::{LONG, Scene, Setup, bounded};

/// Name of a second task, which is loaded while the first one goes on.
const COPY: &str = "copy";
const WORKERS: &[&str] = &["w1", "w2"];

/// Four statements of 4 MiB: as one transaction, several parts.
const LARGE: &str = "INSERT INTO work.large (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE \
                     i < 512) SELECT REPEAT(SHA2(i, 512), 64) FROM n";

struct Workers {
    scene: Scene,
    killed: Killed,
    /// The last source went to the other worker.
    other: bool,
}

impl Workers {
    /// Kills whoever comes there first, and starts it again: by turns at once, when it goes on itself, and when the other one
    /// has its source.
    async fn kill(&mut self, at: Failpoint, cause: impl AsyncFnOnce(&Scene) -> Result<()>) -> Result<()> {
        let dead = self.scene.killed_at(WORKERS, at, cause).await?;
        self.killed.at(at);
        self.other = !self.other;
        if self.other {
            self.scene.bound_elsewhere(&dead).await?;
        }
        self.scene.rig.cluster.restart(&dead)
    }

    /// Both workers are there, and the target has what is committed now.
    async fn whole(&mut self) -> Result<()> {
        self.scene.rig.cluster.wait_ready().await?;
        self.scene.flow(50).await
    }

    async fn all(&mut self) -> Result<()> {
        self.lanes().await?;
        self.take_overs().await?;
        self.ddl().await?;
        self.parts().await?;
        self.skips().await?;
        self.load().await?;
        self.removed().await?;
        self.killed.are_all(&["worker", "target"])
    }

    async fn lanes(&mut self) -> Result<()> {
        for at in [BeforeSend, AfterSend, BeforeCheckpoint, AfterCheckpoint] {
            self.kill(at, nothing).await?;
            self.whole().await?;
        }
        for (at, verb) in [(BeforeAuthority, "skip"), (AfterAuthority, "revert")] {
            self.kill(at, async |scene| scene.far_operator(verb, 4).await.map(drop)).await?;
            self.whole().await?;
        }
        Ok(())
    }

    async fn take_overs(&mut self) -> Result<()> {
        for at in [BeforeKill, BeforeTakeOver, AfterTakeOver] {
            let cut = async |scene: &Scene| {
                scene.proxy.reset_connections();
                Ok(())
            };
            self.kill(at, cut).await?;
            self.whole().await?;
        }
        Ok(())
    }

    /// An ALTER can't be repeated: whether it has run is found out.
    async fn ddl(&mut self) -> Result<()> {
        // After the second one nobody knows whether it has run; it has not, and is met again.
        for (n, at, more) in [
            (0, BeforeIntent, &[][..]),
            (1, AfterIntent, &[BeforeForget, AfterForget]),
            (2, BeforeDdl, &[]),
            (3, AfterStatement, &[]),
            (4, AfterDone, &[]),
        ] {
            let alter = format!("ALTER TABLE work.proof ADD COLUMN more{n} INT");
            let insert = format!("INSERT INTO work.proof (a, more{n}) VALUES ({n}, {n})");
            self.kill(at, async |scene| scene.rig.source.run(&[&alter, &insert]).await).await?;
            for at in more {
                self.kill(*at, nothing).await?;
            }
            self.whole().await?;
        }
        Ok(())
    }

    async fn parts(&mut self) -> Result<()> {
        let table = "CREATE TABLE work.large (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(9000) CHARACTER SET latin1)";
        let write = async |scene: &Scene| {
            scene.rig.source.run(&[table, "BEGIN", LARGE, LARGE, LARGE, LARGE, LARGE, "COMMIT"]).await
        };
        self.kill(BeforePart, write).await?;
        self.kill(AfterPart, nothing).await?;
        self.whole().await
    }

    /// A change in statement format stops the task; a person skips it, and makes it at the target.
    async fn skips(&mut self) -> Result<()> {
        self.scene.rig.source.run(&["CREATE TABLE work.skipped (id INT PRIMARY KEY)"]).await?;
        self.scene.flow(0).await?;
        for (n, at) in [(1, BeforeSkip), (2, AfterSkip)] {
            let insert = format!("INSERT INTO work.skipped VALUES ({n})");
            self.scene.rig.source.run(&["SET SESSION binlog_format = STATEMENT", &insert]).await?;
            let cluster = &self.scene.rig.cluster;
            wait_until(LONG, "the task to stand still", async || {
                let status = cluster.subtask(TASK, SOURCE).await?.context("nobody runs it")?;
                Ok(status["stage"] == "Paused" && status["result"]["errors"][0].is_object())
            })
            .await?;
            let skip =
                async |scene: &Scene| scene.rig.cluster.dmctl(&["binlog", "skip", TASK]).await.map(drop);
            self.kill(at, skip).await?;
            self.whole().await?;
            self.scene.rig.target.run(&[&insert]).await?;
        }
        Ok(())
    }

    async fn start_copy(scene: &Scene, more: &[&str]) -> Result<()> {
        let file = TaskFile::new(COPY, SOURCE, &scene.rig.target, &["more"]);
        let file = scene.rig.cluster.write("copy.yaml", &file.yaml())?.display().to_string();
        let command = [&["start-task", &file], more].concat();
        scene.rig.cluster.dmctl(&command).await?.success().map(drop)
    }

    async fn copied(&mut self) -> Result<()> {
        self.scene.rig.cluster.wait_subtask(LONG, (COPY, SOURCE), ("Running", "Sync")).await?;
        let diff = self.scene.rig.wait_equal(&["more"]).await?;
        ensure!(diff.is_equal(), "{diff}");
        self.whole().await
    }

    /// One task is killed at every step of its load, which starts over each time.
    async fn load(&mut self) -> Result<()> {
        let rows = "INSERT INTO more.t SELECT seq, SHA2(seq, 256) FROM more.seq_1_to_5000";
        let source = &self.scene.rig.source;
        source
            .run(&["CREATE DATABASE more", "CREATE TABLE more.t (id INT PRIMARY KEY, v VARCHAR(64))", rows])
            .await?;
        self.kill(BeforeMeta, async |scene| Self::start_copy(scene, &[]).await).await?;
        let steps = [
            AfterMeta,
            BeforeLaneRows,
            AfterLaneRows,
            BeforePlan,
            HalfPlan,
            AfterPlan,
            BeforeChunk,
            AfterChunk,
            BeforeBegin,
            AfterBegin,
        ];
        for at in steps {
            self.kill(at, nothing).await?;
        }
        self.copied().await
    }

    async fn removed(&mut self) -> Result<()> {
        self.scene.rig.cluster.dmctl(&["stop-task", COPY]).await?.success()?;
        self.scene.rig.target.run(&["DROP DATABASE more"]).await?;
        self.kill(BeforeRemove, async |scene| Self::start_copy(scene, &["--remove-meta"]).await).await?;
        self.kill(AfterRemove, nothing).await?;
        self.copied().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_killed_at_each_failpoint() -> Result<()> {
    let scene = Scene::start(Setup { lease: "1500ms", ..Setup::default() }).await?;
    let mut workers = Workers { scene, killed: Killed::default(), other: false };
    let outcome = bounded(workers.scene.left(), workers.all()).await;
    workers.scene.explained(outcome)?;
    workers.scene.finish("a worker killed at each failpoint").await
}
