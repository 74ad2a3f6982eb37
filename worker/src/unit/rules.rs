//! Which tables a subtask handles, and under which name they stand at the target.
use dm_proto::{
    config::SubtaskConfig,
    error::{Code, Error},
};
use dm_schema::{BlockAllowList, BlockAllowRules, FilterError, RouteRule, Router, TableName, TablePattern};

use crate::failure::Failure;

/// The block-allow-list and the routes of one subtask, compiled. Load and sync must agree on every table.
pub struct Rules {
    allow: BlockAllowList,
    router: Router,
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
            })
            .collect();
        let broken = |e: FilterError| Failure::from(Error::new(Code::RouteInvalid, e.to_string()));
        Ok(Self {
            allow: BlockAllowList::new(&rules, subtask.case_sensitive).map_err(broken)?,
            router: Router::new(&routes, subtask.case_sensitive).map_err(broken)?,
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

    /// The table's name at the target, or `None` for a table that is not migrated.
    pub fn target_of(&self, source: &TableName) -> Result<Option<TableName>, Failure> {
        let allowed = match source.is_schema() {
            true => self.allow.allows_schema(&source.schema),
            false => self.allow.allows_table(&source.schema, &source.table),
        };
        if !allowed {
            return Ok(None);
        }
        self.router.route_name(source).map(Some).map_err(|e| {
            Failure::from(Error::new(Code::RouteAmbiguous, format!("{source}: {e}")))
                .workaround("Please make the routes of the task unambiguous and start the task again.")
        })
    }
}
