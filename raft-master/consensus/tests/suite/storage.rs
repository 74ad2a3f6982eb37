//! openraft's own suite on our store, and what it leaves out: opening again.
use dm_consensus::internals::{
    AppliedState, Command, DataDir, Entry, Fatality, LogStore, SnapshotFolder, TypeConfig, Vote, log_id,
};
use openraft::{
    EntryPayload, StorageError,
    storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt},
    testing::log::{StoreBuilder, Suite},
};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::ledger::Ledger;

struct Builder;

/// Held by the suite while a store is in use.
struct Guard(#[allow(dead_code)] TempDir, #[allow(dead_code)] DataDir);

impl StoreBuilder<TypeConfig, LogStore, AppliedState<Ledger>, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, AppliedState<Ledger>), StorageError<TypeConfig>> {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path(), "m1").unwrap();
        let store = LogStore::open(&dir, Fatality::new()).unwrap();
        let folder = SnapshotFolder::new(temp.path().join("snapshots"));
        let cluster = watch::channel(None).1;
        let state = AppliedState::open(folder, Ledger::default(), None, cluster, Fatality::new()).unwrap();
        Ok((Guard(temp, dir), store, state))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_storage_suite_passes() {
    Suite::test_all(Builder).await.unwrap();
}

pub fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(Command(vec![index as u8; bytes])) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reopened_store_has_everything_that_was_acknowledged() {
    let temp = tempfile::tempdir().unwrap();
    let vote = Vote::new_committed(7, 3);
    {
        let dir = DataDir::open(temp.path(), "m1").unwrap();
        let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
        store.save_vote(&Vote::new(7, 3)).await.unwrap();
        store.save_vote(&vote).await.unwrap();
        store.blocking_append((0..50).map(|index| entry(1, index, 100))).await.unwrap();
        store.truncate_after(Some(log_id(1, 39))).await.unwrap();
        store.blocking_append((40..60).map(|index| entry(2, index, 5000))).await.unwrap();
        store.purge(log_id(1, 9)).await.unwrap();
        store.save_committed(Some(log_id(2, 45))).await.unwrap();
        // Rides on the next append's flush.
        store.blocking_append([entry(2, 60, 10)]).await.unwrap();
        store.close();
        assert!(store.blocking_append([entry(2, 61, 10)]).await.is_err(), "closed");
    }
    let dir = DataDir::open(temp.path(), "m1").unwrap();
    let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 9)));
    assert!(state.last_log_id >= Some(log_id(2, 60)));
    assert_eq!(store.read_vote().await.unwrap(), Some(vote));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(2, 45)));
    let entries = store.try_get_log_entries(10..61).await.unwrap();
    assert_eq!(entries.len(), 51);
    assert_eq!(entries[30], entry(2, 40, 5000));
    assert!(store.try_get_log_entries(0..10).await.unwrap().is_empty());
    let (a, b) = (20, 10);
    assert!(store.try_get_log_entries(a..b).await.unwrap().is_empty());
    // One message to a follower is bounded in bytes, and is never empty.
    store.blocking_append((62..70).map(|index| entry(3, index, 700 << 10))).await.unwrap();
    assert_eq!(store.limited_get_log_entries(62, 70).await.unwrap().len(), 2);
}

/// Removes what a damaged page would: the entries behind `last`, as if they had never been.
async fn drop_behind(path: &std::path::Path, last: u64) {
    // sled lets go of its lock a moment after the store is dropped.
    let db = crate::nodes::eventually("the log's lock", async || sled::open(path.join("log")).ok()).await;
    let tree = db.open_tree("log").unwrap();
    let keys: Vec<_> = tree.range((last + 1).to_be_bytes().to_vec()..).keys().map(Result::unwrap).collect();
    assert!(!keys.is_empty());
    for key in keys {
        tree.remove(key).unwrap();
    }
    db.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_found_at_a_start_may_not_be_lost_later() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("m1");
    let held_back = temp.path().join("sentinel");
    {
        let dir = DataDir::open(&path, "m1").unwrap();
        let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
        store.blocking_append((0..10).map(|index| entry(1, index, 100))).await.unwrap();
        std::fs::copy(path.join("sentinel"), &held_back).unwrap();
        store.blocking_append((10..20).map(|index| entry(1, index, 100))).await.unwrap();
        store.close();
    }
    // A crash: the log had reached the disk, the sentinel's tail had not.
    std::fs::copy(&held_back, path.join("sentinel")).unwrap();
    {
        let dir = DataDir::open(&path, "m1").unwrap();
        let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
        // From here on the engine tells others that it has these.
        assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 19)));
        store.close();
    }
    drop_behind(&path, 14).await;
    let dir = DataDir::open(&path, "m1").unwrap();
    let refused = LogStore::open(&dir, Fatality::new()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("entry 19 was acknowledged"), "{refused}");
}
