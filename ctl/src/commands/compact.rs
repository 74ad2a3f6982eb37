//! The short form of `query-status`: one line per task.

use dm_proto::pb::{QueryStatusListResponse, Stage, SubTaskStatus, UnitType};
use serde::Serialize;

/// The object that is printed.
#[derive(Debug, Serialize)]
pub(super) struct Compact {
    result: bool,
    msg: String,
    tasks: Vec<Task>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    #[serde(skip_serializing_if = "String::is_empty")]
    task_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    task_status: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<String>,
}

/// Folds the subtasks of each task, in the answer's order.
pub(super) fn of(answer: &QueryStatusListResponse) -> Compact {
    let mut tasks: Vec<Task> = Vec::new();
    for source in &answer.sources {
        let status = source.source_status.as_ref();
        let relay = status.and_then(|s| s.relay_status.as_ref()).map(|relay| {
            let failed = relay.result.as_ref().is_some_and(|r| !r.errors.is_empty());
            (relay.stage(), failed)
        });
        for subtask in &source.sub_task_status {
            let at = tasks.iter().position(|t| t.task_name == subtask.name).unwrap_or_else(|| {
                let (task_name, task_status) = (subtask.name.clone(), String::new());
                tasks.push(Task { task_name, task_status, sources: Vec::new() });
                tasks.len() - 1
            });
            let task = &mut tasks[at];
            task.sources.push(status.map(|s| s.source.clone()).unwrap_or_default());
            task.task_status = fold(&task.task_status, subtask, relay);
        }
    }
    for task in tasks.iter_mut().filter(|t| t.task_status.starts_with("Error")) {
        let hint = format!(". Please run `query-status {}` to get more details.", task.task_name);
        task.task_status.push_str(&hint);
    }
    Compact { result: answer.result, msg: answer.msg.clone(), tasks }
}

/// The task's state after one more subtask; the first case that fits counts.
fn fold(so_far: &str, subtask: &SubTaskStatus, relay: Option<(Stage, bool)>) -> String {
    let stage = subtask.stage();
    let failed = subtask.result.as_ref().is_some_and(|r| !r.errors.is_empty());
    if so_far.starts_with("Error") {
        return so_far.to_owned();
    }
    if stage == Stage::Paused && failed {
        return "Error - Some error occurred in subtask".to_owned();
    }
    if let (UnitType::Sync, Stage::Running, Some((relay @ (Stage::Paused | Stage::Stopped), failed))) =
        (subtask.unit(), stage, relay)
    {
        let what = if failed { "Error" } else { relay.as_str_name() };
        return format!("Error - Relay status is {what}");
    }
    if so_far == Stage::Paused.as_str_name() {
        return so_far.to_owned();
    }
    if so_far.is_empty() || stage == Stage::Paused || so_far == stage.as_str_name() {
        return stage.as_str_name().to_owned();
    }
    Stage::Running.as_str_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonpb::plain;
    use dm_proto::pb::{ProcessError, ProcessResult, QueryStatusResponse, RelayStatus, SourceStatus};

    fn subtask(name: &str, stage: Stage, failed: bool) -> SubTaskStatus {
        let errors = vec![ProcessError::default(); usize::from(failed)];
        let result = Some(ProcessResult { errors, ..Default::default() });
        let unit = UnitType::Sync.into();
        SubTaskStatus { name: name.into(), stage: stage.into(), unit, result, ..Default::default() }
    }

    fn source(id: &str, relay: Option<Stage>, sub_task_status: Vec<SubTaskStatus>) -> QueryStatusResponse {
        let relay_status = relay.map(|s| RelayStatus { stage: s.into(), ..Default::default() });
        let source_status = Some(SourceStatus { source: id.into(), relay_status, ..Default::default() });
        QueryStatusResponse { result: true, source_status, sub_task_status, ..Default::default() }
    }

    #[test]
    fn the_short_form_is_dms() {
        let answer = QueryStatusListResponse {
            result: true,
            msg: String::new(),
            sources: vec![
                source(
                    "mysql-replica-01",
                    None,
                    vec![subtask("task1", Stage::Running, false), subtask("task2", Stage::Paused, true)],
                ),
                source("mysql-replica-02", None, vec![subtask("task1", Stage::Running, false)]),
            ],
        };
        assert_eq!(
            plain(&of(&answer)).unwrap(),
            r#"{
    "result": true,
    "msg": "",
    "tasks": [
        {
            "taskName": "task1",
            "taskStatus": "Running",
            "sources": [
                "mysql-replica-01",
                "mysql-replica-02"
            ]
        },
        {
            "taskName": "task2",
            "taskStatus": "Error - Some error occurred in subtask. Please run `query-status task2` to get more details.",
            "sources": [
                "mysql-replica-01"
            ]
        }
    ]
}"#
        );
        let none = QueryStatusListResponse { result: true, ..Default::default() };
        assert_eq!(
            plain(&of(&none)).unwrap(),
            "{\n    \"result\": true,\n    \"msg\": \"\",\n    \"tasks\": []\n}"
        );
    }

    #[test]
    fn states_fold_in_dms_order() {
        use Stage::{Finished, New, Paused, Running, Stopped};
        type Case = (&'static [(Stage, bool)], Option<Stage>, &'static str);
        let cases: [Case; 8] = [
            (&[(Running, false), (Finished, false)], None, "Running"),
            (&[(Finished, false), (Finished, false)], None, "Finished"),
            (&[(New, false), (Paused, false), (Running, false)], None, "Paused"),
            (&[(Paused, true), (Running, false)], None, "Error - Some error occurred in subtask"),
            (&[(Running, true)], None, "Running"),
            (&[(Running, false)], Some(Paused), "Error - Relay status is Paused"),
            (&[(Running, false)], Some(Stopped), "Error - Relay status is Stopped"),
            (&[(Paused, false)], Some(Paused), "Paused"),
        ];
        for (stages, relay, want) in cases {
            let relay = relay.map(|r| (r, false));
            let fold =
                |s: String, (stage, failed): &(Stage, bool)| fold(&s, &subtask("t", *stage, *failed), relay);
            assert_eq!(stages.iter().fold(String::new(), fold), want);
        }
    }
}
