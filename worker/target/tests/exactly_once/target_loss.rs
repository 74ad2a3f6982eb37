//! The target itself loses commits that it had acknowledged.

use std::time::Duration;

use dm_tests::{Database, DatabaseOptions, Flavor, Flush, wait_until};
use mysql_async::prelude::Queryable as _;

use crate::history::History;
use crate::support::{Child, DEADLINE, gtid_mode, prepare, read};

const COUNT: u64 = 4000;

async fn applied(db: &Database, more_than: u64) {
    wait_until(DEADLINE, "some transactions to be applied", async || {
        let mut conn = db.conn().await?;
        let n: Option<u64> = conn.query_first("SELECT COUNT(*) FROM lossy.log").await?;
        Ok(n.unwrap_or(0) > more_than)
    })
    .await
    .unwrap();
}

async fn loses_commits(flavor: Flavor) {
    let options = DatabaseOptions { flush: Flush::Lossy, ..DatabaseOptions::default() };
    let mut db = Database::start(flavor, options).await.unwrap();
    let mode = gtid_mode(flavor);
    prepare(&db, "lossy", mode).await;
    // The tables themselves are no part of what this test loses.
    db.stop().await.unwrap();
    db.restart().await.unwrap();
    let mut child = Child::new(&db, "lossy", mode, COUNT, 0);
    child.epoch = 2;
    let mut running = child.start(&db);
    for more in [60, 250, 500] {
        applied(&db, more).await;
        db.kill9().unwrap();
        db.restart().await.unwrap();
    }
    running.wait_ended(DEADLINE).await.unwrap();
    let output = child.output();
    assert!(output.contains("RESULT done"), "{output}");
    assert_eq!(read(&db, "lossy").await, History::new(7, COUNT, 0).expected, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_killed_with_relaxed_flush_is_filled_up_on_mariadb() {
    loses_commits(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_killed_with_relaxed_flush_is_filled_up_on_mysql() {
    loses_commits(Flavor::MySql).await;
}

async fn put_back(flavor: Flavor) {
    let mut db = Database::start(flavor, DatabaseOptions::default()).await.unwrap();
    let mode = gtid_mode(flavor);
    prepare(&db, "lossy", mode).await;
    let mut child = Child::new(&db, "lossy", mode, COUNT, 0);
    child.epoch = 2;
    let mut running = child.start(&db);
    applied(&db, 100).await;
    db.stop().await.unwrap();
    let copy = db.copy_datadir().unwrap();
    db.restart().await.unwrap();
    applied(&db, 400).await;
    // Back to the older copy under the applier's feet.
    db.kill9().unwrap();
    db.restore_datadir(&copy).unwrap();
    db.restart().await.unwrap();
    running.wait_ended(DEADLINE + Duration::from_secs(60)).await.unwrap();
    let output = child.output();
    assert!(output.contains("RESULT done"), "{output}");
    assert_eq!(read(&db, "lossy").await, History::new(7, COUNT, 0).expected, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_put_back_to_an_older_copy_is_filled_up_on_mariadb() {
    put_back(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_put_back_to_an_older_copy_is_filled_up_on_mysql() {
    put_back(Flavor::MySql).await;
}
