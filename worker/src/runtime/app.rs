//! Start and end of the process.
use std::{net::ToSocketAddrs, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use dm_proto::config::WorkerConfig;

use super::{AuthorityStore, Process, registration::stay_registered};
use crate::{metrics::Metrics, server, source::SourceManager};

/// Everything is drained within this at a planned stop; the port is free at most this much later.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// A planned stop takes no longer than this, whatever hangs: more than all its steps.
pub const LAST_RESORT: Duration = Duration::from_secs(20);
/// The last report has this long to reach the leader.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// Runs the worker until it is told to stop.
pub async fn run(settings: WorkerConfig, stop: CancellationToken) -> anyhow::Result<()> {
    let authority = AuthorityStore::open(&settings.data_dir)
        .with_context(|| format!("data-dir {}", settings.data_dir.display()))?;
    // An empty host listens everywhere.
    let listen = match settings.worker_addr.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => settings.worker_addr.clone(),
    };
    let address = listen
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .with_context(|| format!("worker-addr {listen:?} can't be resolved"))?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    run_on(settings, authority, listener, stop).await
}

/// The same on a port that is open and with what was obeyed before.
pub async fn run_on<L>(
    settings: WorkerConfig,
    authority: AuthorityStore,
    listener: L,
    stop: CancellationToken,
) -> anyhow::Result<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    let metrics = Metrics::new(&settings.name)?;
    let process = Arc::new(Process::new(settings, authority, metrics));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        name = %process.settings.name,
        incarnation = process.incarnation,
        address = %process.settings.worker_addr,
        "dm-worker starts"
    );
    let mut serving = tokio::spawn(server::serve(Arc::clone(&process), listener));
    let mut manager = tokio::spawn(SourceManager::new(Arc::clone(&process), process.assignments()).run());
    let mut registering = tokio::spawn({
        let process = Arc::clone(&process);
        async move { stay_registered(&process).await }
    });

    // A process that reports and does nothing would keep its sources from everybody else.
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        // It ends only when the masters refuse this worker.
        refused = &mut registering => refused.map_err(Into::into).and_then(|refused| refused.map_err(Into::into)),
        ended = &mut manager => return Err(anyhow!("the source manager broke: {ended:?}")),
        ended = &mut serving => return Err(anyhow!("the port was lost: {ended:?}")),
    };

    info!("stopping");
    process.shutdown.cancel();
    registering.abort();
    if timeout(STOP_DEADLINE, manager).await.is_err() {
        warn!("subtasks did not end in time");
    }
    process.board.set_leaving();
    server::said_goodbye(&process, LEAVE_DEADLINE).await;
    process.closed.cancel();
    match timeout(LEAVE_DEADLINE, serving).await {
        Ok(Ok(Err(error))) => warn!(%error, "the server ended with an error"),
        Ok(Err(error)) => warn!(%error, "the server broke"),
        Ok(Ok(Ok(()))) | Err(_) => {}
    }
    info!("dm-worker has ended");
    result
}
