//! `/metrics`, `/status` and `/health`.
use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use crate::runtime::Process;

/// The HTTP half of the port.
pub fn router(process: Arc<Process>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/health", get(|| async { "ok" }))
        .with_state(process)
}

async fn metrics(State(process): State<Arc<Process>>) -> Response {
    match process.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// What the process is and observes; no configuration, hence no secret.
async fn status(State(process): State<Arc<Process>>) -> Json<serde_json::Value> {
    let report = process.board.report();
    let authority = process.authority.seen();
    let sources: Vec<_> = report
        .sources
        .iter()
        .map(|source| {
            let subtasks: Vec<_> = source
                .subtasks
                .iter()
                .map(|s| json!({ "task": s.task, "stage": s.stage().as_str_name(), "unit": s.unit, "released": s.released }))
                .collect();
            json!({ "source": source.source_id, "epoch": source.epoch, "subtasks": subtasks })
        })
        .collect();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "name": process.settings.name,
        "incarnation": process.incarnation.to_string(),
        "cluster_id": authority.as_ref().map(|a| a.cluster_id.clone()),
        "term": authority.as_ref().map(|a| a.term),
        "revision": authority.as_ref().map(|a| a.revision),
        "sources": sources,
    }))
}
