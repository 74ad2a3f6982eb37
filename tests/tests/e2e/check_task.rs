//! `dmctl check-task` through the real programs: which table goes where, and what is wrong with the rules.

use anyhow::{Result, ensure};
use dm_tests::{Cluster, Database, DatabaseOptions, Flavor, SourceFile, TaskFile};

const SOURCE: &str = "source-01";

/// Each of these words is in the text, and none of those.
fn says(text: &str, words: &[&str], not: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "{word:?} is not in {text}");
    }
    for word in not {
        ensure!(!text.contains(word), "{word:?} is in {text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_check_prints_the_table_map_and_as_many_results_as_asked_for() -> Result<()> {
    let (source, target) = tokio::try_join!(
        Database::start(Flavor::MariaDb, DatabaseOptions::default()),
        Database::start(Flavor::MariaDb, DatabaseOptions::default()),
    )?;
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t_1 (id INT PRIMARY KEY)",
            "CREATE TABLE shop.t_2 (id INT PRIMARY KEY)",
            "CREATE TABLE shop.plain (id INT PRIMARY KEY)",
            "CREATE DATABASE aside",
            "CREATE TABLE aside.t (id INT PRIMARY KEY)",
        ])
        .await?;
    let cluster = Cluster::start(1, 1).await?;
    cluster.create_source(&SourceFile::new(SOURCE, &source)).await?;
    let task = TaskFile::new("task", SOURCE, &target, &["shop", "missing"]);
    let yaml = task.yaml().replace(
        "    block-allow-list: \"ours\"\n",
        "    block-allow-list: \"ours\"\n    route-rules: [merge, idle]\n    filter-rules: [f]\n",
    ) + "routes:\n  merge: {schema-pattern: shop, table-pattern: t_*, target-schema: all, target-table: t}\n  \
         idle: {schema-pattern: gone, target-schema: x}\n\
         filters:\n  f: {schema-pattern: shop, table-pattern: plain, events: [delete], action: Ignore}\n";
    let file = cluster.write("task.yaml", &yaml)?.display().to_string();
    let map = [
        "source source-01: 4 tables, 3 replicated, 1 skipped",
        "`shop`.`t_1` -> `all`.`t` (route `merge`)",
        "`shop`.`plain` -> `shop`.`plain` (no route, filters `f`)",
        "`aside`.`t` skipped (block-allow-list: not in do-dbs)",
    ];
    let (missing, idle) = ("do-dbs `missing` matches no table", "route `idle` names no replicated table");

    let output = cluster.dmctl(&["check-task", &file]).await?;
    ensure!(output.code == 0, "{output:?}");
    says(&output.stdout, &map, &["more warnings"])?;
    says(&output.stdout, &["\"result\": true", missing, idle, "\"warning\": 2"], &[])?;
    let output = cluster.dmctl(&["check-task", &file, "--warn", "1"]).await?;
    says(&output.stdout, &map, &[])?;
    says(
        &output.stdout,
        &[missing, "\"warning\": 2", "0 more errors and 1 more warnings are not shown"],
        &[idle],
    )?;
    let output = cluster.dmctl(&["check-task", &file, "-w", "0", "-e", "-1"]).await?;
    says(&output.stdout, &["\"warning\": 2", "2 more warnings"], &[idle, missing])?;

    // A failure, hidden, is still one; an ignored one is a warning, for check-task and start-task.
    source.run(&["SET GLOBAL binlog_row_image = 'MINIMAL'"]).await?;
    let output = cluster.dmctl(&["check-task", &file]).await?;
    says(&output.stdout, &["\"result\": false", "binlog_row_image", "\"failed\": 1"], &[])?;
    let output = cluster.dmctl(&["check-task", &file, "--error", "0"]).await?;
    says(&output.stdout, &["\"result\": false", "\"failed\": 1", "1 more errors"], &["binlog_row_image is"])?;
    let output = cluster.dmctl(&["start-task", &file]).await?;
    says(&output.stdout, &["\"result\": false", "binlog_row_image"], &[])?;
    let ignoring = yaml.clone() + "ignore-checking-items: [\"binlog_row_image\"]\n";
    let ignoring = cluster.write("ignoring.yaml", &ignoring)?.display().to_string();
    let output = cluster.dmctl(&["check-task", &ignoring]).await?;
    says(&output.stdout, &["\"result\": true", "left out by `ignore-checking-items`"], &["\"failed\": 1"])?;
    let output = cluster.dmctl(&["start-task", &ignoring]).await?;
    says(&output.stdout, &["\"result\": true"], &["\"result\": false"])?;
    let wrong = yaml + "ignore-checking-items: [\"binlog_image\"]\n";
    let wrong = cluster.write("wrong.yaml", &wrong)?.display().to_string();
    let output = cluster.dmctl(&["check-task", &wrong]).await?;
    says(&output.stdout, &["\"result\": false", "code=20001", "`binlog_image` is not known"], &[])
}
