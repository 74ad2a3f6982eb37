//! DM's binlog event filters.

use regex::{RegexSet, RegexSetBuilder};

use super::events::{COMPARED, EVENT_NAMES, EventTypes};
use super::pattern::{FilterError, Pattern};

/// What a rule does with the events that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterAction {
    /// Everything else is skipped.
    Do,
    /// They are skipped.
    Ignore,
    /// They stop the task.
    Error,
}

/// One rule as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRule {
    /// Its name in the task file.
    pub name: String,
    /// `schema-pattern`.
    pub schema_pattern: String,
    /// `table-pattern`; empty: every table of the schema, and the schema itself.
    pub table_pattern: String,
    /// Of [`EVENT_NAMES`], in lower case; the first that covers an event decides.
    pub events: Vec<String>,
    /// Regular expressions, unanchored, without case.
    pub sql_patterns: Vec<String>,
    /// Action.
    pub action: FilterAction,
}

/// What becomes of an event; the text is the name of the rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// No rule has anything against it.
    Keep,
    /// It is not replicated.
    Skip(&'a str),
    /// It stops the task.
    Refuse(&'a str),
    /// The rule names types of changes that only the table's definition could tell, and it is not known.
    Unknown(&'a str),
}

#[derive(Debug, Clone)]
struct Compiled {
    schema: Pattern,
    table: Option<Pattern>,
    sql: Option<RegexSet>,
    rule: EventRule,
}

/// Compiled rules in their order.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    rules: Vec<Compiled>,
}

impl EventFilter {
    /// Compiles the rules. Without `case_sensitive` names are compared in lower case.
    pub fn new(rules: &[EventRule], case_sensitive: bool) -> Result<Self, FilterError> {
        let compile = |(index, rule): (usize, &EventRule)| {
            if rule.schema_pattern.is_empty() {
                return Err(FilterError::Rule { index, what: "schema-pattern is empty" });
            }
            if rule.events.iter().any(|e| !EVENT_NAMES.contains(&e.as_str())) {
                return Err(FilterError::Rule { index, what: "an event type is not known" });
            }
            let sql =
                RegexSetBuilder::new(&rule.sql_patterns).case_insensitive(true).build().map_err(|e| {
                    FilterError::Regex { pattern: rule.sql_patterns.join(" | "), reason: e.to_string() }
                })?;
            let table = match rule.table_pattern.as_str() {
                "" => None,
                pattern => Some(Pattern::new(pattern, case_sensitive)?),
            };
            Ok(Compiled {
                schema: Pattern::new(&rule.schema_pattern, case_sensitive)?,
                table,
                sql: (!rule.sql_patterns.is_empty()).then_some(sql),
                rule: rule.clone(),
            })
        };
        Ok(EventFilter { rules: rules.iter().enumerate().map(compile).collect::<Result<_, _>>()? })
    }

    /// No rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Names of the rules about a table (or, with an empty table, a schema), in their order.
    pub fn about(&self, schema: &str, table: &str) -> impl Iterator<Item = &str> {
        self.matching(schema, table).map(|c| c.rule.name.as_str())
    }

    fn matching(&self, schema: &str, table: &str) -> impl Iterator<Item = &Compiled> {
        self.rules.iter().filter(move |c| {
            let tables = c.table.as_ref().is_none_or(|p| !table.is_empty() && p.matches(table));
            c.schema.matches(schema) && tables
        })
    }

    /// Decides about one change. `texts` are forms of the statement, any of which a pattern may match; none for rows.
    /// `event` is `None` for a statement of which only the text is known.
    pub fn decide(
        &self,
        schema: &str,
        table: &str,
        event: Option<&EventTypes>,
        texts: &[&str],
    ) -> Verdict<'_> {
        for compiled in self.matching(schema, table) {
            let (rule, name) = (&compiled.rule, compiled.rule.name.as_str());
            let covered = match event {
                Some(event) => {
                    let hit = rule.events.iter().find_map(|entry| event.covered_by(entry));
                    if hit.is_none()
                        && event.uncompared
                        && rule.events.iter().any(|e| COMPARED.contains(&e.as_str()))
                    {
                        return Verdict::Unknown(name);
                    }
                    Some(hit.unwrap_or(false))
                }
                None => None,
            };
            let by_text = compiled
                .sql
                .as_ref()
                .filter(|_| !texts.is_empty())
                .map(|set| texts.iter().any(|text| set.is_match(text)));
            let hit = [covered, by_text].contains(&Some(true));
            let missed = [covered, by_text].contains(&Some(false));
            match rule.action {
                FilterAction::Ignore if hit => return Verdict::Skip(name),
                FilterAction::Error if hit => return Verdict::Refuse(name),
                FilterAction::Do if missed => return Verdict::Skip(name),
                _ => {}
            }
        }
        Verdict::Keep
    }
}

#[cfg(test)]
#[path = "event_filter_tests.rs"]
mod tests;
