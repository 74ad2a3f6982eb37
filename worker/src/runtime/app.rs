//! Start and end of the process.
use std::{net::ToSocketAddrs, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tracing::{info, warn};

use dm_proto::config::WorkerConfig;

use super::{AuthorityStore, Process, registration::register};
use crate::{metrics::Metrics, server, source::SourceManager};

/// Everything is drained within this at a planned stop; the port is free at most this much later.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
/// The last report has this long to reach the leader.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// Runs the worker until a signal ends it.
pub async fn run(settings: WorkerConfig) -> anyhow::Result<()> {
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
    let registering = tokio::spawn({
        let process = Arc::clone(&process);
        async move { register(&process).await }
    });

    // A process that reports and does nothing would keep its sources from everybody else.
    let result = tokio::select! {
        result = until_end(&process, registering) => result,
        ended = &mut manager => return Err(anyhow!("the source manager broke: {ended:?}")),
        ended = &mut serving => return Err(anyhow!("the port was lost: {ended:?}")),
    };

    process.shutdown.cancel();
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

/// A signal, or a refusal of the masters.
async fn until_end(
    process: &Arc<Process>,
    mut registering: tokio::task::JoinHandle<Result<(), super::registration::Rejected>>,
) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut registered = false;
    loop {
        tokio::select! {
            _ = term.recv() => { info!(signal = "TERM", "stopping"); break }
            _ = int.recv() => { info!(signal = "INT", "stopping"); break }
            _ = hup.recv() => { info!(signal = "HUP", "stopping"); break }
            () = process.shutdown.cancelled() => break,
            joined = &mut registering, if !registered => { joined??; registered = true; }
        }
    }
    if !registered {
        registering.abort();
    }
    Ok(())
}
