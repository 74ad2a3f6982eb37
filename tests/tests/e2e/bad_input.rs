//! What is wrong is refused with one clear error in DM's form, and nothing is left half created.

use anyhow::{Result, ensure};
use dm_tests::{Cluster, Database, DatabaseOptions, Flavor, SourceFile, TaskFile};
use mysql_async::prelude::Queryable as _;

/// A command must be refused: in the answer (`"result": false`) or by dmctl itself (exit code 1), with these words.
async fn refused(cluster: &Cluster, args: &[&str], words: &[&str]) -> Result<()> {
    let output = cluster.dmctl(args).await?;
    let text = format!("{}{}", output.stdout, output.stderr);
    // As DM's, dmctl prints the result of a failed check as it came: that is no JSON then.
    let said_no = output.stdout.contains("\"result\": false") && !output.stdout.contains("\"result\": true");
    ensure!(output.code != 0 || said_no, "accepted: {args:?}: {text}");
    for word in words {
        ensure!(text.contains(word), "{args:?} does not say {word:?}: {text}");
    }
    Ok(())
}

/// DM's form of an error.
const FORM: &[&str] = &["[code=", ":class=", ":scope=", ":level=", "Message: "];

#[tokio::test]
async fn bad_input_is_refused_whole() -> Result<()> {
    let (good, no_binlog, statement) = tokio::try_join!(
        Database::start(Flavor::MariaDb, DatabaseOptions::default()),
        Database::start(Flavor::MariaDb, DatabaseOptions { binlog: false, ..DatabaseOptions::default() }),
        Database::start(Flavor::MariaDb, DatabaseOptions::default().line("binlog-format=STATEMENT")),
    )?;
    good.run(&["CREATE DATABASE one"]).await?;
    let cluster = Cluster::start(1, 1).await?;
    let file = |name: &str, text: &str| cluster.write(name, text).map(|p| p.display().to_string());

    let source = SourceFile::new("good", &good);
    let unknown = file("unknown.yaml", &(source.yaml() + "no-such-key: 1\n"))?;
    refused(&cluster, &["operate-source", "create", &unknown], &["no-such-key"]).await?;
    let wrong_type =
        file("type.yaml", &source.yaml().replace(&format!("port: {}", good.port()), "port: [1]"))?;
    refused(&cluster, &["operate-source", "create", &wrong_type], &["port"]).await?;
    let mut nobody = source.clone();
    nobody.user.1 = "wrong".to_owned();
    let nobody = file("nobody.yaml", &nobody.yaml())?;
    refused(&cluster, &["operate-source", "create", &nobody], FORM).await?;
    let mut unreachable = source.clone();
    unreachable.port = dm_tests::free_port();
    let unreachable = file("unreachable.yaml", &unreachable.yaml())?;
    refused(&cluster, &["operate-source", "create", &unreachable], FORM).await?;
    let shown = cluster.dmctl(&["operate-source", "show"]).await?.success()?;
    ensure!(shown["sources"].as_array().is_none_or(Vec::is_empty), "a refused source is there: {shown}");

    cluster.create_source(&source).await?;
    let again = file("again.yaml", &source.yaml())?;
    refused(&cluster, &["operate-source", "create", &again], FORM).await?;

    let task = TaskFile::new("task", "good", &good, &["one"]);
    let mut no_source = task.clone();
    no_source.sources = vec!["nowhere".to_owned()];
    let no_source = file("no-source.yaml", &no_source.yaml())?;
    refused(&cluster, &["start-task", &no_source], &["nowhere"]).await?;
    let mut no_target = task.clone();
    no_target.target_port = dm_tests::free_port();
    let no_target = file("no-target.yaml", &no_target.yaml())?;
    refused(&cluster, &["start-task", &no_target], FORM).await?;
    refused(&cluster, &["stop-task", "task"], &["task"]).await?;
    for (id, database, words) in [
        ("no-binlog", &no_binlog, "log_bin is OFF, and should be ON"),
        ("statement", &statement, "binlog_format is STATEMENT, and should be ROW"),
    ] {
        let bad = file(&format!("{id}.yaml"), &SourceFile::new(id, database).yaml())?;
        refused(&cluster, &["operate-source", "create", &bad], &[FORM, &[words, "Workaround: "]].concat())
            .await?;
    }
    // A target account that may only read: nothing could ever be written.
    good.create_user("reader", "reader-word", "SELECT").await?;
    let mut reader = task.clone();
    reader.name = "reader".to_owned();
    reader.target_user = ("reader".to_owned(), "reader-word".to_owned());
    let reader = file("reader.yaml", &reader.yaml())?;
    let lacks = ["account reader lacks CREATE, INSERT, UPDATE, DELETE", "GRANT ", "target_privilege"];
    refused(&cluster, &["start-task", &reader], &lacks).await?;

    let shown = cluster.dmctl(&["operate-source", "show"]).await?.success()?;
    let ids: Vec<&str> =
        shown["sources"].as_array().into_iter().flatten().filter_map(|s| s["source"].as_str()).collect();
    ensure!(ids == ["good"], "a refused source is there: {shown}");
    let status = cluster.dmctl(&["query-status"]).await?.json()?;
    ensure!(status["tasks"].as_array().is_none_or(Vec::is_empty), "a refused task is there: {status}");
    let mut conn = good.conn().await?;
    let meta: Vec<String> = conn.query("SHOW DATABASES LIKE 'dm_meta'").await?;
    ensure!(meta.is_empty(), "a refused task has created {meta:?}");
    Ok(())
}
