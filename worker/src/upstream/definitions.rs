//! Table definitions, read at the source.
use std::time::Duration;

use dm_proto::{
    config::SourceConfig,
    error::{Code, Scope},
};
use dm_schema::TableName;
use dm_target::without_counter;
use mysql_async::{Conn, Row, prelude::Queryable};

use super::{connect, identity::SourceIdentity};
use crate::failure::{Failure, Next, from_mysql};

/// More changes than this during one reading: somebody alters the table in a loop.
const ATTEMPTS: usize = 10;
const DEADLINE: Duration = Duration::from_secs(20);

/// `SHOW CREATE TABLE` text, and the point of the binlog at which it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub create: String,
    /// Executed GTIDs of the source then; empty without GTIDs.
    pub gtids: String,
    /// End of the binlog then.
    pub file: String,
    pub pos: u64,
}

/// Reads definitions on a connection that is opened when it is first needed and again after an error.
pub struct Definitions {
    source: std::sync::Arc<SourceConfig>,
    conn: Option<Conn>,
}

impl Definitions {
    pub fn new(source: std::sync::Arc<SourceConfig>) -> Self {
        Self { source, conn: None }
    }

    /// The definition that holds now; `None` when the table does not exist.
    ///
    /// The same text before and after reading the point proves that it held at the point.
    pub async fn read(&mut self, name: &TableName) -> Result<Option<Definition>, Failure> {
        let doing = format!("fail to read the definition of {name}");
        within(&doing, self.try_read(name)).await
    }

    async fn try_read(&mut self, name: &TableName) -> Result<Option<Definition>, Failure> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect(&self.source).await?,
        };
        let mut before = show_create(&mut conn, name).await?;
        for _ in 0..ATTEMPTS {
            let point = point(&mut conn).await?;
            let after = show_create(&mut conn, name).await?;
            if before.as_deref().map(without_counter) == after.as_deref().map(without_counter) {
                self.conn = Some(conn);
                let (gtids, file, pos) = point;
                return Ok(before.map(|create| Definition { create, gtids, file, pos }));
            }
            before = after;
        }
        Err(Failure::internal(format!("the definition of {name} changes all the time at the source")))
    }

    /// Where the source's binlog ends now: executed GTIDs, file, position.
    pub async fn end(&mut self) -> Result<(String, String, u64), Failure> {
        let work = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => connect(&self.source).await?,
            };
            let end = point(&mut conn).await?;
            self.conn = Some(conn);
            Ok(end)
        };
        within("fail to read the end of the binlog", work).await
    }

    /// Bytes of one binlog file; `None` when it is not listed.
    pub async fn file_bytes(&mut self, file: &str) -> Result<Option<u64>, Failure> {
        let doing = "fail to list the source's binlogs";
        let work = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => connect(&self.source).await?,
            };
            let failed = |e: mysql_async::Error| from_mysql(&e, Scope::Upstream, doing);
            let files: Vec<mysql_async::Row> = conn.query("SHOW BINARY LOGS").await.map_err(failed)?;
            self.conn = Some(conn);
            let named = files.iter().find(|row| row.get::<String, _>(0).is_some_and(|name| name == file));
            Ok(named.and_then(|row| row.get(1)))
        };
        within(doing, work).await
    }

    /// Offset of a time zone that the server knows by name (`SYSTEM` is its own) at a time: `+02:00`.
    pub async fn zone_offset(&mut self, zone: &str, timestamp: u32) -> Result<String, Failure> {
        let doing = "fail to ask the source for the offset of a time zone";
        let named = format!("SET time_zone = {}", dm_schema::quote_string(zone));
        let work = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => connect(&self.source).await?,
            };
            let failed = |e: mysql_async::Error| from_mysql(&e, Scope::Upstream, doing);
            conn.query_drop(named).await.map_err(failed)?;
            let sql = format!(
                "SELECT TIMESTAMPDIFF(MINUTE, '1970-01-01' + INTERVAL {timestamp} SECOND, FROM_UNIXTIME({timestamp}))"
            );
            let minutes: Option<i64> = conn.query_first(sql).await.map_err(failed)?;
            conn.query_drop("SET time_zone = '+00:00'").await.map_err(failed)?;
            self.conn = Some(conn);
            let minutes = minutes.unwrap_or(0);
            let sign = if minutes < 0 { '-' } else { '+' };
            Ok(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
        };
        within(doing, work).await
    }

    /// Every base table that the account may see.
    pub async fn tables(&mut self) -> Result<Vec<TableName>, Failure> {
        let doing = "fail to list the tables of the source";
        let sql =
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'";
        let work = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => connect(&self.source).await?,
            };
            let rows: Vec<(String, String)> =
                conn.query(sql).await.map_err(|e| from_mysql(&e, Scope::Upstream, doing))?;
            self.conn = Some(conn);
            Ok(rows.iter().map(|(schema, table)| TableName::new(schema, table)).collect())
        };
        within(doing, work).await
    }

    /// Character set that tables of a schema get where their definition names none; `None` without such a schema.
    pub async fn schema_charset(&mut self, schema: &str) -> Result<Option<String>, Failure> {
        let doing = format!("fail to read the character set of {schema}");
        let sql = format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            dm_schema::quote_string(schema)
        );
        let work = async {
            let mut conn = match self.conn.take() {
                Some(conn) => conn,
                None => connect(&self.source).await?,
            };
            let charset: Option<String> =
                conn.query_first(sql).await.map_err(|e| from_mysql(&e, Scope::Upstream, doing.clone()))?;
            self.conn = Some(conn);
            Ok(charset)
        };
        within(&doing, work).await
    }
}

/// A source that hangs, or holds a lock on the table, must not be waited for in silence. The connection is given up.
async fn within<T>(doing: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new(Code::DatabaseQuery, doing)
            .scope(Scope::Upstream)
            .cause(format!("no answer within {DEADLINE:?}"))
            .next(Next::Unreachable)),
    }
}

async fn show_create(conn: &mut Conn, name: &TableName) -> Result<Option<String>, Failure> {
    let sql = format!("SHOW CREATE TABLE {}", name.quoted());
    match conn.query_first::<Row, _>(sql).await {
        Ok(Some(row)) => Ok(row.get_opt::<String, _>(1).and_then(Result::ok)),
        Ok(None) => Ok(None),
        // No such table or schema.
        Err(mysql_async::Error::Server(e)) if matches!(e.code, 1146 | 1049) => Ok(None),
        Err(e) => Err(from_mysql(&e, Scope::Upstream, format!("fail to read the definition of {name}"))),
    }
}

async fn point(conn: &mut Conn) -> Result<(String, String, u64), Failure> {
    let identity = SourceIdentity::read(conn).await?;
    let mut last = None;
    // The name of the statement depends on the server's age; each refuses the other's as a syntax error.
    for sql in ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"] {
        match conn.query_first::<Row, _>(sql).await {
            Ok(row) => {
                let file = row.as_ref().and_then(|r| r.get_opt::<String, _>(0)).and_then(Result::ok);
                let pos = row.as_ref().and_then(|r| r.get_opt::<u64, _>(1)).and_then(Result::ok);
                return Ok((identity.executed_gtids(), file.unwrap_or_default(), pos.unwrap_or(0)));
            }
            Err(mysql_async::Error::Server(e)) if e.code == 1064 => {
                last = Some(mysql_async::Error::Server(e))
            }
            Err(e) => return Err(from_mysql(&e, Scope::Upstream, "fail to read the end of the binlog")),
        }
    }
    Err(match last {
        Some(e) => from_mysql(&e, Scope::Upstream, "fail to read the end of the binlog"),
        None => Failure::internal("no statement to read the end of the binlog was tried"),
    })
}
