//! DDL while rows of other tables go on.

use std::time::Duration;

use dm_target::{
    Attachment, Batch, CheckpointUpdate, DdlBeside, DdlClass, DdlDecision, DdlObject, DdlStep, ExecutedSet,
    Mode, ResumePoint, TargetError,
};
use dm_tests::{Database, Flavor, wait_until};
use mysql_async::prelude::Queryable as _;

use crate::history::{History, TMP};
use crate::lanes::{account, start};
use crate::support::{DEADLINE, gtid_mode, prepare, read, server, spec};

/// Transaction `i` does something to `tmp`.
fn on_tmp(mode: Mode, i: u64, sql: &str, class: DdlClass) -> DdlBeside {
    let txn = History::txn(mode, 1, i);
    let step = DdlStep {
        txn: Some(txn.clone()),
        ordinal: 0,
        last: true,
        sql: sql.as_bytes().to_vec(),
        class,
        objects: vec![DdlObject { schema: "beside".to_owned(), table: Some("tmp".to_owned()) }],
        session: Vec::new(),
        beside: true,
    };
    DdlBeside { start: History::start(&txn), txn, tables: vec![TMP], steps: vec![step] }
}

fn add_column(mode: Mode, i: u64) -> DdlBeside {
    on_tmp(mode, i, "ALTER TABLE beside.tmp ADD COLUMN w INT NOT NULL DEFAULT 5", DdlClass::Decidable)
}

/// Transaction `i` adds a row to `tmp`.
fn tmp_row(mode: Mode, i: u64, sql: &str) -> Batch {
    let mut batch = Batch::new();
    batch.txns.push(History::txn(mode, 1, i));
    batch.push_statement(sql.as_bytes(), Some(1), true);
    batch.tokens.push(2);
    batch.tables.push(TMP);
    batch
}

async fn waiting_for_a_lock(db: &Database, text: &str) {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%' \
         AND info LIKE '%{text}%'"
    );
    wait_until(DEADLINE, "the DDL to wait for a lock", async || {
        let mut conn = db.conn().await?;
        Ok(conn.query_first::<u64, _>(&sql).await? == Some(1))
    })
    .await
    .unwrap();
}

async fn others_go_on(flavor: Flavor, mode: Mode) {
    let db = server(flavor).await;
    prepare(&db, "beside", mode).await;
    let mut spec = spec(&db, "beside", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("LOCK TABLES beside.tmp WRITE").await.unwrap();
    attachment.submit(account(mode, "beside", 1, 1)).await.unwrap();
    attachment.begin_ddl(add_column(mode, 2)).await.unwrap();
    assert!(attachment.has_ddl());
    waiting_for_a_lock(&db, "ADD COLUMN w").await;
    for i in 3..=40 {
        attachment.submit(account(mode, "beside", i, i % 3)).await.unwrap();
    }
    let committed = async || Ok(attachment.stats().transactions == 39);
    wait_until(DEADLINE, "rows of another table", committed).await.unwrap();
    attachment.checkpoint(CheckpointUpdate::default()).await.unwrap();
    let (hole, last) = (History::txn(mode, 1, 2), History::txn(mode, 1, 40));
    assert!(!attachment.executed().contains(&hole) && attachment.executed().contains(&last));
    assert!(!attachment.low().contains(&hole));
    // It has not read the definition after it.
    let refused = attachment.submit(tmp_row(mode, 41, "INSERT INTO beside.tmp (v) VALUES (1)")).await;
    assert!(matches!(refused, Err(TargetError::Misuse { .. })), "{refused:?}");
    // A crash.
    drop(attachment);

    spec.epoch = 2;
    let (attachment, resume) = Attachment::take_over(spec.clone()).await.unwrap();
    assert!(!resume.executed.contains(&hole) && resume.executed.contains(&last));
    if let ResumePoint::Position(point) = &resume.resume_point {
        let (file, pos) = point.as_ref().unwrap();
        let before = ExecutedSet::up_to_position(1, file, *pos);
        assert!(!before.contains(&hole) && before.contains(&History::txn(mode, 1, 1)));
    }
    let record = resume.undecided_ddl.unwrap();
    assert_eq!(attachment.decide_ddl(&record).await.unwrap(), Some(DdlDecision::Run));
    attachment.forget_ddl(&record).await.unwrap();
    attachment.begin_ddl(add_column(mode, 2)).await.unwrap();
    waiting_for_a_lock(&db, "ADD COLUMN w").await;
    other.query_drop("UNLOCK TABLES").await.unwrap();
    attachment.ddl_ended().await.unwrap();
    assert!(attachment.executed().contains(&hole));
    attachment.submit(tmp_row(mode, 41, "INSERT INTO beside.tmp (v, w) VALUES (1, 9)")).await.unwrap();
    attachment.close().await.unwrap();
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert!((1..=41).all(|i| resume.executed.contains(&History::txn(mode, 1, i))));
    assert_eq!(resume.undecided_ddl, None);
    attachment.close().await.unwrap();
    let tables = read(&db, "beside").await;
    assert_eq!((tables.accounts[&0], tables.accounts[&1], tables.accounts[&2]), (13, 15, 14));
    let left: Vec<(i32, i32)> = other.query("SELECT v, w FROM beside.tmp").await.unwrap();
    assert_eq!(left, [(1, 9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tables_go_on_and_a_crash_keeps_them_on_mysql() {
    others_go_on(Flavor::MySql, Mode::MySqlGtid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tables_go_on_and_a_crash_keeps_them_on_mariadb() {
    others_go_on(Flavor::MariaDb, Mode::MariaDbGtid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tables_go_on_and_a_crash_keeps_them_with_positions() {
    others_go_on(Flavor::MariaDb, Mode::Position).await;
}

/// A row of `tmp` waits for a lock on another table, and TRUNCATE comes after it. Gives what is left of `tmp`.
async fn truncate_after_a_slow_row(overtakes: bool) -> usize {
    let db = server(Flavor::MySql).await;
    let mode = gtid_mode(Flavor::MySql);
    prepare(&db, "beside", mode).await;
    let mut spec = spec(&db, "beside", 1, mode);
    spec.broken.ddl_overtakes = overtakes;
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE beside.acc SET n = n WHERE id = 1").await.unwrap();
    let mut batch = account(mode, "beside", 1, 1);
    batch.push_statement(b"INSERT INTO beside.tmp VALUES (1)", Some(1), true);
    batch.tables.push(TMP);
    attachment.submit(batch).await.unwrap();
    let truncate = on_tmp(mode, 2, "TRUNCATE TABLE beside.tmp", DdlClass::Repeatable);
    let begun = tokio::time::timeout(Duration::from_secs(3), async {
        attachment.begin_ddl(truncate.clone()).await.unwrap();
        attachment.ddl_ended().await.unwrap();
    });
    assert_eq!(begun.await.is_ok(), overtakes, "it waits for the rows of its table");
    other.query_drop("ROLLBACK").await.unwrap();
    if !overtakes {
        attachment.begin_ddl(truncate).await.unwrap();
    }
    attachment.close().await.unwrap();
    read(&db, "beside").await.tmp.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_the_rows_of_its_own_table() {
    assert_eq!(truncate_after_a_slow_row(false).await, 0);
}

/// The checker must be able to fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_ddl_that_overtakes_rows_is_caught() {
    assert_eq!(truncate_after_a_slow_row(true).await, 1);
}

/// The error ends the attachment and names the transaction; what came after it is kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_it_names_its_transaction() {
    for flavor in Flavor::ALL {
        let db = server(flavor).await;
        let mode = gtid_mode(flavor);
        prepare(&db, "beside", mode).await;
        let spec = spec(&db, "beside", 1, mode);
        let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
        attachment.begin(start(&spec)).await.unwrap();
        let mut other = db.conn().await.unwrap();
        other.query_drop("LOCK TABLES beside.tmp WRITE").await.unwrap();
        attachment.begin_ddl(add_column(mode, 1)).await.unwrap();
        waiting_for_a_lock(&db, "ADD COLUMN w").await;
        attachment.submit(account(mode, "beside", 2, 2)).await.unwrap();
        let committed = async || Ok(attachment.stats().transactions == 1);
        wait_until(DEADLINE, "rows of another table", committed).await.unwrap();
        other.query_drop("ALTER TABLE beside.tmp ADD COLUMN w TEXT").await.unwrap();
        other.query_drop("UNLOCK TABLES").await.unwrap();
        let error = attachment.failed().await;
        assert!(matches!(error, TargetError::Sql { code: 1060, .. }), "{error:?}");
        assert_eq!(attachment.refused(), [History::txn(mode, 1, 1)]);
        drop(attachment);
        let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
        assert!(resume.executed.contains(&History::txn(mode, 1, 2)));
        let record = resume.undecided_ddl.unwrap();
        // A person skips it: the column is there.
        attachment.resolve_ddl(&record, DdlDecision::Skip).await.unwrap();
        assert!(attachment.executed().contains(&History::txn(mode, 1, 1)));
        attachment.close().await.unwrap();
    }
}

/// A person begins anew while the outcome of a DDL is unknown: what was before does not count any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_start_forgets_what_was_undecided() {
    let db = server(Flavor::MySql).await;
    let mode = gtid_mode(Flavor::MySql);
    prepare(&db, "beside", mode).await;
    let spec = spec(&db, "beside", 1, mode);
    let (attachment, _) = Attachment::take_over(spec.clone()).await.unwrap();
    attachment.begin(start(&spec)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("LOCK TABLES beside.tmp WRITE").await.unwrap();
    attachment.begin_ddl(add_column(mode, 1)).await.unwrap();
    waiting_for_a_lock(&db, "ADD COLUMN w").await;
    drop(attachment);
    let (attachment, resume) = Attachment::take_over(spec.clone()).await.unwrap();
    assert!(resume.undecided_ddl.is_some());
    attachment.begin(start(&spec)).await.unwrap();
    attachment.submit(account(mode, "beside", 2, 1)).await.unwrap();
    attachment.close().await.unwrap();
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert_eq!(resume.undecided_ddl, None);
    assert!(!resume.executed.contains(&History::txn(mode, 1, 1)));
    assert!(resume.executed.contains(&History::txn(mode, 1, 2)));
    attachment.close().await.unwrap();
    other.query_drop("UNLOCK TABLES").await.unwrap();
}
