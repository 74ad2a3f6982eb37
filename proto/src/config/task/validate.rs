//! From the task file as written to the task as meant.

use super::instance::{Sections, resolve};
use super::typed::TaskYaml;
use super::{OnlineDdlConfig, TaskConfig, checks};
use crate::config::{filled, not_yet};
use crate::error::{Code, Error};
use std::collections::{BTreeMap, BTreeSet};

/// Meta schema of a task that names none.
const META_SCHEMA: &str = "dm_meta";
/// Names that gh-ost and pt-online-schema-change give.
const SHADOW_TABLES: &str = "^_(.+)_(?:new|gho)$";
const TRASH_TABLES: &str = "^_(.+)_(?:ghc|del|old)$";

/// What all instances of a task share.
pub(super) struct Common {
    pub name: String,
    pub mode: super::TaskMode,
    pub meta_schema: String,
    pub case_sensitive: bool,
    pub target: crate::config::Endpoint,
    pub session: BTreeMap<String, String>,
    pub timezone: Option<String>,
    pub ignore_checks: BTreeSet<String>,
    pub online_ddl: Option<OnlineDdlConfig>,
}

pub(super) fn validate(mut task: TaskYaml) -> Result<TaskConfig, Error> {
    let mut warnings = Vec::new();
    let name = checks::name(task.name.take())?;
    let mode = checks::mode(task.task_mode.take())?;
    checks::shard_mode(task.shard_mode.take(), task.is_sharding, task.strict_optimistic_shard_mode)?;
    let items = task.ignore_checking_items.take().unwrap_or_default();
    checks::ignored_items(&items)?;
    let timezone = checks::timezone(task.timezone.take())?;
    if timezone.is_some() {
        warnings.push(
            "`timezone` has no effect: TIMESTAMP values travel in UTC and all others as they are written, and each DDL \
             runs in the time zone of the session that executed it at the source"
                .to_owned(),
        );
    }
    match task.collation_compatible.as_deref().unwrap_or("loose") {
        "loose" | "" => {}
        "strict" => return Err(not_yet("collation_compatible `strict`")),
        other => {
            let message = format!("collation_compatible `{other}` is not known");
            return Err(Code::CollationModeInvalid.error(message));
        }
    }
    if task.column_mappings.as_ref().is_some_and(|m| !m.is_empty()) {
        return Err(Code::ColumnMappingRemoved.error("task: `column-mappings` is set"));
    }
    let online_ddl = online_ddl(&task, &mut warnings)?;
    deprecated(&task, &mut warnings);

    let target = task.target_database.take();
    let target = target.ok_or_else(|| Code::TargetMissing.error("task: `target-database` is missing"))?;
    let (target, session) = target.validate("target-database", &mut warnings)?;
    super::session::check(&session, &mut warnings)?;
    let common = Common {
        name: name.clone(),
        mode,
        meta_schema: filled(task.meta_schema.take()).unwrap_or_else(|| META_SCHEMA.to_owned()),
        case_sensitive: task.case_sensitive.unwrap_or(false),
        target,
        session,
        timezone,
        ignore_checks: items.into_iter().collect(),
        online_ddl,
    };

    let instances = task.mysql_instances.take().unwrap_or_default();
    if instances.is_empty() {
        return Err(Code::InstancesMissing.error("task: `mysql-instances` is missing or empty"));
    }
    let mut sections = Sections::new(task)?;
    let mut seen = BTreeSet::new();
    let mut subtasks = Vec::new();
    for instance in instances {
        let subtask = resolve(instance.unwrap_or_default(), &common, &mut sections, &mut warnings)?;
        if !seen.insert(subtask.source_id.clone()) {
            let message = format!("mysql-instances: source `{}` is named twice", subtask.source_id);
            return Err(Code::InstanceRepeated.error(message));
        }
        subtasks.push(subtask);
    }
    sections.refuse_unused(&mut warnings)?;
    warnings.extend(super::extracts::differences(&subtasks));
    dedup(&mut warnings);
    Ok(TaskConfig { name, mode, ignore_checks: common.ignore_checks, subtasks, warnings })
}

fn online_ddl(task: &TaskYaml, warnings: &mut Vec<String>) -> Result<Option<OnlineDdlConfig>, Error> {
    let scheme = task.online_ddl_scheme.as_deref().unwrap_or_default();
    if !["", "gh-ost", "pt"].contains(&scheme) {
        let message = format!("online-ddl-scheme `{scheme}` is not known");
        return Err(Code::OnlineSchemeUnknown.error(message));
    }
    let rules = |given: &Option<Vec<String>>, default: &str| match given.as_deref().unwrap_or_default() {
        [] => Ok(vec![default.to_owned()]),
        given => given.iter().map(|rule| checks::online_ddl_rule(rule)).collect::<Result<Vec<_>, _>>(),
    };
    let shadow = rules(&task.shadow_table_rules, SHADOW_TABLES)?;
    let trash = rules(&task.trash_table_rules, TRASH_TABLES)?;
    if !scheme.is_empty() {
        warnings.push("`online-ddl-scheme` is deprecated: use `online-ddl`".to_owned());
    }
    let on = task.online_ddl.unwrap_or(true) || !scheme.is_empty();
    Ok(on.then_some(OnlineDdlConfig { shadow, trash }))
}

fn deprecated(task: &TaskYaml, warnings: &mut Vec<String>) {
    let asynchronous = task.experimental.as_ref().and_then(|e| e.async_checkpoint_flush);
    let keys = [
        ("enable-heartbeat", task.enable_heartbeat == Some(true)),
        ("heartbeat-update-interval", task.heartbeat_update_interval.is_some_and(|n| n != 0 && n != 1)),
        ("heartbeat-report-interval", task.heartbeat_report_interval.is_some_and(|n| n != 0 && n != 10)),
        ("ansi-quotes", task.ansi_quotes == Some(true)),
        ("clean-dump-file", task.clean_dump_file == Some(false)),
        ("experimental.async-checkpoint-flush", asynchronous == Some(true)),
    ];
    for (key, _) in keys.iter().filter(|(_, set)| *set) {
        warnings.push(format!("`{key}` has no effect"));
    }
    if task.remove_meta == Some(true) {
        warnings.push("`remove-meta` has no effect: use `start-task --remove-meta`".to_owned());
    }
    if task.is_sharding.is_some() {
        warnings.push("`is-sharding` is deprecated: use `shard-mode`".to_owned());
    }
    if task.black_white_list.is_some() {
        warnings.push("`black-white-list` is deprecated: use `block-allow-list`".to_owned());
    }
}

fn dedup(warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    warnings.retain(|w| seen.insert(w.clone()));
}
