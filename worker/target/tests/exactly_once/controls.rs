//! Negative controls: promises that are broken one at a time, and what is noticed then.

use std::time::Duration;

use dm_target::{Attachment, Batch, Broken};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable as _;

use crate::history::{History, NO_KEYS};
use crate::lanes::start;
use crate::support::{Child, gtid_mode, prepare, read, server, spec};

/// One transaction of two statements, whose second one waits for a row until the server gives up, and until it is sent
/// again. Whoever takes over applies what is not in the set. Gives what both statements should have counted up by one.
async fn a_lock_wait_in_the_middle(broken: Broken) -> (u64, u64) {
    let db = server(Flavor::MariaDb).await;
    let mode = gtid_mode(Flavor::MariaDb);
    prepare(&db, "middle", mode).await;
    let mut spec = spec(&db, "middle", 1, mode);
    spec.broken = broken;
    let txn = History::txn(mode, 1, 1);
    let batch = || {
        let mut batch = Batch::new();
        batch.txns.push(txn.clone());
        for id in [1, 2] {
            batch.push_statement(
                format!("UPDATE middle.acc SET n = n + 1 WHERE id = {id}").as_bytes(),
                Some(1),
                true,
            );
        }
        batch
    };
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE middle.acc SET n = n WHERE id = 2").await.unwrap();
    attachment.submit(batch()).await.unwrap();
    dm_tests::wait_until(Duration::from_secs(30), "the lock wait to end", async || {
        Ok(attachment.stats().retries > 0)
    })
    .await
    .unwrap();
    other.query_drop("ROLLBACK").await.unwrap();
    // It is refused where a part of it is committed already.
    let first = attachment.drain().await;
    drop(attachment);
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    if !resume.executed.contains(&txn) {
        attachment.submit(batch()).await.unwrap();
    }
    attachment.close().await.unwrap();
    let accounts = read(&db, "middle").await.accounts;
    println!("{first:?}: {:?}", (accounts[&1] - 1, accounts[&2] - 2));
    (accounts[&1] - 1, accounts[&2] - 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_waits_in_its_middle_is_applied_once() {
    assert_eq!(a_lock_wait_in_the_middle(Broken::default()).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_whose_error_is_swallowed_is_caught() {
    let broken = Broken { begin_swallowed: true, ..Broken::default() };
    assert_eq!(a_lock_wait_in_the_middle(broken).await, (1, 0), "the second half should be lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_reused_after_an_error_is_caught() {
    let broken = Broken { reused_after_error: true, ..Broken::default() };
    assert_eq!(a_lock_wait_in_the_middle(broken).await, (1, 0), "the second half should be lost");
}

/// Somebody deletes the rows of lanes, which alone say what was applied since the last checkpoint. Gives what the next
/// owner says, and whether the tables are right in the end.
async fn lane_rows_deleted(broken: &str) -> (String, bool) {
    let db = server(Flavor::MariaDb).await;
    prepare(&db, "deleted", gtid_mode(Flavor::MariaDb)).await;
    let mut child = Child::new(&db, "deleted", gtid_mode(Flavor::MariaDb), 300, NO_KEYS);
    child.hold = "target::after_send:20:kill".to_owned();
    child.run(&db).await;
    let mut conn = db.conn().await.unwrap();
    conn.query_drop("DELETE FROM dm_meta.deleted_lane WHERE lane >= 0").await.unwrap();
    assert_eq!(conn.affected_rows(), 4);
    conn.disconnect().await.unwrap();
    child.hold.clear();
    child.broken = broken.to_owned();
    child.epoch += 1;
    child.run(&db).await;
    let right = read(&db, "deleted").await == History::new(7, 300, NO_KEYS).expected;
    (child.output(), right)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lane_row_stops_the_next_owner() {
    let (output, _) = lane_rows_deleted("").await;
    assert!(output.contains("MetaMissing") && output.contains("RESULT stopped epoch=2"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lane_row_that_is_made_anew_is_caught() {
    let (output, right) = lane_rows_deleted("roster").await;
    assert!(output.contains("RESULT done epoch=2") && !right, "{output}");
}

/// Killed at this step of the third DDL, an ALTER: the next owner must not run it again. Gives what it says.
async fn killed_at_an_alter(step: &str, broken: &str) -> String {
    let db = server(Flavor::MariaDb).await;
    prepare(&db, "again", gtid_mode(Flavor::MariaDb)).await;
    let mut child = Child::new(&db, "again", gtid_mode(Flavor::MariaDb), 300, 37);
    child.broken = broken.to_owned();
    child.hold = format!("{step}:3:kill");
    child.run(&db).await;
    assert!(child.output().contains("HELD"), "{}", child.output());
    child.hold.clear();
    child.epoch += 1;
    child.run(&db).await;
    child.output()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ddl_without_an_intent_is_caught() {
    let output = killed_at_an_alter("target::after_statement", "intent").await;
    assert!(output.contains("code: 1060") && !output.contains("RESULT done"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ddl_that_is_missing_from_the_set_is_caught() {
    let output = killed_at_an_alter("target::after_done", "ddl").await;
    // It would run again, and its own record is in the way.
    assert!(output.contains("code: 1062") && output.contains("RESULT stopped"), "{output}");
}
