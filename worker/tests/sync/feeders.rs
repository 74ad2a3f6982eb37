//! Several source tables that feed one at the target: a DROP or TRUNCATE of one never takes the others' rows along.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;

use crate::scene::{Scene, rows};

const DEADLINE: Duration = Duration::from_secs(60);

async fn stops_at(scene: &Scene, statement: &str, held: &str) -> Result<()> {
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&[statement]).await?;
    let seen = leader.until("the statement to be refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    let message = &seen.errors[0].message;
    assert!(message.contains("it would also remove or move the rows that"), "{message}");
    assert!(message.contains(&format!("origin SQL: [{statement}]")), "{message}");
    assert!(message.contains("endLocation: [position: ("), "{message}");
    assert_eq!(rows(&scene.target, held).await?.len(), 2, "rows of the other table");
    Ok(())
}

/// The other table has not changed since the task began: only the source itself knows of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sibling_that_was_never_written_to_keeps_its_rows() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t_1 (id INT PRIMARY KEY)",
            "CREATE TABLE shop.t_2 (id INT PRIMARY KEY)",
            "INSERT INTO shop.t_2 VALUES (1), (2)",
        ])
        .await?;
    scene
        .target
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1), (2)",
        ])
        .await?;
    scene.mark_start().await?;
    scene.with_rules(
        "    route-rules: [merge]\n",
        "routes:\n  merge:\n    schema-pattern: shop\n    table-pattern: t_*\n    target-schema: shop\n    target-table: t\n",
    );
    stops_at(&scene, "TRUNCATE TABLE shop.t_1", "SELECT id FROM shop.t").await
}

/// Of another source only the rules are known.
#[tokio::test(flavor = "multi_thread")]
async fn another_source_keeps_its_rows() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    for database in [&scene.source, &scene.target] {
        database
            .run(&[
                "CREATE DATABASE shop",
                "CREATE TABLE shop.t (id INT PRIMARY KEY)",
                "INSERT INTO shop.t VALUES (1), (2)",
            ])
            .await?;
    }
    scene.mark_start().await?;
    scene.with_rules("  - source-id: s2\n", "");
    stops_at(&scene, "DROP DATABASE shop", "SELECT id FROM shop.t").await
}

/// A source whose rules keep it away from the table does not stand in the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_kept_away_by_its_rules_is_no_feeder() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.with_rules(
        "    block-allow-list: ours\n  - source-id: s2\n    block-allow-list: theirs\n",
        "block-allow-list:\n  ours:\n    do-dbs: [shop, marker]\n  theirs:\n    do-dbs: [other]\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY)",
            "INSERT INTO shop.t VALUES (1)",
            "TRUNCATE TABLE shop.t",
            "INSERT INTO shop.t VALUES (2)",
            "CREATE TABLE shop.u (id INT PRIMARY KEY)",
            "DROP TABLE shop.u",
        ])
        .await?;
    scene.caught_up().await?;
    crate::scene::same(&scene, "SELECT id FROM shop.t", "SELECT id FROM shop.t").await?;
    drop(leader);
    Ok(())
}
