//! Whether two databases hold the same rows: each table as a multiset of bytes.

mod row;
mod table;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};

pub use table::TableDiff;

use crate::Database;

/// How two databases differ.
#[derive(Debug, Default)]
pub struct Diff {
    /// Tables (`schema.table`) that only the source has.
    pub only_in_source: Vec<String>,
    /// Tables that only the target has.
    pub only_in_target: Vec<String>,
    /// Tables that both have and that differ in columns or rows.
    pub tables: Vec<TableDiff>,
    /// How many tables were compared.
    pub tables_compared: usize,
    /// How many rows of the source were compared.
    pub rows_compared: u64,
}

impl Diff {
    /// No difference.
    pub fn is_equal(&self) -> bool {
        self.only_in_source.is_empty() && self.only_in_target.is_empty() && self.tables.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tables, {} rows compared", self.tables_compared, self.rows_compared)?;
        for table in &self.only_in_source {
            writeln!(f, "only in source: {table}")?;
        }
        for table in &self.only_in_target {
            writeln!(f, "only in target: {table}")?;
        }
        for table in &self.tables {
            write!(f, "{table}")?;
        }
        if self.is_equal() { writeln!(f, "equal") } else { Ok(()) }
    }
}

/// Compares these schemas of two servers; see [`compare`].
pub async fn compare_databases(source: &Database, target: &Database, schemas: &[&str]) -> Result<Diff> {
    compare(source.opts(), target.opts(), schemas).await
}

/// Compares these schemas of two servers, table by table, each as a multiset of rows of exact bytes: no collation,
/// no rounding of floats, no order; generated and invisible columns too. JSON is compared as a value, since one of the
/// servers keeps its text and the other doesn't. Memory is bounded whatever the tables' size. Neither side may
/// change meanwhile.
pub async fn compare(source: Opts, target: Opts, schemas: &[&str]) -> Result<Diff> {
    let mut sides = (connect(source).await?, connect(target).await?);
    let mut diff = Diff::default();
    for schema in schemas {
        let mut ours = columns(&mut sides.0, schema).await?;
        let mut theirs = columns(&mut sides.1, schema).await?;
        for (name, columns) in std::mem::take(&mut ours) {
            let Some(other) = theirs.remove(&name) else {
                diff.only_in_source.push(format!("{schema}.{name}"));
                continue;
            };
            let full_name = format!("{schema}.{name}");
            let compared = table::compare(&mut sides, schema, &name, &columns, &other).await;
            let (rows, found) = compared.with_context(|| format!("comparing {full_name}"))?;
            diff.tables_compared += 1;
            diff.rows_compared += rows;
            diff.tables.extend(found);
        }
        diff.only_in_target.extend(theirs.into_keys().map(|name| format!("{schema}.{name}")));
    }
    sides.0.disconnect().await?;
    sides.1.disconnect().await?;
    Ok(diff)
}

/// A connection that gets columns as the bytes they are stored as.
async fn connect(opts: Opts) -> Result<Conn> {
    let mut conn = Conn::new(opts).await?;
    conn.query_drop("SET character_set_results=NULL, time_zone='+00:00', sql_mode=''").await?;
    Ok(conn)
}

/// Columns (name, data type) of every base table of a schema.
async fn columns(conn: &mut Conn, schema: &str) -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = conn
        .exec(
            "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c \
             JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             WHERE c.table_schema = ? AND t.table_type = 'BASE TABLE' \
             ORDER BY c.table_name, c.ordinal_position",
            (schema,),
        )
        .await?;
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (table, column, data_type) in rows {
        let columns = tables.entry(String::from_utf8(table)?).or_default();
        columns.push((String::from_utf8(column)?, String::from_utf8(data_type)?.to_lowercase()));
    }
    Ok(tables)
}
