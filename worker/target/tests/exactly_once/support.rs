//! Servers, tables and child processes of the tests.

use std::path::PathBuf;
use std::time::Duration;

use dm_target::{Mode, TargetAddress, TargetSpec, create_meta};
use dm_tests::{Database, DatabaseOptions, Flavor, Program, Running};
use mysql_async::prelude::Queryable as _;

use crate::history::{ACCOUNTS, Tables};

pub const DEADLINE: Duration = Duration::from_secs(120);

pub async fn server(flavor: Flavor) -> Database {
    Database::start(flavor, DatabaseOptions::default()).await.unwrap()
}

/// The usual GTID mode of a source of this flavor (the target's flavor doesn't matter for it).
pub fn gtid_mode(flavor: Flavor) -> Mode {
    match flavor {
        Flavor::MySql => Mode::MySqlGtid,
        Flavor::MariaDb => Mode::MariaDbGtid,
    }
}

pub fn spec(db: &Database, task: &str, epoch: u64, mode: Mode) -> TargetSpec {
    let address = TargetAddress {
        host: "127.0.0.1".to_owned(),
        port: db.port(),
        user: "root".to_owned(),
        password: db.root_password().to_owned(),
        session: Vec::new(),
    };
    TargetSpec::new(address, "dm_meta", task, "source-1", "cluster-a", epoch, 4, mode)
}

/// Creates the tables of the history in database `schema`, and the meta tables of task `schema`.
pub async fn prepare(db: &Database, schema: &str, mode: Mode) {
    let mut conn = db.conn().await.unwrap();
    for sql in [
        format!("CREATE DATABASE {schema}"),
        format!("CREATE TABLE {schema}.acc (id INT PRIMARY KEY, n BIGINT NOT NULL)"),
        format!("CREATE TABLE {schema}.log (id INT PRIMARY KEY)"),
        format!("CREATE TABLE {schema}.bag (v INT, t VARCHAR(20))"),
        format!("CREATE TABLE {schema}.tmp (v INT)"),
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    for id in 0..ACCOUNTS {
        conn.query_drop(format!("INSERT INTO {schema}.acc VALUES ({id}, {id})")).await.unwrap();
    }
    conn.disconnect().await.unwrap();
    let mut creating = spec(db, schema, 1, mode);
    creating.may_create = true;
    create_meta(&creating).await.unwrap();
}

/// What the target holds.
pub async fn read(db: &Database, schema: &str) -> Tables {
    let mut conn = db.conn().await.unwrap();
    let pairs = |rows: Vec<(u64, u64)>| rows.into_iter().collect();
    let tables = Tables {
        accounts: pairs(conn.query(format!("SELECT id, n FROM {schema}.acc")).await.unwrap()),
        log: conn.query(format!("SELECT id FROM {schema}.log ORDER BY id")).await.unwrap(),
        bag: pairs(conn.query(format!("SELECT v, COUNT(*) FROM {schema}.bag GROUP BY v")).await.unwrap()),
        tmp: pairs(conn.query(format!("SELECT v, COUNT(*) FROM {schema}.tmp GROUP BY v")).await.unwrap()),
        columns: conn
            .query(format!(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = '{schema}' AND \
                 table_name = 'log' AND column_name <> 'id' ORDER BY ordinal_position"
            ))
            .await
            .unwrap(),
        created: conn
            .query(format!(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' AND \
                 table_name LIKE 'made%' ORDER BY CAST(SUBSTRING(table_name, 5) AS UNSIGNED)"
            ))
            .await
            .unwrap(),
    };
    conn.disconnect().await.unwrap();
    tables
}

/// A child process that applies the history (see `applier.rs`).
#[derive(Debug, Clone)]
pub struct Child {
    pub schema: String,
    pub epoch: u64,
    pub mode: Mode,
    pub count: u64,
    pub ddl_every: u64,
    pub hold: String,
    pub broken: String,
    pub log: PathBuf,
}

impl Child {
    pub fn new(db: &Database, schema: &str, mode: Mode, count: u64, ddl_every: u64) -> Self {
        Self {
            schema: schema.to_owned(),
            epoch: 1,
            mode,
            count,
            ddl_every,
            hold: String::new(),
            broken: String::new(),
            log: db.dir().join(format!("{schema}.applier.log")),
        }
    }

    pub fn start(&self, db: &Database) -> Running {
        Program::new(std::env::current_exe().unwrap())
            .args(["applier::applier_process", "--exact", "--ignored", "--nocapture"])
            .env("APPLIER_PORT", db.port().to_string())
            .env("APPLIER_PASSWORD", db.root_password())
            .env("APPLIER_SCHEMA", &self.schema)
            .env("APPLIER_EPOCH", self.epoch.to_string())
            .env("APPLIER_MODE", format!("{:?}", self.mode))
            .env("APPLIER_COUNT", self.count.to_string())
            .env("APPLIER_DDL", self.ddl_every.to_string())
            .env("APPLIER_HOLD", &self.hold)
            .env("APPLIER_GO", self.go())
            .env("APPLIER_BROKEN", &self.broken)
            .output_to(&self.log)
            .start()
            .unwrap()
    }

    /// Once this file exists, a process that has stopped itself may go on.
    pub fn go(&self) -> PathBuf {
        self.log.with_extension("go")
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs it to its end.
    pub async fn run(&self, db: &Database) {
        self.start(db).wait_ended(DEADLINE).await.unwrap();
    }

    /// Runs it to its end with the next epoch and wants the whole history applied.
    pub async fn finish(&mut self, db: &Database) {
        self.hold.clear();
        self.epoch += 1;
        self.run(db).await;
        let output = self.output();
        assert!(output.contains(&format!("RESULT done epoch={}", self.epoch)), "{output}");
    }
}
