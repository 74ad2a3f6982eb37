//! All that is running, with rates and remaining times, as one JSON document.
use std::time::Instant;

use dm_proto::{
    error::Error,
    worker::{LoadProgress, SubtaskReport, SyncProgress},
};
use serde_json::{Value, json};

use crate::{
    api::{Desk, percent, subtask_report},
    problem::Problem,
};

/// From the reports that workers have pushed; `report_age_ms` says how old each is.
pub fn of(desk: &Desk) -> Result<Value, Problem> {
    let sources: Vec<(String, Vec<String>)> = desk.state(|state| {
        let tasks = |id: &str| state.tasks_of(id).map(|(name, _)| name.clone()).collect();
        state.sources.keys().map(|id| (id.clone(), tasks(id))).collect()
    });
    let members: Vec<Value> = desk
        .node
        .consensus
        .members()
        .into_iter()
        .map(|m| json!({ "name": m.name, "client_addr": m.client_addr, "peer_addr": m.peer_addr, "voter": m.voter }))
        .collect();
    let sources: Result<Vec<Value>, Problem> =
        sources.iter().map(|(id, tasks)| source(desk, id, tasks)).collect();
    Ok(json!({
        "leader": desk.node.settings.name,
        "term": desk.tenure.term,
        "members": members,
        "live_workers": desk.tenure.roster.live(Instant::now()),
        "sources": sources?,
    }))
}

fn source(desk: &Desk, id: &str, tasks: &[String]) -> Result<Value, Problem> {
    let Some(binding) = desk.binding(id) else {
        return Ok(json!({ "source": id, "worker": null, "tasks": [] }));
    };
    let seen = desk.owner(&binding);
    let age = seen.as_ref().and_then(|s| s.report.as_ref()).map(|(_, at)| at.elapsed().as_millis());
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|name| {
            let report = seen.as_ref().and_then(|seen| subtask_report(seen, id, binding.epoch, name));
            report.map_or_else(|| json!({ "task": name, "stage": "New" }), subtask)
        })
        .collect();
    Ok(json!({
        "source": id,
        "worker": binding.worker,
        "epoch": binding.epoch,
        "alive": !desk.is_dead(&binding),
        "report_age_ms": age.and_then(|ms| u64::try_from(ms).ok()),
        "tasks": tasks,
    }))
}

fn subtask(report: &SubtaskReport) -> Value {
    let stage = dm_proto::pb::Stage::try_from(report.stage).unwrap_or_default();
    let errors: Vec<String> = report.errors.iter().map(|e| Error::from(e.clone()).to_string()).collect();
    json!({
        "task": report.task,
        "stage": stage.as_str_name(),
        "unit": report.unit,
        "errors": errors,
        "load": report.load.as_ref().map(load),
        "sync": report.sync.as_ref().map(sync),
    })
}

fn load(load: &LoadProgress) -> Value {
    let tables: Vec<Value> = load
        .tables
        .iter()
        .map(|t| {
            json!({
                "schema": t.schema,
                "table": t.table,
                "rows_total": t.rows_total,
                "rows_done": t.rows_done,
                "bytes_done": t.bytes_done,
                "finished": t.finished,
                "rows_per_second": t.rows_per_second,
                "eta_seconds": t.eta_seconds,
            })
        })
        .collect();
    json!({
        "percent": percent(load),
        "rows_total": load.rows_total,
        "rows_done": load.rows_done,
        "bytes_done": load.bytes_done,
        "rows_per_second": load.rows_per_second,
        "eta_seconds": load.eta_seconds,
        "snapshot": load.snapshot,
        "tables": tables,
    })
}

fn sync(sync: &SyncProgress) -> Value {
    json!({
        "source_binlog": sync.source_binlog,
        "source_gtid": sync.source_binlog_gtid,
        "applied_binlog": sync.applied_binlog,
        "applied_gtid": sync.applied_binlog_gtid,
        "total_rows": sync.total_rows,
        "transactions": sync.transactions,
        "recent_tps": sync.recent_tps,
        "seconds_behind": sync.seconds_behind,
        "receive_lag_seconds": sync.receive_lag_seconds,
        "rows_missed": sync.rows_missed,
        "rows_filtered": sync.rows_filtered,
        "synced": sync.synced,
    })
}
