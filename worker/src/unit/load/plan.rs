//! Which tables are loaded, where to, and in which chunks; stored in the target before the first row is read.
use dm_binlog::Flavor;
use dm_proto::error::{Code, Scope};
use dm_schema::{Extracted, SqlMode, TableDefaults, TableModel, TableName, quote_identifier};
use dm_target::LoadChunk;
use mysql_async::{Conn, prelude::Queryable};
use serde::{Deserialize, Serialize};

use super::{
    chunks::ChunkPlan,
    deadline::{ANSWER, SCAN, within},
};
use crate::{
    failure::{Failure, from_mysql},
    unit::{rules::Rules, sync::is_transactional},
};

/// One source table of the load.
pub struct LoadTable {
    pub source: TableName,
    pub target: TableName,
    /// `SHOW CREATE TABLE` as the snapshot's connection gave it.
    pub create: String,
    pub model: TableModel,
    /// Columns that only the target has.
    pub extracted: Vec<Extracted>,
    pub rows_estimate: u64,
    pub chunks: ChunkPlan,
}

/// What is remembered in the target beside the chunks, to be able to start over.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Note {
    pub snapshot: String,
    pub targets: Vec<NotedTarget>,
}

/// One target table of the load.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct NotedTarget {
    pub schema: String,
    pub table: String,
    /// The load found it absent or empty, and nothing but one source table of this task can write to it: its rows may
    /// be removed when a cut load starts over.
    pub may_empty: bool,
}

/// Everything that will be read, in order.
pub struct Plan {
    /// Source databases, each with its `SHOW CREATE DATABASE` and its name at the target.
    pub databases: Vec<(String, String, String)>,
    pub tables: Vec<LoadTable>,
}

impl Plan {
    /// Lists and cuts the tables as the snapshot sees them.
    pub async fn make(conn: &mut Conn, flavor: Flavor, rules: &Rules) -> Result<Self, Failure> {
        let doing = "list the source's tables";
        let listing = async {
            conn.query(
                "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES \
                 WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_SCHEMA, TABLE_NAME",
            )
            .await
            .map_err(|e| from_mysql(&e, Scope::Upstream, doing))
        };
        let listed: Vec<(String, String, Option<u64>, Option<u64>)> = within(doing, SCAN, listing).await?;
        let mut plan = Self { databases: Vec::new(), tables: Vec::new() };
        for (schema, table, rows, row_bytes) in listed {
            let source = TableName::new(schema, table);
            let Some(target) = rules.target_of(&source)? else { continue };
            if !plan.databases.iter().any(|(s, t, _)| *s == source.schema && *t == target.schema) {
                let create = show_create(conn, "DATABASE", &quote_identifier(&source.schema)).await?;
                plan.databases.push((source.schema.clone(), target.schema.clone(), create));
            }
            let quoted = source.quoted();
            let create = show_create(conn, "TABLE", &quoted).await?;
            let model = TableModel::parse_create(
                &create,
                SqlMode::default(),
                &source.schema,
                &TableDefaults::default(),
            )
            .map_err(|e| {
                Failure::new(Code::LoadFailed, format!("cannot read the definition of {quoted}: {e}"))
                    .workaround(
                        "Please exclude the table with block-allow-list, or report its SHOW CREATE TABLE.",
                    )
            })?;
            if let Some(why) = unfit(&model) {
                return Err(Failure::new(Code::LoadFailed, format!("{quoted} can't be copied: {why}"))
                    .scope(Scope::Upstream)
                    .workaround(
                        "Please exclude the table with block-allow-list, or change it at the source.",
                    ));
            }
            let chunks = ChunkPlan::make(conn, flavor, &quoted, &model, row_bytes.unwrap_or(0)).await?;
            plan.tables.push(LoadTable {
                extracted: rules.extracted(&source)?,
                source,
                target,
                create,
                model,
                rows_estimate: rows.unwrap_or(0),
                chunks,
            });
        }
        Ok(plan)
    }

    /// The records for the target; ids count through all tables in reading order.
    pub fn records(&self) -> Vec<LoadChunk> {
        self.tables
            .iter()
            .flat_map(|t| t.chunks.chunks.iter().map(move |c| (t, c)))
            .enumerate()
            .map(|(id, (table, chunk))| LoadChunk {
                id: id as u64,
                schema: table.source.schema.clone(),
                table: table.source.table.clone(),
                bounds: chunk.condition(table.chunks.column.as_deref().unwrap_or_default()).into_bytes(),
            })
            .collect()
    }

    /// Source tables that end in this target table.
    pub fn feeders(&self, target: &TableName) -> usize {
        self.tables.iter().filter(|t| t.target == *target).count()
    }
}

/// Why a table has no place in a consistent snapshot, or none in a target that keeps every row exactly once.
fn unfit(model: &TableModel) -> Option<String> {
    if model.system_versioned {
        return Some("it is system-versioned, and its history can't be replicated".to_owned());
    }
    let engine = model.engine.as_deref()?;
    let transactional = is_transactional(engine);
    (!transactional)
        .then(|| format!("its engine {engine} has no transactions (ALTER TABLE .. ENGINE=InnoDB)"))
}

/// The definition as the source prints it; `object` is quoted.
pub async fn show_create(conn: &mut Conn, kind: &str, object: &str) -> Result<String, Failure> {
    let sql = format!("SHOW CREATE {kind} {object}");
    let asking = async {
        let row = conn.query_first::<mysql_async::Row, _>(&sql).await;
        row.map_err(|e| from_mysql(&e, Scope::Upstream, sql.clone()))
    };
    let row: Option<(String, String)> =
        within(&sql, ANSWER, asking).await?.and_then(|row| Some((row.get(0)?, row.get(1)?)));
    row.map(|(_, create)| create).ok_or_else(|| {
        Failure::new(Code::LoadFailed, format!("{sql} gave no definition")).scope(Scope::Upstream)
    })
}
