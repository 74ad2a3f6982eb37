//! `check-task`: what `start-task` would check, and which table goes where. Nothing is changed.
use std::collections::BTreeSet;

use dm_proto::{
    config::TaskConfig,
    error::{Code, Error},
    pb::{CheckTaskRequest, CheckTaskResponse},
};

use super::{
    checktext::{self, Most},
    desk::Desk,
    start_task::{owners, pre_check},
};
use crate::problem::Problem;

/// Item of the workers that tells which table goes where.
const TABLE_MAP: &str = "table_map";

/// Parses and checks; the text of the checks comes first, as DM gives it, then warnings of the file and the tables.
pub async fn handle(desk: Desk, request: CheckTaskRequest) -> Result<CheckTaskResponse, Problem> {
    match checked(&desk, &request).await {
        Ok(answer) => Ok(answer),
        Err(Problem::Refused(error)) => Ok(CheckTaskResponse { result: false, msg: error.to_string() }),
        Err(problem) => Err(problem),
    }
}

async fn checked(desk: &Desk, request: &CheckTaskRequest) -> Result<CheckTaskResponse, Problem> {
    if !request.start_time.is_empty() {
        let message = "check-task --start-time is not supported by this version";
        return Err(Error::new(Code::NotSupportedYet, message).into());
    }
    let config = TaskConfig::parse(&request.task)?;
    let sources: BTreeSet<String> = config.sources().map(str::to_owned).collect();
    let unknown: Vec<&String> =
        desk.state(|state| sources.iter().filter(|id| !state.sources.contains_key(*id)).collect());
    if !unknown.is_empty() {
        let message =
            format!("sources {unknown:?} not found: they are in the task file and were never created");
        return Err(Error::new(Code::TaskSourceUnknown, message).into());
    }
    let owners = owners(desk, &sources).await?;
    let items = pre_check(desk, &request.task, &owners).await?;
    let most = Most { errors: request.err_cnt, warnings: request.warn_cnt };
    let verdict = checktext::verdict(&items, most);
    let mut msg = verdict.text;
    if verdict.left_out != (0, 0) {
        let (errors, warnings) = verdict.left_out;
        msg.push_str(&format!(
            "\n{errors} more errors and {warnings} more warnings are not shown: `check-task --error -1 --warn -1` shows all"
        ));
    }
    for warning in &config.warnings {
        msg.push_str(&format!("\nwarning: {warning}"));
    }
    for map in items.iter().filter(|item| item.name == TABLE_MAP) {
        msg.push_str(&format!("\n{}", map.message));
    }
    Ok(CheckTaskResponse { result: verdict.passed, msg })
}
