//! Statements and tokens.

use dm_binlog::Value;

use super::*;
use crate::model::{TableDefaults, TableModel};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

fn model(sql: &str) -> TableModel {
    TableModel::parse_create(sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap()
}

fn writer(sql: &str) -> RowWriter {
    let m = model(sql);
    RowWriter::new(&m, &m.renamed(TableName::new("x", "y")), RowWriterOptions::default()).unwrap()
}

fn text(out: Vec<u8>) -> String {
    String::from_utf8(out).unwrap()
}

fn tokens(w: &RowWriter, row: &[Option<Value<'_>>]) -> Vec<u64> {
    let mut out = Vec::new();
    w.tokens(RowChange::Insert { after: row }, &mut out).unwrap();
    out
}

#[test]
fn statements() {
    let w = writer(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(5), g INT AS (id) STORED, u DATETIME ON UPDATE NOW())",
    );
    let row = |id, a| [Some(Value::Int(id)), a, Some(Value::Int(id)), Some(Value::Null)];
    let (one, two) = (row(1, Some(Value::Bytes(b"a'b"))), row(2, Some(Value::Null)));
    let mut out = Vec::new();
    assert_eq!(w.insert(&mut out, &[&one, &two]).unwrap().rows, 2);
    assert_eq!(text(out), "INSERT INTO `x`.`y` (`id`,`a`,`u`) VALUES (1,'a\\'b',NULL),(2,NULL,NULL)");
    let mut out = Vec::new();
    w.update(&mut out, &one, &two).unwrap();
    assert_eq!(text(out), "UPDATE `x`.`y` SET `id`=2,`a`=NULL,`u`=NULL WHERE `id`=1");
    // MINIMAL images: only what changed, and no automatic time.
    let mut out = Vec::new();
    w.update(
        &mut out,
        &[Some(Value::Int(1)), None, None, None],
        &[None, Some(Value::Bytes(b"z")), None, None],
    )
    .unwrap();
    assert_eq!(text(out), "UPDATE `x`.`y` SET `a`='z',`u`=`u` WHERE `id`=1");
    let mut out = b"before".to_vec();
    assert!(matches!(w.delete(&mut out, &[None, None, None, None]), Err(WriteError::ImageNotFull { .. })));
    assert_eq!(out, b"before");
    assert!(matches!(w.delete(&mut out, &[None]), Err(WriteError::ColumnCount { .. })));
}

#[test]
fn whole_row_in_merged_tables() {
    let m = model("CREATE TABLE t (id INT PRIMARY KEY, a INT)");
    let w = RowWriter::new(&m, &m, RowWriterOptions { merged: true }).unwrap();
    let mut out = Vec::new();
    let expect = w.delete(&mut out, &[Some(Value::Int(1)), Some(Value::Null)]).unwrap();
    assert_eq!(text(out), "DELETE FROM `d`.`t` WHERE `id`=1 AND `a` IS NULL");
    assert!(!expect.keyless);
}

#[test]
fn token_modes() {
    let mode = |sql: &str| writer(sql).token_mode().clone();
    let keyed = |sql: &str| assert_eq!(mode(sql), TokenMode::Keys, "{sql}");
    keyed("CREATE TABLE t (id INT PRIMARY KEY, u BIGINT UNIQUE)");
    keyed("CREATE TABLE t (a VARCHAR(5) COLLATE utf8mb4_bin PRIMARY KEY)");
    keyed("CREATE TABLE t (a BINARY(5), b DATETIME(3), c DECIMAL(5,2), PRIMARY KEY (a,b,c))");
    for (sql, reason) in [
        ("CREATE TABLE t (a INT)", TableTokenReason::NoKey),
        ("CREATE TABLE t (a INT UNIQUE)", TableTokenReason::NoKey),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) COLLATE utf8mb4_general_ci UNIQUE)",
            TableTokenReason::Equality("b".into(), "b".into()),
        ),
        (
            "CREATE TABLE t (a VARCHAR(5) PRIMARY KEY)",
            TableTokenReason::Equality("PRIMARY".into(), "a".into()),
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b BLOB, UNIQUE k (b(3)))",
            TableTokenReason::PrefixOrExpression("k".into()),
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b INT, UNIQUE k ((b+1)))",
            TableTokenReason::PrefixOrExpression("k".into()),
        ),
        ("CREATE TABLE t (a DOUBLE PRIMARY KEY)", TableTokenReason::Equality("PRIMARY".into(), "a".into())),
    ] {
        assert!(
            matches!(mode(sql), TokenMode::Table { reason: r, .. } if r == reason),
            "{sql}: {:?}",
            mode(sql)
        );
    }
}

#[test]
fn equal_keys_have_equal_tokens() {
    let w = writer(
        "CREATE TABLE t (a VARCHAR(5) COLLATE utf8mb4_bin NOT NULL, b INT UNSIGNED, c BINARY(3), \
        PRIMARY KEY (a), UNIQUE (b), UNIQUE (c))",
    );
    let row = |a: &'static [u8], b, c: &'static [u8]| [Some(Value::Bytes(a)), Some(b), Some(Value::Bytes(c))];
    let one = tokens(&w, &row(b"x ", Value::UInt(5), b"\x01\0\0"));
    let two = tokens(&w, &row(b"x", Value::Int(5), b"\x01"));
    assert_eq!(one, two);
    assert_eq!(one.len(), 3);
    let other = tokens(&w, &row(b"X", Value::Null, b"\x02"));
    assert_eq!(other.len(), 2);
    assert!(other.iter().all(|t| !one.contains(t)));
    // An update has the tokens of both images.
    let (a, b) = (row(b"p", Value::UInt(1), b"q"), row(b"p", Value::UInt(2), b"q"));
    let mut both = Vec::new();
    w.tokens(RowChange::Update { before: &a, after: &b }, &mut both).unwrap();
    assert_eq!(both.len(), 4);
    // Two source tables of one target table share tokens; another table does not.
    let m = model("CREATE TABLE s2 (id BIGINT PRIMARY KEY)");
    let into = |name| {
        RowWriter::new(&m, &m.renamed(TableName::new("x", name)), RowWriterOptions::default()).unwrap()
    };
    let row = [Some(Value::Int(1))];
    assert_eq!(tokens(&into("t"), &row), tokens(&into("T"), &row));
    assert_ne!(tokens(&into("t"), &row), tokens(&into("u"), &row));
}

#[test]
fn secondary_keys_need_full_images() {
    let w = writer("CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE)");
    let image = [Some(Value::Int(1)), None];
    let mut out = Vec::new();
    assert!(w.tokens(RowChange::Delete { before: &image }, &mut out).is_err());
    let mut w = w;
    w.use_table_token(TableTokenReason::Asked("row images"), None);
    w.tokens(RowChange::Delete { before: &image }, &mut out).unwrap();
    assert_eq!(out.len(), 1);
}
