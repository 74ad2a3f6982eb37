//! Which tables a subtask handles, and under which name they stand at the target.
use dm_proto::{
    config::{ExtractFrom, FilterConfig, SubtaskConfig},
    error::{Code, Error},
};
use dm_schema::{
    BlockAllowList, BlockAllowRules, EVENT_NAMES, EventFilter, EventRule, EventTypes, ExtractRule, Extracted,
    FilterAction, FilterError, NamePart, OnlineNames, OnlineRole, RouteRule, Router, TableName, TablePattern,
    Verdict,
};

use super::expression_rules::ExpressionRules;
use crate::failure::Failure;

/// The block-allow-list and the routes of one subtask, compiled. Load and sync must agree on every table.
pub struct Rules {
    pub(crate) allow: BlockAllowList,
    pub(crate) router: Router,
    pub(crate) events: EventFilter,
    pub(crate) expressions: ExpressionRules,
    online: OnlineNames,
    source_id: String,
}

/// What a table is to an online schema change of a table that is migrated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Online {
    /// Nothing.
    No,
    /// It is to take the place of this table.
    Shadow(TableName),
    /// The tool's notes, or what is left after the swap.
    Trash,
}

impl Rules {
    pub fn new(subtask: &SubtaskConfig) -> Result<Self, Failure> {
        let list = &subtask.block_allow;
        let patterns = |tables: &[dm_proto::config::TablePattern]| -> Vec<TablePattern> {
            tables.iter().map(|t| TablePattern { schema: t.schema.clone(), table: t.table.clone() }).collect()
        };
        let rules = BlockAllowRules {
            do_dbs: list.do_dbs.clone(),
            do_tables: patterns(&list.do_tables),
            ignore_dbs: list.ignore_dbs.clone(),
            ignore_tables: patterns(&list.ignore_tables),
        };
        let routes: Vec<RouteRule> = subtask
            .routes
            .iter()
            .map(|r| RouteRule {
                schema_pattern: r.schema_pattern.clone(),
                table_pattern: r.table_pattern.clone().unwrap_or_default(),
                target_schema: r.target_schema.clone(),
                target_table: r.target_table.clone().unwrap_or_default(),
                extract: r.extract.iter().map(extract).collect(),
            })
            .collect();
        let broken = |e: FilterError| Failure::from(Error::new(Code::RouteInvalid, e.to_string()));
        Ok(Self {
            allow: BlockAllowList::new(&rules, subtask.case_sensitive).map_err(broken)?,
            router: Router::new(&routes, subtask.case_sensitive).map_err(broken)?,
            events: events(&subtask.filters, subtask.case_sensitive)?,
            expressions: ExpressionRules::new(&subtask.expressions, subtask.case_sensitive)?,
            online: match &subtask.online_ddl {
                Some(rules) => OnlineNames::new(&rules.shadow, &rules.trash).map_err(broken)?,
                None => OnlineNames::default(),
            },
            source_id: subtask.source_id.clone(),
        })
    }

    /// Whether any table (with an empty table name: any schema) of a source may end in this one of the target, as far as
    /// rules tell.
    pub fn may_feed(&self, target: &TableName) -> bool {
        let by_its_name = self.target_of(target).is_ok_and(|t| t.as_ref() == Some(target));
        by_its_name || self.routes_to(target)
    }

    /// Whether a route leads there.
    pub fn routes_to(&self, target: &TableName) -> bool {
        self.router.leads_to(target)
    }

    /// By its name. Where the table that it would belong to is not migrated it is a table like any other.
    pub fn online(&self, source: &TableName) -> Online {
        let migrated = |real: &str| self.allow.allows_table(&source.schema, real);
        match self.online.role(&source.table) {
            OnlineRole::Shadow(real) if migrated(real) => {
                Online::Shadow(TableName::new(&source.schema, real))
            }
            OnlineRole::Trash(real) if migrated(real) => Online::Trash,
            _ => Online::No,
        }
    }

    /// The table's name at the target, or `None` for a table that is not migrated, as those of online schema changes.
    pub fn target_of(&self, source: &TableName) -> Result<Option<TableName>, Failure> {
        let allowed = match source.is_schema() {
            true => self.allow.allows_schema(&source.schema),
            false => self.allow.allows_table(&source.schema, &source.table),
        };
        if !allowed || self.online(source) != Online::No {
            return Ok(None);
        }
        self.router.route_name(source).map(Some).map_err(|e| ambiguous(source, &e))
    }

    /// Columns that its route adds at the target, with their values.
    pub fn extracted(&self, source: &TableName) -> Result<Vec<Extracted>, Failure> {
        self.router.extracted(source, &self.source_id).map_err(|e| ambiguous(source, &e))
    }
}

fn ambiguous(source: &TableName, error: &FilterError) -> Failure {
    Failure::from(Error::new(Code::RouteAmbiguous, format!("{source}: {error}")))
        .workaround("Please make the routes of the task unambiguous and start the task again.")
}

fn extract(config: &dm_proto::config::ExtractConfig) -> ExtractRule {
    ExtractRule {
        from: match config.from {
            ExtractFrom::Table => NamePart::Table,
            ExtractFrom::Schema => NamePart::Schema,
            ExtractFrom::Source => NamePart::Source,
        },
        regexp: config.regexp.clone(),
        column: config.column.clone(),
    }
}

/// Binlog event filters, compiled.
pub fn events(filters: &[FilterConfig], case_sensitive: bool) -> Result<EventFilter, Failure> {
    let broken =
        |name: &str, why: String| Failure::new(Code::FilterInvalid, format!("filter `{name}`: {why}"));
    let mut rules = Vec::new();
    for filter in filters {
        if let Some(event) = filter.events.iter().find(|e| !EVENT_NAMES.contains(&e.as_str())) {
            let known = EVENT_NAMES.join(", ");
            return Err(broken(&filter.name, format!("event `{event}` is not known; known are: {known}")));
        }
        rules.push(EventRule {
            name: filter.name.clone(),
            schema_pattern: filter.schema_pattern.clone(),
            table_pattern: filter.table_pattern.clone().unwrap_or_default(),
            events: filter.events.clone(),
            sql_patterns: filter.sql_patterns.clone(),
            action: match filter.action {
                dm_proto::config::FilterAction::Do => FilterAction::Do,
                dm_proto::config::FilterAction::Ignore => FilterAction::Ignore,
                dm_proto::config::FilterAction::Error => FilterAction::Error,
            },
        });
    }
    let names = || filters.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    EventFilter::new(&rules, case_sensitive).map_err(|e| broken(&names(), e.to_string()))
}

impl Rules {
    /// What the event filters say about inserted, updated and deleted rows of a table, in this order.
    pub fn rows_of(&self, source: &TableName) -> [Verdict<'_>; 3] {
        ["insert", "update", "delete"].map(|event| {
            let event = EventTypes::dml(event);
            self.events.decide(&source.schema, &source.table, Some(&event), &[])
        })
    }
}
