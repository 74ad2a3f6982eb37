//! A disk that hangs: the member must end, and an orderly stop must not wait for it.
use std::{
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use dm_consensus::{Consensus, FatalError, StartError};

use crate::ledger::Ledger;
use crate::nodes::{Node, PATIENCE, configs, eventually, holds, leader, put, start};

/// A file system in a file, which can be frozen: writers hang until it thaws.
struct Disk(PathBuf);

impl Disk {
    /// None, loudly, where mounting is not permitted.
    fn mount(base: &std::path::Path) -> Option<Self> {
        let (image, path) = (base.join("image"), base.join("disk"));
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir_all(&path).unwrap();
        let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        if run(Command::new("mkfs.ext4").arg("-q").arg(&image))
            && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&path))
        {
            return Some(Self(path));
        }
        eprintln!("NOT TESTED: a hung disk, because a loop device can't be mounted here (run as root)");
        None
    }

    fn freeze(&self) {
        assert!(Command::new("fsfreeze").arg("-f").arg(&self.0).status().unwrap().success());
    }

    /// Harmless when it is not frozen.
    fn thaw(&self) {
        Command::new("fsfreeze").arg("-u").arg(&self.0).output().ok();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Waits until a thread of this process hangs in a write that the disk does not take.
async fn hanging() {
    eventually("a write that hangs", async || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let state = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.ok()?.path().join("wchan")).ok()
        };
        threads.filter_map(state).any(|place| place.contains("percpu_rwsem")).then_some(())
    })
    .await;
}

async fn proposing_to_a_frozen_disk(node: &Node, disk: &Disk) -> tokio::task::JoinHandle<()> {
    disk.freeze();
    let proposing = tokio::spawn({
        let node = node.clone();
        async move {
            node.propose(b"hangs".to_vec()).await.ok();
        }
    });
    hanging().await;
    proposing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stop_does_not_wait_for_a_hung_disk() {
    let temp = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(temp.path()) else { return };
    let config = configs(&disk.0, &["m1"]).remove(0);
    let node = leader(&[start(&config).await]).await;
    put(std::slice::from_ref(&node), b"kept").await;
    let proposing = proposing_to_a_frozen_disk(&node, &disk).await;
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(20), node.shutdown()).await.expect("it waits for the disk");
    // The caller gives it four seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    disk.thaw();
    proposing.await.unwrap();
    drop(node);
    // What hung goes on behind and lets go of the directory last.
    let again = eventually("the directory", async || {
        match Consensus::start(config.clone(), Ledger::default()).await {
            Ok(node) => Some(node),
            Err(StartError::InUse(_)) => None,
            Err(other) => panic!("{other}"),
        }
    })
    .await;
    let node = leader(&[again]).await;
    assert!(holds(&node, b"kept"));
    node.shutdown().await;
}

static ENDED_WITH: AtomicU8 = AtomicU8::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_hung_disk_ends_the_process_by_force_when_it_does_not_end_by_itself() {
    let temp = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(temp.path()) else { return };
    let mut config = configs(&disk.0, &["m1"]).remove(0);
    config.append_bound = Duration::from_millis(500);
    config.last_resort = Some(|code| ENDED_WITH.store(code, Ordering::Release));
    let node = leader(&[start(&config).await]).await;
    let proposing = proposing_to_a_frozen_disk(&node, &disk).await;
    let fatal = tokio::time::timeout(PATIENCE, node.fatal()).await.unwrap();
    assert!(matches!(fatal, FatalError::Storage(_)), "{fatal}");
    node.leadership().wait_for(|now| !now.is_leader).await.unwrap();
    assert_eq!(ENDED_WITH.load(Ordering::Acquire), 0, "it has a while to end by itself");
    let code = eventually("the last resort", async || match ENDED_WITH.load(Ordering::Acquire) {
        0 => None,
        code => Some(code),
    })
    .await;
    assert_eq!(code, 3);
    disk.thaw();
    proposing.await.unwrap();
    node.shutdown().await;
}
