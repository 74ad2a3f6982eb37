//! `start-task --start-time`.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::{Flavor, wait_until};
use mysql_async::prelude::Queryable;

use crate::scene::{Scene, rows};

const DEADLINE: Duration = Duration::from_secs(60);

/// The source's clock, once it shows a new second: everything before is of an earlier one.
async fn next_second(scene: &Scene, sql: &str) -> Result<String> {
    let mut conn = scene.source.conn().await?;
    let begun: u64 = conn.query_first("SELECT UNIX_TIMESTAMP()").await?.context("no time")?;
    conn.disconnect().await?;
    wait_until(DEADLINE, "the next second", || async {
        let mut conn = scene.source.conn().await?;
        let now: u64 = conn.query_first("SELECT UNIX_TIMESTAMP()").await?.context("no time")?;
        conn.disconnect().await?;
        Ok(now > begun)
    })
    .await?;
    let mut conn = scene.source.conn().await?;
    let text: String = conn.query_first(sql).await?.context("no time")?;
    conn.disconnect().await?;
    Ok(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_begins_with_the_first_transaction_of_a_moment() -> Result<()> {
    for (flavor, gtid, sql) in [
        (Flavor::MySql, true, "SELECT CAST(NOW() AS CHAR)"),
        (Flavor::MySql, false, "SELECT CONCAT(REPLACE(CAST(UTC_TIMESTAMP() AS CHAR), ' ', 'T'), 'Z')"),
        (
            Flavor::MariaDb,
            true,
            "SELECT CONCAT(CAST(UTC_TIMESTAMP() + INTERVAL 90 MINUTE AS CHAR), '+01:30')",
        ),
    ] {
        let scene = Scene::start(flavor, Flavor::MariaDb, gtid).await?;
        let tables = &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"];
        scene.source.run(tables).await?;
        scene.target.run(tables).await?;
        let sequence: [&[&str]; 4] = [
            &["INSERT INTO shop.t VALUES (1)", "FLUSH BINARY LOGS"],
            &["INSERT INTO shop.t VALUES (2)"],
            &["INSERT INTO shop.t VALUES (3)", "FLUSH BINARY LOGS"],
            &["INSERT INTO shop.t VALUES (4)"],
        ];
        let mut moments = Vec::new();
        for statements in sequence {
            moments.push(next_second(&scene, sql).await?);
            scene.source.run(statements).await?;
        }
        let leader = scene.leader(1).await?;
        leader.assign(Vec::new()).await?;
        // The target has a row of the range already; the task's own start is not looked at.
        for (epoch, from) in [(1, 3), (2, 2), (3, 4)] {
            scene.target.run(&["DELETE FROM shop.t WHERE id > 0", "INSERT INTO shop.t VALUES (4)"]).await?;
            let moment = moments[from - 1].clone();
            scene.start_anew(&leader, epoch, |s| s.start_time = moment).await?;
            leader.until("it runs", DEADLINE, |s| s.stage() == Stage::Running && s.unit == "Sync").await?;
            scene.caught_up().await?;
            let there = rows(&scene.target, "SELECT CAST(id AS CHAR) FROM shop.t").await?;
            let expected: Vec<String> = (from..=4).map(|id| format!("'{id}'")).collect();
            assert_eq!(there, expected, "{flavor:?} from {from}");
        }
        // Kept through a restart: the start is not looked for again.
        scene.target.run(&["DELETE FROM shop.t"]).await?;
        scene.pause(&leader).await?;
        scene.resume(&leader).await?;
        scene.caught_up().await?;
        assert!(rows(&scene.target, "SELECT * FROM shop.t").await?.is_empty());
        for (epoch, text, code) in [(4, "2037-01-01 00:00:00", 20057), (5, "yesterday", 51025)] {
            scene.start_anew(&leader, epoch, |s| s.start_time = text.to_owned()).await?;
            let seen = leader.until("it is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
            assert_eq!(seen.errors[0].code, code, "{seen:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_before_all_binlogs_is_the_beginning_of_the_first() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await?;
    let leader = scene.leader(1).await?;
    let mut sources = scene.bound(1, MetaStage::MetaNone);
    sources[0].subtasks[0].start_time = "2001-01-01 00:00:00".to_owned();
    leader.assign(sources).await?;
    scene.caught_up().await?;
    assert!(std::fs::read_to_string(scene.log())?.contains("lies before all binlogs"));
    Ok(())
}
