//! Members in this process, on free ports and temporary folders.
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dm_consensus::{Consensus, ConsensusConfig, ProposeError, StartError};

use crate::ledger::{Ledger, mark};

pub type Node = Consensus<Ledger>;
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn free_addr() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Calls `probe` until it gives something; fails loudly after [`PATIENCE`].
pub async fn eventually<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut probe: F) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn config(name: &str, dir: &Path) -> ConsensusConfig {
    let mut config = ConsensusConfig::new(name, dir);
    config.peer_listen = free_addr();
    config.advertise_peer = config.peer_listen.clone();
    config.advertise_client = format!("127.0.0.1:{}", 10_000 + name.len());
    // The machine that runs the tests is busy: calm timing, except where timing is the subject.
    config.heartbeat = Duration::from_millis(100);
    config.election_min = Duration::from_millis(600);
    config.election_max = Duration::from_millis(900);
    config.append_bound = Duration::from_secs(60);
    config.request_timeout = Duration::from_secs(20);
    config
}

/// Settings of a cluster of its own.
pub fn configs(base: &Path, names: &[&str]) -> Vec<ConsensusConfig> {
    let mut configs: Vec<_> = names.iter().map(|name| config(name, &base.join(name))).collect();
    let initial: Vec<_> = configs
        .iter()
        .map(|config| (config.name.clone(), format!("http://{}", config.advertise_peer)))
        .collect();
    for config in &mut configs {
        config.initial_cluster = initial.clone();
    }
    configs
}

pub async fn start(config: &ConsensusConfig) -> Node {
    Consensus::start(config.clone(), Ledger::default()).await.unwrap()
}

pub async fn start_all(configs: &[ConsensusConfig]) -> Vec<Node> {
    let mut nodes = Vec::new();
    for config in configs {
        nodes.push(start(config).await);
    }
    nodes
}

pub async fn refused(config: &ConsensusConfig) -> String {
    match Consensus::start(config.clone(), Ledger::default()).await {
        Err(error @ StartError::Refused(_)) => {
            assert_eq!(error.exit_code(), 78);
            error.to_string()
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("started"),
    }
}

/// The node that leads, once one does and can prove it.
pub async fn leader(nodes: &[Node]) -> Node {
    eventually("a leader", async || {
        for node in nodes {
            if node.leadership().borrow().is_leader && node.read_barrier().await.is_ok() {
                return Some(node.clone());
            }
        }
        None
    })
    .await
}

/// Proposes on whoever leads until it is acknowledged.
pub async fn put(nodes: &[Node], command: &[u8]) -> u64 {
    eventually("an acknowledgement", async || {
        for node in nodes {
            match node.propose(command.to_vec()).await {
                Ok(done) => return Some(done.index),
                Err(ProposeError::NotLeader { .. } | ProposeError::Unknown(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
        None
    })
    .await
}

pub fn ledger(node: &Node) -> Ledger {
    node.with_state(|ledger, _| ledger.clone())
}

pub fn holds(node: &Node, command: &[u8]) -> bool {
    node.with_state(|ledger, _| ledger.entries.contains(&mark(command)))
}

pub async fn applied(node: &Node, index: u64) {
    let mut watch = node.applied();
    let reached = tokio::time::timeout(PATIENCE, watch.wait_for(|applied| *applied >= index)).await;
    reached.expect("never applied").unwrap();
}

pub async fn stop_all(nodes: Vec<Node>) {
    for node in &nodes {
        node.shutdown().await;
    }
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
