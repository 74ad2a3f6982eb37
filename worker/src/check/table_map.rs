//! Which table of the source goes where, which rule says so, and which rules say nothing.
use std::collections::{BTreeMap, BTreeSet};

use dm_proto::{
    config::{SubtaskConfig, TablePattern},
    error::{Code, Scope},
};
use dm_schema::{AllowReason, IdleEntry, NEVER_EVENTS, TableName};

use super::Items;
use crate::{failure::Failure, unit::rules::Rules};

const MAP: &str = "table_map";
const RULES: &str = "rules";
/// Lines of one source; the rest is counted.
const MOST_LINES: usize = 100;

/// Tells the map and warns of rules that match nothing; fails for names that the rules can't keep apart.
pub fn check(subtask: &SubtaskConfig, rules: &Rules, tables: &[TableName], items: &mut Items) {
    let (mut lines, mut replicated) = (Vec::new(), 0);
    let mut idle = idle_entries(subtask, rules, tables);
    let (mut routes, mut filters) = (BTreeSet::new(), BTreeSet::new());
    let mut targets: BTreeMap<TableName, BTreeSet<TableName>> = BTreeMap::new();
    let mut names: BTreeMap<(String, String), BTreeSet<TableName>> = BTreeMap::new();
    for name in tables {
        let reason = rules.allow.reason(&name.schema, &name.table);
        let line = if reason.allows() {
            replicated += 1;
            names
                .entry((name.schema.to_lowercase(), name.table.to_lowercase()))
                .or_default()
                .insert(name.clone());
            // Ambiguous routes are an error of their own.
            let Ok(target) = rules.router.route_name(name) else { continue };
            let route = rules.router.decides(&name.schema, &name.table).ok().flatten();
            let by = match route.and_then(|index| subtask.routes.get(index)) {
                Some(route) => format!("route `{}`", route.name),
                None => "no route".to_owned(),
            };
            routes.extend(route);
            let extracted = rules.extracted(name).unwrap_or_default();
            for column in extracted.iter().filter(|e| e.missed) {
                idle.push(format!(
                    "{by}: nothing is found in the name of {name} for column {}, which is empty then",
                    column.column
                ));
            }
            let adds =
                extracted.iter().map(|e| format!(", {} = '{}'", e.column, e.value)).collect::<String>();
            let mut of_table: Vec<&str> = rules.events.about(&name.schema, &name.table).collect();
            filters.extend(of_table.iter().map(ToString::to_string));
            of_table.extend(rules.expressions.about(name));
            let filtered = match of_table.as_slice() {
                [] => String::new(),
                names => format!(", filters `{}`", names.join("`, `")),
            };
            let folded = TableName::new(target.schema.to_lowercase(), target.table.to_lowercase());
            targets.entry(folded).or_default().insert(target.clone());
            format!("{name} -> {target} ({by}{adds}{filtered})")
        } else {
            format!("{name} skipped ({})", why(subtask, reason))
        };
        if lines.len() < MOST_LINES {
            lines.push(line);
        }
    }
    let schemas: BTreeSet<&str> = tables.iter().map(|t| t.schema.as_str()).collect();
    for schema in schemas.iter().filter(|s| rules.allow.allows_schema(s)) {
        filters.extend(rules.events.about(schema, "").map(str::to_owned));
    }
    items.tell(MAP, text(subtask, tables.len(), replicated, &lines));
    warn_of_useless(subtask, &routes, &filters, idle, items);
    collisions(subtask, &names, &targets, items);
}

fn text(subtask: &SubtaskConfig, all: usize, replicated: usize, lines: &[String]) -> String {
    let skipped = all - replicated;
    let mut text = format!(
        "source {}: {all} tables, {replicated} replicated, {skipped} skipped\n  {}",
        subtask.source_id,
        lines.join("\n  ")
    );
    if all > lines.len() {
        text.push_str(&format!("\n  and {} more", all - lines.len()));
    }
    text
}

/// An entry as one name.
fn pair(tables: &[TablePattern], index: usize) -> String {
    tables.get(index).map(|t| format!("{}.{}", t.schema, t.table)).unwrap_or_default()
}

fn why(subtask: &SubtaskConfig, reason: AllowReason) -> String {
    let list = &subtask.block_allow;
    match reason {
        AllowReason::System => "a schema of the server".to_owned(),
        AllowReason::NotInDoDbs => "block-allow-list: not in do-dbs".to_owned(),
        AllowReason::IgnoreDb(index) => {
            format!(
                "block-allow-list: ignore-dbs `{}`",
                list.ignore_dbs.get(index).map_or("", String::as_str)
            )
        }
        AllowReason::IgnoreTable(index) => {
            format!("block-allow-list: ignore-tables `{}`", pair(&list.ignore_tables, index))
        }
        AllowReason::NotInDoTables => "block-allow-list: not in do-tables".to_owned(),
        AllowReason::DoTable(_) | AllowReason::Allowed => String::new(),
    }
}

fn warn_of_useless(
    subtask: &SubtaskConfig,
    routes: &BTreeSet<usize>,
    filters: &BTreeSet<String>,
    mut idle: Vec<String>,
    items: &mut Items,
) {
    for (index, route) in subtask.routes.iter().enumerate() {
        if !routes.contains(&index) {
            idle.push(format!("route `{}` names no replicated table of the source", route.name));
        }
    }
    for filter in &subtask.filters {
        if !filters.contains(&filter.name) {
            idle.push(format!("filter `{}` matches no replicated table of the source", filter.name));
        }
        for event in filter.events.iter().filter(|e| NEVER_EVENTS.contains(&e.as_str())) {
            idle.push(format!("filter `{}`: no event of this version is `{event}`", filter.name));
        }
    }
    let left = idle.len().saturating_sub(MOST_LINES);
    idle.truncate(MOST_LINES);
    if left > 0 {
        idle.push(format!("and {left} more"));
    }
    // One by one: whoever asks for ten warnings gets ten.
    for line in idle {
        items.warn(
            RULES,
            format!("source {}: {line}", subtask.source_id),
            "Please check the pattern; it counts for tables that are created later.",
        );
    }
}

/// Entries of the block-allow-list that decide nothing.
fn idle_entries(subtask: &SubtaskConfig, rules: &Rules, tables: &[TableName]) -> Vec<String> {
    let list = &subtask.block_allow;
    let text = |entry: &IdleEntry| match entry.list {
        "do-dbs" => list.do_dbs.get(entry.index).cloned().unwrap_or_default(),
        "ignore-dbs" => list.ignore_dbs.get(entry.index).cloned().unwrap_or_default(),
        "do-tables" => pair(&list.do_tables, entry.index),
        _ => pair(&list.ignore_tables, entry.index),
    };
    let idle = rules.allow.idle(tables);
    let line = |entry: &IdleEntry| {
        let (list, text) = (entry.list, text(entry));
        match entry.overruled_by {
            Some(by) => format!("block-allow-list: {list} `{text}` never counts, for {by} decides before it"),
            None => format!("block-allow-list: {list} `{text}` matches no table of the source"),
        }
    };
    idle.iter().map(line).collect()
}

fn collisions(
    subtask: &SubtaskConfig,
    names: &BTreeMap<(String, String), BTreeSet<TableName>>,
    targets: &BTreeMap<TableName, BTreeSet<TableName>>,
    items: &mut Items,
) {
    let list =
        |set: &BTreeSet<TableName>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let mut bad: Vec<String> = Vec::new();
    if !subtask.case_sensitive {
        let twins = names.values().filter(|set| set.len() > 1);
        bad.extend(twins.map(|set| format!("{} of the source", list(set))));
    }
    let twins = targets.values().filter(|set| set.len() > 1);
    bad.extend(twins.map(|set| format!("{} at the target", list(set))));
    if bad.is_empty() {
        return;
    }
    bad.dedup();
    bad.truncate(MOST_LINES);
    let failure = Failure::new(
        Code::TargetsDifferByCase,
        format!("source {}: tables differ only in letter case: {}", subtask.source_id, bad.join("; ")),
    )
    .scope(Scope::Upstream)
    .workaround("Please exclude one of them with block-allow-list, or set `case-sensitive: true` and give them different names with routes.");
    items.fail(RULES, &failure);
}
