//! Table definitions, read at the source.
use dm_proto::{config::SourceConfig, error::Scope};
use dm_schema::TableName;
use mysql_async::{Conn, Row, prelude::Queryable};

use super::{connect, identity::SourceIdentity};
use crate::failure::{Failure, from_mysql};

/// More changes than this during one reading: somebody alters the table in a loop.
const ATTEMPTS: usize = 10;

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
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect(&self.source).await?,
        };
        let mut before = show_create(&mut conn, name).await?;
        for _ in 0..ATTEMPTS {
            let point = point(&mut conn).await?;
            let after = show_create(&mut conn, name).await?;
            if before == after {
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
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect(&self.source).await?,
        };
        let end = point(&mut conn).await?;
        self.conn = Some(conn);
        Ok(end)
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
