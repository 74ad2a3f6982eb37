//! Shapes of backlogs.
use anyhow::Result;
use dm_tests::Database;
use futures::future::try_join_all;
use mysql_async::prelude::Queryable;

/// Schema of the benchmark's tables.
pub const SCHEMA: &str = "bench";
/// Connections that write, and tables of the small rows.
pub const WRITERS: u32 = 4;
/// Rows of each table.
const ROWS: u32 = 50_000;
const WIDE_COLUMNS: u32 = 40;

/// What the source's transactions look like.
#[derive(Debug, Clone, Copy)]
pub enum Workload {
    /// One row of a table is updated.
    Small,
    /// Two updates, a delete and an insert, as sysbench's write-only transactions.
    Mixed,
    /// 100 rows are updated.
    Batches,
    /// Always the same row.
    Hot,
    /// Ten rows of 40 columns and about 2 KiB are updated.
    Wide,
}

impl Workload {
    pub const ALL: [Workload; 5] = [Self::Small, Self::Mixed, Self::Batches, Self::Hot, Self::Wide];

    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "1 row of 190 bytes",
            Self::Mixed => "2 updates, 1 delete, 1 insert",
            Self::Batches => "100 rows of 190 bytes",
            Self::Hot => "1 row, always the same",
            Self::Wide => "10 rows of 40 columns, 2 KiB",
        }
    }

    /// Row changes of a backlog, where the small ones have `rows`.
    pub fn rows(self, rows: u32) -> u32 {
        match self {
            Self::Wide => rows / 4,
            _ => rows,
        }
    }

    fn procedure(self) -> (&'static str, &'static str) {
        match self {
            Self::Small => {
                ("small", "UPDATE t SET k = k + 1, pad = MD5(n) WHERE id = 1 + n MOD 50000; SET n = n + 1;")
            }
            Self::Mixed => (
                "mixed",
                "START TRANSACTION; UPDATE t SET k = k + 1 WHERE id = 1 + n * 7 MOD 50000; \
                 UPDATE t SET c = REPEAT(MD5(n), 3) WHERE id = 1 + n * 11 MOD 50000; \
                 DELETE FROM t WHERE id = 1 + n * 13 MOD 50000; \
                 INSERT INTO t VALUES (1 + n * 13 MOD 50000, n, REPEAT(MD5(n), 3), MD5(n)); COMMIT; SET n = n + 4;",
            ),
            Self::Batches => (
                "batches",
                "UPDATE t SET k = k + 1, pad = MD5(k) WHERE id BETWEEN 1 + n MOD 50000 AND 100 + n MOD 50000; \
                 SET n = n + 100;",
            ),
            Self::Hot => ("hot", "UPDATE hot SET k = k + 1, pad = MD5(k) WHERE id = 1; SET n = n + 1;"),
            Self::Wide => (
                "wide",
                "UPDATE wide SET c0 = n, c1 = MD5(n), c2 = REPEAT(MD5(n), 2) \
                 WHERE id BETWEEN 1 + n MOD 5000 AND 10 + n MOD 5000; SET n = n + 10;",
            ),
        }
    }
}

/// Creates and fills the tables.
pub async fn create(source: &Database) -> Result<()> {
    let mut conn = source.conn().await?;
    conn.query_drop(format!("CREATE DATABASE {SCHEMA}")).await?;
    // The sequence engine's tables are looked for in the default database.
    conn.query_drop(format!("USE {SCHEMA}")).await?;
    let small = "(id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL, KEY k (k)) \
                 ENGINE=InnoDB DEFAULT CHARSET=latin1";
    for table in 0..WRITERS {
        conn.query_drop(format!("CREATE TABLE t{table} {small}")).await?;
        conn.query_drop(format!(
            "INSERT INTO t{table} SELECT seq, seq * 7 % 100003, REPEAT(MD5(seq), 3), MD5(seq + 1) FROM seq_1_to_{ROWS}"
        ))
        .await?;
        let columns: Vec<String> =
            (0..WIDE_COLUMNS).map(|n| format!("c{n} VARCHAR(64) NOT NULL DEFAULT ''")).collect();
        conn.query_drop(format!(
            "CREATE TABLE wide{table} (id INT NOT NULL PRIMARY KEY, {}) ENGINE=InnoDB DEFAULT CHARSET=latin1",
            columns.join(", ")
        ))
        .await?;
        let values: Vec<String> = (0..WIDE_COLUMNS).map(|n| format!("REPEAT(MD5(seq + {n}), 2)")).collect();
        conn.query_drop(format!(
            "INSERT INTO wide{table} SELECT seq, {} FROM seq_1_to_5000",
            values.join(", ")
        ))
        .await?;
    }
    conn.query_drop(format!("CREATE TABLE hot {small}")).await?;
    conn.query_drop("INSERT INTO hot VALUES (1, 0, 'hot', 'hot')").await?;
    conn.query_drop(
        "CREATE TABLE lag (writer INT NOT NULL, id INT NOT NULL, pad CHAR(60) NOT NULL, PRIMARY KEY (writer, id))",
    )
    .await?;
    conn.disconnect().await?;
    Ok(())
}

/// Writes a backlog of about so many row changes, over several connections, and gives the exact number.
pub async fn write(source: &Database, workload: Workload, rows: u32) -> Result<u64> {
    let (name, body) = workload.procedure();
    let each = workload.rows(rows) / WRITERS;
    let writers = (0..WRITERS).map(|writer| async move {
        let mut conn = source.conn().await?;
        // Its own schema is not replicated; one for each table, since a name can't be a parameter.
        let text = body.replace("UPDATE t ", "UPDATE bench.t# ").replace("FROM t ", "FROM bench.t# ");
        let text = text.replace("INTO t ", "INTO bench.t# ").replace("UPDATE wide ", "UPDATE bench.wide# ");
        let text = text.replace("UPDATE hot ", "UPDATE bench.hot ").replace('#', &writer.to_string());
        conn.query_drop("SET sql_log_bin = 0").await?;
        conn.query_drop("CREATE DATABASE IF NOT EXISTS tools").await?;
        conn.query_drop(format!("DROP PROCEDURE IF EXISTS tools.{name}{writer}")).await?;
        conn.query_drop(format!(
            "CREATE PROCEDURE tools.{name}{writer} (most INT) BEGIN DECLARE n INT DEFAULT 0; WHILE n < most DO {text} END WHILE; END"
        ))
        .await?;
        conn.query_drop("SET sql_log_bin = 1").await?;
        conn.query_drop(format!("CALL tools.{name}{writer}({each})")).await?;
        conn.disconnect().await?;
        anyhow::Ok(())
    });
    try_join_all(writers).await?;
    Ok(u64::from(each) * u64::from(WRITERS))
}
