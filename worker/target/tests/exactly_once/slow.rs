//! Packets that take long, or are sent again.

use std::time::{Duration, Instant};

use dm_target::{Attachment, Batch, PartMark, TargetError};
use dm_tests::{Flavor, wait_until};
use mysql_async::prelude::Queryable as _;

use crate::history::History;
use crate::lanes::{account, start};
use crate::support::{DEADLINE, gtid_mode, prepare, read, server, spec};

/// A batch waits for another lane's for longer than the server lets a connection be idle.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_waits_for_another_stays_connected() {
    let db = server(Flavor::MariaDb).await;
    let mode = gtid_mode(Flavor::MariaDb);
    prepare(&db, "idle", mode).await;
    let spec = spec(&db, "idle", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let (mut first, mut second) = (db.conn().await.unwrap(), db.conn().await.unwrap());
    for (conn, id) in [(&mut first, 1), (&mut second, 2)] {
        conn.query_drop("BEGIN").await.unwrap();
        conn.query_drop(format!("UPDATE idle.acc SET n = n WHERE id = {id}")).await.unwrap();
    }
    attachment.submit(account(mode, "idle", 1, 1)).await.unwrap();
    attachment.submit(account(mode, "idle", 2, 2)).await.unwrap();
    // Behind the second on its lane, and after the first, which is on another.
    let mut both = account(mode, "idle", 3, 2);
    both.tokens.push(1);
    attachment.submit(both).await.unwrap();
    second.query_drop("ROLLBACK").await.unwrap();
    wait_until(DEADLINE, "the second", async || Ok(attachment.stats().transactions > 0)).await.unwrap();
    // The sessions' wait_timeout is ten seconds.
    let idle = Instant::now();
    wait_until(DEADLINE, "wait_timeout to pass", async || {
        assert_eq!(attachment.failure(), None);
        Ok(idle.elapsed() > Duration::from_secs(12))
    })
    .await
    .unwrap();
    first.query_drop("ROLLBACK").await.unwrap();
    attachment.drain().await.unwrap();
    attachment.close().await.unwrap();
    let tables = read(&db, "idle").await;
    assert_eq!((tables.accounts[&1], tables.accounts[&2]), (2, 4));
}

/// The deadline is for each statement: many slow ones are no reason to give up, one that never ends is.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_may_take_long_and_a_statement_may_not() {
    for flavor in Flavor::ALL {
        let db = server(flavor).await;
        let mode = gtid_mode(flavor);
        prepare(&db, "slow", mode).await;
        let mut spec = spec(&db, "slow", 1, mode);
        spec.limits.packet = Duration::from_millis(1500);
        let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
        attachment.begin(start(&spec)).await.unwrap();
        let mut batch = account(mode, "slow", 1, 1);
        for _ in 0..4 {
            batch.push_statement(b"UPDATE slow.acc SET n = n + SLEEP(0.5) WHERE id = 3", Some(1), true);
        }
        attachment.submit(batch).await.unwrap();
        attachment.drain().await.unwrap();
        let mut batch = account(mode, "slow", 2, 1);
        batch.push_statement(b"UPDATE slow.acc SET n = n + SLEEP(30) WHERE id = 3", Some(1), true);
        attachment.submit(batch).await.unwrap();
        let error = attachment.drain().await.unwrap_err();
        assert!(matches!(error, TargetError::Unanswered { .. }), "{error:?}");
        assert_eq!(read(&db, "slow").await.accounts[&1], 2);
    }
}

/// `SET foreign_key_checks` survives the ROLLBACK of a packet that is sent again after a lock wait: what stands before it in
/// the packet must not cascade then.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_sent_again_cascades_no_more_than_the_first_time() {
    for flavor in Flavor::ALL {
        let db = server(flavor).await;
        let mode = gtid_mode(flavor);
        prepare(&db, "family", mode).await;
        db.run(&[
            "CREATE TABLE family.p (id INT PRIMARY KEY)",
            "CREATE TABLE family.c (id INT PRIMARY KEY, pid INT, FOREIGN KEY (pid) REFERENCES family.p (id) ON DELETE CASCADE)",
            "INSERT INTO family.p VALUES (1), (4)",
            "INSERT INTO family.c VALUES (10, 1), (40, 4)",
        ])
        .await
        .unwrap();
        let spec = spec(&db, "family", 1, mode);
        let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
        attachment.begin(start(&spec)).await.unwrap();
        let mut other = db.conn().await.unwrap();
        other.query_drop("BEGIN").await.unwrap();
        other.query_drop("SELECT * FROM family.p WHERE id = 1 FOR UPDATE").await.unwrap();
        let mut batch = Batch::new();
        batch.txns.push(History::txn(mode, 1, 1));
        batch.push_statement(b"DELETE FROM family.p WHERE id = 4", Some(1), true);
        batch.check_foreign_keys(true);
        batch.push_statement(b"DELETE FROM family.p WHERE id = 1", Some(1), true);
        batch.check_foreign_keys(false);
        attachment.submit(batch).await.unwrap();
        wait_until(DEADLINE, "a lock wait to be retried", async || Ok(attachment.stats().retries > 0))
            .await
            .unwrap();
        other.query_drop("ROLLBACK").await.unwrap();
        attachment.drain().await.unwrap();
        attachment.close().await.unwrap();
        let left: Vec<(i32, i32)> = other.query("SELECT id, pid FROM family.c").await.unwrap();
        assert_eq!(left, [(40, 4)], "{}", flavor.name());
    }
}

/// Two large transactions are cut by crashes, in an order that another server of the source has chosen: the mark of the
/// first must outlive the parts of the second, also where there is only one lane.
#[tokio::test(flavor = "multi_thread")]
async fn the_mark_of_a_cut_transaction_outlives_another_ones_parts() {
    let db = server(Flavor::MariaDb).await;
    let mode = gtid_mode(Flavor::MariaDb);
    prepare(&db, "marks", mode).await;
    let mut spec = spec(&db, "marks", 1, mode);
    spec.lanes = 1;
    let part = |i: u64| {
        let mut batch = account(mode, "marks", i, i);
        batch.txns.clear();
        batch.part = Some(PartMark { txn: History::txn(mode, 1, i), ordinal: 1, checksum: i });
        batch
    };
    for i in [1, 2] {
        let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
        if i == 1 {
            attachment.begin(start(&spec)).await.unwrap();
        }
        attachment.submit(part(i)).await.unwrap();
        attachment.drain().await.unwrap();
        // A crash: nothing is drained or recorded any more.
        drop(attachment);
    }
    let (attachment, resume) = Attachment::take_over(spec.clone()).await.unwrap();
    let mut marked: Vec<u64> = resume.parts.iter().map(|p| p.checksum).collect();
    marked.sort_unstable();
    assert_eq!(marked, [1, 2]);
    for i in [2, 1] {
        let mut end = Batch::new();
        end.txns.push(History::txn(mode, 1, i));
        attachment.submit(end).await.unwrap();
    }
    attachment.drain().await.unwrap();
    attachment.close().await.unwrap();
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert!(resume.parts.is_empty());
    attachment.close().await.unwrap();
    let tables = read(&db, "marks").await;
    assert_eq!((tables.accounts[&1], tables.accounts[&2]), (2, 3));
}
