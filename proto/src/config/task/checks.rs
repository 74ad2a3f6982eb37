//! Small checks of single values of a task file.

use crate::config::{filled, not_yet};
use crate::error::{Code, Error};

use super::TaskMode;

/// Longest task name: MySQL's 64 characters for a table less `_checkpoint`.
const NAME_MAX_CHARS: usize = 53;

/// Names that `ignore-checking-items` may hold.
const CHECK_ITEMS: [&str; 23] = [
    "all",
    "dump_privilege",
    "replication_privilege",
    "version",
    "server_id",
    "binlog_enable",
    "binlog_format",
    "binlog_row_image",
    "binlog_db",
    "table_schema",
    "schema_of_shard_tables",
    "auto_increment_ID",
    "conn_number",
    "target_privilege",
    "meta_position",
    "online_ddl",
    "free_space",
    "empty_region",
    "region_distribution",
    "downstream_version",
    "downstream_mutex_features",
    "downstream_table_empty",
    "primary_key",
];

pub(super) fn name(name: Option<String>) -> Result<String, Error> {
    let name = filled(name).ok_or_else(|| Code::TaskNameMissing.error("task: `name` is missing or empty"))?;
    let chars = name.chars().count();
    if chars > NAME_MAX_CHARS {
        return Err(Code::TaskNameMissing
            .error(format!("task: `name` has {chars} characters, {NAME_MAX_CHARS} are allowed"))
            .with_workaround("Please shorten `name`."));
    }
    if name.chars().any(char::is_control) {
        return Err(Code::TaskNameMissing.error("task: `name` has control characters"));
    }
    Ok(name)
}

pub(super) fn mode(text: Option<String>) -> Result<TaskMode, Error> {
    match text.as_deref().unwrap_or_default() {
        "full" => Ok(TaskMode::Full),
        "incremental" => Ok(TaskMode::Incremental),
        "all" => Ok(TaskMode::All),
        mode @ ("dump" | "load" | "load&sync") => Err(not_yet(format!("task-mode `{mode}`"))),
        other => Err(Code::TaskModeInvalid.error(format!("task-mode `{other}` is not known"))),
    }
}

pub(super) fn shard_mode(
    text: Option<String>,
    is_sharding: Option<bool>,
    strict: Option<bool>,
) -> Result<(), Error> {
    let mode = match (text.as_deref().unwrap_or_default(), is_sharding) {
        ("", Some(true)) => "pessimistic",
        (mode, _) => mode,
    };
    if strict == Some(true) && mode != "optimistic" {
        let message = "task: `strict-optimistic-shard-mode` needs `shard-mode: optimistic`";
        return Err(Code::StrictOptimisticInvalid.error(message));
    }
    match mode {
        "" => Ok(()),
        "pessimistic" | "optimistic" => Err(not_yet(format!("shard-mode `{mode}`"))),
        other => Err(Code::ShardModeInvalid.error(format!("shard-mode `{other}` is not known"))),
    }
}

pub(super) fn ignored_items(items: &[String]) -> Result<(), Error> {
    match items.iter().find(|item| !CHECK_ITEMS.contains(&item.as_str())) {
        None => Ok(()),
        Some(item) => Err(Code::IgnoreItemUnknown.error(format!(
            "ignore-checking-items: `{item}` is not known; known are: {}",
            CHECK_ITEMS.join(", ")
        ))),
    }
}

pub(super) fn timezone(zone: Option<String>) -> Result<Option<String>, Error> {
    let Some(zone) = filled(zone) else { return Ok(None) };
    let fail = || Err(Code::TimezoneInvalid.error(format!("timezone `{zone}` is not valid")));
    if ["system", "local"].contains(&zone.to_ascii_lowercase().as_str()) {
        return fail();
    }
    if let Some((sign, rest)) = zone.split_at_checked(1).filter(|(sign, _)| ["+", "-"].contains(sign)) {
        let minutes = rest.split_once(':').and_then(|(h, m)| {
            let (h, m): (u32, u32) = (h.parse().ok()?, m.parse().ok()?);
            (m < 60 && rest.len() <= 5).then_some(h * 60 + m)
        });
        let most = if sign == "+" { 14 * 60 } else { 12 * 60 + 59 };
        return if minutes.is_some_and(|m| m <= most) { Ok(Some(zone)) } else { fail() };
    }
    let named = zone.chars().all(|c| c.is_ascii_alphanumeric() || "/_-+".contains(c));
    if named { Ok(Some(zone)) } else { fail() }
}

/// A rule for the names of online-DDL tables: one group, anchored if it is not.
pub(super) fn online_ddl_rule(rule: &str) -> Result<String, Error> {
    match regex::Regex::new(rule).map(|r| r.captures_len()) {
        Ok(2) => {
            let begin = if rule.starts_with('^') { "" } else { "^" };
            let end = if rule.ends_with('$') { "" } else { "$" };
            Ok(format!("{begin}{rule}{end}"))
        }
        Ok(_) => {
            Err(Code::OnlineDdlRegexInvalid
                .error(format!("online-DDL rule `{rule}` needs exactly one group")))
        }
        Err(_) => Err(Code::OnlineDdlRegexInvalid
            .error(format!("online-DDL rule `{rule}` is not a regular expression"))),
    }
}
