//! One running master: consensus, duties, and the client port.
use std::{future::Future, io, sync::Arc, time::Duration};

use axum::serve::ListenerExt;
use dm_consensus::{Consensus, ConsensusConfig, FatalError, StartError};
use dm_proto::{
    config::MasterConfig,
    pb::{ListMemberRequest, master_client::MasterClient, master_server::MasterServer, members},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    api::MasterService,
    http,
    leader::{self, Pace},
    machine::ClusterMachine,
    metrics::{Metrics, MetricsError},
    node::Node,
    settings::{Settings, Timing},
};

/// Largest request: task files grow with their rules.
const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Longest wait for each step of a planned stop; together below DM's 20 s.
const STEP: Duration = Duration::from_secs(4);

/// Why a master does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The client port can't be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address asked for.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// Consensus does not start.
    #[error(transparent)]
    Consensus(#[from] StartError),
    /// A metric is defined wrongly.
    #[error("metrics: {0}")]
    Metrics(#[from] MetricsError),
}

impl ServerError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Consensus(error) => error.exit_code(),
            Self::Listen { .. } | Self::Metrics(_) => 1,
        }
    }
}

/// One running master.
pub struct Server {
    node: Arc<Node>,
    duties: JoinHandle<()>,
    port: JoinHandle<io::Result<()>>,
    close_port: CancellationToken,
}

impl Settings {
    /// From the validated configuration.
    pub fn from_config(config: &MasterConfig) -> Self {
        let mut consensus = ConsensusConfig::new(&config.name, &config.data_dir);
        consensus.peer_listen = with_host(&config.peer_addr);
        consensus.advertise_peer.clone_from(&config.advertise_peer_addr);
        consensus.advertise_client.clone_from(&config.advertise_addr);
        consensus.last_resort = Some(|code| std::process::exit(code.into()));
        if config.join.is_empty() {
            consensus.initial_cluster.clone_from(&config.initial_cluster);
        } else {
            consensus.join.clone_from(&config.join);
        }
        let default = Timing::default();
        Self {
            name: config.name.clone(),
            listen: with_host(&config.master_addr),
            advertise: config.advertise_addr.clone(),
            data_dir: config.data_dir.clone(),
            consensus,
            timing: Timing {
                pace: Pace { lease: config.lease_ttl, ..default.pace },
                rpc: config.rpc_timeout,
                master_loss_grace: config.master_loss_grace,
                ..default
            },
        }
    }
}

/// Listening on `:8261` means on every address.
fn with_host(address: &str) -> String {
    if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() }
}

impl Server {
    /// Takes the port, starts consensus, then everything else.
    pub async fn start(mut settings: Settings) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(&settings.listen)
            .await
            .map_err(|source| ServerError::Listen { address: settings.listen.clone(), source })?;
        if !settings.consensus.join.is_empty() {
            settings.consensus.join = peers_of(&settings.consensus.join).await;
        }
        let consensus = Consensus::start(settings.consensus.clone(), ClusterMachine::default()).await?;
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                warn!(%error, "a connection keeps its delay");
            }
        });
        Self::start_on(settings, consensus, listener)
    }

    /// Everything else, on a member that runs and a port that is open.
    pub fn start_on<L>(
        settings: Settings,
        consensus: Consensus<ClusterMachine>,
        listener: L,
    ) -> Result<Self, ServerError>
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let node = Arc::new(Node {
            settings,
            consensus,
            metrics: Metrics::new()?,
            tenure: watch::Sender::new(None),
            stopping: CancellationToken::new(),
        });
        let close_port = CancellationToken::new();
        let grpc = MasterServer::new(MasterService::new(node.clone()))
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(usize::MAX);
        let app = http::routes(node.clone()).merge(tonic::service::Routes::new(grpc).into_axum_router());
        let closing = close_port.clone().cancelled_owned();
        let port =
            tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(closing).await });
        let duties = tokio::spawn(leader::run(node.clone()));
        info!(name = %node.settings.name, listen = %node.settings.listen, "dm-master is serving");
        Ok(Self { node, duties, port, close_port })
    }

    /// The master as its parts see it.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Serves until told to stop, or until the process must end. Returns what made it end.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), FatalError> {
        let fatal = self.node.consensus.fatal();
        let outcome = tokio::select! {
            // The cause before its consequences: the duties end as soon as consensus does, and would hide why.
            biased;
            fatal = fatal => Err(fatal),
            () = stop => Ok(()),
            ended = &mut self.port => {
                Err(FatalError::Engine(format!("the client port was lost: {ended:?}")))
            }
            ended = &mut self.duties => Err(FatalError::Engine(format!("the duties ended: {ended:?}"))),
        };
        if let Err(fatal) = &outcome {
            // The disk can't be trusted: nothing is handed over, nothing is waited for.
            error!(%fatal, "the process ends");
            self.node.stopping.cancel();
            self.close_port.cancel();
            return outcome;
        }
        let fatal = self.node.consensus.fatal();
        tokio::select! {
            biased;
            fatal = fatal => {
                error!(%fatal, "the process ends while it stops");
                Err(fatal)
            }
            () = self.stop() => Ok(()),
        }
    }

    async fn stop(self) {
        let node = &self.node;
        info!("stopping");
        if node.consensus.leadership().borrow().is_leader {
            match timeout(STEP, node.consensus.transfer_leader(None)).await {
                Ok(Ok(())) => info!("leadership is handed over"),
                Ok(Err(error)) => info!(%error, "leadership was not handed over"),
                Err(_) => info!("leadership was not handed over in time"),
            }
        }
        node.stopping.cancel();
        if timeout(STEP, self.duties).await.is_err() {
            warn!("the leader's duties did not end in time");
        }
        self.close_port.cancel();
        let abort = self.port.abort_handle();
        if timeout(STEP, self.port).await.is_err() {
            warn!("clients kept the port open; it is closed under them");
            abort.abort();
        }
        if timeout(STEP, node.consensus.shutdown()).await.is_err() {
            warn!("consensus did not stop in time");
        }
        info!("stopped");
    }
}

/// Peer addresses of the masters behind these client addresses. An address that does not answer as a master is taken
/// for a peer address.
async fn peers_of(join: &[String]) -> Vec<String> {
    for address in join {
        match timeout(Duration::from_secs(3), masters_at(address)).await {
            Ok(Ok(peers)) if !peers.is_empty() => return peers,
            Ok(Ok(_)) => warn!(%address, "the cluster to join shows no masters"),
            Ok(Err(error)) => warn!(%address, %error, "no answer from the cluster to join"),
            Err(_) => warn!(%address, "no answer in time from the cluster to join"),
        }
    }
    join.to_vec()
}

async fn masters_at(address: &str) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let mut client = MasterClient::connect(format!("http://{address}")).await?;
    let request = ListMemberRequest { master: true, ..Default::default() };
    let mut peers = Vec::new();
    for section in client.list_member(request).await?.into_inner().members {
        if let Some(members::Member::Master(list)) = section.member {
            peers.extend(list.masters.into_iter().flat_map(|m| m.peer_ur_ls));
        }
    }
    Ok(peers)
}
