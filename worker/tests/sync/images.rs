//! Row images that are not whole: `binlog_row_image` MINIMAL and NOBLOB.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{CheckRequest, MetaStage};
use dm_tests::{DatabaseOptions, Flavor};

use crate::{
    leader::check,
    scene::{Scene, same},
};

const DEADLINE: Duration = Duration::from_secs(60);

/// The target's defaults are others, and a time comes from the source.
fn table(defaults: [&str; 3]) -> String {
    let [a, n, d] = defaults;
    format!(
        "CREATE TABLE shop.k (id INT PRIMARY KEY AUTO_INCREMENT, u INT UNIQUE, a VARCHAR(20) DEFAULT {a}, \
         n INT NOT NULL DEFAULT {n}, d DECIMAL(5,2) DEFAULT {d}, e ENUM('x','y') NOT NULL DEFAULT 'y', b TEXT, \
         at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), g INT AS (n + 1) STORED, \
         UNIQUE KEY pre (b(5)), UNIQUE KEY na (n, a)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
    )
}

async fn scene(flavor: Flavor, image: &str, gtid: bool) -> Result<Scene> {
    let options = DatabaseOptions { gtid, ..DatabaseOptions::default() };
    let options = options.line(format!("binlog-row-image={image}"));
    let mut scene = Scene::start_with(flavor, options, Flavor::MariaDb).await?;
    let keyless = "CREATE TABLE shop.n (w INT, v INT DEFAULT 3, b TEXT)";
    scene.source.run(&["CREATE DATABASE shop", &table(["'x'", "7", "1.50"]), keyless]).await?;
    let other = "CREATE TABLE shop.n (w INT, v INT DEFAULT 9, b TEXT)";
    scene.target.run(&["CREATE DATABASE shop", &table(["'other'", "99", "NULL"]), other]).await?;
    scene.mark_start().await?;
    Ok(scene)
}

async fn written(flavor: Flavor, image: &str, gtid: bool) -> Result<()> {
    let scene = scene(flavor, image, gtid).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let big = "x".repeat(3000);
    scene
        .source
        .run(&[
            "INSERT INTO shop.k (u, n) VALUES (1, 11), (2, 12), (3, 13)",
            "INSERT INTO shop.k (u) VALUES (4)",
            &format!("INSERT INTO shop.k (u, a, b) VALUES (5, 'five', '5{big}')"),
            "INSERT INTO shop.k (b, d, n) VALUES ('only b', 2, 0)",
            "UPDATE shop.k SET n = 100 WHERE u = 1",
            "UPDATE shop.k SET a = NULL, b = 'changed' WHERE u = 5",
            // Unique values change hands, in one transaction and from one to the next.
            "UPDATE shop.k SET u = CASE u WHEN 1 THEN -2 ELSE -1 END WHERE u IN (1, 2)",
            "UPDATE shop.k SET u = -u WHERE u < 0",
            "DELETE FROM shop.k WHERE u = 3",
            "INSERT INTO shop.k (u, n, a) VALUES (3, 13, 'X')",
            "UPDATE shop.k SET id = id + 100 WHERE u = 4",
            "INSERT INTO shop.n (w) VALUES (1), (1), (2)",
            "INSERT INTO shop.n (w, b) VALUES (1, 'text')",
            "UPDATE shop.n SET v = 4 WHERE w = 1 LIMIT 1",
            "DELETE FROM shop.n WHERE w = 1 AND v = 3 LIMIT 1",
        ])
        .await?;
    for round in 0..100 {
        let (old, new) = (round + 1000, round + 1001);
        scene
            .source
            .run(&[
                &format!("INSERT INTO shop.k (u, n, b) VALUES (77, {old}, 'mine {round}')"),
                &format!("UPDATE shop.k SET n = {new} + 5000 WHERE u = 77"),
                "DELETE FROM shop.k WHERE u = 77",
            ])
            .await?;
    }
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.k", "SELECT * FROM shop.k").await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    let report = leader.reports.borrow().clone();
    assert_eq!(report.sources[0].subtasks[0].sync.as_ref().unwrap().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_minimal() -> Result<()> {
    written(Flavor::MySql, "MINIMAL", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_noblob() -> Result<()> {
    written(Flavor::MySql, "NOBLOB", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_minimal() -> Result<()> {
    written(Flavor::MariaDb, "MINIMAL", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_noblob() -> Result<()> {
    written(Flavor::MariaDb, "NOBLOB", false).await
}

/// Stops with the error that names the image, before a row is written that the source does not have.
async fn stops(scene: Scene, statements: &[&str], column: &str) -> Result<()> {
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(statements).await?;
    let seen = leader.until("the image to be refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    let error = &seen.errors[0];
    assert_eq!(error.code, 11126, "{error:?}");
    assert!(error.raw_cause.contains(&format!("lacks column {column}")), "{error:?}");
    Ok(())
}

/// The source put in what no definition says in a form that means the same at the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_default_that_is_not_plain_stops() -> Result<()> {
    let scene = scene(Flavor::MySql, "MINIMAL", true).await?;
    for (database, text) in [(&scene.source, "ä"), (&scene.target, "ö")] {
        let create = format!(
            "CREATE TABLE shop.f (id INT PRIMARY KEY, e VARCHAR(9) DEFAULT '{text}') CHARSET=utf8mb4"
        );
        database.run(&[&create]).await?;
    }
    let mut scene = scene;
    scene.mark_start().await?;
    stops(scene, &["INSERT INTO shop.f (id) VALUES (1)"], "e").await
}

/// The pre-check warns, and fails where tables have another name at the target.
#[tokio::test(flavor = "multi_thread")]
async fn the_pre_check_says_what_images_cost() -> Result<()> {
    let mut scene = scene(Flavor::MariaDb, "NOBLOB", true).await?;
    let route = "routes:\n  r:\n    schema-pattern: shop\n    target-schema: other\n";
    for (instance, sections, state) in [("", "", "warning"), ("    route-rules: [r]\n", route, "failure")] {
        scene.with_rules(instance, sections);
        let request = CheckRequest {
            source_id: "s1".to_owned(),
            source_config: scene.source_config(),
            task_config: scene.task_config(),
        };
        let answer = check(&scene.address, request).await?;
        let item = answer.items.iter().find(|i| i.name == "binlog_row_image").unwrap();
        assert_eq!(item.state, state, "{item:?}");
        assert!(item.message.contains("NOBLOB"), "{item:?}");
    }
    Ok(())
}

/// Only the whole row says which shard's row is meant.
#[tokio::test(flavor = "multi_thread")]
async fn merged_tables_need_whole_images() -> Result<()> {
    let mut scene = scene(Flavor::MariaDb, "MINIMAL", true).await?;
    scene.with_rules(
        "    route-rules: [merge]\n",
        "routes:\n  merge:\n    schema-pattern: shop\n    table-pattern: s*\n    target-schema: shop\n    target-table: m\n",
    );
    scene.source.run(&["CREATE TABLE shop.s1 (id INT PRIMARY KEY, v INT)"]).await?;
    scene.target.run(&["CREATE TABLE shop.m (id INT PRIMARY KEY, v INT)"]).await?;
    scene.mark_start().await?;
    stops(scene, &["INSERT INTO shop.s1 VALUES (1, 1)", "DELETE FROM shop.s1"], "v").await
}
