//! The processes: the product's own masters and workers, on simulated ports.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dm_consensus::{Consensus, ConsensusConfig, MemoryLog};
use dm_master::{
    leader::Pace,
    machine::ClusterMachine,
    node::Node,
    server::Server,
    settings::{Settings, Timing},
};
use dm_proto::{
    config::WorkerFile,
    raft::{PutSource, SetStage, StartTask, command::Body},
    worker::Stage,
};
use dm_worker::runtime::{AuthorityStore, run_on};
use tokio_util::sync::CancellationToken;

use crate::net::Listener;

pub const TASK: &str = "t";
pub const SOURCES: [&str; 2] = ["s1", "s2"];

/// What the world sees of one master.
#[derive(Clone, Default)]
pub struct Window {
    node: Arc<Mutex<Option<Arc<Node>>>>,
    /// Why a process ended by itself.
    pub ended: Arc<Mutex<Option<String>>>,
}

impl Window {
    pub fn node(&self) -> Option<Arc<Node>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, node: Option<Arc<Node>>) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = node;
    }

    /// The process is gone.
    pub fn close(&self) {
        self.set(None);
    }

    fn end(&self, why: String) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// What operators have been told: shared by all that act for them.
#[derive(Default)]
pub struct Told {
    /// Names of sources whose creation was acknowledged.
    pub acknowledged: Vec<String>,
    next: u64,
    /// The chaos is over: only resume what stands still.
    pub quiet: bool,
}

/// Settings of one master.
pub struct Master {
    pub name: String,
    pub dir: PathBuf,
    pub log: MemoryLog,
    pub all: Vec<String>,
    pub window: Window,
    pub told: Arc<Mutex<Told>>,
    pub lease: Duration,
}

impl Master {
    pub async fn run(self) {
        let mut consensus = ConsensusConfig::new(&self.name, &self.dir);
        consensus.peer_listen = format!("{}:8291", self.name);
        consensus.advertise_peer = consensus.peer_listen.clone();
        consensus.advertise_client = format!("{}:8261", self.name);
        consensus.initial_cluster = self.all.iter().map(|n| (n.clone(), format!("{n}:8291"))).collect();
        // Small, so that snapshots are made and sent within seconds.
        consensus.snapshot_every = 30;
        consensus.log_keep = 10;
        consensus.memory_log = Some(self.log.clone());
        let settings = Settings {
            name: self.name.clone(),
            listen: consensus.advertise_client.clone(),
            advertise: consensus.advertise_client.clone(),
            data_dir: self.dir.clone(),
            consensus: consensus.clone(),
            timing: Timing {
                pace: Pace { lease: self.lease, damping: self.lease.min(Duration::from_millis(300)) },
                moves_per_minute: 600,
                ..Timing::default()
            },
        };
        let clients = Listener::bind(&settings.listen);
        let peers = Listener::bind(&consensus.peer_listen);
        let started = Consensus::start_on(consensus, ClusterMachine::default(), peers.incoming()).await;
        let server = started.map_err(Into::into).and_then(|c| Server::start_on(settings, c, clients));
        match server {
            Ok(server) => {
                let node = server.node().clone();
                self.window.set(Some(node.clone()));
                tokio::spawn(operate(node, self.told));
                if let Err(fatal) = server.run(std::future::pending()).await {
                    self.window.end(format!("{} ended: {fatal}", self.name));
                }
            }
            Err(error) => self.window.end(format!("{} does not start: {error}", self.name)),
        }
    }
}

fn source_config(id: &str) -> String {
    format!("source-id: {id}\nfrom:\n  host: source\n  port: 3306\n  user: root\n  password: secret\n")
}

fn task_config() -> String {
    let instances: String =
        SOURCES.iter().map(|s| format!("  - source-id: {s}\n    syncer-thread: 3\n")).collect();
    format!(
        "name: {TASK}\ntask-mode: incremental\ntarget-database:\n  host: target\n  port: 3306\n  user: root\n  \
         password: secret\nmysql-instances:\n{instances}"
    )
}

/// People and tools: they create, pause and resume through whichever master leads.
async fn operate(node: Arc<Node>, told: Arc<Mutex<Told>>) {
    let lock = || told.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if node.tenure().is_none() {
            continue;
        }
        let (missing, has_task) = node.state(|state, _| {
            let missing = SOURCES.iter().find(|s| !state.sources.contains_key(**s)).copied();
            (missing, state.tasks.contains_key(TASK))
        });
        if let Some(source) = missing {
            let put = PutSource { source_id: source.to_owned(), config: source_config(source) };
            drop(node.propose(Body::PutSource(put)).await);
            continue;
        }
        let sources: Vec<String> = SOURCES.iter().map(|s| (*s).to_owned()).collect();
        if !has_task {
            let (task, config) = (TASK.to_owned(), task_config());
            let start = StartTask { task, config, sources, ..StartTask::default() };
            drop(node.propose(Body::StartTask(start)).await);
            continue;
        }
        let quiet = lock().quiet;
        if quiet {
            tokio::time::sleep(Duration::from_secs(3)).await;
            set_stage(&node, Stage::Running, sources).await;
            continue;
        }
        match rand::random_range(0..10) {
            0..3 => {
                let name = {
                    let mut told = lock();
                    told.next += 1;
                    format!("h{}", told.next)
                };
                let put = PutSource { source_id: name.clone(), config: source_config(&name) };
                if node.propose(Body::PutSource(put)).await.is_ok_and(|done| done.changed) {
                    lock().acknowledged.push(name);
                }
            }
            3 => set_stage(&node, Stage::Paused, sources).await,
            4..6 => set_stage(&node, Stage::Running, sources).await,
            _ => {}
        }
    }
}

async fn set_stage(node: &Node, stage: Stage, sources: Vec<String>) {
    let set = SetStage { task: TASK.to_owned(), sources, stage: stage.into() };
    // Refused or unknown: the next round sees what the state is.
    drop(node.propose(Body::SetStage(set)).await);
}

/// One worker; a supervisor starts it again when it ends by itself.
pub async fn worker(name: String, dir: PathBuf, masters: Vec<String>) {
    let address = format!("{name}:8262");
    loop {
        let join: Vec<String> = masters.iter().map(|m| format!("{m}:8261")).collect();
        let file = WorkerFile {
            name: Some(name.clone()),
            worker_addr: Some(address.clone()),
            join: Some(join.join(",")),
            data_dir: Some(dir.display().to_string()),
            ..WorkerFile::default()
        };
        let settings = file.validate().unwrap();
        let authority = AuthorityStore::open(&dir).unwrap();
        let ended = run_on(settings, authority, Listener::bind(&address), CancellationToken::new()).await;
        tracing::info!(%name, ?ended, "worker ended");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
