//! One table of both sides.

use std::collections::HashMap;
use std::fmt;

use anyhow::Result;
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};
use xxhash_rust::xxh3::xxh3_128;

use super::row::{encode, render};

/// How many differing rows of each side are shown.
const SHOWN: usize = 5;
/// How many row hashes are held at once while differing rows are looked for.
const HELD: u64 = 4_000_000;

/// How one table differs.
#[derive(Debug)]
pub struct TableDiff {
    /// `schema.table`.
    pub name: String,
    /// Rows at the source and at the target.
    pub rows: (u64, u64),
    /// The columns, when they differ.
    pub columns: Option<String>,
    /// How many rows only the source has (a row that is there more often counts as often).
    pub only_in_source: u64,
    /// How many rows only the target has.
    pub only_in_target: u64,
    /// The first of them, `-` only in the source, `+` only in the target.
    pub shown: Vec<String>,
}

impl fmt::Display for TableDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} rows at the source, {} at the target; {} only in the source, {} only in the target",
            self.name, self.rows.0, self.rows.1, self.only_in_source, self.only_in_target
        )?;
        if let Some(columns) = &self.columns {
            writeln!(f, "  columns differ: {columns}")?;
        }
        self.shown.iter().try_for_each(|row| writeln!(f, "  {row}"))
    }
}

/// What is read of a table, the same for both sides.
struct Query {
    sql: String,
    json: Vec<bool>,
    names: Vec<String>,
}

/// Gives the source's row count and the difference, if any.
pub(super) async fn compare(
    sides: &mut (Conn, Conn),
    schema: &str,
    table: &str,
    ours: &[(String, String)],
    theirs: &[(String, String)],
) -> Result<(u64, Option<TableDiff>)> {
    let name = format!("{schema}.{table}");
    let names: Vec<String> = ours.iter().map(|(name, _)| name.clone()).collect();
    let other: Vec<String> = theirs.iter().map(|(name, _)| name.clone()).collect();
    if names != other {
        let columns = Some(format!("{} | {}", names.join(","), other.join(",")));
        let diff = TableDiff {
            name,
            rows: (0, 0),
            columns,
            only_in_source: 0,
            only_in_target: 0,
            shown: Vec::new(),
        };
        return Ok((0, Some(diff)));
    }
    let json = ours.iter().zip(theirs).map(|(a, b)| a.1 == "json" || b.1 == "json").collect();
    let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
    let sql = format!("SELECT {} FROM {}.{}", quoted.join(","), quote(schema), quote(table));
    let query = Query { sql, json, names };

    let (a, b) = futures::try_join!(summary(&mut sides.0, &query), summary(&mut sides.1, &query))?;
    if a == b {
        return Ok((a.0, None));
    }
    let mut diff = TableDiff {
        name,
        rows: (a.0, b.0),
        columns: None,
        only_in_source: 0,
        only_in_target: 0,
        shown: Vec::new(),
    };
    let parts = u128::from(a.0.max(b.0) / HELD + 1);
    for part in 0..parts {
        find(sides, &query, part, parts, &mut diff).await?;
    }
    Ok((a.0, Some(diff)))
}

/// Row count and the sum of the rows' 128-bit hashes: the same for the same multiset, whatever the order.
async fn summary(conn: &mut Conn, query: &Query) -> Result<(u64, u128)> {
    let (mut rows, mut sum) = (0, 0_u128);
    each(conn, query, |_, hash| {
        rows += 1;
        sum = sum.wrapping_add(hash);
    })
    .await?;
    Ok((rows, sum))
}

/// Counts, among the rows whose hash falls into this part, those that one side has more often, and shows some.
async fn find(
    sides: &mut (Conn, Conn),
    query: &Query,
    part: u128,
    parts: u128,
    diff: &mut TableDiff,
) -> Result<()> {
    let mut surplus: HashMap<u128, i64> = HashMap::new();
    let mine = |hash: u128| hash % parts == part;
    each(&mut sides.0, query, |_, hash| {
        if mine(hash) {
            *surplus.entry(hash).or_default() += 1;
        }
    })
    .await?;
    each(&mut sides.1, query, |_, hash| {
        if mine(hash) {
            *surplus.entry(hash).or_default() -= 1;
        }
    })
    .await?;
    surplus.retain(|_, n| *n != 0);
    diff.only_in_source += surplus.values().filter(|n| **n > 0).map(|n| n.unsigned_abs()).sum::<u64>();
    diff.only_in_target += surplus.values().filter(|n| **n < 0).map(|n| n.unsigned_abs()).sum::<u64>();
    for (conn, sign, mark) in [(&mut sides.0, 1, '-'), (&mut sides.1, -1, '+')] {
        each(conn, query, |row, hash| {
            let Some(n) = surplus.get_mut(&hash) else { return };
            let of_this_side = diff.shown.iter().filter(|row| row.starts_with(mark)).count();
            if n.signum() == sign && of_this_side < SHOWN {
                *n -= sign;
                diff.shown.push(format!("{mark} {}", render(row, &query.names)));
            }
        })
        .await?;
    }
    Ok(())
}

/// Streams the table; the binary protocol gives floats and times exactly.
async fn each(conn: &mut Conn, query: &Query, mut visit: impl FnMut(&Row, u128)) -> Result<()> {
    let mut rows = conn.exec_stream::<Row, _, _>(query.sql.as_str(), ()).await?;
    let mut bytes = Vec::new();
    while let Some(row) = rows.try_next().await? {
        encode(&row, &query.json, &mut bytes);
        visit(&row, xxh3_128(&bytes));
    }
    Ok(())
}

fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
