//! SIGKILL at every step and at random moments.

use std::time::Duration;

use dm_target::Mode;
use dm_tests::Flavor;
use rand::Rng as _;

use crate::history::{History, NO_KEYS};
use crate::support::{Child, DEADLINE, gtid_mode, prepare, read, server};

const STEPS: [(&str, u64); 17] = [
    ("target::before_kill", 1),
    ("target::before_take_over", 1),
    ("target::after_take_over", 1),
    ("target::before_send", 1),
    ("target::before_send", 20),
    ("target::after_send", 1),
    ("target::after_send", 33),
    ("target::before_checkpoint", 1),
    ("target::after_checkpoint", 1),
    ("target::after_intent", 1),
    ("target::before_ddl", 1),
    ("target::after_statement", 1),
    ("target::after_done", 1),
    ("target::after_intent", 2),
    ("target::before_ddl", 2),
    ("target::after_statement", 2),
    ("target::after_statement", 3),
];

/// Kills one applier after the other, each a new owner, and compares what the last one leaves.
async fn killed_at_every_step(flavor: Flavor, mode: Mode) {
    let db = server(flavor).await;
    prepare(&db, "steps", mode).await;
    let mut child = Child::new(&db, "steps", mode, 2500, 37);
    for (step, nth) in STEPS {
        child.epoch += 1;
        child.hold = format!("{step}:{nth}:kill");
        child.run(&db).await;
        assert!(child.output().contains(&format!("HELD {}", child.hold)), "{step} {nth}: {}", child.output());
    }
    // Also one that is not finished when the next one takes over: its connections are killed under it.
    child.hold.clear();
    child.epoch += 1;
    let mut running = child.start(&db);
    dm_tests::wait_until(DEADLINE, "the applier to begin", async || {
        Ok(child.output().contains(&format!("START epoch={}", child.epoch)))
    })
    .await
    .unwrap();
    child.finish(&db).await;
    running.wait_ended(DEADLINE).await.unwrap();
    assert_eq!(read(&db, "steps").await, History::new(7, 2500, 37).expected, "{}", child.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_on_mariadb() {
    killed_at_every_step(Flavor::MariaDb, Mode::MariaDbGtid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_on_mysql() {
    killed_at_every_step(Flavor::MySql, Mode::MySqlGtid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_with_positions() {
    killed_at_every_step(Flavor::MariaDb, Mode::Position).await;
}

async fn killed_at_random(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "random", mode).await;
    let mut child = Child::new(&db, "random", mode, 6000, 97);
    let mut waits = Vec::new();
    for _ in 0..12 {
        child.epoch += 1;
        let mut running = child.start(&db);
        // The moment of the kill is the input of this test, not a wait for something.
        let wait = rand::rng().random_range(5..700);
        waits.push(wait);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        running.kill9().unwrap();
    }
    child.finish(&db).await;
    let expected = History::new(7, 6000, 97).expected;
    assert_eq!(read(&db, "random").await, expected, "killed after {waits:?} ms: {}", child.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_on_mariadb() {
    killed_at_random(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_on_mysql() {
    killed_at_random(Flavor::MySql).await;
}

/// The checker must be able to fail: an applier that commits rows without saying so is caught.
#[tokio::test(flavor = "multi_thread")]
async fn rows_without_record_are_caught() {
    let db = server(Flavor::MariaDb).await;
    prepare(&db, "unsaid", Mode::MariaDbGtid).await;
    let mut child = Child::new(&db, "unsaid", Mode::MariaDbGtid, 300, NO_KEYS);
    child.broken = "done".to_owned();
    child.hold = "target::after_send:20:kill".to_owned();
    child.run(&db).await;
    child.hold.clear();
    child.epoch += 1;
    child.run(&db).await;
    assert_ne!(read(&db, "unsaid").await, History::new(7, 300, NO_KEYS).expected);
}
