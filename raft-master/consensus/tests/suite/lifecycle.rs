//! One member alone: start, restart, the lock on its directory.
use dm_consensus::{Consensus, StartError};

use crate::{
    ledger::Ledger,
    nodes::{config, configs, eventually, leader, ledger, put, start},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_member_restarts_with_its_state() {
    let temp = tempfile::tempdir().unwrap();
    let mut config = configs(temp.path(), &["m1"]).remove(0);
    config.snapshot_every = 20;
    config.log_keep = 5;
    let mut expected = 0;
    for round in 0..3_u8 {
        let node = start(&config).await;
        let mut leadership = node.leadership();
        leadership.wait_for(|now| now.is_leader).await.unwrap();
        leader(std::slice::from_ref(&node)).await;
        assert_eq!(ledger(&node).entries.len(), expected, "round {round}");
        for number in 0..30 {
            put(std::slice::from_ref(&node), &[round, number]).await;
            expected += 1;
        }
        assert!(node.quorum_fresh());
        eventually("a snapshot", async || node.snapshot_index()).await;
        node.shutdown().await;
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_serves_one_process_and_one_name() {
    let temp = tempfile::tempdir().unwrap();
    let first = configs(temp.path(), &["m1"]).remove(0);
    let node = start(&first).await;
    let mut second = config("m1", &first.data_dir);
    let refusal = Consensus::start(second.clone(), Ledger::default()).await;
    assert!(matches!(refusal, Err(StartError::InUse(_))));
    node.shutdown().await;
    drop(node);
    second.name = "m2".into();
    assert!(crate::nodes::refused(&second).await.contains("m1"));
}
