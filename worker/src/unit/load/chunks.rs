//! How a table is cut into ranges that are read one after another.
use dm_binlog::Flavor;
use dm_schema::{Key, TableModel};
use mysql_async::{Conn, prelude::Queryable};

use dm_proto::error::Scope;

use super::deadline::{SCAN, within};
use crate::failure::{Failure, from_mysql};

/// A chunk is about this many bytes, by the server's own estimate of the row length.
const CHUNK_BYTES: u64 = 8 << 20;
const MIN_ROWS: u64 = 1_000;
const MAX_ROWS: u64 = 50_000;

/// A range of a table: `column > after AND column <= upto`; a missing bound is open, so that the first and the last
/// chunk hold rows beyond any minimum or maximum seen while planning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub ordinal: u32,
    pub after: Option<i128>,
    pub upto: Option<i128>,
}

impl Chunk {
    fn whole() -> Self {
        Self { ordinal: 0, after: None, upto: None }
    }

    /// The condition over `column` (already quoted); empty for a whole table.
    pub fn condition(&self, column: &str) -> String {
        match (self.after, self.upto) {
            (None, None) => String::new(),
            (Some(a), None) => format!(" WHERE {column} > {a}"),
            (None, Some(u)) => format!(" WHERE {column} <= {u}"),
            (Some(a), Some(u)) => format!(" WHERE {column} > {a} AND {column} <= {u}"),
        }
    }
}

/// The ranges of one table, all known before the first is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// The integer column that is cut, quoted; `None`: the table is one chunk.
    pub column: Option<String>,
    pub chunks: Vec<Chunk>,
}

impl ChunkPlan {
    /// Walks the key inside the snapshot, so that the ranges follow the real distribution of its values.
    pub async fn make(
        conn: &mut Conn,
        flavor: Flavor,
        source: &str,
        model: &TableModel,
        row_bytes: u64,
    ) -> Result<Self, Failure> {
        let Some(column) = chunk_column(model) else {
            return Ok(Self { column: None, chunks: vec![Chunk::whole()] });
        };
        let rows = (CHUNK_BYTES / row_bytes.max(1)).clamp(MIN_ROWS, MAX_ROWS);
        let mut bounds: Vec<i128> = Vec::new();
        loop {
            let after = bounds.last().map(|b| format!(" WHERE {column} > {b}")).unwrap_or_default();
            let sql = format!(
                "SELECT {}{column} FROM {source}{after} ORDER BY {column} LIMIT 1 OFFSET {rows}",
                no_timeout(flavor)
            );
            let doing = format!("find the chunk bounds of {source}");
            let asking = async {
                conn.query_first(sql).await.map_err(|e| from_mysql(&e, Scope::Upstream, doing.clone()))
            };
            let bound: Option<String> = within(&doing, SCAN, asking).await?;
            let Some(bound) = bound else { break };
            let bound = bound.parse().map_err(|_| {
                Failure::internal(format!("chunk bound {bound:?} of {source}.{column} is not an integer"))
            })?;
            bounds.push(bound);
        }
        Ok(Self { column: Some(column), chunks: between(&bounds) })
    }
}

/// Chunks with the given upper bounds, and an open one after the last.
fn between(bounds: &[i128]) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::with_capacity(bounds.len() + 1);
    let mut after = None;
    for upto in bounds.iter().copied().map(Some).chain([None]) {
        chunks.push(Chunk { ordinal: chunks.len() as u32, after, upto });
        after = upto;
    }
    chunks
}

/// MySQL ends a statement at `max_execution_time`; a full load must not be cut by it.
pub fn no_timeout(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::MySql => "/*+ MAX_EXECUTION_TIME(0) */ ",
        Flavor::MariaDb => "",
    }
}

/// The first column of the best NOT NULL unique key, when it is an integer.
fn chunk_column(model: &TableModel) -> Option<String> {
    let usable = |key: &&Key| {
        key.parts
            .first()
            .and_then(|p| model.column(p.column.as_deref()?))
            .is_some_and(|c| !c.nullable && c.ty.kind.is_integer())
    };
    let key =
        model.keys.iter().filter(|k| k.primary).chain(model.keys.iter().filter(|k| k.unique)).find(usable)?;
    let name = key.parts.first()?.column.as_deref()?;
    Some(format!("`{}`", name.replace('`', "``")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_value_once() {
        let chunks = between(&[10, 20]);
        let conditions: Vec<String> = chunks.iter().map(|c| c.condition("`id`")).collect();
        assert_eq!(conditions, [" WHERE `id` <= 10", " WHERE `id` > 10 AND `id` <= 20", " WHERE `id` > 20"]);
        assert_eq!(between(&[]), vec![Chunk::whole()]);
    }
}
