//! Four lanes give what one lane would.

use std::time::Duration;

use dm_target::{
    Attachment, Batch, CheckpointUpdate, ExecutedSet, Mode, PartMark, StartPoint, TargetError, TargetSpec,
};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable as _;

use crate::applier::apply;
use crate::history::History;
use crate::support::{gtid_mode, prepare, read, server, spec};

pub fn start(spec: &TargetSpec) -> StartPoint {
    StartPoint {
        executed: ExecutedSet::empty(spec.mode, 1),
        source_identity: "synthetic".to_owned(),
        position_proof: String::new(),
        schemas: Vec::new(),
        windows: String::new(),
        beside: Vec::new(),
    }
}

async fn serial_equality(flavor: Flavor) {
    let db = server(flavor).await;
    for (n, (mode, ddl_every)) in
        [(gtid_mode(flavor), 0), (gtid_mode(flavor), 60), (Mode::Position, 60)].into_iter().enumerate()
    {
        let schema = format!("serial{n}");
        prepare(&db, &schema, mode).await;
        let history = History::new(40 + n as u64, 1500, ddl_every);
        let spec = spec(&db, &schema, 5, mode);
        // In three legs, so that each begins from what the one before left.
        for until in [400, 1100, u64::MAX] {
            apply(&spec, &schema, &history, until).await.unwrap();
        }
        assert_eq!(read(&db, &schema).await, history.expected);
        // Nothing is left to do, and it is seen as such.
        apply(&spec, &schema, &history, u64::MAX).await.unwrap();
        assert_eq!(read(&db, &schema).await, history.expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_lanes_equal_serial_execution_on_mariadb() {
    serial_equality(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_lanes_equal_serial_execution_on_mysql() {
    serial_equality(Flavor::MySql).await;
}

/// A batch of account `id`, transaction `i`.
pub fn account(mode: Mode, schema: &str, i: u64, id: u64) -> Batch {
    let mut batch = Batch::new();
    batch.txns.push(History::txn(mode, 1, i));
    let sql = format!("UPDATE {schema}.acc SET n = n + 1 WHERE id = {id}");
    batch.push_statement(sql.as_bytes(), Some(1), true);
    batch.tokens.push(id);
    batch
}

async fn lock_wait_is_retried(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "waits", mode).await;
    let spec = spec(&db, "waits", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE waits.acc SET n = n WHERE id = 1").await.unwrap();
    attachment.submit(account(mode, "waits", 1, 1)).await.unwrap();
    attachment.submit(account(mode, "waits", 2, 2)).await.unwrap();
    dm_tests::wait_until(Duration::from_secs(30), "a lock wait to be retried", async || {
        Ok(attachment.stats().retries > 0)
    })
    .await
    .unwrap();
    // The one after it is not held up, and low doesn't pass the hole.
    let executed = attachment.executed();
    assert!(executed.contains(&History::txn(mode, 1, 2)) && !executed.contains(&History::txn(mode, 1, 1)));
    assert!(!attachment.low().contains(&History::txn(mode, 1, 1)));
    attachment.checkpoint(CheckpointUpdate::default()).await.unwrap();
    other.query_drop("ROLLBACK").await.unwrap();
    attachment.drain().await.unwrap();
    assert!(attachment.low().contains(&History::txn(mode, 1, 1)));
    attachment.close().await.unwrap();
    let tables = read(&db, "waits").await;
    assert_eq!((tables.accounts[&1], tables.accounts[&2]), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_wait_retries_the_same_packet_on_mariadb() {
    lock_wait_is_retried(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_wait_retries_the_same_packet_on_mysql() {
    lock_wait_is_retried(Flavor::MySql).await;
}

/// No sql_mode turns the lost digit of a DECIMAL into an error.
async fn warnings(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "warned", mode).await;
    db.run(&["CREATE TABLE warned.d (id INT PRIMARY KEY, d DECIMAL(5,2))"]).await.unwrap();
    let spec = spec(&db, "warned", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut whole = account(mode, "warned", 1, 1);
    whole.push_statement(b"INSERT INTO warned.d VALUES (1, 1.25), (2, 2)", Some(2), true);
    whole.refuse_warnings();
    whole.push_statement(b"UPDATE warned.d SET d = 3.5 WHERE id = 9", Some(1), false);
    whole.refuse_warnings();
    attachment.submit(whole).await.unwrap();
    attachment.drain().await.unwrap();
    let mut cut = account(mode, "warned", 2, 2);
    cut.push_statement(b"UPDATE warned.d SET d = 1.999 WHERE id = 1", Some(1), false);
    cut.refuse_warnings();
    attachment.submit(cut).await.unwrap();
    let error = attachment.drain().await.unwrap_err();
    let TargetError::Warned { statement: 1, at, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*at, format!("transaction {}", History::txn(mode, 1, 2)));
    assert_eq!(attachment.close().await.unwrap_err(), error);
    let mut conn = db.conn().await.unwrap();
    let kept: Vec<String> = conn.query("SELECT d FROM warned.d ORDER BY id").await.unwrap();
    conn.disconnect().await.unwrap();
    assert_eq!(kept, ["1.25", "2.00"]);
    assert_eq!(read(&db, "warned").await.accounts[&2], 2, "the packet's first statement is gone too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_value_refuses_the_packet_on_mariadb() {
    warnings(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_value_refuses_the_packet_on_mysql() {
    warnings(Flavor::MySql).await;
}

async fn misses(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "misses", mode).await;
    let spec = spec(&db, "misses", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut counted = account(mode, "misses", 1, 1);
    counted.push_statement(b"UPDATE misses.acc SET n = 0 WHERE id = 99", Some(1), false);
    // An update that changes nothing is no miss.
    counted.push_statement(b"UPDATE misses.acc SET n = n WHERE id = 3", Some(1), true);
    attachment.submit(counted).await.unwrap();
    attachment.drain().await.unwrap();
    assert_eq!(attachment.stats().rows_missed, 1);
    let mut strict = account(mode, "misses", 2, 2);
    strict.push_statement(b"DELETE FROM misses.acc WHERE id = 99", Some(1), true);
    attachment.submit(strict).await.unwrap();
    let error = attachment.drain().await.unwrap_err();
    assert!(matches!(error, TargetError::RowsMissed { statement: 1, expected: 1, .. }), "{error:?}");
    let at = format!("transaction {}", History::txn(mode, 1, 2));
    assert!(error.to_string().contains(&at), "{error}");
    assert_eq!(attachment.submit(account(mode, "misses", 3, 3)).await.unwrap_err(), error);
    assert_eq!(attachment.close().await.unwrap_err(), error);
    // The whole packet is gone, also its first statement, and the set doesn't know it.
    assert_eq!(read(&db, "misses").await.accounts[&2], 2);
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert!(resume.executed.contains(&History::txn(mode, 1, 1)));
    assert!(!resume.executed.contains(&History::txn(mode, 1, 2)));
    attachment.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_is_counted_or_refuses_the_packet_on_mariadb() {
    misses(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miss_is_counted_or_refuses_the_packet_on_mysql() {
    misses(Flavor::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn done_is_bounded_and_fewer_lanes_keep_what_more_lanes_did() {
    let db = server(Flavor::MariaDb).await;
    prepare(&db, "bounded", Mode::Position).await;
    let mut spec = spec(&db, "bounded", 1, Mode::Position);
    spec.limits.done_bytes = 200;
    spec.lanes = 6;
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    for i in 1..=600 {
        attachment.submit(account(Mode::Position, "bounded", i, i % 12)).await.unwrap();
    }
    attachment.drain().await.unwrap();
    let mut conn = db.conn().await.unwrap();
    let longest: u64 =
        conn.query_first("SELECT MAX(LENGTH(done)) FROM dm_meta.bounded_lane").await.unwrap().unwrap();
    assert!(longest <= 200, "{longest}");
    // Dies without a checkpoint; comes back with two lanes.
    drop(attachment);
    spec.lanes = 2;
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    for i in 1..=600 {
        assert!(resume.executed.contains(&History::txn(Mode::Position, 1, i)), "{i}");
    }
    attachment.submit(account(Mode::Position, "bounded", 601, 1)).await.unwrap();
    attachment.close().await.unwrap();
    let rows: Vec<i32> = conn.query("SELECT lane FROM dm_meta.bounded_lane ORDER BY lane").await.unwrap();
    assert_eq!(rows, [-1, 0, 1]);
}

/// The last rows of a large transaction left with a part: what completes it has no statement of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_not_complete_before_its_parts() {
    let db = server(Flavor::MariaDb).await;
    let mode = gtid_mode(Flavor::MariaDb);
    prepare(&db, "parts", mode).await;
    let spec = spec(&db, "parts", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE parts.acc SET n = n WHERE id = 1").await.unwrap();
    let large = History::txn(mode, 1, 1);
    let mut part = account(mode, "parts", 1, 1);
    part.txns.clear();
    part.part = Some(PartMark { txn: large.clone(), ordinal: 1, checksum: 7 });
    attachment.submit(part.clone()).await.unwrap();
    let mut end = Batch::new();
    end.txns.push(large.clone());
    attachment.submit(end.clone()).await.unwrap();
    dm_tests::wait_until(Duration::from_secs(30), "the part to wait", async || {
        Ok(attachment.stats().retries > 0)
    })
    .await
    .unwrap();
    assert!(!attachment.executed().contains(&large));
    attachment.checkpoint(CheckpointUpdate::default()).await.unwrap();
    // A crash now must not lose the part.
    drop(attachment);
    other.query_drop("ROLLBACK").await.unwrap();
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert!(!resume.executed.contains(&large));
    if resume.parts.is_empty() {
        attachment.submit(part).await.unwrap();
    }
    attachment.submit(end).await.unwrap();
    attachment.drain().await.unwrap();
    assert!(attachment.executed().contains(&large));
    attachment.close().await.unwrap();
    assert_eq!(read(&db, "parts").await.accounts[&1], 2);
}
