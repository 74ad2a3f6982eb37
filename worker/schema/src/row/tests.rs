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
    let written = |change| {
        let mut out = Vec::new();
        w.write(&mut out, change).map(|_| text(out))
    };
    assert_eq!(
        merged(&w, &[RowChange::Insert { after: &one }, RowChange::Insert { after: &two }]),
        "INSERT INTO `x`.`y` (`id`,`a`,`u`) VALUES (1,'a\\'b',NULL),(2,NULL,NULL)"
    );
    let update = RowChange::Update { before: &one, after: &two };
    assert_eq!(written(update).unwrap(), "UPDATE `x`.`y` SET `id`=2,`a`=NULL,`u`=NULL WHERE `id`=1");
    // MINIMAL images: only what changed, and no automatic time.
    let (before, after) =
        ([Some(Value::Int(1)), None, None, None], [None, Some(Value::Bytes(b"z")), None, None]);
    let update = RowChange::Update { before: &before, after: &after };
    assert_eq!(written(update).unwrap(), "UPDATE `x`.`y` SET `a`='z',`u`=`u` WHERE `id`=1");
    let nothing = [None, None, None, None];
    assert!(matches!(written(RowChange::Delete { before: &nothing }), Err(WriteError::ImageNotFull { .. })));
    assert!(matches!(written(RowChange::Delete { before: &[None] }), Err(WriteError::ColumnCount { .. })));
    // What failed half way leaves nothing behind.
    let mut pieces = Pieces::default();
    assert!(w.pieces(&mut pieces, RowChange::Delete { before: &nothing }).is_err() && pieces.is_empty());
}

fn merged(w: &RowWriter, changes: &[RowChange<'_, '_>]) -> String {
    let mut pieces = Pieces::default();
    let all: Vec<RowPieces> = changes.iter().map(|c| w.pieces(&mut pieces, *c).unwrap()).collect();
    assert!(all.iter().all(|c| c.merges_with(&all[0], &pieces)), "they do not merge");
    let mut out = Vec::new();
    assert_eq!(w.statement(&mut out, &pieces, &all).rows, changes.len() as u64);
    text(out)
}

#[test]
fn several_rows_in_one_statement() {
    let w = writer("CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(5), b INT, u DATETIME ON UPDATE NOW())");
    let row =
        |id, a, b| [Some(Value::Int(id)), Some(Value::Bytes(a)), Some(Value::Int(b)), Some(Value::Null)];
    let (a1, a2, b1, b2) = (row(1, b"x", 5), row(1, b"y", 5), row(2, b"x", 5), row(2, b"x", 6));
    // `a` changes in one, `b` in the other; `u` would take a time of its own.
    assert_eq!(
        merged(
            &w,
            &[RowChange::Update { before: &a1, after: &a2 }, RowChange::Update { before: &b1, after: &b2 }]
        ),
        "UPDATE `x`.`y` FORCE INDEX (`PRIMARY`) SET `a`=CASE `id` WHEN 1 THEN 'y' WHEN 2 THEN 'x' END,\
         `b`=CASE `id` WHEN 1 THEN 5 WHEN 2 THEN 6 END,`u`=CASE `id` WHEN 1 THEN NULL WHEN 2 THEN NULL END \
         WHERE `id` IN (1,2)"
    );
    assert_eq!(
        merged(&w, &[RowChange::Delete { before: &a1 }, RowChange::Delete { before: &b1 }]),
        "DELETE `x`.`y` FROM `x`.`y` FORCE INDEX (`PRIMARY`) WHERE `id` IN (1,2)"
    );
    // Another key, and the whole row is asked for.
    let m = model("CREATE TABLE t (a VARBINARY(5) NOT NULL, b INT, c INT NOT NULL, UNIQUE KEY k (c, a))");
    let w = RowWriter::new(&m, &m, RowWriterOptions { merged: true }).unwrap();
    let row = |a, b, c| [Some(Value::Bytes(a)), Some(Value::Int(b)), Some(Value::Int(c))];
    let (a1, a2, b1, b2) = (row(b"x", 1, 1), row(b"x", 2, 1), row(b"x", 1, 2), row(b"x", 3, 2));
    assert_eq!(
        merged(
            &w,
            &[RowChange::Update { before: &a1, after: &a2 }, RowChange::Update { before: &b1, after: &b2 }]
        ),
        "UPDATE `d`.`t` FORCE INDEX (`k`) SET `b`=CASE WHEN `c`=1 AND `a`=_binary'x' THEN 2 \
         WHEN `c`=2 AND `a`=_binary'x' THEN 3 END \
         WHERE (`c`=1 AND `a`=_binary'x' AND `b`=1) OR (`c`=2 AND `a`=_binary'x' AND `b`=1)"
    );
}

/// A partial image of a table of many columns is written as exactly as one of few.
#[test]
fn many_columns() {
    let columns: Vec<String> = (0..70).map(|n| format!("c{n} INT")).collect();
    let w = writer(&format!("CREATE TABLE t (id INT PRIMARY KEY, {})", columns.join(", ")));
    let image = |set: &[(usize, i64)]| {
        let mut image = vec![None; 71];
        set.iter().for_each(|(column, value)| image[*column] = Some(Value::Int(*value)));
        image
    };
    let row = |id, column, value| (image(&[(0, id)]), image(&[(column, value)]));
    let ((b1, a1), (b2, a2), (b3, a3)) = (row(1, 70, 5), row(2, 70, 6), row(2, 3, 7));
    let [one, two, three] =
        [(&b1, &a1), (&b2, &a2), (&b3, &a3)].map(|(before, after)| RowChange::Update { before, after });
    assert_eq!(
        merged(&w, &[one, two]),
        "UPDATE `x`.`y` FORCE INDEX (`PRIMARY`) SET `c69`=CASE `id` WHEN 1 THEN 5 WHEN 2 THEN 6 END WHERE `id` IN (1,2)"
    );
    let mut pieces = Pieces::default();
    let (two, three) = (w.pieces(&mut pieces, two).unwrap(), w.pieces(&mut pieces, three).unwrap());
    assert!(!two.merges_with(&three, &pieces) && two.then(&three, &mut pieces).is_none());
}

#[test]
fn what_stands_alone() {
    let alone = |sql: &str, before: [i64; 3], after: [i64; 3]| {
        let row = |v: [i64; 3]| v.map(|n| Some(Value::Int(n)));
        let (before, after) = (row(before), row(after));
        let w = writer(sql);
        let mut pieces = Pieces::default();
        let change = RowChange::Update { before: &before, after: &after };
        !w.pieces(&mut pieces, change).unwrap().may_merge()
    };
    let two_keys = "CREATE TABLE t (id INT PRIMARY KEY, u INT, c INT, UNIQUE KEY u (u))";
    assert!(!alone(two_keys, [1, 1, 1], [1, 1, 2]));
    assert!(alone(two_keys, [1, 1, 1], [2, 1, 1]), "the identity key changes");
    assert!(alone(two_keys, [1, 1, 1], [1, 2, 1]), "another key changes");
    assert!(alone("CREATE TABLE t (id INT, u INT, c INT)", [1, 1, 1], [1, 1, 2]), "no key");
    let part = "CREATE TABLE t (id INT PRIMARY KEY, u INT, c INT, UNIQUE KEY u ((u + c)))";
    assert!(alone(part, [1, 1, 1], [1, 1, 2]), "an expression");
}

#[test]
fn one_change_for_two() {
    let m = model("CREATE TABLE t (id INT PRIMARY KEY, a INT, d DOUBLE)");
    let w = RowWriter::new(&m, &m, RowWriterOptions { merged: true }).unwrap();
    let row = |id, a, d| [Some(Value::Int(id)), Some(Value::Int(a)), Some(Value::Double(d))];
    let (a, b, c, other) = (row(1, 1, 0.0), row(1, 2, 0.0), row(1, 2, -0.0), row(2, 3, 0.0));
    let both = |one, two| {
        let mut pieces = Pieces::default();
        let (one, two) = (w.pieces(&mut pieces, one).unwrap(), w.pieces(&mut pieces, two).unwrap());
        let mut out = Vec::new();
        let change = one.then(&two, &mut pieces)?;
        w.statement(&mut out, &pieces, &[change]);
        Some(text(out))
    };
    let (insert, update, again) = (
        RowChange::Insert { after: &a },
        RowChange::Update { before: &a, after: &b },
        RowChange::Update { before: &b, after: &c },
    );
    assert_eq!(both(insert, update).unwrap(), "INSERT INTO `d`.`t` (`id`,`a`,`d`) VALUES (1,2,0e0)");
    assert_eq!(
        both(update, again).unwrap(),
        "UPDATE `d`.`t` SET `id`=1,`a`=2,`d`=-0e0 WHERE `id`=1 AND `a`=1 AND `d`=0 AND LEFT(`d`,1)=LEFT(0e0,1)"
    );
    // The row to delete is the one that the target still has.
    assert_eq!(
        both(update, RowChange::Delete { before: &b }).unwrap(),
        "DELETE FROM `d`.`t` WHERE `id`=1 AND `a`=1 AND `d`=0 AND LEFT(`d`,1)=LEFT(0e0,1)"
    );
    assert!(both(insert, RowChange::Delete { before: &a }).is_none());
    assert!(both(update, RowChange::Update { before: &other, after: &other }).is_none());
    assert!(both(RowChange::Delete { before: &a }, insert).is_none());
    // A sign of zero is a change.
    let three = row(3, 0, 0.0);
    let (zero, minus) = (row(1, 2, 0.0), row(1, 2, -0.0));
    let changes = [
        RowChange::Update { before: &zero, after: &minus },
        RowChange::Update { before: &three, after: &three },
    ];
    assert!(merged(&w, &changes).contains("SET `d`=CASE `id` WHEN 1 THEN -0e0 WHEN 3 THEN 0e0 END WHERE"));
}

#[test]
fn whole_row_in_merged_tables() {
    let m = model("CREATE TABLE t (id INT PRIMARY KEY, a INT)");
    let w = RowWriter::new(&m, &m, RowWriterOptions { merged: true }).unwrap();
    let mut out = Vec::new();
    let before = [Some(Value::Int(1)), Some(Value::Null)];
    let expect = w.write(&mut out, RowChange::Delete { before: &before }).unwrap();
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
    keyed("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) COLLATE utf8mb4_general_ci UNIQUE)");
    keyed("CREATE TABLE t (a VARCHAR(5) PRIMARY KEY) CHARSET=latin1");
    keyed("CREATE TABLE t (a INT PRIMARY KEY, b BLOB, UNIQUE k (b(3)))");
    keyed("CREATE TABLE t (a INT PRIMARY KEY, b TEXT COLLATE utf8mb4_unicode_ci, UNIQUE k (b(3)))");
    for (sql, reason) in [
        ("CREATE TABLE t (a INT)", TableTokenReason::NoKey),
        ("CREATE TABLE t (a INT UNIQUE)", TableTokenReason::NoKey),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(5) COLLATE utf8mb4_danish_ci UNIQUE)",
            TableTokenReason::Equality("b".into(), "b".into()),
        ),
        (
            "CREATE TABLE t (a VARCHAR(5) PRIMARY KEY)",
            TableTokenReason::Equality("PRIMARY".into(), "a".into()),
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(9) COLLATE cp1251_bin, UNIQUE k (b(3)))",
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
fn values_equal_under_a_collation_have_equal_tokens() {
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) COLLATE utf8mb4_0900_ai_ci, \
        b TEXT COLLATE utf8mb4_0900_ai_ci, UNIQUE (a), UNIQUE k (b(2)))";
    let w = writer(sql);
    let of = |w: &RowWriter, a: &'static [u8], b: Value<'static>| {
        tokens(w, &[Some(Value::Int(1)), Some(Value::Bytes(a)), Some(b)])[1..].to_vec()
    };
    let one = of(&w, "Straße ".as_bytes(), Value::Bytes("Äbc".as_bytes()));
    assert_eq!(one, of(&w, b"STRASSE", Value::Bytes(b"abz")));
    let other = of(&w, b"strase", Value::Bytes("ább".as_bytes()));
    assert!(other[0] != one[0] && other[1] == one[1], "{one:?} {other:?}");
    assert_eq!(of(&w, b"x", Value::Null).len(), 1);
    // A shard in latin1 feeds the same table.
    let latin1 = model(&sql.replace("utf8mb4_0900_ai_ci", "latin1_bin"));
    let target = model(sql).renamed(TableName::new("x", "y"));
    let w = RowWriter::new(&latin1, &target, RowWriterOptions::default()).unwrap();
    assert_eq!(one, of(&w, b"stra\xdfe", Value::Bytes(b"\xe4b")));
    // A key of prefixes counts characters, and these bytes are none.
    let w = writer(sql);
    let damaged = [Some(Value::Int(1)), Some(Value::Null), Some(Value::Bytes(b"a\xff\xffb"))];
    assert!(w.tokens(RowChange::Insert { after: &damaged }, &mut Vec::new()).is_err());
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

#[test]
fn statements_that_may_be_run_again() {
    let w = writer("CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, a INT, KEY (a))");
    let row = |id, u, a| [Some(Value::Int(id)), Some(Value::Int(u)), Some(Value::Int(a))];
    let (one, two) = (row(1, 1, 1), row(2, 2, 2));
    let mut pieces = Pieces::default();
    let mut again = |change| w.again(&mut pieces, change);
    let (first, second) = (
        again(RowChange::Insert { after: &one }).unwrap(),
        again(RowChange::Insert { after: &two }).unwrap(),
    );
    let gone = again(RowChange::Delete { before: &one }).unwrap();
    let plain = w.pieces(&mut pieces, RowChange::Insert { after: &one }).unwrap();
    let mut out = Vec::new();
    assert!(w.statement(&mut out, &pieces, &[first, second]).any);
    assert_eq!(text(out), "REPLACE INTO `x`.`y` (`id`,`u`,`a`) VALUES (1,1,1),(2,2,2)");
    let mut out = Vec::new();
    assert!(w.statement(&mut out, &pieces, &[gone]).any);
    assert!(!w.statement(&mut out, &pieces, &[plain]).any && !plain.merges_with(&first, &pieces));
    assert!(w.same_unique_keys(&one, &row(1, 1, 9)) && !w.same_keys(&one, &row(1, 1, 9)));
    assert!(w.same_keys(&one, &one));
    assert!(!w.same_unique_keys(&one, &row(1, 9, 1)), "a secondary unique key counts");
    // What an image leaves out is not known.
    let cut = [Some(Value::Int(1)), None, Some(Value::Int(1))];
    assert!(!w.same_unique_keys(&cut, &cut));
    let refused = w.again(&mut pieces, RowChange::Insert { after: &cut });
    assert!(matches!(refused, Err(WriteError::ImageNotFull { .. })));
    // Nothing is known of an expression either.
    let w = writer("CREATE TABLE t (id INT PRIMARY KEY, u INT, a INT, UNIQUE ((u + 1)))");
    assert!(!w.same_unique_keys(&one, &one));
    // A column of the target's own would lose its value.
    let (source, target) = (
        model("CREATE TABLE t (id INT PRIMARY KEY)"),
        model("CREATE TABLE t (id INT PRIMARY KEY, own INT, g INT AS (id) STORED)"),
    );
    let w = RowWriter::new(&source, &target, RowWriterOptions::default()).unwrap();
    let refused = w.again(&mut pieces, RowChange::Insert { after: &[Some(Value::Int(1))] });
    assert!(matches!(refused, Err(WriteError::TargetColumnOnly { .. })));
}
