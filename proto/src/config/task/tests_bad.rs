//! Task files that are refused: each gives one clear error.

use super::tests::FULL;
use super::*;

/// (text of [`FULL`], what replaces it, code, what the message must say)
const CASES: &[(&str, &str, i32, &str)] = &[
    ("name: test", "name: test\nno-such-key: 1", 20003, "line 3: unknown key `no-such-key`"),
    ("do-dbs:", "do-db:", 20003, "unknown key `do-db`"),
    ("port: 4000", "port: 4000\n  port: 4001", 20003, "key `port` is given twice"),
    ("port: 4000", "port: hunter2", 20003, "key `port`: the value is not of type u16"),
    ("case-sensitive: false", "case-sensitive: maybe", 20003, "key `case-sensitive`"),
    ("host: \"127.0.0.1\"", "max-allowed-packet: 1", 20003, "target-database: `host` is missing"),
    ("port: 4000", "port: 0", 20003, "target-database: `port` is missing"),
    ("name: test", "", 20019, "`name` is missing"),
    ("name: test", "name: ''", 20019, "`name` is missing"),
    ("name: test", "name: a123456789012345678901234567890123456789012345678901234", 20019, "53 are allowed"),
    ("task-mode: all", "task-mode: everything", 20020, "task-mode `everything` is not known"),
    ("task-mode: all", "", 20020, "task-mode"),
    ("task-mode: all", "task-mode: dump", 51010, "task-mode `dump` is not supported"),
    ("shard-mode: \"\"", "shard-mode: lenient", 20033, "shard-mode `lenient` is not known"),
    ("shard-mode: \"\"", "shard-mode: optimistic", 51010, "shard-mode `optimistic`"),
    ("is-sharding: false", "is-sharding: true", 51010, "shard-mode `pessimistic`"),
    ("is-sharding: false", "strict-optimistic-shard-mode: true", 20066, "strict-optimistic"),
    ("\"conn_number\"", "\"conn_numbers\"", 20001, "`conn_numbers` is not known"),
    ("Asia/Shanghai", "SYSTEM", 20008, "timezone `SYSTEM`"),
    ("Asia/Shanghai", "+15:00", 20008, "timezone `+15:00`"),
    ("clean-dump-file: true", "collation_compatible: odd", 20052, "collation_compatible `odd`"),
    ("clean-dump-file: true", "collation_compatible: strict", 51010, "collation_compatible"),
    ("clean-dump-file: true", "column-mappings: {a: {}}", 20064, "column-mappings"),
    ("clean-dump-file: true", "online-ddl-scheme: magic", 20007, "online-ddl-scheme `magic`"),
    ("clean-dump-file: true", "shadow-table-rules: ['^_x$']", 20048, "exactly one group"),
    ("ssl-ca: \"\"", "ssl-ca: /ca.pem", 51010, "target-database: TLS"),
    (
        "- source-id: \"mysql-replica-02\"",
        "- source-id: mysql-replica-01",
        20014,
        "`mysql-replica-01` is named twice",
    ),
    ("- source-id: \"mysql-replica-02\"", "- loader: {}", 20005, "no `source-id`"),
    (
        "- source-id: \"mysql-replica-02\"",
        "- source-id: a12345678901234567890123456789012",
        20006,
        "longer than 32",
    ),
    ("[\"user-route-rules-schema\", ", "[\"nobody\", ", 20023, "`nobody` is not defined in `routes`"),
    ("[\"user-route-rules-schema\", ", "[\"user-route-rules\", ", 20032, "named twice in `route-rules`"),
    ("[\"user-route-rules-schema\", ", "[", 20038, "no instance uses `user-route-rules-schema` in `routes`"),
    ("block-allow-list: \"instance\"", "block-allow-list: nobody", 20026, "`nobody` is not defined"),
    ("syncer-config-name: \"global\"", "syncer-config-name: nobody", 20030, "in `syncers`"),
    ("loader-config-name: \"global\"", "loader-config-name: nobody", 20029, "in `loaders`"),
    ("mydumper-config-name: \"global\"", "mydumper-config-name: nobody", 20027, "in `mydumpers`"),
    ("mydumper-thread: 8", "validator-config-name: nobody", 20056, "in `validators`"),
    ("mydumper-thread: 8", "filter-rules: [nobody]", 20024, "in `filters`"),
    ("mydumper-thread: 8", "expression-filters: [nobody]", 20040, "in `expression-filter`"),
    ("routes:\n", "filters: {f: {schema-pattern: a, action: Do}}\nroutes:\n", 20038, "`f` in `filters`"),
    ("routes:\n", "filters: {f: {action: Do}}\nroutes:\n", 20037, "`schema-pattern` is missing"),
    ("routes:\n", "filters: {f: {schema-pattern: a}}\nroutes:\n", 20037, "`action` is missing"),
    ("routes:\n", "filters: {f: {schema-pattern: a, action: x}}\nroutes:\n", 20037, "neither Do, Ignore"),
    (
        "routes:\n",
        "filters: {f: {schema-pattern: a, action: Do, sql-pattern: ['(']}}\nroutes:\n",
        20037,
        "sql-pattern `(`",
    ),
    ("routes:\n", "expression-filter: {f: {schema: a, table: b}}\nroutes:\n", 20039, "no expression"),
    ("routes:\n", "expression-filter: {f: {schema: a}}\nroutes:\n", 20042, "`table` is missing"),
    (
        "routes:\n",
        "expression-filter: {f: {schema: a, table: b, insert-value-expr: x, delete-value-expr: y}}\nroutes:\n",
        20039,
        "more than one",
    ),
    ("mydumper-thread: 8", "column-mapping-rules: [nobody]", 20064, "column-mapping-rules"),
    ("syncer-thread: 7", "syncer-config-name: global", 20017, "named and an inline block"),
    ("do-dbs: [\"~^test.*\"", "do-dbs: [\"te*st\"", 20044, "`*` may only be the last"),
    ("do-dbs: [\"~^test.*\"", "do-dbs: [\"~(\"", 20044, "not a regular expression"),
    ("do-dbs: [\"~^test.*\"", "do-dbs: [\"\"", 20044, "a pattern is empty"),
    ("target-schema: \"test\"\n    target-table", "target-table", 20045, "`target-schema` is missing"),
    (
        "target-table: \"t\"",
        "extract-table: {table-regexp: 't_(.*)'}",
        20045,
        "`target-column` of `extract-table`",
    ),
    (
        "target-table: \"t\"",
        "extract-source: {target-column: c}",
        20045,
        "`source-regexp` of `extract-source`",
    ),
    (
        "target-table: \"t\"",
        "extract-schema: {schema-regexp: '(', target-column: c}",
        20045,
        "not a regular expression",
    ),
    (
        "target-table: \"t\"",
        "extract-schema: {schema-regexp: 'test_.*', target-column: c}",
        20045,
        "has no group",
    ),
    (
        "target-table: \"t\"",
        "extract-table: {table-regexp: '(.*)', target-column: C}\n    extract-schema: {schema-regexp: '(.*)', target-column: c}",
        20045,
        "two values for the column `c`",
    ),
    ("chunk-filesize: 64", "chunk-filesize: big", 20047, "chunk-filesize: big"),
    ("chunk-filesize: 64", "where: 'id > 5'", 51010, "`where`"),
    ("--consistency auto", "--filter a.b", 51010, "`--filter` in `extra-args`"),
    ("dir: \"./dumped_data\"", "import-mode: odd", 20053, "import-mode: odd"),
    ("dir: \"./dumped_data\"", "import-mode: physical", 51010, "import-mode"),
    ("on-duplicate-logical: error", "on-duplicate-logical: odd", 20054, "on-duplicate-logical: odd"),
    ("batch: 50", "safe-mode-duration: 5", 20060, "safe-mode-duration: 5"),
    ("batch: 50", "safe-mode: true, safe-mode-duration: 0s", 20061, "safe-mode"),
    ("SQL_MODE: \"ANSI_QUOTES\"", "foreign_key_checks: 1", 20070, "foreign_key_checks"),
    ("task-mode: all", "task-mode: incremental", 0, ""),
    ("binlog-name: mysql-bin.000001", "", 0, ""),
];

#[test]
fn every_bad_file_gives_one_clear_error() {
    for (from, to, code, says) in CASES {
        assert_eq!(FULL.matches(from).count(), 1, "the case must change one place: {from}");
        let result = TaskConfig::parse(&FULL.replace(from, to));
        match (result, code) {
            (Ok(_), 0) => {}
            (Ok(_), _) => panic!("accepted: {to}"),
            (Err(error), code) => {
                assert_eq!(error.code, *code, "{to}: {error}");
                assert!(error.message.contains(says), "{to}: {error}");
                assert!(!error.to_string().contains("hunter2"), "a value shows: {error}");
                assert!(error.to_string().starts_with(&format!("[code={code}:class=config:")), "{error}");
            }
        }
    }
}

#[test]
fn whole_parts_that_are_missing() {
    let base = "{name: t, task-mode: incremental";
    let target = "target-database: {host: h, port: 1, user: u}";
    for (text, code) in [
        (format!("{base}}}"), 20021),
        (format!("{base}, {target}}}"), 20013),
        (format!("{base}, {target}, mysql-instances: []}}"), 20013),
        (format!("{base}, {target}, mysql-instances: [{{source-id: s, meta: {{binlog-pos: 4}}}}]}}"), 20011),
        (format!("{base}, {target}, mysql-instances: [null]}}"), 20005),
        (
            format!(
                "{base}, {target}, filters: {{f: {{schema-pattern: s, action: Do}}}}, mysql-instances: [{{source-id: s}}]}}"
            ),
            20038,
        ),
        (
            format!(
                "{base}, {target}, validators: {{v: {{mode: full}}}}, mysql-instances: [{{source-id: s}}]}}"
            ),
            51010,
        ),
        (
            format!(
                "{base}, {target}, validators: {{v: {{mode: odd}}}}, mysql-instances: [{{source-id: s}}]}}"
            ),
            20055,
        ),
        (String::new(), 20019),
        ("- a".to_owned(), 20003),
        ("just text".to_owned(), 20003),
    ] {
        assert_eq!(TaskConfig::parse(&text).unwrap_err().code, code, "{text}");
    }
}
