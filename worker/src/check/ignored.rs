//! `ignore-checking-items`: what a person has looked at does not stop the start.
use std::collections::BTreeSet;

use super::Items;

/// Items that no setting leaves out: without them there is nothing to check or nothing to write to.
const NEVER: [&str; 7] = [
    "source_connection",
    "target_connection",
    "source_config",
    "task_config",
    "deadline",
    "table_map",
    "rules",
];
/// Items of ours that belong to one of the names that `ignore-checking-items` may hold.
const PARTS: [(&str, &str); 3] = [
    ("table_schema", "target_columns"),
    ("table_schema", "target_table_engine"),
    ("dump_privilege", "select_privilege"),
];

/// A warning about an ignored item is left out. A failure becomes a warning: what would stop the task later is said, and
/// only not waited for.
pub fn apply(ignored: &BTreeSet<String>, items: &mut Items) {
    let all = ignored.contains("all");
    let covers = |item: &str| {
        let part = PARTS.iter().any(|(name, of)| *of == item && ignored.contains(*name));
        !NEVER.contains(&item) && (all || part || ignored.contains(item))
    };
    let list = items.list_mut();
    list.retain(|item| item.state != "warning" || !covers(&item.name));
    for item in list.iter_mut().filter(|item| item.state == "failure") {
        if covers(&item.name) {
            item.state = "warning".to_owned();
            item.message = format!("left out by `ignore-checking-items`: {}", item.message);
            item.error = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use dm_proto::error::Code;

    fn states(ignored: &[&str]) -> Vec<(String, String)> {
        let mut items = Items::default();
        for name in ["version", "binlog_format", "target_columns", "source_connection"] {
            items.fail(name, &Failure::new(Code::CheckFailed, "why"));
        }
        items.warn("server_id", "m", "");
        apply(&ignored.iter().map(ToString::to_string).collect(), &mut items);
        items.into_list().into_iter().map(|i| (i.name, i.state)).collect()
    }

    #[test]
    fn an_ignored_failure_is_a_warning_and_an_ignored_warning_is_nothing() {
        let state = |ignored: &[&str], name: &str| {
            states(ignored).into_iter().find(|(n, _)| n == name).map(|(_, s)| s)
        };
        assert_eq!(state(&[], "binlog_format").as_deref(), Some("failure"));
        assert_eq!(state(&["binlog_format"], "binlog_format").as_deref(), Some("warning"));
        assert_eq!(state(&["binlog_format"], "version").as_deref(), Some("failure"));
        assert_eq!(state(&["table_schema"], "target_columns").as_deref(), Some("warning"));
        assert_eq!(state(&["all"], "version").as_deref(), Some("warning"));
        assert_eq!(state(&["all"], "source_connection").as_deref(), Some("failure"));
        assert_eq!(state(&["version"], "server_id").as_deref(), Some("warning"));
        assert_eq!(state(&["server_id"], "server_id"), None);
    }
}
