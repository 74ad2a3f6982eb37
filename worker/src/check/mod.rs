//! Pre-checks: what would stop a subtask later is said now, one clear item each. Nothing is changed anywhere.
mod columns;
mod expressions;
mod grants;
mod ignored;
mod items;
mod session;
mod source;
mod table_map;
mod tables;
mod target;

use dm_proto::{
    config::{SourceConfig, SubtaskConfig, TaskConfig},
    error::Code,
    worker::{CheckRequest, CheckResponse},
};
use std::time::Duration;

pub use items::Items;

use crate::failure::Failure;

/// The whole check of one subtask; a hung database must not hang the answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// Checks a source, and the task on it when one is given.
pub async fn run(request: &CheckRequest) -> CheckResponse {
    let mut items = Items::default();
    if tokio::time::timeout(DEADLINE, check(request, &mut items)).await.is_err() {
        items.fail(
            "deadline",
            &Failure::new(Code::CheckOpenDatabase, format!("the pre-check did not end within {DEADLINE:?}")),
        );
    }
    CheckResponse { items: items.into_list() }
}

async fn check(request: &CheckRequest, items: &mut Items) {
    let source = match SourceConfig::parse(&request.source_config) {
        Ok(source) => source,
        Err(error) => return items.fail("source_config", &error.into()),
    };
    let subtask = if request.task_config.is_empty() {
        // No task would start with such a source.
        if let Err(failure) = crate::unit::rules::events(&source.filters, source.case_sensitive) {
            items.fail("source_config", &failure);
        }
        None
    } else {
        match subtask(&request.task_config, &request.source_id) {
            Ok(subtask) => Some(subtask.with_source(&source)),
            Err(failure) => return items.fail("task_config", &failure),
        }
    };
    let checked = source::check(&source, subtask.as_ref(), items).await;
    let Some(subtask) = subtask else { return };
    let target = target::check(&subtask, items).await;
    if target.is_some() {
        session::check(&subtask, items).await;
    }
    if let (Some(mut conn), Some(mut target)) = (checked, target) {
        tables::check(&subtask, &mut conn, &mut target, items).await;
    }
    ignored::apply(&subtask.ignore_checks, items);
}

fn subtask(task_config: &str, source_id: &str) -> Result<SubtaskConfig, Failure> {
    let task = TaskConfig::parse(task_config)?;
    task.subtask(source_id).ok_or_else(|| {
        Failure::new(Code::SubtaskNotFound, format!("the task does not name source {source_id}"))
    })
}
