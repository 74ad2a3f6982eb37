//! Which tables are replicated, and under which names.

use super::filled;
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
    /// Columns that only the target has, in the order table, schema, source.
    pub extract: Vec<ExtractConfig>,
}

/// A column at the target that says where a row is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtractConfig {
    /// What is looked at.
    pub from: ExtractFrom,
    /// Regular expression; what its groups hold, one after the other, is the value. Without a match it is empty.
    pub regexp: String,
    /// `target-column`.
    pub column: String,
}

/// The name from which a value is extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtractFrom {
    /// Of the source's table.
    Table,
    /// Of its schema.
    Schema,
    /// Of the source: `source-id`.
    Source,
}

impl ExtractFrom {
    /// As the file spells the block's key, and the one of its regular expression.
    pub const fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Table => ("extract-table", "table-regexp"),
            Self::Schema => ("extract-schema", "schema-regexp"),
            Self::Source => ("extract-source", "source-regexp"),
        }
    }
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
struct ExtractTable {
    table_regexp: Option<String>,
    target_column: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct ExtractSchema {
    schema_regexp: Option<String>,
    target_column: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
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
        let table = self.extract_table.map(|e| (ExtractFrom::Table, e.table_regexp, e.target_column));
        let schema = self.extract_schema.map(|e| (ExtractFrom::Schema, e.schema_regexp, e.target_column));
        let source = self.extract_source.map(|e| (ExtractFrom::Source, e.source_regexp, e.target_column));
        let mut extract: Vec<ExtractConfig> = Vec::new();
        for (from, regexp, column) in [table, schema, source].into_iter().flatten() {
            let extracted = ExtractConfig::new(from, regexp, column).map_err(&fail)?;
            if extract.iter().any(|e| e.column.to_lowercase() == extracted.column.to_lowercase()) {
                return Err(fail(format!("two values for the column `{}`", extracted.column)));
            }
            extract.push(extracted);
        }
        let target_table = filled(self.target_table);
        let name = name.to_owned();
        Ok(RouteConfig { name, schema_pattern, table_pattern, target_schema, target_table, extract })
    }
}

impl ExtractConfig {
    fn new(from: ExtractFrom, regexp: Option<String>, column: Option<String>) -> Result<Self, String> {
        let (block, key) = from.keys();
        let column =
            filled(column).ok_or_else(|| format!("`target-column` of `{block}` is missing or empty"))?;
        let regexp = filled(regexp).ok_or_else(|| format!("`{key}` of `{block}` is missing or empty"))?;
        match regex::Regex::new(&regexp) {
            // It would write an empty value for every row.
            Ok(found) if found.captures_len() < 2 => Err(format!("`{key}: {regexp}` has no group `(...)`")),
            Ok(_) => Ok(Self { from, regexp, column }),
            Err(_) => Err(format!("`{key}: {regexp}` is not a regular expression")),
        }
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
