//! One running member of the group.
use std::{
    future::Future,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::Stream;
use openraft::{
    Config, Instant, Raft, ReadPolicy, SnapshotPolicy,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, LinearizableReadError, RaftError},
    raft::ClientWriteResponse,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Connected, TcpIncoming};

use crate::{
    ConsensusConfig, FatalError, Leadership, Machine, Member, ProposeError, ReadError, StartError,
    bootstrap::{self, Bootstrap},
    disk,
    fatal::Fatality,
    identity::Identity,
    leadership,
    network::{self, Channels, NetworkFactory, PeerService},
    snapshot::SnapshotFolder,
    state::AppliedState,
    store::{Log, Watchdog},
    types::{Command, TypeConfig},
};

/// Deadline of sending and installing one snapshot.
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(60);
/// Deadline of an admission, which waits for the new member to catch up.
pub(crate) const ADMISSION_DEADLINE: Duration = Duration::from_secs(60);
/// A shutdown may take this long as a whole: a hung disk must not keep the process alive.
const STOP_DEADLINE: Duration = Duration::from_secs(3);

/// A committed command's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// Its place in the log; also a revision of the state that contains it.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
    /// What the machine answered.
    pub response: Vec<u8>,
}

/// One running member of the group; clones share it.
pub struct Consensus<M: Machine> {
    pub(crate) inner: Arc<Inner<M>>,
}

pub(crate) struct Inner<M: Machine> {
    pub(crate) raft: Raft<TypeConfig, AppliedState<M>>,
    state: AppliedState<M>,
    pub(crate) identity: Arc<Identity>,
    store: Log,
    leadership: watch::Receiver<Leadership>,
    fatality: Fatality,
    /// Bytes of proposals that may still go in flight.
    room: Semaphore,
    pub(crate) config: ConsensusConfig,
    stop: CancellationToken,
    stopped: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    watchdog: Mutex<Option<Watchdog>>,
}

impl<M: Machine> Clone for Consensus<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M: Machine> std::fmt::Debug for Consensus<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consensus").field("node_id", &self.inner.identity.node_id).finish_non_exhaustive()
    }
}

impl<M: Machine> Consensus<M> {
    /// Opens the data directory and starts the member and its peer service.
    ///
    /// Returns before the member belongs to a cluster: founding or joining goes on behind, and reports through
    /// [`Self::fatal`] when it finds that this data directory must not be used. Needs a multi-thread runtime.
    pub async fn start(config: ConsensusConfig, machine: M) -> Result<Self, StartError> {
        let config = config.validated()?;
        let listener = TcpListener::bind(&config.peer_listen)
            .await
            .map_err(|error| StartError::io(format!("listening on {}", config.peer_listen), error))?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Self::start_on(config, machine, incoming).await
    }

    /// The same with the connections of other members as given.
    pub async fn start_on<I>(
        config: ConsensusConfig,
        machine: M,
        incoming: impl Stream<Item = io::Result<I>> + Send + 'static,
    ) -> Result<Self, StartError>
    where
        I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let config = config.validated()?;
        let fatality = Fatality::new();
        let opening = {
            let (config, fatality) = (config.clone(), fatality.clone());
            move || open(&config, machine, fatality)
        };
        let opened = disk::blocking(opening).await;
        let (identity, store, state) = opened.map_err(|error| StartError::Engine(error.to_string()))??;

        let channels = Arc::new(Channels::default());
        let network = NetworkFactory {
            identity: identity.clone(),
            channels: channels.clone(),
            timeout: config.peer_timeout,
            heartbeat_timeout: config.election_min / 2,
        };
        let engine = Arc::new(engine_config(&config)?);
        let started = Raft::new(identity.node_id, engine, network, store.clone(), state.clone()).await;
        let raft = started.map_err(|error| match fatality.get() {
            // Met while the log was applied again: no restart of this version helps.
            Some(FatalError::Incompatible(text)) => StartError::Refused(text),
            _ => StartError::Engine(error.to_string()),
        })?;
        // Nothing to watch: only a simulated disk.
        let watchdog = match store.watches() {
            watches if watches.is_empty() => None,
            watches => Some(
                Watchdog::start(watches, config.append_bound, fatality.clone(), config.last_resort)
                    .map_err(|error| StartError::io("starting the watchdog", error))?,
            ),
        };

        let stop = CancellationToken::new();
        let (leadership_task, leadership) = leadership::follow(
            raft.metrics(),
            identity.node_id,
            channels.clone(),
            fatality.clone(),
            stop.clone(),
        );
        let service =
            PeerService { raft: raft.clone(), identity: identity.clone(), admission: ADMISSION_DEADLINE };
        let serving = {
            let (stop, fatality) = (stop.clone(), fatality.clone());
            async move {
                if let Err(error) = network::serve(incoming, service, stop).await {
                    fatality.raise(FatalError::Engine(format!("the peer service ended: {error}")));
                }
            }
        };
        let bootstrap = Bootstrap {
            raft: raft.clone(),
            identity: identity.clone(),
            channels,
            initial_cluster: config.initial_cluster.clone(),
            join: config.join.clone(),
            timeout: config.peer_timeout,
            admission: ADMISSION_DEADLINE,
            fatality: fatality.clone(),
        };
        let becoming = {
            let stop = stop.clone();
            async move {
                // Cancelled at shutdown; each of its steps can be repeated.
                stop.run_until_cancelled(bootstrap.run()).await;
            }
        };
        let silencing = {
            let (stop, fatality, raft) = (stop.clone(), fatality.clone(), raft.clone());
            async move {
                if let Some(error) = stop.run_until_cancelled(fatality.wait()).await {
                    // However slowly the process ends: the others need not wait for it to elect another leader.
                    raft.runtime_config().heartbeat(false);
                    raft.runtime_config().elect(false);
                    tracing::error!(%error, "this member must end");
                }
            }
        };
        let tasks = vec![
            tokio::spawn(leadership_task),
            tokio::spawn(serving),
            tokio::spawn(becoming),
            tokio::spawn(silencing),
        ];
        let room = Semaphore::new(config.max_in_flight);
        let inner = Inner {
            raft,
            state,
            identity,
            store,
            leadership,
            fatality,
            room,
            config,
            stop,
            stopped: AtomicBool::new(false),
            tasks: Mutex::new(tasks),
            watchdog: Mutex::new(watchdog),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// This member's id.
    pub fn node_id(&self) -> u64 {
        self.inner.identity.node_id
    }

    /// This member's name.
    pub fn name(&self) -> &str {
        &self.inner.identity.node.name
    }

    /// The group's id, once known: 32 hexadecimal digits, made at bootstrap, the same on every member.
    pub fn cluster_id(&self) -> Option<String> {
        self.inner.identity.cluster_id()
    }

    /// The group's id as a watch.
    pub fn cluster_id_watch(&self) -> watch::Receiver<Option<String>> {
        self.inner.identity.cluster_watch()
    }

    /// Proposes a command and waits until it is committed and applied here.
    pub async fn propose(&self, command: Vec<u8>) -> Result<Proposed, ProposeError> {
        let (size, max) = (command.len(), self.inner.config.max_command);
        if size > max {
            return Err(ProposeError::TooLarge { size, max });
        }
        self.alive().map_err(ProposeError::Fatal)?;
        let room = u32::try_from(size.max(1)).unwrap_or(u32::MAX);
        let proposal = async {
            // Nothing has been proposed while waiting for room, but a caller can't tell: `Unknown` is the safe answer.
            let Ok(_room) = self.inner.room.acquire_many(room).await else {
                return Err(ProposeError::Fatal("shutting down".into()));
            };
            let written = self.inner.raft.client_write(Command(command)).await;
            match written {
                Ok(ClientWriteResponse { log_id, data, .. }) => {
                    Ok(Proposed { index: log_id.index, term: log_id.leader_id.term, response: data })
                }
                Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                    Err(ProposeError::NotLeader { leader: self.other_leader() })
                }
                Err(RaftError::APIError(error)) => Err(ProposeError::Unknown(error.to_string())),
                Err(RaftError::Fatal(error)) => {
                    Err(ProposeError::Unknown(format!("this member stopped: {error}")))
                }
            }
        };
        match tokio::time::timeout(self.inner.config.request_timeout, proposal).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ProposeError::Unknown(format!(
                "no majority confirmed it within {} ms",
                self.inner.config.request_timeout.as_millis()
            ))),
        }
    }

    /// Linearizable read (ReadIndex): once it returns, the state here contains everything that had been
    /// acknowledged by anybody before the call, and this member was the leader meanwhile, in its own term.
    pub async fn read_barrier(&self) -> Result<u64, ReadError> {
        self.alive().map_err(ReadError::Fatal)?;
        let barrier = async {
            let linearizer = match self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
                Ok(linearizer) => linearizer,
                Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_))) => {
                    return Err(ReadError::NotLeader { leader: self.other_leader() });
                }
                Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(error))) => {
                    return Err(ReadError::NoQuorum(error.to_string()));
                }
                Err(RaftError::Fatal(error)) => return Err(ReadError::Fatal(error.to_string())),
            };
            let index = linearizer.read_log_id().index();
            linearizer
                .await_ready(&self.inner.raft)
                .await
                .map_err(|error| ReadError::Fatal(error.to_string()))?;
            Ok(index)
        };
        match tokio::time::timeout(self.inner.config.request_timeout, barrier).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ReadError::NoQuorum("no answer in time".into())),
        }
    }

    /// Calls `f` with the state and the log index it contains. Blocks nobody but `apply`: be quick.
    pub fn with_state<R>(&self, f: impl FnOnce(&M, u64) -> R) -> R {
        self.inner.state.with(f)
    }

    /// The log index the state contains.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.inner.state.applied()
    }

    /// Who leads. Leadership restored after a restart shows as a change too, as every start begins without.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// All members, by name.
    pub fn members(&self) -> Vec<Member> {
        leadership::members(&self.inner.raft.metrics().borrow_watched())
    }

    /// Whether this member leads and a majority confirmed it within the last `election_max`. A leader for whom
    /// this is false acts on nothing outside.
    pub fn quorum_fresh(&self) -> bool {
        let Ok(leader) = self.inner.raft.as_leader() else { return false };
        if self.alive().is_err() || !self.inner.leadership.borrow().is_leader {
            return false;
        }
        let alone = self.inner.raft.voter_ids().all(|id| id == self.inner.identity.node_id);
        alone || leader.last_quorum_acked().is_some_and(|at| at.elapsed() < self.inner.config.election_max)
    }

    /// Asks for a snapshot now; the log is purged behind it.
    pub async fn snapshot_now(&self) -> Result<(), FatalError> {
        let asked = self.inner.raft.trigger().snapshot().await;
        asked.map_err(|error| FatalError::Engine(error.to_string()))
    }

    /// Index of the last entry in the newest snapshot, if there is one.
    pub fn snapshot_index(&self) -> Option<u64> {
        self.inner.raft.metrics().borrow_watched().snapshot.map(|id| id.index)
    }

    /// Index up to which the log has been purged.
    pub fn purged_index(&self) -> Option<u64> {
        self.inner.store.ends().1.map(|id| id.index)
    }

    /// Ends when the process must end, with the reason; never after a shutdown in order.
    pub fn fatal(&self) -> impl Future<Output = FatalError> + Send + 'static {
        self.inner.fatality.wait()
    }

    /// Stops everything and waits for it, a few seconds at most. Hand leadership over first. Repeating is harmless.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        let until = tokio::time::Instant::now() + STOP_DEADLINE;
        if inner.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        inner.room.close();
        inner.stop.cancel();
        match tokio::time::timeout_at(until, inner.raft.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the consensus engine had panicked"),
            Err(_) => tracing::warn!("the consensus engine did not stop in time"),
        }
        let tasks = std::mem::take(&mut *inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for mut task in tasks {
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                tracing::warn!("a task did not stop in time");
                task.abort();
            }
        }
        let this = inner.clone();
        let closing = disk::blocking(move || {
            this.store.close();
            drop(this.watchdog.lock().unwrap_or_else(PoisonError::into_inner).take());
            this.identity.release();
        });
        if tokio::time::timeout_at(until, closing).await.is_err() {
            tracing::warn!("the log did not close in time; the disk hangs");
        }
    }

    pub(crate) fn alive(&self) -> Result<(), String> {
        if self.inner.stopped.load(Ordering::Acquire) {
            return Err("shut down".into());
        }
        match self.inner.fatality.get() {
            Some(error) => Err(error.to_string()),
            None => Ok(()),
        }
    }

    /// The leader, unless this member believes itself to be it.
    pub(crate) fn other_leader(&self) -> Option<Member> {
        let leader = self.inner.leadership.borrow().leader.clone();
        leader.filter(|leader| leader.id != self.inner.identity.node_id)
    }
}

type Opened<M> = (Arc<Identity>, Log, AppliedState<M>);

fn open<M: Machine>(
    config: &ConsensusConfig,
    machine: M,
    fatality: Fatality,
) -> Result<Opened<M>, StartError> {
    #[cfg(not(feature = "simulation"))]
    let (dir, store) = {
        let dir = crate::stamp::DataDir::open(&config.data_dir, &config.name)?;
        let store = Log::open(&dir, fatality.clone())?;
        (dir, store)
    };
    #[cfg(feature = "simulation")]
    let (dir, store) = Log::open(config, &fatality)?;
    let cluster = watch::channel(dir.stamp().cluster_id.clone()).0;
    let folder = SnapshotFolder::new(dir.path().join("snapshots"));
    let purged = store.ends().1;
    let state = AppliedState::open(folder, machine, purged, cluster.subscribe(), fatality.clone())?;
    let node = bootstrap::own_node(&config.name, &config.advertise_peer, &config.advertise_client);
    let identity = Identity::new(dir, node, &config.initial_cluster, cluster, store.clone(), fatality);
    Ok((identity, store, state))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn engine_config(config: &ConsensusConfig) -> Result<Config, StartError> {
    let engine = Config {
        cluster_name: "raft-dm".into(),
        heartbeat_interval: millis(config.heartbeat),
        election_timeout_min: millis(config.election_min),
        election_timeout_max: millis(config.election_max),
        install_snapshot_timeout: millis(SNAPSHOT_DEADLINE),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every),
        // A follower behind the log gets a snapshot; one within it gets entries.
        replication_lag_threshold: config.snapshot_every.max(config.log_keep) + config.log_keep,
        max_in_snapshot_log_to_keep: config.log_keep,
        purge_batch_size: config.log_keep.clamp(1, 256),
        max_payload_entries: 256,
        enable_pre_vote: Some(true),
        // A leader restored without an election could serve a read before it knows what it had committed:
        // `committed` is not synced. An election costs a restarted leader nothing, as its lease is over anyway.
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    engine.validate().map_err(|error| StartError::Config(error.to_string()))
}
