//! Golden texts of the JSON form.

use super::*;
use dm_proto::pb::{self, members, sub_task_status};

fn read(name: &str) -> String {
    let path = format!("{}/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

fn status(subtask: pb::SubTaskStatus) -> pb::QueryStatusListResponse {
    let source_status = pb::SourceStatus {
        source: "mysql-replica-01".into(),
        worker: "worker1".into(),
        ..Default::default()
    };
    let source = pb::QueryStatusResponse {
        result: true,
        source_status: Some(source_status),
        sub_task_status: vec![subtask],
        ..Default::default()
    };
    pb::QueryStatusListResponse { result: true, msg: String::new(), sources: vec![source] }
}

#[test]
fn a_running_sync_unit() {
    let sync = pb::SyncStatus {
        total_events: 12,
        total_tps: 1,
        master_binlog: "(mysql-bin.000003, 4567)".into(),
        syncer_binlog: "(mysql-bin.000003, 4567)".into(),
        synced: true,
        binlog_type: "remote".into(),
        total_rows: 12,
        total_rps: 1,
        io_total_bytes: 2048,
        dump_io_total_bytes: 4096,
        ..Default::default()
    };
    let subtask = pb::SubTaskStatus {
        name: "task1".into(),
        stage: pb::Stage::Running.into(),
        unit: pb::UnitType::Sync.into(),
        status: Some(sub_task_status::Status::Sync(sync)),
        ..Default::default()
    };
    assert_eq!(print(&status(subtask), "QueryStatusListResponse").unwrap(), read("query-status-sync"));
}

#[test]
fn an_error_and_a_dump_unit() {
    let error = pb::ProcessError {
        err_code: 10006,
        err_class: "database".into(),
        err_scope: "downstream".into(),
        err_level: "high".into(),
        message: "a <b> & \"c\"\n\u{2028}é\u{1}".into(),
        ..Default::default()
    };
    let dump = pb::DumpStatus {
        total_tables: 10,
        completed_tables: 3.0,
        finished_bytes: 2e21,
        finished_rows: 1e-7,
        estimate_total_rows: 109_233.5,
        bps: 1024,
        progress: "30.00 %".into(),
    };
    let subtask = pb::SubTaskStatus {
        stage: 77,
        unit: pb::UnitType::Dump.into(),
        result: Some(pb::ProcessResult { is_canceled: false, errors: vec![error], detail: Vec::new() }),
        status: Some(sub_task_status::Status::Dump(dump)),
        ..Default::default()
    };
    assert_eq!(print(&subtask, "SubTaskStatus").unwrap(), read("subtask-error-dump"));
}

#[test]
fn members_of_all_three_kinds() {
    let worker = |name: &str, addr: &str, stage: &str, source: &str| pb::WorkerInfo {
        name: name.into(),
        addr: addr.into(),
        stage: stage.into(),
        source: source.into(),
    };
    let masters = vec![pb::MasterInfo {
        name: "master1".into(),
        member_id: 11_007_177_379_717_700_053,
        alive: true,
        peer_ur_ls: vec!["http://127.0.0.1:8291".into()],
        client_ur_ls: vec!["http://127.0.0.1:8261".into()],
    }];
    let workers = vec![
        worker("worker1", "127.0.0.1:8262", "bound", "mysql-replica-01"),
        worker("worker2", "127.0.0.1:8263", "free", ""),
    ];
    let leader =
        pb::ListLeaderMember { name: "master1".into(), addr: "127.0.0.1:8261".into(), ..Default::default() };
    let members = [
        members::Member::Leader(leader),
        members::Member::Master(pb::ListMasterMember { masters, ..Default::default() }),
        members::Member::Worker(pb::ListWorkerMember { workers, ..Default::default() }),
    ];
    let members = members.map(|m| pb::Members { member: Some(m) }).to_vec();
    let answer = pb::ListMemberResponse { result: true, members, ..Default::default() };
    assert_eq!(print(&answer, "ListMemberResponse").unwrap(), read("list-member"));
}

#[test]
fn lists_maps_and_bytes() {
    let mut configs = pb::ListTaskConfigsResponse { result: true, ..Default::default() };
    let empty = "{\n    \"result\": true,\n    \"msg\": \"\",\n    \"taskConfigs\": {\n    }\n}";
    assert_eq!(print(&configs, "ListTaskConfigsResponse").unwrap(), empty);
    configs.task_configs.extend([("b".into(), "2".into()), ("a".into(), "1".into())]);
    let full = print(&configs, "ListTaskConfigsResponse").unwrap();
    assert!(
        full.ends_with("\"taskConfigs\": {\n        \"a\": \"1\",\n        \"b\": \"2\"\n    }\n}"),
        "{full}"
    );
    for (key, want) in [("", "null"), ("a", "\"YQ==\""), ("ab", "\"YWI=\""), ("abc", "\"YWJj\"")] {
        let answer = pb::RegisterWorkerResponse { secret_key: key.into(), ..Default::default() };
        let text = print(&answer, "RegisterWorkerResponse").unwrap();
        assert!(text.ends_with(&format!("\"secretKey\": {want}\n}}")), "{text}");
    }
    let locks = print(&pb::ShowDdlLocksResponse::default(), "ShowDDLLocksResponse").unwrap();
    assert_eq!(locks, "{\n    \"result\": false,\n    \"msg\": \"\",\n    \"locks\": [\n    ]\n}");
    assert_eq!(print(&pb::Members::default(), "Members").unwrap(), "{\n\n}");
}
