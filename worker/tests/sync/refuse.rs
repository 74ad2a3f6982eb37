//! What a worker refuses, and what it says.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{CheckRequest, MetaStage, Stage};
use dm_tests::{Database, DatabaseOptions, Flavor};

use crate::{
    leader::{Leader, check},
    scene::{CLUSTER, Scene},
};

#[tokio::test(flavor = "multi_thread")]
async fn stale_and_foreign_leaders_are_refused() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(5, 1, MetaStage::MetaNone).await?;
    let old = scene.leader(4).await?;
    old.assign(Vec::new()).await.ok();
    assert!(old.refusal().await?.contains("stale authority"));
    let foreign = Leader::open(&scene.address, "w1", "another", 9).await?;
    assert!(foreign.refusal().await?.contains(CLUSTER));
    leader.until_stage(Stage::Running).await?;
    drop(leader);
    // The authority outlives the process.
    scene.worker().kill9()?;
    scene.start_worker()?;
    let old = scene.leader(4).await?;
    assert!(old.refusal().await?.contains("stale authority"));
    Ok(())
}

/// The files of many tasks travel in one message, which is larger than gRPC's default bound.
#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_of_many_large_files_is_taken_up() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.leader(1).await?;
    let mut sources = scene.bound(1, MetaStage::MetaNone);
    sources[0].subtasks.clear();
    sources[0].config.push_str(&format!("\n# {}\n", "x".repeat(5 << 20)));
    leader.assign(sources).await?;
    let mut reports = leader.reports.clone();
    let taken = reports.wait_for(|r| r.sources.iter().any(|s| s.epoch == 1));
    tokio::time::timeout(Duration::from_secs(20), taken).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_epoch_is_reported_with_the_one_found() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 7, MetaStage::MetaNone).await?;
    leader.assign(scene.bound(3, MetaStage::MetaCreated)).await?;
    let seen = leader.until("the epoch found", Duration::from_secs(30), |s| s.epoch_found > 0).await?;
    assert_eq!(seen.epoch_found, 7);
    assert_eq!(seen.errors[0].code, 51001, "{seen:?}");
    leader.assign(scene.bound(8, MetaStage::MetaCreated)).await?;
    leader
        .until("it runs again", Duration::from_secs(30), |s| s.unit == "Sync" && s.errors.is_empty())
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_binlog_fails_the_check_and_the_task() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.source =
        Database::start(Flavor::MariaDb, DatabaseOptions { binlog: false, ..DatabaseOptions::default() })
            .await?;
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: scene.task_config(),
    };
    let answer = check(&scene.address, request).await?;
    let failed: Vec<_> = answer.items.iter().filter(|i| i.state == "failure").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].name, "binlog_enable");
    assert_eq!(failed[0].error.as_ref().unwrap().code, 26005);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_privileges_is_told_which() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.source.create_user("poor", "secret-word", "SELECT").await?;
    let config = scene
        .source_config()
        .replace("user: root", "user: poor")
        .replace(scene.source.root_password(), "secret-word");
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: config.clone(),
        task_config: String::new(),
    };
    let answer = check(&scene.address, request).await?;
    let failed: Vec<_> = answer.items.iter().filter(|i| i.state == "failure").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].message.contains("REPLICATION SLAVE"), "{failed:?}");
    let wrong = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: config.replace("secret-word", "wrong-word"),
        task_config: String::new(),
    };
    let answer = check(&scene.address, wrong).await?;
    assert_eq!(answer.items[0].error.as_ref().unwrap().code, 10001, "{answer:?}");
    assert!(!format!("{answer:?}").contains("wrong-word"));
    assert!(!std::fs::read_to_string(scene.log())?.contains("secret-word"));
    Ok(())
}
