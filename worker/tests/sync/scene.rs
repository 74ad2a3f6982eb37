//! A source, a target and a worker process.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use dm_proto::worker::{BoundSource, CheckRequest, CheckResponse, MetaStage, SourceReport, Stage, Subtask};
use dm_tests::{Database, DatabaseOptions, Flavor, Program, Running, Scratch, free_port, wait_until};
use mysql_async::prelude::Queryable;

use crate::leader::{Leader, check};

pub const CLUSTER: &str = "cluster-1";
pub const TASK: &str = "t1";
pub const CAUGHT_UP: Duration = Duration::from_secs(60);

/// Everything that one test needs; ends with it.
pub struct Scene {
    pub source: Database,
    pub target: Database,
    pub scratch: Scratch,
    worker: Option<Running>,
    second: Option<Running>,
    pub address: String,
    rules: String,
    start: String,
    mode: &'static str,
    /// Where the worker finds the source, when not at its own port.
    pub source_port: Option<u16>,
    /// Lines of the source's configuration.
    pub source_lines: &'static str,
    /// Lines of the task's `target-database`.
    pub target_lines: &'static str,
    /// `RAFT_DM_BROKEN` of the worker's next start.
    pub broken: &'static str,
    /// The worker's next start stops at failpoints, see [`Scene::hold`].
    pub holds: bool,
    /// More arguments of the worker's next start.
    pub arguments: &'static [&'static str],
}

impl Scene {
    pub async fn start(source: Flavor, target: Flavor, gtid: bool) -> Result<Self> {
        Self::start_with(source, DatabaseOptions { gtid, ..DatabaseOptions::default() }, target).await
    }

    pub async fn start_with(source: Flavor, options: DatabaseOptions, target: Flavor) -> Result<Self> {
        Self::start_between((source, options), (target, DatabaseOptions::default())).await
    }

    pub async fn start_between(
        source: (Flavor, DatabaseOptions),
        target: (Flavor, DatabaseOptions),
    ) -> Result<Self> {
        let (source, target) =
            tokio::try_join!(Database::start(source.0, source.1), Database::start(target.0, target.1))?;
        let address = format!("127.0.0.1:{}", free_port());
        let mut scene = Self {
            source,
            target,
            scratch: Scratch::new("worker")?,
            worker: None,
            second: None,
            address,
            rules: String::new(),
            start: String::new(),
            mode: "incremental",
            source_port: None,
            source_lines: "",
            target_lines: "",
            broken: "",
            holds: false,
            arguments: &[],
        };
        scene.mark_start().await?;
        scene.start_worker()?;
        Ok(scene)
    }

    /// Lines of the instance, and sections, for rules: `(instance lines, sections)`.
    pub fn with_rules(&mut self, instance: &str, sections: &str) {
        self.rules = format!("{instance}\u{0}{sections}");
    }

    /// The task begins at the present end of the source's binlog.
    pub async fn mark_start(&mut self) -> Result<()> {
        let (file, pos) = self.end().await?;
        self.start = format!("    meta:\n      binlog-name: {file}\n      binlog-pos: {pos}\n");
        Ok(())
    }

    /// The task begins at a position of the form `(file, pos)`.
    pub fn start_at(&mut self, position: &str) -> Result<()> {
        let inner = position.strip_prefix('(').and_then(|p| p.strip_suffix(')'));
        let (file, pos) = inner.and_then(|p| p.split_once(", ")).context("no position")?;
        self.start = format!("    meta:\n      binlog-name: {file}\n      binlog-pos: {pos}\n");
        Ok(())
    }

    /// The present end of the source's binlog.
    pub async fn end(&self) -> Result<(String, u64)> {
        let mut conn = self.source.conn().await?;
        let sql = match self.source.flavor() {
            Flavor::MySql => "SHOW BINARY LOG STATUS",
            Flavor::MariaDb => "SHOW MASTER STATUS",
        };
        let row: mysql_async::Row = conn.query_first(sql).await?.context("no binlog")?;
        conn.disconnect().await?;
        Ok((row.get(0).context("file")?, row.get(1).context("pos")?))
    }

    /// Everything in the source's binlog by GTID.
    pub async fn gtids(&self) -> Result<String> {
        let sql = match self.source.flavor() {
            Flavor::MySql => "SELECT @@gtid_executed",
            Flavor::MariaDb => "SELECT @@gtid_binlog_pos",
        };
        let mut conn = self.source.conn().await?;
        let set: String = conn.query_first(sql).await?.context("no GTIDs")?;
        conn.disconnect().await?;
        Ok(set.replace('\n', ""))
    }

    /// The first start of the task's next life, as `start-task` makes it.
    pub async fn start_anew(
        &self,
        leader: &Leader,
        epoch: u64,
        with: impl FnOnce(&mut Subtask),
    ) -> Result<()> {
        leader.assign(Vec::new()).await?;
        let mut reports = leader.reports.clone();
        let ended = |s: &SourceReport| s.subtasks.iter().all(|t| t.stage() == Stage::Stopped);
        let gone = reports.wait_for(|r| r.sources.iter().all(ended));
        tokio::time::timeout(CAUGHT_UP, gone).await.context("the task does not end")??;
        let mut sources = self.bound(epoch, MetaStage::MetaNone);
        with(&mut sources[0].subtasks[0]);
        leader.assign(sources).await
    }

    /// The task copies the tables first.
    pub fn load_first(&mut self) {
        self.mode = "all";
        self.start.clear();
    }

    /// The task copies the tables and ends.
    pub fn load_only(&mut self) {
        self.mode = "full";
        self.start.clear();
    }

    pub fn start_worker(&mut self) -> Result<()> {
        self.worker = Some(self.process("w1", &self.address, &self.log())?);
        Ok(())
    }

    /// Another worker process, `w2`; gives its address.
    pub fn start_second(&mut self) -> Result<String> {
        let address = format!("127.0.0.1:{}", free_port());
        self.second = Some(self.process("w2", &address, &self.scratch.path().join("second.log"))?);
        Ok(address)
    }

    /// Kills the second worker process, if there is one.
    pub fn kill_second(&mut self) -> Result<()> {
        self.second.take().map_or(Ok(()), |mut second| second.kill9())
    }

    fn process(&self, name: &str, address: &str, log: &Path) -> Result<Running> {
        let mut program = Program::new(env!("CARGO_BIN_EXE_dm-worker"));
        if self.holds {
            program = program.env("RAFT_DM_HOLD_DIR", self.scratch.path().join("holds"));
        }
        program
            .args(["--name", name, "--worker-addr", address, "--join", "127.0.0.1:1"])
            .args(self.arguments)
            .env("RAFT_DM_BROKEN", self.broken)
            .arg("--data-dir")
            .arg(self.scratch.path().join(format!("data-{name}")))
            .arg("--log-file")
            .arg(log)
            .output_to(self.scratch.path().join("output.log"))
            .start()
    }

    fn hold_file(&self, name: &str) -> Result<PathBuf> {
        let dir = self.scratch.path().join("holds").join("w1");
        std::fs::create_dir_all(&dir)?;
        Ok(dir.join(name))
    }

    /// Whoever comes to this failpoint next stays there.
    pub fn hold(&self, failpoint: &str) -> Result<()> {
        Ok(std::fs::write(self.hold_file(failpoint)?, "")?)
    }

    /// Kills the worker that is held there, and starts it again.
    pub async fn kill_at(&mut self, failpoint: &str) -> Result<()> {
        let held = self.hold_file(&format!("{failpoint}.held"))?;
        wait_until(CAUGHT_UP, failpoint, || async { Ok(held.exists()) }).await?;
        self.worker().kill9()?;
        std::fs::remove_file(held)?;
        self.start_worker()
    }

    pub fn log(&self) -> PathBuf {
        self.scratch.path().join("worker.log")
    }

    pub fn worker(&mut self) -> &mut Running {
        self.worker.as_mut().expect("a worker is running")
    }

    pub async fn leader(&self, term: u64) -> Result<Leader> {
        Leader::open(&self.address, "w1", CLUSTER, term).await
    }

    pub fn source_config(&self) -> String {
        format!(
            "source-id: s1\nfrom:\n  host: 127.0.0.1\n  port: {}\n  user: root\n  password: {}\n{}",
            self.source_port.unwrap_or_else(|| self.source.port()),
            self.source.root_password(),
            self.source_lines,
        )
    }

    pub fn task_config(&self) -> String {
        let (instance, sections) = self.rules.split_once('\u{0}').unwrap_or(("", ""));
        format!(
            "name: {TASK}\ntask-mode: {}\ntarget-database:\n  host: 127.0.0.1\n  port: {}\n  user: root\n  \
             password: {}\n{}mysql-instances:\n  - source-id: s1\n{}{instance}{sections}",
            self.mode,
            self.target.port(),
            self.target.root_password(),
            self.target_lines,
            self.start,
        )
    }

    pub fn bound(&self, epoch: u64, meta: MetaStage) -> Vec<BoundSource> {
        vec![BoundSource {
            source_id: "s1".to_owned(),
            epoch,
            config: self.source_config(),
            subtasks: vec![Subtask {
                task: TASK.to_owned(),
                config: self.task_config(),
                task_revision: 1,
                desired: Stage::Running.into(),
                meta: meta.into(),
                adopt_meta: false,
                resume_serial: 0,
                ..Subtask::default()
            }],
        }]
    }

    /// Binds and waits until the sync unit runs.
    pub async fn sync(&self, term: u64, epoch: u64, meta: MetaStage) -> Result<Leader> {
        let leader = self.leader(term).await?;
        leader.assign(self.bound(epoch, meta)).await?;
        leader
            .until("the sync unit runs", Duration::from_secs(60), |s| {
                assert!(s.errors.is_empty(), "{:?}", s.errors);
                s.unit == "Sync" && s.stage() == Stage::Running
            })
            .await?;
        Ok(leader)
    }

    /// Pauses the task; gives when it has let go of everything.
    pub async fn pause(&self, leader: &Leader) -> Result<()> {
        leader.change(|s| s.set_desired(Stage::Paused)).await?;
        leader.until_stage(Stage::Paused).await.map(drop)
    }

    pub async fn resume(&self, leader: &Leader) -> Result<()> {
        leader
            .change(|s| {
                s.set_desired(Stage::Running);
                s.resume_serial += 1;
            })
            .await
    }

    /// Waits until the target has everything that the source has now, told by a marker row of a table made for it.
    pub async fn caught_up(&self) -> Result<()> {
        self.source
            .run(&[
                "CREATE DATABASE IF NOT EXISTS marker",
                "CREATE TABLE IF NOT EXISTS marker.m (id BIGINT PRIMARY KEY AUTO_INCREMENT)",
                "INSERT INTO marker.m VALUES ()",
            ])
            .await?;
        let mut conn = self.source.conn().await?;
        let newest: i64 = conn.query_first("SELECT MAX(id) FROM marker.m").await?.context("no marker")?;
        conn.disconnect().await?;
        wait_until(CAUGHT_UP, "the marker row at the target", || async {
            let mut conn = self.target.conn().await?;
            // The table itself comes with the stream.
            let seen: Option<Option<i64>> =
                conn.query_first("SELECT MAX(id) FROM marker.m").await.unwrap_or(None);
            conn.disconnect().await?;
            Ok(seen.flatten() >= Some(newest))
        })
        .await
        .with_context(|| std::fs::read_to_string(self.log()).unwrap_or_default())
    }
}

/// Every row of a table as bytes, sorted: a multiset.
pub async fn rows(database: &Database, sql: &str) -> Result<Vec<String>> {
    let mut conn = database.conn().await?;
    let rows: Vec<mysql_async::Row> = conn.query(sql).await?;
    conn.disconnect().await?;
    // Not by the driver's debug form: it shows the first bytes of a value only.
    let mut rows: Vec<String> =
        rows.into_iter().map(|r| r.unwrap().iter().map(text).collect::<Vec<_>>().join(", ")).collect();
    rows.sort();
    Ok(rows)
}

fn text(value: &mysql_async::Value) -> String {
    match value {
        mysql_async::Value::Bytes(bytes) => format!("'{}'", bytes.escape_ascii()),
        other => format!("{other:?}"),
    }
}

/// Fails with the difference when a table differs.
pub async fn same(scene: &Scene, source: &str, target: &str) -> Result<()> {
    let left = rows(&scene.source, source).await?;
    let right = rows(&scene.target, target).await?;
    assert_eq!(left.len(), right.len(), "{source}: number of rows");
    for (l, r) in left.iter().zip(&right) {
        assert_eq!(l, r, "{source}");
    }
    Ok(())
}

/// The pre-check of the scene's task.
pub async fn checked(scene: &Scene) -> Result<CheckResponse> {
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: scene.task_config(),
    };
    check(&scene.address, request).await
}
