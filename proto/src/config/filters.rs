//! Which events and which rows of the replicated tables are skipped.

use super::filled;
use crate::error::{Code, Error};
use serde::Deserialize;

/// What a binlog event filter does with the events that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterAction {
    /// Everything else is skipped.
    Do,
    /// They are skipped.
    Ignore,
    /// They stop the task.
    Error,
}

/// A binlog event filter. The worker knows the types of events; the pre-check refuses unknown ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterConfig {
    /// Its name in the task file.
    pub name: String,
    /// Pattern for the schema's name.
    pub schema_pattern: String,
    /// Pattern for the table's name; `None` = the schema with all its tables.
    pub table_pattern: Option<String>,
    /// Types of events in lower case; the first that covers an event decides.
    pub events: Vec<String>,
    /// Regular expressions for the text of DDL, without case and not anchored.
    pub sql_patterns: Vec<String>,
    /// Action.
    pub action: FilterAction,
}

/// A row filter: changes for which an expression is true are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpressionFilterConfig {
    /// Its name in the task file.
    pub name: String,
    /// Schema at the source, no pattern.
    pub schema: String,
    /// Table at the source, no pattern.
    pub table: String,
    /// About rows that are inserted.
    pub insert: Option<String>,
    /// About rows before an update. Both expressions of an update must be true; one that is not given counts as true.
    pub update_old: Option<String>,
    /// About rows after an update.
    pub update_new: Option<String>,
    /// About rows that are deleted.
    pub delete: Option<String>,
}

/// A binlog event filter, of a task or of a source.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct FilterYaml {
    schema_pattern: Option<String>,
    table_pattern: Option<String>,
    events: Option<Vec<String>>,
    sql_pattern: Option<Vec<String>>,
    action: Option<String>,
}

/// A row filter by expression.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ExpressionFilterYaml {
    schema: Option<String>,
    table: Option<String>,
    insert_value_expr: Option<String>,
    update_old_value_expr: Option<String>,
    update_new_value_expr: Option<String>,
    delete_value_expr: Option<String>,
}

impl FilterYaml {
    pub(crate) fn validate(self, name: &str) -> Result<FilterConfig, Error> {
        let fail = |why: String| Code::FilterInvalid.error(format!("filter `{name}`: {why}"));
        let schema_pattern = filled(self.schema_pattern)
            .ok_or_else(|| fail("`schema-pattern` is missing or empty".to_owned()))?;
        let table_pattern = filled(self.table_pattern);
        for pattern in [Some(&schema_pattern), table_pattern.as_ref()].into_iter().flatten() {
            if let Some(why) = super::rules::pattern_fault(pattern) {
                return Err(fail(why));
            }
        }
        let action = match self.action.as_deref().unwrap_or_default() {
            "Do" | "do" => FilterAction::Do,
            "Ignore" | "ignore" => FilterAction::Ignore,
            "Error" | "error" => FilterAction::Error,
            "" => return Err(fail("`action` is missing".to_owned())),
            other => return Err(fail(format!("action `{other}` is neither Do, Ignore nor Error"))),
        };
        let sql_patterns = self.sql_pattern.unwrap_or_default();
        if let Some(bad) = sql_patterns.iter().find(|p| regex::Regex::new(p).is_err()) {
            return Err(fail(format!("sql-pattern `{bad}` is not a regular expression")));
        }
        let events = self.events.unwrap_or_default().iter().map(|e| e.trim().to_lowercase()).collect();
        Ok(FilterConfig {
            name: name.to_owned(),
            schema_pattern,
            table_pattern,
            events,
            sql_patterns,
            action,
        })
    }
}

impl FilterConfig {
    /// Why the filter can't do what somebody may have meant.
    pub(crate) fn useless(&self) -> Option<String> {
        let name = &self.name;
        match (self.action, self.events.is_empty(), self.sql_patterns.is_empty()) {
            (FilterAction::Do, true, _) => {
                Some(format!("filter `{name}` has action Do and no `events`: it skips every event"))
            }
            (_, true, true) => {
                Some(format!("filter `{name}` has neither `events` nor `sql-pattern`: it does nothing"))
            }
            _ => None,
        }
    }
}

impl ExpressionFilterYaml {
    pub(crate) fn validate(self, name: &str) -> Result<ExpressionFilterConfig, Error> {
        let place = |key: &str, value: Option<String>| {
            filled(value).ok_or_else(|| {
                Code::ExpressionFilterPlace
                    .error(format!("expression-filter `{name}`: `{key}` is missing or empty"))
            })
        };
        let config = ExpressionFilterConfig {
            name: name.to_owned(),
            schema: place("schema", self.schema)?,
            table: place("table", self.table)?,
            insert: filled(self.insert_value_expr),
            update_old: filled(self.update_old_value_expr),
            update_new: filled(self.update_new_value_expr),
            delete: filled(self.delete_value_expr),
        };
        let update = config.update_old.is_some() || config.update_new.is_some();
        let kinds = [config.insert.is_some(), update, config.delete.is_some()];
        match kinds.iter().filter(|k| **k).count() {
            1 => Ok(config),
            0 => Err(Code::ExpressionFilterKinds
                .error(format!("expression-filter `{name}`: no expression is given"))),
            _ => Err(Code::ExpressionFilterKinds.error(format!(
                "expression-filter `{name}`: expressions for more than one of insert, update and delete"
            ))),
        }
    }
}
