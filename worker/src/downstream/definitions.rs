//! Table definitions, read at the target.
use dm_proto::{
    config::Endpoint,
    error::{Code, Scope},
};
use dm_schema::{SqlMode, TableDefaults, TableModel, TableName};
use mysql_async::{Conn, Row, prelude::Queryable};

use super::opts;
use crate::failure::{Failure, Next, from_mysql};

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// Reads on a connection that is opened when it is first needed and again after an error.
pub struct TargetDefinitions {
    target: Endpoint,
    conn: Option<Conn>,
}

impl TargetDefinitions {
    pub fn new(target: Endpoint) -> Self {
        Self { target, conn: None }
    }

    /// `SHOW CREATE TABLE` text; `None` when the table does not exist.
    pub async fn read(&mut self, name: &TableName) -> Result<Option<String>, Failure> {
        match tokio::time::timeout(DEADLINE, self.try_read(name)).await {
            Ok(read) => read,
            Err(_) => {
                Err(Failure::new(Code::DatabaseQuery, format!("fail to read the definition of {name}"))
                    .scope(Scope::Downstream)
                    .cause(format!("no answer within {DEADLINE:?}"))
                    .next(Next::Unreachable))
            }
        }
    }

    /// The definition parsed, under the name that was asked for.
    pub async fn model(&mut self, name: &TableName) -> Result<Option<TableModel>, Failure> {
        let Some(create) = self.read(name).await? else { return Ok(None) };
        let model =
            TableModel::parse_create(&create, SqlMode::default(), &name.schema, &TableDefaults::default())
                .map_err(|e| {
                    Failure::new(Code::DdlUnparseable, format!("the definition of {name} at the target"))
                        .scope(Scope::Downstream)
                        .cause(e)
                })?;
        Ok(Some(model.renamed(name.clone())))
    }

    /// Every foreign key of the target: child, parent, whether a rule of it changes rows of the child.
    pub async fn foreign_keys(&mut self) -> Result<Vec<(TableName, TableName, bool)>, Failure> {
        let doing = "fail to read the foreign keys of the target";
        let work = async {
            // A connection of its own: it is asked for seldom, and the other one may have been closed meanwhile.
            let failed = |e: mysql_async::Error| from_mysql(&e, Scope::Downstream, doing);
            let mut conn = Conn::new(opts(&self.target)).await.map_err(failed)?;
            let rows: Vec<(String, String, String, String, bool)> = conn
                .query(
                    "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, \
                     NOT (DELETE_RULE IN ('RESTRICT', 'NO ACTION') AND UPDATE_RULE IN ('RESTRICT', 'NO ACTION')) \
                     FROM information_schema.REFERENTIAL_CONSTRAINTS",
                )
                .await
                .map_err(failed)?;
            // Read-only: how it is closed changes nothing.
            let _ = conn.disconnect().await;
            let keys = rows
                .into_iter()
                .map(|(cs, ct, ps, pt, rule)| (TableName::new(cs, ct), TableName::new(ps, pt), rule));
            Ok(keys.collect())
        };
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(read) => read,
            Err(_) => Err(Failure::new(Code::DatabaseQuery, doing)
                .scope(Scope::Downstream)
                .cause(format!("no answer within {DEADLINE:?}"))
                .next(Next::Unreachable)),
        }
    }

    async fn try_read(&mut self, name: &TableName) -> Result<Option<String>, Failure> {
        let failed = |e: &mysql_async::Error| {
            from_mysql(e, Scope::Downstream, format!("fail to read the definition of {name}"))
        };
        // An idle connection may have been closed by the server meanwhile: one fresh attempt.
        for fresh in [false, true] {
            let mut conn = match self.conn.take().filter(|_| !fresh) {
                Some(conn) => conn,
                None => Conn::new(opts(&self.target)).await.map_err(|e| failed(&e))?,
            };
            match conn.query_first::<Row, _>(format!("SHOW CREATE TABLE {}", name.quoted())).await {
                Ok(row) => {
                    self.conn = Some(conn);
                    return Ok(row.and_then(|r| r.get_opt::<String, _>(1)).and_then(Result::ok));
                }
                Err(mysql_async::Error::Server(e)) if matches!(e.code, 1146 | 1049) => {
                    self.conn = Some(conn);
                    return Ok(None);
                }
                Err(e) if fresh => return Err(failed(&e)),
                Err(_) => {}
            }
        }
        Ok(None)
    }
}
