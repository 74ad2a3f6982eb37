//! One flipped bit anywhere in the log's file ends in "fine" or "refused", never in silent loss.
use std::{collections::BTreeMap, fs, os::unix::fs::FileExt, path::Path};

use dm_consensus::{
    StartError,
    internals::{DataDir, Entry, Fatality, LogStore, Vote, log_id},
};
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{nodes::copy_dir, storage::entry};

const ENTRIES: u64 = 1500;
const PURGED: u64 = 99;

async fn fill(path: &Path) {
    let dir = DataDir::open(path, "m1").unwrap();
    let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    for start in (0..ENTRIES).step_by(50) {
        store
            .blocking_append((start..start + 50).map(|index| entry(1, index, 40 + index as usize % 300)))
            .await
            .unwrap();
        if start == 700 {
            store.save_vote(&Vote::new_committed(2, 9)).await.unwrap();
            store.purge(log_id(1, PURGED)).await.unwrap();
        }
    }
    store.close();
}

/// Whether the store still has everything; panics when it opened without.
async fn check(path: &Path, expected: &[Entry]) -> Result<(), String> {
    let dir = DataDir::open(path, "m1").unwrap();
    let mut store = match LogStore::open(&dir, Fatality::new()) {
        Ok(store) => store,
        Err(StartError::Refused(why)) => return Err(why),
        Err(other) => panic!("neither fine nor refused: {other}"),
    };
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(2, 9)));
    let entries = store.try_get_log_entries(PURGED + 1..).await.unwrap();
    assert_eq!(entries.len(), expected.len(), "silent loss");
    assert!(entries == expected, "silent damage");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_never_lose_anything_silently() {
    let temp = tempfile::tempdir().unwrap();
    let original = temp.path().join("original");
    fill(&original).await;
    let expected: Vec<Entry> =
        (PURGED + 1..ENTRIES).map(|index| entry(1, index, 40 + index as usize % 300)).collect();
    check(&original, &expected).await.unwrap();

    let seed: u64 = std::env::var("SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("repeat with SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bytes = fs::read(original.join("log/db")).unwrap();
    let used: Vec<u64> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at as u64).collect();
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..80 {
        // Three of four where something is written, the rest anywhere.
        let offset = match round % 4 {
            0 => random.random_range(0..bytes.len() as u64),
            _ => used[random.random_range(0..used.len())],
        };
        let bit = random.random_range(0..8);
        let copy = temp.path().join(format!("copy{round}"));
        copy_dir(&original, &copy);
        let file = fs::OpenOptions::new().read(true).write(true).open(copy.join("log/db")).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ (1 << bit)], offset).unwrap();
        drop(file);
        println!("round {round}: offset {offset} bit {bit}");
        let outcome = match check(&copy, &expected).await {
            Ok(()) => "fine",
            Err(why) => {
                assert!(why.contains("wipe its data directory"), "not instructive: {why}");
                "refused"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
        fs::remove_dir_all(&copy).ok();
    }
    println!("{outcomes:?}");
    assert!(outcomes.contains_key("refused"), "no flip was ever noticed: the test is blind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shortened_or_foreign_log_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let original = temp.path().join("original");
    fill(&original).await;
    let expected: Vec<Entry> = Vec::new();
    // The log of another node in this node's directory.
    let other = temp.path().join("other");
    fill(&other).await;
    let mixed = temp.path().join("mixed");
    copy_dir(&original, &mixed);
    fs::copy(other.join("sentinel"), mixed.join("sentinel")).unwrap();
    assert!(check(&mixed, &expected).await.unwrap_err().contains("different nodes"));
    // An older copy of the log: everything in it is intact, but the acknowledged end is missing.
    let dir = DataDir::open(&original, "m1").unwrap();
    let aged = temp.path().join("aged");
    copy_dir(&original.join("log"), &aged);
    let mut store = LogStore::open(&dir, Fatality::new()).unwrap();
    store.blocking_append([entry(2, ENTRIES, 10)]).await.unwrap();
    store.close();
    drop((store, dir));
    fs::remove_dir_all(original.join("log")).unwrap();
    copy_dir(&aged, &original.join("log"));
    assert!(check(&original, &expected).await.unwrap_err().contains("acknowledged"));
}
