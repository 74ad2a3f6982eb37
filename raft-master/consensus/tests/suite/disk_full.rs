//! A full disk ends the member, loses nothing, and is over once there is room.
use std::{path::PathBuf, process::Command};

use dm_consensus::{FatalError, ProposeError};

use crate::nodes::{PATIENCE, configs, leader, ledger, put, start};

struct Tmpfs(PathBuf);

impl Tmpfs {
    /// None, loudly, where mounting is not permitted.
    fn mount(path: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir_all(&path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(path));
        }
        eprintln!("NOT TESTED: a full disk, because mounting a tmpfs is not permitted here (run as root)");
        assert!(std::env::var_os("CI").is_none(), "CI must test a full disk");
        None
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_full_disk_ends_the_member_and_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(temp.path().join("disk"), "size=6m") else { return };
    let configs = configs(&disk.0, &["m1"]);
    let node = start(&configs[0]).await;
    let node = leader(&[node]).await;
    let mut acked = 0;
    let refusal = loop {
        match node.propose(vec![acked as u8; 20_000]).await {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
        assert!(acked < 10_000, "the disk never filled up");
    };
    assert!(matches!(refusal, ProposeError::Unknown(_) | ProposeError::Fatal(_)), "{refusal:?}");
    assert!(acked > 10);
    let fatal = tokio::time::timeout(PATIENCE, node.fatal()).await.unwrap();
    assert!(matches!(fatal, FatalError::Storage(_)), "{fatal}");
    assert_eq!(fatal.exit_code(), 3);
    node.shutdown().await;
    drop(node);

    disk.resize("200m");
    let node = start(&configs[0]).await;
    let nodes = [node];
    put(&nodes, b"room again").await;
    let kept = ledger(&nodes[0]).entries.len();
    assert!(kept > acked, "{acked} were acknowledged, {kept} are left");
    nodes[0].shutdown().await;
}
