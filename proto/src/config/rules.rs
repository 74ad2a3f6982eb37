//! Which tables are replicated, and under which names.

use super::{filled, not_yet};
use crate::error::{Code, Error};
use serde::Deserialize;

/// A pattern for a schema and one for a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TablePattern {
    /// Pattern for the schema's name.
    pub schema: String,
    /// Pattern for the table's name.
    pub table: String,
}

/// Which schemas and tables are replicated. Empty lists allow everything but system schemas.
///
/// A pattern is a wildcard (`*` at the end, `?`, `[a-z]`, `[!a-z]`) or, after a leading `~`, an unanchored regular expression.
/// Schema: if `do_dbs` is not empty one of it must match, else none of `ignore_dbs` may. Table: a match in
/// `do_tables` keeps it, else a match in `ignore_tables` drops it, else it is kept only if `do_tables` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockAllowConfig {
    /// Schemas that are replicated.
    pub do_dbs: Vec<String>,
    /// Schemas that are not.
    pub ignore_dbs: Vec<String>,
    /// Tables that are replicated.
    pub do_tables: Vec<TablePattern>,
    /// Tables that are not.
    pub ignore_tables: Vec<TablePattern>,
}

/// One route: tables whose names match get other names at the target. A rule with a table pattern beats one without;
/// two matches on one level are an error (40080).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteConfig {
    /// Its name in the task file.
    pub name: String,
    /// Pattern for the schema's name.
    pub schema_pattern: String,
    /// Pattern for the table's name; `None` = a rule for the schema.
    pub table_pattern: Option<String>,
    /// Schema at the target.
    pub target_schema: String,
    /// Table at the target; `None` = the table keeps its name.
    pub target_table: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct TableYaml {
    db_name: Option<String>,
    tbl_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct BlockAllowYaml {
    do_dbs: Option<Vec<String>>,
    ignore_dbs: Option<Vec<String>>,
    do_tables: Option<Vec<TableYaml>>,
    ignore_tables: Option<Vec<TableYaml>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct RouteYaml {
    schema_pattern: Option<String>,
    table_pattern: Option<String>,
    target_schema: Option<String>,
    target_table: Option<String>,
    extract_table: Option<ExtractTable>,
    extract_schema: Option<ExtractSchema>,
    extract_source: Option<ExtractSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(dead_code, reason = "typed as written; refused as a whole until it is supported")]
struct ExtractTable {
    table_regexp: Option<String>,
    target_column: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(dead_code, reason = "typed as written; refused as a whole until it is supported")]
struct ExtractSchema {
    schema_regexp: Option<String>,
    target_column: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(dead_code, reason = "typed as written; refused as a whole until it is supported")]
struct ExtractSource {
    source_regexp: Option<String>,
    target_column: Option<String>,
}

impl BlockAllowYaml {
    pub(crate) fn validate(self, name: &str) -> Result<BlockAllowConfig, Error> {
        let fail = |why: String| Code::AllowListInvalid.error(format!("block-allow-list `{name}`: {why}"));
        let check = |pattern: String| match pattern_fault(&pattern) {
            Some(why) => Err(fail(why)),
            None => Ok(pattern),
        };
        let schemas = |list: Option<Vec<String>>| -> Result<Vec<String>, Error> {
            list.unwrap_or_default().into_iter().map(check).collect()
        };
        let tables = |list: Option<Vec<TableYaml>>| -> Result<Vec<TablePattern>, Error> {
            let pair = |t: TableYaml| {
                let (schema, table) = (t.db_name.unwrap_or_default(), t.tbl_name.unwrap_or_default());
                Ok(TablePattern { schema: check(schema)?, table: check(table)? })
            };
            list.unwrap_or_default().into_iter().map(pair).collect()
        };
        Ok(BlockAllowConfig {
            do_dbs: schemas(self.do_dbs)?,
            ignore_dbs: schemas(self.ignore_dbs)?,
            do_tables: tables(self.do_tables)?,
            ignore_tables: tables(self.ignore_tables)?,
        })
    }
}

impl RouteYaml {
    pub(crate) fn validate(self, name: &str) -> Result<RouteConfig, Error> {
        let fail = |why: String| Code::RouteInvalid.error(format!("route `{name}`: {why}"));
        let need = |key: &str, value: Option<String>| {
            filled(value).ok_or_else(|| fail(format!("`{key}` is missing or empty")))
        };
        let schema_pattern = need("schema-pattern", self.schema_pattern)?;
        let target_schema = need("target-schema", self.target_schema)?;
        let table_pattern = filled(self.table_pattern);
        for pattern in [Some(&schema_pattern), table_pattern.as_ref()].into_iter().flatten() {
            if let Some(why) = pattern_fault(pattern) {
                return Err(fail(why));
            }
        }
        if self.extract_table.is_some() || self.extract_schema.is_some() || self.extract_source.is_some() {
            return Err(not_yet(format!("route `{name}`: a column extracted from a name (`extract-…`)")));
        }
        let target_table = filled(self.target_table);
        Ok(RouteConfig { name: name.to_owned(), schema_pattern, table_pattern, target_schema, target_table })
    }
}

/// Why a pattern for names is not valid.
pub(crate) fn pattern_fault(pattern: &str) -> Option<String> {
    if pattern.is_empty() {
        return Some("a pattern is empty".to_owned());
    }
    if let Some(regex) = pattern.strip_prefix('~') {
        return regex::Regex::new(regex).err().map(|_| format!("`{pattern}` is not a regular expression"));
    }
    match pattern.find('*') {
        Some(at) if at + 1 < pattern.len() => {
            Some(format!("`*` may only be the last character of `{pattern}`"))
        }
        _ => None,
    }
}
