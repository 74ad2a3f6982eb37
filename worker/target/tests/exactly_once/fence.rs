//! Late writers are refused by the target itself.

use std::time::Duration;

use dm_target::{Attachment, TargetError};
use dm_tests::{Database, Flavor, Running, wait_until};
use mysql_async::prelude::Queryable as _;

use crate::history::{History, NO_KEYS};
use crate::lanes::start;
use crate::support::{Child, DEADLINE, gtid_mode, prepare, read, server, spec};

const COUNT: u64 = 1200;

/// Starts an applier that stops itself (SIGSTOP) at a failpoint, and waits until it has.
async fn stopped_at(db: &Database, child: &mut Child, hold: &str) -> Running {
    child.hold = format!("{hold}:stop");
    let running = child.start(db);
    wait_until(DEADLINE, "the applier to hold", async || Ok(child.output().contains("HELD"))).await.unwrap();
    running.freeze().unwrap();
    running
}

/// A worker frozen before it sends, thawed after another one has taken over; `broken` breaks the old one, `successor` the
/// new one. Gives the output and whether the tables are right.
async fn frozen(flavor: Flavor, hold: &str, broken: &str, successor: &str) -> (String, bool) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "frozen", mode).await;
    let ddl_every = if broken.is_empty() { 50 } else { NO_KEYS };
    let mut old = Child::new(&db, "frozen", mode, COUNT, ddl_every);
    old.epoch = 2;
    old.broken = format!("noping {broken}");
    let mut running = stopped_at(&db, &mut old, hold).await;
    let mut new = old.clone();
    new.log = db.dir().join("new.log");
    new.broken = successor.to_owned();
    new.finish(&db).await;
    let expected = History::new(7, COUNT, ddl_every).expected;
    assert_eq!(read(&db, "frozen").await, expected, "before the thaw: {}", new.output());
    std::fs::write(old.go(), b"").unwrap();
    running.thaw().unwrap();
    running.wait_ended(DEADLINE).await.unwrap();
    let found = read(&db, "frozen").await;
    let right = found == expected;
    (format!("{}{found:?}\n{}", old.output(), new.output()), right)
}

async fn frozen_worker(flavor: Flavor) {
    let mut tries = 0;
    let (output, first) = loop {
        // The new owner can't kill lanes (as without the privilege): only the fence is between the old one and the rows.
        let (output, right) = frozen(flavor, "target::before_send:40", "", "kill").await;
        assert!(right, "{output}");
        let first = output.lines().find(|l| l.starts_with("ERROR")).unwrap_or_default().to_owned();
        tries += 1;
        // On a slow machine the servers' `wait_timeout` (10 s) has closed the connection before the thaw: it shows nothing.
        if !first.starts_with("ERROR epoch=2 Lost") || tries == 5 {
            break (output, first);
        }
    };
    // The first thing it hears is the refusal of the packet itself, on a connection that is alive.
    assert_eq!(first, "ERROR epoch=2 Fenced { epoch: 2, epoch_found: 3 }", "{output}");
    assert!(output.contains("RESULT superseded epoch=2"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_is_refused_on_mariadb() {
    frozen_worker(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_is_refused_on_mysql() {
    frozen_worker(Flavor::MySql).await;
}

/// The same with the fence off must corrupt the target, or this file proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_a_frozen_worker_corrupts() {
    let (output, right) = frozen(Flavor::MariaDb, "target::before_send:40", "fence", "kill").await;
    assert!(!right, "{output}");
}

async fn frozen_before_ddl(flavor: Flavor) {
    // The first DDL of the history is a TRUNCATE: sent late, it would remove rows that came after it.
    let (output, right) = frozen(flavor, "target::before_ddl:1", "", "").await;
    assert!(right, "{output}");
    assert!(output.contains("RESULT superseded epoch=2"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_before_a_ddl_cannot_send_it_late_on_mariadb() {
    frozen_before_ddl(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_frozen_before_a_ddl_cannot_send_it_late_on_mysql() {
    frozen_before_ddl(Flavor::MySql).await;
}

/// A successor that neither kills the former DDL connection nor waits for its end must lose rows, or the two tests above
/// prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_kill_a_late_truncate_corrupts() {
    let (output, right) = frozen(Flavor::MariaDb, "target::before_ddl:1", "", "kill nowait").await;
    assert!(!right, "{output}");
}

async fn raw_refusal(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "raw", mode).await;
    let old = spec(&db, "raw", 3, mode);
    let (first, _) = Attachment::take_over(old.clone()).await.unwrap();
    first.begin(start(&old)).await.unwrap();
    // Oneself anew, with the same epoch, but unable to kill: the attempt alone refuses the former one.
    let mut again = old.clone();
    again.broken.no_kill = true;
    again.broken.no_ddl_kill = true;
    again.limits.former_ddl = Duration::from_millis(300);
    // Its lane -1 connection is still there, so the new one can't go on, but the rows are its own already.
    let error = Attachment::take_over(again).await.unwrap_err();
    assert!(matches!(error, TargetError::DdlStillRunning { .. }), "{error:?}");
    let mut batch = dm_target::Batch::new();
    batch.txns.push(History::txn(mode, 1, 1));
    batch.push_statement(b"UPDATE raw.acc SET n = 77 WHERE id = 1", Some(1), true);
    first.submit(batch).await.unwrap();
    let error = first.drain().await.unwrap_err();
    assert!(matches!(error, TargetError::Refused1242 { .. }), "{error:?}");
    assert_eq!(read(&db, "raw").await.accounts[&1], 1);
    // A lower epoch is told who owns it, and kills nobody.
    let (owner, resume) = Attachment::take_over(spec(&db, "raw", 5, mode)).await.unwrap();
    assert!(resume.epoch_changed && resume.executed.is_empty());
    let error = Attachment::take_over(old).await.unwrap_err();
    assert_eq!(error, TargetError::Fenced { epoch: 3, epoch_found: 5 });
    owner.drain().await.unwrap();
    owner.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_packet_gets_1242_and_a_lower_epoch_is_fenced_on_mariadb() {
    raw_refusal(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_packet_gets_1242_and_a_lower_epoch_is_fenced_on_mysql() {
    raw_refusal(Flavor::MySql).await;
}

async fn races(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "races", mode).await;
    for round in 0..6_u64 {
        let (a, b) = (spec(&db, "races", 10 + round * 2, mode), spec(&db, "races", 11 + round * 2, mode));
        let (older, newer) = tokio::join!(Attachment::take_over(a.clone()), Attachment::take_over(b.clone()));
        // The newer may lose a connection to the older one's kill; it takes over anew then, and ends up as owner.
        let mut newer = newer;
        let mut tries = 0;
        let owner = loop {
            let error = match newer {
                Ok((attachment, _)) => match attachment.begin(start(&b)).await {
                    Ok(_) => break attachment,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            assert!(!matches!(error, TargetError::Fenced { .. }), "the higher epoch is fenced: {error:?}");
            tries += 1;
            assert!(tries < 20, "the higher epoch never owns the target: {error:?}");
            newer = Attachment::take_over(b.clone()).await;
        };
        // Whatever the older one believes, it can't write any more.
        if let Ok((attachment, _)) = older {
            let refused = attachment.begin(start(&a)).await;
            assert!(refused.is_err(), "epoch {} wrote after epoch {} owned the target", a.epoch, b.epoch);
        }
        owner.close().await.unwrap();
    }
    let mut last = spec(&db, "races", 100, mode);
    last.lanes = 3;
    let (owner, resume) = Attachment::take_over(last.clone()).await.unwrap();
    assert!(resume.checkpoint.is_some());
    owner.begin(start(&last)).await.unwrap();
    owner.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_take_overs_at_once_the_higher_epoch_wins_on_mariadb() {
    races(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_take_overs_at_once_the_higher_epoch_wins_on_mysql() {
    races(Flavor::MySql).await;
}

async fn waiting_packet(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "waiting", mode).await;
    let old = spec(&db, "waiting", 1, mode);
    let (first, _) = Attachment::take_over(old.clone()).await.unwrap();
    first.begin(start(&old)).await.unwrap();
    let mut other = db.conn().await.unwrap();
    other.query_drop("BEGIN").await.unwrap();
    other.query_drop("UPDATE waiting.acc SET n = n WHERE id = 1").await.unwrap();
    let mut batch = dm_target::Batch::new();
    batch.txns.push(History::txn(mode, 1, 1));
    batch.push_statement(b"UPDATE waiting.acc SET n = 77 WHERE id = 1", Some(1), true);
    first.submit(batch.clone()).await.unwrap();
    let waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%SET n = 77%' AND id <> CONNECTION_ID()";
    wait_until(DEADLINE, "the packet to wait for the lock", async || {
        let mut conn = db.conn().await?;
        Ok(conn.query_first::<u64, _>(waiting).await? == Some(1))
    })
    .await
    .unwrap();
    // The former packet waits for a lock inside its transaction: the taker frees the lane row by killing it.
    let new = spec(&db, "waiting", 2, mode);
    let (second, resume) = Attachment::take_over(new).await.unwrap();
    assert!(!resume.executed.contains(&History::txn(mode, 1, 1)));
    other.query_drop("ROLLBACK").await.unwrap();
    second.submit(batch).await.unwrap();
    second.close().await.unwrap();
    assert!(first.drain().await.is_err());
    assert_eq!(read(&db, "waiting").await.accounts[&1], 77);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_waits_for_a_lock_is_killed_and_applied_once_on_mariadb() {
    waiting_packet(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_waits_for_a_lock_is_killed_and_applied_once_on_mysql() {
    waiting_packet(Flavor::MySql).await;
}
