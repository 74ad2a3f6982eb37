//! From a worker's report to DM's status messages.
use dm_proto::{
    pb::{
        DumpStatus, LoadStatus, ProcessResult, Stage as PbStage, SubTaskStatus, SyncStatus, TableLoadStatus,
        UnitType, sub_task_status::Status as Detail,
    },
    worker::{LoadProgress, Stage, SubtaskReport, SyncProgress, TableProgress},
};

use super::rows::process_error;

/// One subtask as its worker reported it.
pub fn reported(report: &SubtaskReport) -> SubTaskStatus {
    let unit = unit(&report.unit);
    let detail = match unit {
        UnitType::Sync => report.sync.as_ref().map(|sync| Detail::Sync(sync_status(sync))),
        UnitType::Load => report.load.as_ref().map(|load| Detail::Load(load_status(load))),
        UnitType::Dump => report.load.as_ref().map(|load| Detail::Dump(dump_status(load))),
        _ => None,
    };
    SubTaskStatus {
        name: report.task.clone(),
        stage: stage(report.stage()).into(),
        unit: unit.into(),
        result: result(report),
        status: detail,
        ..Default::default()
    }
}

/// A subtask that its worker doesn't run, or not yet.
pub fn not_started(task: &str, with_message: bool) -> SubTaskStatus {
    let message = with_message.then(|| Detail::Msg(format!("no sub task with name {task} has started")));
    SubTaskStatus { name: task.to_owned(), status: message, ..Default::default() }
}

/// DM's number of a stage; the names and numbers of both protocols agree.
fn stage(stage: Stage) -> PbStage {
    PbStage::try_from(stage as i32).unwrap_or(PbStage::InvalidStage)
}

fn unit(name: &str) -> UnitType {
    UnitType::from_str_name(name).unwrap_or(UnitType::InvalidUnit)
}

/// Null while it runs without an error; `isCanceled` where a person made it pause.
fn result(report: &SubtaskReport) -> Option<ProcessResult> {
    let paused = matches!(report.stage(), Stage::Paused | Stage::Stopped);
    if report.errors.is_empty() && !paused {
        return None;
    }
    Some(ProcessResult {
        is_canceled: report.errors.is_empty(),
        errors: report.errors.iter().map(process_error).collect(),
        ..Default::default()
    })
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn sync_status(sync: &SyncProgress) -> SyncStatus {
    let blocking = (!sync.blocking_ddl.is_empty()).then(|| sync.blocking_ddl.clone());
    SyncStatus {
        total_events: signed(sync.total_events),
        total_tps: signed(sync.total_tps),
        recent_tps: signed(sync.recent_tps),
        master_binlog: sync.source_binlog.clone(),
        master_binlog_gtid: sync.source_binlog_gtid.clone(),
        syncer_binlog: sync.applied_binlog.clone(),
        syncer_binlog_gtid: sync.applied_binlog_gtid.clone(),
        blocking_dd_ls: blocking.into_iter().collect(),
        synced: sync.synced,
        conflict_msg: sync.undecided_xa.clone(),
        binlog_type: "remote".into(),
        seconds_behind_master: signed(sync.seconds_behind),
        total_rows: signed(sync.total_rows),
        total_rps: signed(sync.total_tps),
        recent_rps: signed(sync.recent_tps),
        ..Default::default()
    }
}

/// Rows done of rows expected, in percent; the expectation is an estimate, so 100 only when all tables say so.
pub fn percent(load: &LoadProgress) -> f64 {
    if !load.tables.is_empty() && load.tables.iter().all(|t| t.finished) {
        return 100.0;
    }
    if load.rows_total == 0 {
        return 0.0;
    }
    (load.rows_done as f64 * 100.0 / load.rows_total as f64).min(99.99)
}

/// Bytes per row so far.
fn row_bytes(load: &LoadProgress) -> f64 {
    if load.rows_done == 0 { 0.0 } else { load.bytes_done as f64 / load.rows_done as f64 }
}

fn load_status(load: &LoadProgress) -> LoadStatus {
    let total = (load.rows_total.max(load.rows_done) as f64 * row_bytes(load)) as i64;
    LoadStatus {
        finished_bytes: signed(load.bytes_done),
        total_bytes: total.max(signed(load.bytes_done)),
        progress: format!("{:.2} %", percent(load)),
        meta_binlog: load.snapshot.clone(),
        meta_binlog_gtid: String::new(),
        bps: (load.rows_per_second * row_bytes(load)) as i64,
        tables: load.tables.iter().map(table_status).collect(),
        rows_per_second: load.rows_per_second as i64,
        eta_seconds: signed(load.eta_seconds),
    }
}

fn table_status(table: &TableProgress) -> TableLoadStatus {
    TableLoadStatus {
        table: format!("`{}`.`{}`", table.schema, table.table),
        rows_done: signed(table.rows_done),
        rows_total: signed(table.rows_total),
        bytes_done: signed(table.bytes_done),
        finished: table.finished,
        rows_per_second: table.rows_per_second as i64,
        eta_seconds: signed(table.eta_seconds),
    }
}

fn dump_status(load: &LoadProgress) -> DumpStatus {
    DumpStatus {
        total_tables: load.tables.len() as i64,
        completed_tables: load.tables.iter().filter(|t| t.finished).count() as f64,
        finished_bytes: load.bytes_done as f64,
        finished_rows: load.rows_done as f64,
        estimate_total_rows: load.rows_total as f64,
        bps: (load.rows_per_second * row_bytes(load)) as i64,
        progress: format!("{:.2} %", percent(load)),
    }
}

#[cfg(test)]
mod tests {
    use dm_proto::worker::ProcessError;

    use super::*;

    #[test]
    fn a_running_sync_has_no_result_and_a_paused_one_says_who_paused_it() {
        let mut report = SubtaskReport {
            task: "t".into(),
            unit: "Sync".into(),
            stage: Stage::Running.into(),
            sync: Some(SyncProgress { synced: true, ..Default::default() }),
            ..Default::default()
        };
        let status = reported(&report);
        assert_eq!(
            (status.stage(), status.unit(), &status.result),
            (PbStage::Running, UnitType::Sync, &None)
        );
        assert!(matches!(status.status, Some(Detail::Sync(ref s)) if s.synced && s.binlog_type == "remote"));
        report.stage = Stage::Paused.into();
        assert!(reported(&report).result.unwrap().is_canceled);
        report.errors = vec![ProcessError { code: 10006, ..Default::default() }];
        let result = reported(&report).result.unwrap();
        assert!(!result.is_canceled);
        assert_eq!(result.errors[0].err_code, 10006);
    }

    #[test]
    fn load_progress_is_in_percent_and_never_full_before_every_table_is() {
        let mut load = LoadProgress {
            rows_total: 100,
            rows_done: 120,
            bytes_done: 1200,
            rows_per_second: 10.0,
            tables: vec![TableProgress::default()],
            ..Default::default()
        };
        let status = load_status(&load);
        assert_eq!((status.progress.as_str(), status.bps, status.total_bytes), ("99.99 %", 100, 1200));
        load.tables[0].finished = true;
        assert_eq!(load_status(&load).progress, "100.00 %");
    }
}
