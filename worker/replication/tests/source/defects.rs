//! What binlog libraries get wrong: a stream with holes, keys out of order, heartbeats of another form.

use std::path::PathBuf;

use dm_binlog::{KeyPart, type_code as code};
use dm_replication::StartAt;
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;

use crate::support::{Stream, source};

/// Everything the two servers write in forms of their own, in one file.
fn history(flavor: Flavor) -> Vec<&'static str> {
    let mut sql = vec![
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE k (b INT, v VARCHAR(20), a INT, PRIMARY KEY (a, b))",
        "CREATE TABLE p (b INT, v VARCHAR(20), a INT, PRIMARY KEY (v(5), a))",
        "CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(30,10), b TIME(3), c DATETIME(6), d VARCHAR(300), \
         e ENUM('x','y'), f SET('p','q'), g BIT(9), h MEDIUMINT UNSIGNED, i TIMESTAMP(2) NULL, k DOUBLE, l BLOB, m FLOAT, \
         n YEAR, o DATE, q CHAR(3), r BINARY(5), s POINT, u TINYINT, w SMALLINT, x BIGINT UNSIGNED)",
        "INSERT INTO k VALUES (1, 'v', 2), (2, NULL, 3)",
        "INSERT INTO p VALUES (1, 'vvvvvvv', 2)",
        "INSERT INTO t VALUES (1, -1.5, '-01:02:03.4', '2024-02-29 01:02:03.4', REPEAT('d', 299), 'x', 'p,q', 5, 7, \
         '2001-02-03 04:05:06.78', 1.5, 'blob', -0.5, 2000, '1000-01-01', 'abc', 'r', POINT(1, 2), -1, -2, 18446744073709551615), \
         (2, 1234567890.0987654321, '838:59:59', '0000-00-00', '', NULL, '', b'100000001', 0, NULL, -0.0, '', 1e30, 0, \
         '0000-00-00', '', '', NULL, 127, 32767, 0)",
        "UPDATE t SET h = 8, a = NULL WHERE id = 1",
        "DELETE FROM t WHERE id = 2",
        "BEGIN",
        "INSERT INTO k VALUES (9, 'x', 9)",
        "SAVEPOINT s",
        "UPDATE k SET v = 'y'",
        "COMMIT",
        "ALTER TABLE k ADD COLUMN n INT NOT NULL DEFAULT 3 COMMENT 'it''s'",
        "XA START 'g','b',7",
        "INSERT INTO k VALUES (11, 'x', 11, 1)",
        "XA END 'g','b',7",
        "XA PREPARE 'g','b',7",
        "XA COMMIT 'g','b',7",
        "SET binlog_format = STATEMENT",
        "SET @v = 'text'",
        "UPDATE k SET v = CONCAT(@v, RAND() > 2), a = LAST_INSERT_ID() + 100 + a",
        "SET binlog_format = ROW",
    ];
    match flavor {
        Flavor::MySql => sql.extend([
            "SET binlog_rows_query_log_events = ON",
            "CREATE TABLE j (id INT PRIMARY KEY, j JSON, v VECTOR(3))",
            r#"INSERT INTO j VALUES (1, '{"a": [1, {"b": "c"}, 2.5, null, true], "long": "filler filler filler filler filler"}',
               TO_VECTOR('[1,2,3]')), (2, '[]', NULL), (3, CAST(CAST('2024-02-29' AS DATE) AS JSON), NULL)"#,
            "SET binlog_row_value_options = PARTIAL_JSON",
            "UPDATE j SET j = JSON_SET(j, '$.a[0]', 'one', '$.n', 3) WHERE id = 1",
            "UPDATE j SET j = JSON_REMOVE(j, '$.a[1].b', '$.n') WHERE id = 1",
            "SET binlog_transaction_compression = ON",
            "INSERT INTO t (id, d) VALUES (5, REPEAT('compressed ', 20)), (6, REPEAT('compressed ', 20))",
            "UPDATE j SET j = JSON_SET(j, '$.a[1]', 2)  WHERE id = 1",
        ]),
        Flavor::MariaDb => sql.extend([
            "CREATE TABLE c (id INT PRIMARY KEY, v VARCHAR(500) COMPRESSED, b BLOB COMPRESSED, u UUID, i INET6)",
            "INSERT INTO c VALUES (1, REPEAT('v', 400), REPEAT('b', 900), UUID(), '::1')",
            "SET GLOBAL log_bin_compress = ON",
            "SET GLOBAL log_bin_compress_min_len = 10",
            "INSERT INTO t (id, d) VALUES (5, REPEAT('compressed ', 20)), (6, REPEAT('compressed ', 20))",
            "UPDATE t SET d = 'short' WHERE id = 6",
            "DELETE FROM t WHERE id = 5",
            "SET binlog_alter_two_phase = ON",
            "ALTER TABLE c ADD COLUMN z INT",
        ]),
    }
    sql.extend(["FLUSH BINARY LOGS", "CREATE TABLE d.done_1 (a INT)"]);
    sql
}

/// The file being written: its name and where it is.
async fn present_file(db: &Database) -> (String, PathBuf) {
    let mut conn = db.conn().await.unwrap();
    let files: Vec<mysql_async::Row> = conn.query("SHOW BINARY LOGS").await.unwrap();
    conn.disconnect().await.unwrap();
    let name: String = files.last().unwrap().get(0).unwrap();
    let path = db.dir().join("data").join(&name);
    (name, path)
}

/// What the stream brings is, byte for byte, the source's file: no event is missing and none is changed. MariaDB leaves
/// ANNOTATE_ROWS out unless it is asked. With `RAFT_DM_CAPTURE` set, the file becomes the corpus of the fuzz tests.
async fn identical(flavor: Flavor) {
    let options =
        DatabaseOptions::default().line("binlog-row-metadata=FULL").line("sql_mode=NO_ENGINE_SUBSTITUTION");
    let db = source(flavor, options).await;
    db.run(&["FLUSH BINARY LOGS"]).await.unwrap();
    let (file, path) = present_file(&db).await;
    db.run(&history(flavor)).await.unwrap();
    let written = std::fs::read(&path).unwrap();
    let mut stream = Stream::open(&db, StartAt::Position { file, pos: 4 }).await.unwrap();
    let mut seen = b"\xFEbin".to_vec();
    let mut types = Vec::new();
    // Until the source is idle: its heartbeat comes in the form that every version knows.
    loop {
        let event = stream.client.next().await.unwrap();
        let (header, _) = stream.decoder.decode(&event).unwrap();
        types.push(header.type_code);
        if header.type_code == code::HEARTBEAT {
            break;
        }
        if seen.len() < written.len() && header.next_position().is_some() {
            seen.extend_from_slice(&event);
        }
    }
    let differs = seen.iter().zip(&written).position(|(a, b)| a != b);
    assert_eq!((differs, seen.len()), (None, written.len()));
    assert!(!types.contains(&code::HEARTBEAT_V2), "{types:?}");
    let own: &[u8] = match flavor {
        Flavor::MySql => {
            &[code::ROWS_QUERY, code::PARTIAL_UPDATE_ROWS, code::TRANSACTION_PAYLOAD, code::XA_PREPARE]
        }
        Flavor::MariaDb => &[
            code::MARIA_ANNOTATE_ROWS,
            code::MARIA_QUERY_COMPRESSED,
            code::MARIA_WRITE_ROWS_COMPRESSED_V1,
            code::MARIA_UPDATE_ROWS_COMPRESSED_V1,
            code::MARIA_DELETE_ROWS_COMPRESSED_V1,
        ],
    };
    for wanted in own {
        assert!(types.contains(wanted), "no event of type {wanted}: {types:?}");
    }
    if let Some(dir) = std::env::var_os("RAFT_DM_CAPTURE") {
        let name = format!("{}.binlog", flavor.name());
        std::fs::write(PathBuf::from(dir).join(name), &written).unwrap();
    }
}

#[tokio::test]
async fn the_stream_is_the_file_of_mysql() {
    identical(Flavor::MySql).await;
}

#[tokio::test]
async fn the_stream_is_the_file_of_mariadb() {
    identical(Flavor::MariaDb).await;
}

/// `PRIMARY KEY (a, b)` where b stands before a, and one of a prefix: the key's own order is kept.
#[tokio::test]
async fn composite_keys_keep_their_order() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default().line("binlog-row-metadata=FULL")).await;
        let (file, _) = present_file(&db).await;
        db.run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.k (b INT, v VARCHAR(20), a INT, PRIMARY KEY (a, b))",
            "CREATE TABLE d.p (b INT, v VARCHAR(20), a INT, PRIMARY KEY (v(5), a))",
            "INSERT INTO d.k VALUES (1, 'v', 2)",
            "INSERT INTO d.p VALUES (1, 'v', 2)",
            "CREATE TABLE d.done_1 (a INT)",
        ])
        .await
        .unwrap();
        let mut stream = Stream::open(&db, StartAt::Position { file, pos: 4 }).await.unwrap();
        stream.until("done_1").await.unwrap();
        let key = |table: &[u8]| {
            let map = stream.tables.iter().find(|t| *t.table == *table).unwrap();
            map.primary_key.as_deref().unwrap().to_vec()
        };
        let whole = |column| KeyPart { column, prefix: 0 };
        assert_eq!(key(b"k"), [whole(2), whole(0)], "{flavor:?}");
        assert_eq!(key(b"p"), [KeyPart { column: 1, prefix: 5 }, whole(2)], "{flavor:?}");
    }
}
