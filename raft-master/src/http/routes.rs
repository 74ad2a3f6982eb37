//! `/metrics`, `/status`, `/health`, `/api/v1/progress`.
use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::json;

use super::progress;
use crate::{api::Desk, node::Node, problem::Problem};

/// Everything that is not gRPC.
pub fn routes(node: Arc<Node>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/health", get(health))
        .route("/api/v1/progress", get(show_progress))
        .with_state(node)
}

async fn metrics(State(node): State<Arc<Node>>) -> Response {
    match node.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(node): State<Arc<Node>>) -> Response {
    let leadership = node.consensus.leadership().borrow().clone();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "name": node.settings.name,
        "cluster_id": node.consensus.cluster_id(),
        "term": leadership.term,
        "is_leader": node.tenure().is_some() && node.consensus.quorum_fresh(),
        "leader": leadership.leader.map(|m| json!({ "name": m.name, "addr": m.client_addr })),
        "applied_index": *node.consensus.applied().borrow(),
    }))
    .into_response()
}

/// Healthy = knows a leader. Any answer at all means that the process lives.
async fn health(State(node): State<Arc<Node>>) -> Response {
    let known = node.consensus.leadership().borrow().leader.is_some();
    match known {
        true => (StatusCode::OK, Json(json!({ "health": "true" }))).into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "health": "false", "reason": "no leader" })))
            .into_response(),
    }
}

async fn show_progress(State(node): State<Arc<Node>>) -> Response {
    let answer = match Desk::open(&node).await {
        Ok(desk) => progress::of(&desk),
        Err(problem) => Err(problem),
    };
    match answer {
        Ok(value) => Json(value).into_response(),
        Err(Problem::NotLeader) => {
            let leadership = node.consensus.leadership().borrow().clone();
            match leadership.leader.filter(|_| !leadership.is_leader) {
                Some(leader) => {
                    Redirect::temporary(&format!("http://{}/api/v1/progress", leader.client_addr))
                        .into_response()
                }
                None => (StatusCode::SERVICE_UNAVAILABLE, "no leader").into_response(),
            }
        }
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem:?}")).into_response(),
    }
}
