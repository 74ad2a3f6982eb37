//! The real pt-online-schema-change, in chunks, while an application writes.
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use dm_proto::worker::MetaStage;
use dm_tests::{Database, DatabaseOptions, Flavor};
use tokio::process::Command;

use crate::{
    online_ddl::{MAKE, all_same, writing},
    scene::{Scene, rows},
};

const TOOL: &str = "pt-online-schema-change";
const LONG: Duration = Duration::from_secs(180);

/// Rows that the tool has to copy in many chunks.
const MANY: &str = "INSERT INTO shop.t (v, w) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) \
     SELECT CONCAT('row ', a.i), a.i % 20 FROM n AS a CROSS JOIN (SELECT i FROM n WHERE i <= 10) AS b";

/// Runs the tool to its end.
async fn change(source: &Database, alter: &str) -> Result<()> {
    let dsn = format!("h=127.0.0.1,P={},u=root,p={},D=shop,t=t", source.port(), source.root_password());
    let mut command = Command::new(TOOL);
    command
        .args(["--execute", "--no-version-check", "--recursion-method", "none", "--charset", "utf8mb4"])
        .args(["--chunk-size", "200", "--chunk-time", "0", "--max-load", "", "--critical-load", ""])
        .args(["--alter", alter, &dsn])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let run = tokio::time::timeout(LONG, command.output()).await.context("the tool does not end")?;
    let output = run.with_context(|| format!("{TOOL} is not installed: run ./deploy/install-deps.sh"))?;
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{TOOL} --alter {alter:?} has failed:\n{said}\n{complained}");
    // It ends well, too, where it found nothing to do.
    ensure!(said.contains("Successfully altered `shop`.`t`"), "{said}\n{complained}");
    Ok(())
}

/// Two changes, one after the other, at a table that is written all the time.
async fn changed_while_written(flavor: Flavor, gtid: bool) -> Result<()> {
    let logs = |options: DatabaseOptions| options.line("general-log=1").line("log-output=TABLE");
    let options = DatabaseOptions { gtid, ..DatabaseOptions::default() };
    let scene = Scene::start_between((flavor, options), (flavor, logs(DatabaseOptions::default()))).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    scene.source.run(&[MANY]).await?;
    scene.caught_up().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = writing(&scene.source, &stop);
    let changes = async {
        change(&scene.source, "ADD COLUMN added INT NOT NULL DEFAULT 7 AFTER id, ADD KEY by_w (w)").await?;
        scene.source.run(&["UPDATE shop.t SET added = id WHERE id % 7 = 0"]).await?;
        change(&scene.source, "MODIFY v VARCHAR(40), DROP KEY by_w, ADD KEY by_v (v)").await
    };
    let changed = changes.await;
    stop.store(true, Ordering::Relaxed);
    let written = tokio::time::timeout(LONG, writer).await???;
    changed?;
    assert!(written > 0, "nobody wrote meanwhile");
    all_same(&scene).await?;
    let altered = rows(
        &scene.target,
        "SELECT argument FROM mysql.general_log WHERE command_type = 'Query' AND argument LIKE 'ALTER TABLE%'",
    )
    .await?;
    assert_eq!(altered.len(), 2, "each change comes once: {altered:#?}");
    let report = leader.until("it runs", LONG, |s| s.sync.is_some()).await?;
    assert_eq!(report.sync.unwrap_or_default().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn percona_toolkit_on_mariadb() -> Result<()> {
    changed_while_written(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn percona_toolkit_on_mariadb_by_position() -> Result<()> {
    changed_while_written(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn percona_toolkit_on_mysql() -> Result<()> {
    changed_while_written(Flavor::MySql, true).await
}
