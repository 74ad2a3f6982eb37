//! Task files that are accepted, and what they mean.

use super::*;
use crate::config::{OnDuplicate, TablePattern};

/// A task file with a bit of everything.
pub(super) const FULL: &str = r#"
name: test
task-mode: all
shard-mode: ""
is-sharding: false
meta-schema: "my_meta"
timezone: "Asia/Shanghai"
case-sensitive: false
online-ddl: false
ignore-checking-items: ["version", "conn_number"]
clean-dump-file: true
target-database:
  host: "127.0.0.1"
  port: 4000
  user: "root"
  password: 123456
  session:
    SQL_MODE: "ANSI_QUOTES"
    tidb_skip_utf8_check: 1
  security:
    ssl-ca: ""
    ssl-ca-bytes: []
mysql-instances:
  - source-id: "mysql-replica-01"
    meta:
      binlog-name: mysql-bin.000001
      binlog-pos: 100
    route-rules: ["user-route-rules-schema", "user-route-rules"]
    block-allow-list: "instance"
    mydumper-config-name: "global"
    mydumper-thread: 8
    loader-config-name: "global"
    syncer-config-name: "global"
  - source-id: "mysql-replica-02"
    black-white-list: instance
    syncer: {worker-count: 2}
    syncer-thread: 7
block-allow-list:
  instance:
    do-dbs: ["~^test.*", "user"]
    ignore-dbs:
    do-tables:
    - db-name: "~^test.*"
      tbl-name: "~^t.*"
routes:
  user-route-rules-schema: {schema-pattern: "test_*", target-schema: "test"}
  user-route-rules:
    schema-pattern: "test_*"
    table-pattern: "t_*"
    target-schema: "test"
    target-table: "t"
mydumpers:
  global: {threads: 4, chunk-filesize: 64, skip-tz-utc: true, extra-args: "--consistency auto"}
loaders:
  global:
    pool-size: 20
    dir: "./dumped_data"
    on-duplicate-logical: error
syncers:
  global: {worker-count: 32, batch: 50, multiple-rows: true, strict: true}
  spare:
"#;

#[test]
fn a_file_with_everything_means_what_it_says() {
    let task = TaskConfig::parse(FULL).unwrap();
    assert_eq!((task.name.as_str(), task.mode), ("test", TaskMode::All));
    assert_eq!(task.sources().collect::<Vec<_>>(), ["mysql-replica-01", "mysql-replica-02"]);
    let first = task.subtask("mysql-replica-01").unwrap();
    assert_eq!(first.meta_schema, "my_meta");
    assert_eq!(
        (first.target.to_string().as_str(), first.target.password.expose()),
        ("root@127.0.0.1:4000", "123456")
    );
    assert_eq!(first.session["sql_mode"], "ANSI_QUOTES");
    assert_eq!(first.session["tidb_skip_utf8_check"], "1");
    assert_eq!(first.block_allow.do_dbs, ["~^test.*", "user"]);
    let table = TablePattern { schema: "~^test.*".into(), table: "~^t.*".into() };
    assert_eq!(first.block_allow.do_tables, [table]);
    assert_eq!(
        first.routes.iter().map(|r| r.table_pattern.as_deref()).collect::<Vec<_>>(),
        [None, Some("t_*")]
    );
    assert_eq!((first.mydumper.threads, first.loader.pool_size), (8, 20));
    assert_eq!(first.loader.on_duplicate, OnDuplicate::Error);
    assert_eq!((first.syncer.worker_count, first.syncer.batch), (32, 50));
    assert!(first.syncer.strict);
    let second = task.subtask("mysql-replica-02").unwrap();
    assert_eq!((second.syncer.worker_count, second.syncer.batch), (7, 100));
    assert_eq!(second.block_allow, first.block_allow);
    assert!(task.subtask("other").is_none());
    assert_eq!(
        task.warnings,
        [
            "`timezone` has no effect: TIMESTAMP values travel in UTC and all others as they are written, and each DDL \
             runs in the time zone of the session that executed it at the source",
            "`is-sharding` is deprecated: use `shard-mode`",
            "source `mysql-replica-01`: `meta` has no effect in task-mode `all`",
            "`extra-args` of a mydumper block has no effect",
            "no instance uses `spare` in `syncers`",
        ]
    );
    assert!(!format!("{task:?}").contains("123456"), "a password must not show");
}

#[test]
fn the_shortest_file_gets_the_defaults() {
    let task = TaskConfig::parse(
        "{name: t, task-mode: incremental, target-database: {host: h, port: 1, user: u}, mysql-instances: \
         [{source-id: s, meta: {binlog-gtid: 'a:1-5'}}]}",
    )
    .unwrap();
    let s = task.subtask("s").unwrap();
    assert_eq!(s.meta_schema, "dm_meta");
    assert_eq!(s.start, Some(StartPosition { file: None, pos: 4, gtid: Some("a:1-5".into()) }));
    assert_eq!((s.syncer.worker_count, s.syncer.batch, s.syncer.queue_size), (16, 100, 1024));
    assert_eq!((s.mydumper.threads, s.loader.pool_size), (4, 16));
    assert_eq!(s.block_allow, BlockAllowConfig::default());
    assert!(s.routes.is_empty() && s.target.password.is_empty() && task.warnings.is_empty());
    let online = s.online_ddl.as_ref().unwrap();
    assert_eq!(
        (online.shadow[0].as_str(), online.trash[0].as_str()),
        ("^_(.+)_(?:new|gho)$", "^_(.+)_(?:ghc|del|old)$")
    );
}

#[test]
fn dmctls_check_sees_keys_and_types_only() {
    assert_eq!(TaskConfig::check_yaml("{name: t}").unwrap().as_deref(), Some("t"));
    assert!(TaskConfig::check_yaml("{nam: t}").is_err());
}

#[test]
fn rules_for_online_schema_changes() {
    let online = |lines: &str| {
        let file = format!(
            "{lines}name: t\ntask-mode: all\ntarget-database: {{host: h, port: 1, user: u}}\nmysql-instances: [{{source-id: s}}]\n"
        );
        TaskConfig::parse(&file).unwrap().subtasks[0].online_ddl.clone()
    };
    assert_eq!(online("online-ddl: false\n"), None);
    assert!(online("online-ddl: true\n").is_some());
    assert!(online("online-ddl: false\nonline-ddl-scheme: gh-ost\n").is_some());
    let own = online("shadow-table-rules: ['(.+)_x', '^(.+)_y$']\ntrash-table-rules: []\n").unwrap();
    assert_eq!(own.shadow, ["^(.+)_x$", "^(.+)_y$"]);
    assert_eq!(own.trash, ["^_(.+)_(?:ghc|del|old)$"]);
}
