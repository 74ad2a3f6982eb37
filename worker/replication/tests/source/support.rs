//! Starting sources and reading streams.

use std::time::Duration;

use dm_binlog::{ColumnHint, Decoder, Event, Gtid, GtidSet, RowsKind, TableMap};
use dm_replication::{BinlogClient, Password, ReplicationConfig, ReplicationError, StartAt};
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;

pub fn of(flavor: Flavor) -> dm_binlog::Flavor {
    match flavor {
        Flavor::MySql => dm_binlog::Flavor::MySql,
        Flavor::MariaDb => dm_binlog::Flavor::MariaDb,
    }
}

pub async fn source(flavor: Flavor, options: DatabaseOptions) -> Database {
    Database::start(flavor, options).await.unwrap()
}

pub fn config(db: &Database, start: StartAt) -> ReplicationConfig {
    ReplicationConfig {
        host: "127.0.0.1".into(),
        port: db.port(),
        user: "root".into(),
        password: Password::from(db.root_password()),
        server_id: 77,
        flavor: of(db.flavor()),
        heartbeat: Duration::from_millis(500),
        read_timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(30),
        start,
    }
}

/// The source's executed set.
pub async fn executed(db: &Database) -> GtidSet {
    let sql = match db.flavor() {
        Flavor::MySql => "SELECT @@global.gtid_executed",
        Flavor::MariaDb => "SELECT @@global.gtid_binlog_pos",
    };
    let text: String = db.conn().await.unwrap().query_first(sql).await.unwrap().unwrap();
    GtidSet::parse(of(db.flavor()), &text).unwrap()
}

/// File and position of the source's end.
pub async fn position(db: &Database) -> StartAt {
    let sql = match db.flavor() {
        Flavor::MySql => "SHOW BINARY LOG STATUS",
        Flavor::MariaDb => "SHOW MASTER STATUS",
    };
    let row: mysql_async::Row = db.conn().await.unwrap().query_first(sql).await.unwrap().unwrap();
    StartAt::Position { file: row.get(0).unwrap(), pos: row.get(1).unwrap() }
}

/// One change: what, table, before and after as text by column.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub kind: RowsKind,
    pub table: String,
    pub before: Option<Vec<Option<Vec<u8>>>>,
    pub after: Option<Vec<Option<Vec<u8>>>>,
}

/// A stream with its decoder.
pub struct Stream {
    pub client: BinlogClient,
    pub decoder: Decoder,
    pub hints: Vec<ColumnHint>,
    pub gtids: Vec<Gtid>,
    pub queries: Vec<String>,
    pub checksums: Vec<dm_binlog::ChecksumAlgorithm>,
    pub tables: Vec<std::sync::Arc<TableMap>>,
    pub raw: Vec<bytes::Bytes>,
    pub heartbeats: usize,
}

impl Stream {
    pub async fn open(db: &Database, start: StartAt) -> Result<Self, ReplicationError> {
        Self::with(config(db, start)).await
    }

    pub async fn with(config: ReplicationConfig) -> Result<Self, ReplicationError> {
        Ok(Self {
            client: BinlogClient::connect(&config).await?,
            decoder: Decoder::new(config.flavor),
            hints: Vec::new(),
            gtids: Vec::new(),
            queries: Vec::new(),
            checksums: Vec::new(),
            tables: Vec::new(),
            raw: Vec::new(),
            heartbeats: 0,
        })
    }

    /// Reads until a statement that creates table `end`, and returns the changes before.
    pub async fn until(&mut self, end: &str) -> Result<Vec<Change>, ReplicationError> {
        let mut changes = Vec::new();
        loop {
            let bytes = self.client.next().await?;
            let (_, event) = self.decoder.decode(&bytes).unwrap();
            match event {
                Event::Gtid(g) => self.gtids.extend(g.gtid),
                Event::MariaGtid(g) => self.gtids.push(g.gtid),
                Event::Format(f) => self.checksums.push(f.checksum),
                Event::Heartbeat(_) => self.heartbeats += 1,
                Event::Query(q) => {
                    let text = String::from_utf8_lossy(&q.query).into_owned();
                    self.queries.push(text.clone());
                    if text.contains("CREATE TABLE") && text.contains(end) {
                        return Ok(changes);
                    }
                }
                Event::TableMap(map) => self.tables.push(map),
                Event::Rows(rows) => {
                    for row in rows.rows(&self.hints) {
                        let row = row.unwrap();
                        let text = |image: Vec<Option<dm_binlog::Value<'_>>>| {
                            image
                                .into_iter()
                                .map(|v| {
                                    let v = v.unwrap();
                                    let mut out = Vec::new();
                                    v.write_text(&mut out).unwrap();
                                    (v != dm_binlog::Value::Null).then_some(out)
                                })
                                .collect()
                        };
                        changes.push(Change {
                            kind: rows.kind,
                            table: rows.table.table_lossy().into_owned(),
                            before: row.before.map(text),
                            after: row.after.map(text),
                        });
                    }
                }
                other => assert!(!other.carries_data(), "{other:?}"),
            }
            self.raw.push(bytes);
        }
    }
}
