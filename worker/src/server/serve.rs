//! Accepts connections until the process ends.
use std::{sync::Arc, time::Duration};

use axum::serve::Listener;
use dm_proto::worker::worker_session_server::WorkerSessionServer;
use tonic::service::Routes;

use super::{http, session::SessionService};
use crate::runtime::Process;

/// Largest message of a master: assignments are whole, with the files of every task.
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Serves both protocols on the listener; ends when `process.closed` is cancelled.
pub async fn serve<L>(process: Arc<Process>, listener: L) -> std::io::Result<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let closed = process.closed.clone();
    let service = WorkerSessionServer::new(SessionService::new(Arc::clone(&process)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let app = Routes::new(service).into_axum_router().merge(http::router(process));
    axum::serve(listener, app).with_graceful_shutdown(closed.cancelled_owned()).await
}

/// Gives open sessions time to send the last report; without sessions there is nothing to wait for.
pub async fn said_goodbye(process: &Process, deadline: Duration) {
    let mut sessions = process.sessions.subscribe();
    // Past the deadline the leader sees the closed stream instead, and a refused connect.
    let _ = tokio::time::timeout(deadline, sessions.wait_for(|open| *open == 0)).await;
}
