//! Every type and edge value: the binlog's values against the server's own SELECT, in both modes.

use dm_binlog::{ColumnHint, RowsKind};
use dm_replication::StartAt;
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;

use crate::support::{Stream, executed, position, source};

/// Column type, whether it is unsigned, how SELECT gives the text the decoder prints, three literals.
const COLUMNS: &[(&str, bool, &str, [&str; 4])] = &[
    ("TINYINT", false, "X", ["-128", "127", "0", "-1"]),
    ("TINYINT UNSIGNED", true, "X", ["255", "128", "0", "1"]),
    ("SMALLINT", false, "X", ["-32768", "32767", "-1", "NULL"]),
    ("SMALLINT UNSIGNED", true, "X", ["65535", "32768", "0", "1"]),
    ("MEDIUMINT", false, "X", ["-8388608", "8388607", "-1", "0"]),
    ("MEDIUMINT UNSIGNED", true, "X", ["16777215", "8388608", "0", "NULL"]),
    ("INT", false, "X", ["-2147483648", "2147483647", "-1", "0"]),
    ("INT UNSIGNED", true, "X", ["4294967295", "2147483648", "0", "1"]),
    ("BIGINT", false, "X", ["-9223372036854775808", "9223372036854775807", "-1", "0"]),
    ("BIGINT UNSIGNED", true, "X", ["18446744073709551615", "9223372036854775808", "0", "1"]),
    (
        "DECIMAL(65,30)",
        false,
        "X",
        [
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001",
            "-0.5",
            "12345678901234567890.12",
        ],
    ),
    ("DECIMAL(10,0)", false, "X", ["-9999999999", "9999999999", "0", "NULL"]),
    ("DECIMAL(5,5)", false, "X", ["-0.99999", "0.00001", "0", "0.5"]),
    ("YEAR", true, "X", ["0000", "1901", "2155", "2024"]),
    ("DATE", false, "X", ["'0000-00-00'", "'9999-12-31'", "'2020-00-15'", "'1000-01-01'"]),
    ("TIME", false, "X", ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"]),
    ("TIME(1)", false, "X", ["'-838:59:58.9'", "'00:00:00.1'", "'-00:00:00.1'", "'-00:00:01.0'"]),
    ("TIME(2)", false, "X", ["'-838:59:58.99'", "'12:13:14.15'", "'-00:00:00.01'", "NULL"]),
    ("TIME(3)", false, "X", ["'-838:59:58.999'", "'12:13:14.156'", "'-00:00:00.001'", "'0'"]),
    ("TIME(4)", false, "X", ["'-838:59:58.9999'", "'12:13:14.1567'", "'-00:00:00.0001'", "'0'"]),
    ("TIME(6)", false, "X", ["'-838:59:58.999999'", "'12:13:14.156789'", "'-00:00:00.000001'", "'0'"]),
    (
        "DATETIME",
        false,
        "X",
        ["'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'", "'2020-01-00 01:02:03'", "NULL"],
    ),
    (
        "DATETIME(1)",
        false,
        "X",
        ["'2020-01-02 03:04:05.6'", "'1000-01-01 00:00:00.1'", "'0000-00-00'", "NULL"],
    ),
    (
        "DATETIME(3)",
        false,
        "X",
        ["'2020-01-02 03:04:05.678'", "'9999-12-31 23:59:59.999'", "'0000-00-00'", "NULL"],
    ),
    (
        "DATETIME(6)",
        false,
        "X",
        ["'2020-01-02 03:04:05.678901'", "'9999-12-31 23:59:59.999999'", "'0000-00-00'", "NULL"],
    ),
    (
        "TIMESTAMP NULL",
        false,
        "X",
        ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "NULL"],
    ),
    (
        "TIMESTAMP(2) NULL",
        false,
        "X",
        ["'2001-02-03 04:05:06.07'", "'2000-02-29 12:00:00.99'", "'0000-00-00'", "NULL"],
    ),
    (
        "TIMESTAMP(6) NULL",
        false,
        "X",
        ["'2001-02-03 04:05:06.070809'", "'2000-02-29 12:00:00.000001'", "'0000-00-00'", "NULL"],
    ),
    ("CHAR(10)", false, "X", ["'abc'", "''", "'é😀'", "NULL"]),
    ("CHAR(255) CHARACTER SET utf8mb4", false, "X", ["REPEAT('ä',255)", "''", "'x'", "NULL"]),
    ("VARCHAR(60)", false, "X", ["'abc '", "''", "'日本'", "NULL"]),
    ("VARCHAR(2000)", false, "X", ["REPEAT('é',2000)", "''", "'日本'", "NULL"]),
    ("VARCHAR(20) CHARACTER SET latin1", false, "CAST(X AS BINARY)", ["'é'", "''", "'x'", "NULL"]),
    ("BINARY(5)", false, "TRIM(TRAILING 0x00 FROM X)", ["0x0102", "0xFFFFFFFFFF", "0x00", "NULL"]),
    ("VARBINARY(300)", false, "X", ["0x00", "0xFF00FF", "''", "NULL"]),
    ("TINYBLOB", false, "X", ["0x00FF", "''", "'x'", "NULL"]),
    ("TEXT", false, "X", ["REPEAT('t',65535)", "''", "'x'", "NULL"]),
    ("MEDIUMTEXT", false, "X", ["REPEAT('t',70000)", "''", "'x'", "NULL"]),
    ("LONGBLOB", false, "X", ["REPEAT(0x00,1000)", "''", "'x'", "NULL"]),
    ("BIT(1)", false, "X+0", ["1", "0", "NULL", "1"]),
    ("BIT(10)", false, "X+0", ["1023", "0", "NULL", "512"]),
    ("BIT(64)", false, "X+0", ["18446744073709551615", "0", "1", "NULL"]),
    ("ENUM('a','b','ç')", false, "X+0", ["'a'", "'ç'", "NULL", "'b'"]),
    (
        "SET('a','b','c','d','e','f','g','h','i')",
        false,
        "X+0",
        ["''", "'a,i'", "NULL", "'a,b,c,d,e,f,g,h,i'"],
    ),
    (
        "GEOMETRY",
        false,
        "X",
        ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "NULL", "NULL"],
    ),
];

/// Floats: compared as numbers, since every program prints them its own way.
const FLOATS: &[(&str, &str, [&str; 4])] = &[
    ("FLOAT", "X+0e0", ["3.4028234e38", "-1.1754944e-38", "0.1", "16777216"]),
    ("DOUBLE", "X", ["1.7976931348623157e308", "-2.2250738585072014e-308", "0.1", "-1e-5"]),
    ("DOUBLE UNSIGNED", "X", ["1.5", "0", "123456789.125", "NULL"]),
];

fn setup() -> Vec<String> {
    let mut columns: Vec<String> = vec!["id INT PRIMARY KEY".into()];
    columns.extend(COLUMNS.iter().enumerate().map(|(i, c)| format!("c{i} {}", c.0)));
    columns.extend(FLOATS.iter().enumerate().map(|(i, c)| format!("f{i} {}", c.0)));
    let mut sql = vec![
        "SET sql_mode='ALLOW_INVALID_DATES', time_zone='+00:00'".to_owned(),
        "CREATE DATABASE fid CHARACTER SET utf8mb4".to_owned(),
        "USE fid".to_owned(),
        format!("CREATE TABLE ty ({})", columns.join(", ")),
    ];
    for row in 0..4 {
        let mut values = vec![row.to_string()];
        values.extend(COLUMNS.iter().map(|c| c.3[row].to_owned()));
        values.extend(FLOATS.iter().map(|c| c.2[row].to_owned()));
        sql.push(format!("INSERT INTO ty VALUES ({})", values.join(", ")));
    }
    sql.push("UPDATE ty SET id=id+10 ORDER BY id DESC".to_owned());
    sql
}

async fn select(db: &Database) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut conn = db.conn().await.unwrap();
    conn.query_drop("SET NAMES binary, time_zone='+00:00'").await.unwrap();
    // Text in its stored bytes.
    let mut list = vec!["id".to_owned()];
    list.extend(COLUMNS.iter().enumerate().map(|(i, c)| c.2.replace('X', &format!("c{i}"))));
    list.extend(FLOATS.iter().enumerate().map(|(i, c)| c.1.replace('X', &format!("f{i}"))));
    let rows: Vec<mysql_async::Row> =
        conn.query(format!("SELECT {} FROM fid.ty ORDER BY id", list.join(", "))).await.unwrap();
    rows.into_iter().map(|row| row.unwrap().into_iter().map(mysql_async::from_value).collect()).collect()
}

fn check(what: &str, got: &[Option<Vec<u8>>], want: &[Option<Vec<u8>>]) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let name = match i {
            0 => "id",
            i if i <= COLUMNS.len() => COLUMNS[i - 1].0,
            i => FLOATS[i - 1 - COLUMNS.len()].0,
        };
        let show = |v: &Option<Vec<u8>>| {
            v.as_ref().map(|b| String::from_utf8_lossy(&b[..b.len().min(80)]).into_owned())
        };
        if i > COLUMNS.len() {
            let number = |v: &Option<Vec<u8>>| {
                v.as_ref().map(|b| std::str::from_utf8(b).unwrap().parse::<f64>().unwrap().to_bits())
            };
            assert_eq!(number(got), number(want), "{what}: {name}: {:?} {:?}", show(got), show(want));
        } else {
            assert_eq!(show(got), show(want), "{what}: column {i}, {name}");
            assert_eq!(got, want, "{what}: column {i}, {name}");
        }
    }
}

async fn every_type(flavor: Flavor, metadata: &str) {
    let db = source(flavor, DatabaseOptions::default().line(format!("binlog-row-metadata={metadata}"))).await;
    let (gtid, pos) = (StartAt::Gtid(executed(&db).await), position(&db).await);
    let sql = setup();
    let sql: Vec<&str> = sql.iter().map(String::as_str).collect();
    db.run(&sql).await.unwrap();
    let want = select(&db).await;
    assert_eq!(want.len(), 4);
    db.run(&["DELETE FROM fid.ty", "CREATE TABLE fid.done_1 (a INT)"]).await.unwrap();
    for start in [gtid, pos] {
        let mut stream = Stream::open(&db, start).await.unwrap();
        stream.hints = std::iter::once(false)
            .chain(COLUMNS.iter().map(|c| c.1))
            .map(|unsigned| ColumnHint { unsigned, old_temporal_decimals: 0 })
            .collect();
        let changes = stream.until("done_1").await.unwrap();
        let kinds = |k| changes.iter().filter(|c| c.kind == k).count();
        assert_eq!((kinds(RowsKind::Write), kinds(RowsKind::Update), kinds(RowsKind::Delete)), (4, 4, 4));
        for change in &changes {
            for image in [&change.before, &change.after].into_iter().flatten() {
                let mut image = image.clone();
                let id: usize = String::from_utf8(image[0].clone().unwrap()).unwrap().parse().unwrap();
                image[0] = Some((id % 10 + 10).to_string().into_bytes());
                check(&format!("{:?} of row {}", change.kind, id % 10), &image, &want[id % 10]);
            }
        }
        let map = stream.tables.first().unwrap();
        for (i, column) in map.columns.iter().enumerate().skip(1).take(COLUMNS.len()) {
            if let Some(unsigned) = column.unsigned {
                assert_eq!(unsigned, COLUMNS[i - 1].1, "{}", COLUMNS[i - 1].0);
            }
            if metadata == "FULL" {
                assert_eq!(column.name.as_deref(), Some(format!("c{}", i - 1).as_bytes()));
            }
        }
        if metadata == "FULL" {
            assert_eq!(map.primary_key.as_deref().unwrap()[0].column, 0);
            let latin1 = COLUMNS.iter().position(|c| c.0.contains("latin1")).unwrap() + 1;
            assert_eq!(map.columns[latin1].charset, Some(8));
            let labels = COLUMNS.iter().position(|c| c.0.starts_with("ENUM")).unwrap() + 1;
            assert_eq!(map.columns[labels].labels.as_ref().unwrap().len(), 3);
        }
        stream.client.close().await;
    }
}

#[tokio::test]
async fn every_type_of_mysql() {
    every_type(Flavor::MySql, "MINIMAL").await;
}

#[tokio::test]
async fn every_type_of_mysql_with_full_metadata() {
    every_type(Flavor::MySql, "FULL").await;
}

#[tokio::test]
async fn every_type_of_mariadb() {
    every_type(Flavor::MariaDb, "NO_LOG").await;
}

#[tokio::test]
async fn every_type_of_mariadb_with_full_metadata() {
    every_type(Flavor::MariaDb, "FULL").await;
}

/// Values JSON itself does not have, long strings, deep and large containers.
#[tokio::test]
async fn json_of_mysql() {
    let db = source(Flavor::MySql, DatabaseOptions::default()).await;
    let start = StartAt::Gtid(executed(&db).await);
    let documents = [
        r#"'{"a": [1, -1, 70000, -70000, 5000000000, 18446744073709551615, 1.5, true, false, null, "x\"\\\n\u0001é"]}'"#,
        "JSON_OBJECT('d', CAST('12.340' AS DECIMAL(10,3)), 'n', CAST(-0.5 AS DECIMAL(3,1)))",
        "JSON_ARRAY(CAST('2020-02-29' AS DATE), CAST('2020-02-29 01:02:03.5' AS DATETIME(6)), CAST('-10:11:12.25' AS TIME(6)))",
        "JSON_ARRAY(CAST('abc' AS BINARY), CAST(REPEAT('z', 100) AS BINARY))",
        "JSON_ARRAY(REPEAT('y', 70000), JSON_OBJECT('k', REPEAT('w', 200)))",
        "'{}'",
        "'[]'",
        "'null'",
        "'\"s\"'",
        "'-3'",
        "'[[[[[[1]]]]]]'",
        "NULL",
    ];
    let mut sql = vec![
        "SET sql_mode='NO_BACKSLASH_ESCAPES'".to_owned(),
        "CREATE DATABASE js".to_owned(),
        "CREATE TABLE js.t (id INT PRIMARY KEY, j JSON)".to_owned(),
    ];
    sql.extend(documents.iter().enumerate().map(|(i, d)| format!("INSERT INTO js.t VALUES ({i}, {d})")));
    sql.push("CREATE TABLE js.done_1 (a INT)".to_owned());
    db.run(&sql.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let want: Vec<(usize, Option<String>)> =
        db.conn().await.unwrap().query("SELECT id, j FROM js.t ORDER BY id").await.unwrap();
    let changes = Stream::open(&db, start).await.unwrap().until("done_1").await.unwrap();
    assert_eq!(changes.len(), want.len());
    for (change, (_, want)) in changes.iter().zip(&want) {
        let got = change.after.as_ref().unwrap()[1].clone().map(|b| String::from_utf8(b).unwrap());
        assert_eq!(&got, want);
    }
}

/// Old temporal columns, COMPRESSED columns and compressed events of MariaDB.
#[tokio::test]
async fn what_only_mariadb_has() {
    let options = DatabaseOptions::default()
        .line("mysql56_temporal_format=OFF")
        .line("log_bin_compress=ON")
        .line("log_bin_compress_min_len=10");
    let db = source(Flavor::MariaDb, options).await;
    let start = StartAt::Gtid(executed(&db).await);
    let types = [
        "TIME",
        "TIME(2)",
        "TIME(5)",
        "DATETIME",
        "DATETIME(3)",
        "DATETIME(6)",
        "TIMESTAMP NULL",
        "TIMESTAMP(4) NULL",
    ];
    let decimals = [0, 2, 5, 0, 3, 6, 0, 4];
    let columns: Vec<String> = types.iter().enumerate().map(|(i, t)| format!("c{i} {t}")).collect();
    let table = format!(
        "CREATE TABLE ma.t (id INT PRIMARY KEY, {}, v VARCHAR(500) COMPRESSED, b MEDIUMBLOB COMPRESSED)",
        columns.join(", ")
    );
    db.run(&[
        "SET sql_mode='', time_zone='+00:00'",
        "CREATE DATABASE ma",
        &table,
        "INSERT INTO ma.t VALUES (1, '-838:59:58', '-00:00:00.01', '838:59:58.99999', '2020-01-02 03:04:05', \
         '2020-01-02 03:04:05.678', '9999-12-31 23:59:59.999999', '2001-01-01 00:00:00', '2001-01-01 00:00:00.1234', \
         REPEAT('v', 400), REPEAT('blob', 50000))",
        "INSERT INTO ma.t VALUES (2, '00:00:01', '-12:00:00.5', '00:00:00', '0000-00-00', '0000-00-00', '0000-00-00', \
         NULL, NULL, 'short', '')",
        "CREATE TABLE ma.done_1 (a INT)",
    ])
    .await
    .unwrap();
    let mut conn = db.conn().await.unwrap();
    conn.query_drop("SET time_zone='+00:00'").await.unwrap();
    let rows: Vec<mysql_async::Row> = conn.query("SELECT * FROM ma.t ORDER BY id").await.unwrap();
    let mut stream = Stream::open(&db, start).await.unwrap();
    stream.hints = std::iter::once(0)
        .chain(decimals)
        .map(|d| ColumnHint { unsigned: false, old_temporal_decimals: d })
        .collect();
    let changes = stream.until("done_1").await.unwrap();
    assert_eq!(changes.len(), 2);
    for (change, row) in changes.into_iter().zip(rows) {
        let want: Vec<Option<Vec<u8>>> = row.unwrap().into_iter().map(mysql_async::from_value).collect();
        assert_eq!(change.after.unwrap(), want);
    }
    let codes: Vec<u8> = stream.raw.iter().map(|e| e[4]).collect();
    assert!(codes.iter().any(|c| (165..=171).contains(c)), "no compressed event: {codes:?}");
}
