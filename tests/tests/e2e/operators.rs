//! `dmctl binlog` through the real programs; what it sets outlives the leader and the worker.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dm_tests::{
    Cluster, Database, DatabaseOptions, Flavor, SourceFile, TaskFile, compare_databases, wait_until,
    wait_until_value,
};
use serde_json::Value as Json;

const SOURCE: &str = "source-01";
const TASK: &str = "operated";
const LONG: Duration = Duration::from_secs(120);

/// The words of the command that an error tells to type.
fn told(text: &str, verb: &str) -> Result<Vec<String>> {
    let start =
        text.find(&format!("dmctl binlog {verb} ")).with_context(|| format!("no command in {text}"))?;
    let command = text[start..].split('`').next().unwrap_or_default();
    Ok(command.split_whitespace().skip(1).map(str::to_owned).collect())
}

async fn stopped(cluster: &Cluster) -> Result<String> {
    wait_until_value(LONG, "a stop with a command to type", async || {
        let Some(status) = cluster.subtask(TASK, SOURCE).await? else { return Ok(None) };
        let errors = status["result"]["errors"].as_array().cloned().unwrap_or_default();
        let text = errors.first().and_then(|e| e["Workaround"].as_str()).unwrap_or_default();
        Ok((status["stage"] == "Paused" && text.contains("dmctl binlog skip")).then(|| text.to_owned()))
    })
    .await
}

async fn pending(cluster: &Cluster) -> Result<Vec<Json>> {
    let answer = cluster.dmctl(&["binlog", "list", TASK]).await?.success()?;
    let text = answer["sources"][0]["msg"].as_str().context("no row")?;
    Ok(serde_json::from_str(text)?)
}

async fn scenario(cluster: &mut Cluster, source: &Database, target: &Database) -> Result<()> {
    cluster.create_source(&SourceFile::new(SOURCE, source)).await?;
    cluster.start_task(&TaskFile::new(TASK, SOURCE, target, &["shop"])).await?;
    cluster.wait_subtask(LONG, (TASK, SOURCE), ("Running", "Sync")).await?;
    // A healthy task has nothing to skip.
    let healthy = cluster.dmctl(&["binlog", "skip", TASK]).await?.json()?;
    ensure!(healthy["sources"][0]["msg"] == format!("source '{SOURCE}' has no error"), "{healthy}");
    let unknown = cluster.dmctl(&["binlog", "list", "another"]).await?.json()?;
    ensure!(unknown["result"] == false, "{unknown}");

    // Skipped where it stands still, without a place.
    target.run(&["ALTER TABLE shop.t ADD COLUMN a INT"]).await?;
    source.run(&["ALTER TABLE shop.t ADD COLUMN a INT", "INSERT INTO shop.t VALUES (2, 1)"]).await?;
    stopped(cluster).await?;
    cluster.dmctl(&["binlog", "skip", TASK]).await?.success()?;
    wait_until(LONG, "the first row after the skip", async || {
        Ok(compare_databases(source, target, &["shop"]).await?.is_equal())
    })
    .await?;

    // Set while nobody can use it; the leader dies; the next worker uses it.
    target.run(&["ALTER TABLE shop.t ADD COLUMN b INT"]).await?;
    source
        .run(&[
            "ALTER TABLE shop.t ADD COLUMN b INT, ADD COLUMN c INT",
            "INSERT INTO shop.t VALUES (3, 1, 2, 3)",
        ])
        .await?;
    let told_replace = told(&stopped(cluster).await?, "replace")?;
    cluster.kill9("w1")?;
    let mut replace: Vec<String> = told_replace.iter().take_while(|w| !w.starts_with('"')).cloned().collect();
    replace.push("ALTER TABLE shop.t ADD COLUMN c INT;".to_owned());
    cluster.dmctl(&replace).await?.success()?;
    let before = pending(cluster).await?;
    ensure!(before.len() == 1 && before[0]["op"] == 2, "{before:?}");
    let leader = cluster.leader().await?;
    cluster.kill9(&leader)?;
    ensure!(pending(cluster).await? == before, "the operator is lost with the leader");
    cluster.restart("w1")?;
    wait_until(LONG, "the rows after the replaced DDL", async || {
        Ok(compare_databases(source, target, &["shop"]).await?.is_equal())
    })
    .await?;
    wait_until(LONG, "the operator is consumed", async || Ok(pending(cluster).await?.is_empty())).await?;

    // The definitions that a paused task has stored.
    let list = ["binlog-schema", "list", TASK, "shop", "t", "-s", SOURCE];
    let running = cluster.dmctl(&list).await?.json()?;
    ensure!(running["sources"][0]["result"] == false, "{running}");
    cluster.dmctl(&["pause-task", TASK]).await?.success()?;
    let shown = cluster.dmctl(&list).await?.success()?;
    ensure!(shown["sources"][0]["msg"].as_str().is_some_and(|m| m.contains("`t`")), "{shown}");
    let bad = cluster.write("bad.sql", "CREATE TABLE t (id")?.display().to_string();
    let update = ["binlog-schema", "update", TASK, "shop", "t", &bad, "-s", SOURCE];
    let refused = cluster.dmctl(&update).await?.json()?;
    ensure!(refused["sources"][0]["result"] == false, "{refused}");
    let from = ["binlog-schema", "update", TASK, "shop", "t", "--from-source", "-s", SOURCE];
    cluster.dmctl(&from).await?.success()?;
    cluster.dmctl(&["resume-task", TASK]).await?.success()?;
    source.run(&["INSERT INTO shop.t VALUES (4, 1, 2, 3)"]).await?;
    wait_until(LONG, "rows after the definition was set", async || {
        Ok(compare_databases(source, target, &["shop"]).await?.is_equal())
    })
    .await?;

    // Set for an event that is yet to come, and withdrawn.
    cluster.dmctl(&["binlog", "skip", TASK, "-b", "mysql-bin.999999:4"]).await?.success()?;
    ensure!(pending(cluster).await?.len() == 1, "not pending");
    cluster.dmctl(&["binlog", "revert", TASK, "-b", "mysql-bin.999999:4"]).await?.success()?;
    ensure!(pending(cluster).await?.is_empty(), "still pending");
    let twice = cluster.dmctl(&["binlog", "revert", TASK, "-b", "mysql-bin.999999:4"]).await?.json()?;
    ensure!(twice["sources"][0]["result"] == false, "{twice}");
    Ok(())
}

#[tokio::test]
async fn operators_outlive_the_leader_and_the_worker() -> Result<()> {
    let (source, target) = tokio::try_join!(
        Database::start(Flavor::MariaDb, DatabaseOptions::default()),
        Database::start(Flavor::MySql, DatabaseOptions::default()),
    )?;
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1)",
        ])
        .await?;
    let mut cluster = Cluster::start(3, 1).await?;
    let outcome = scenario(&mut cluster, &source, &target).await;
    if outcome.is_err() {
        cluster.keep();
    }
    outcome.with_context(|| format!("logs in {}\n{}", cluster.dir().display(), cluster.last_words()))
}
