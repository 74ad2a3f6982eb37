use dm_binlog::Value;

use super::*;
use crate::{SqlMode, TableDefaults};

fn table() -> TableModel {
    let create = "CREATE TABLE t (i INT, u BIGINT UNSIGNED, s VARCHAR(9) CHARSET utf8mb4 COLLATE utf8mb4_0900_ai_ci, \
                  p VARCHAR(9) CHARSET utf8mb4 COLLATE utf8mb4_general_ci, n VARCHAR(9), e ENUM('a', 'b') CHARSET utf8mb4 \
                  COLLATE utf8mb4_bin, j JSON, ts TIMESTAMP, d DATE, `or` INT, y YEAR, x VARBINARY(9), f DOUBLE)";
    TableModel::parse_create(create, SqlMode::default(), "d", &TableDefaults::default()).unwrap()
}

fn row() -> Vec<Option<Value<'static>>> {
    vec![
        Some(Value::Int(5)),
        Some(Value::UInt(u64::MAX)),
        Some(Value::Bytes("Straße".as_bytes())),
        Some(Value::Bytes(b"ab  ")),
        Some(Value::Bytes(b"ab")),
        Some(Value::Enum(2)),
        Some(Value::Json(b"")),
        None,
        Some(Value::Date { y: 2024, m: 0, d: 0 }),
        Some(Value::Null),
        Some(Value::Year(2024)),
        Some(Value::Bytes(b"A")),
        Some(Value::Double(0.5)),
    ]
}

fn value(text: &str) -> Result<Option<bool>, Undecided> {
    Expression::parse(text).unwrap().bind(&table()).unwrap_or_else(|e| panic!("{text}: {e}")).value(&row())
}

#[test]
fn three_valued_logic_and_precedence() {
    for (text, expected) in [
        ("i = 5", Some(true)),
        ("i <> 5", Some(false)),
        ("`or` = 1", None),
        ("`or` <=> NULL", Some(true)),
        ("NOT `or` = 1", None),
        ("`or` = 1 OR i = 5", Some(true)),
        ("`or` = 1 AND i = 4", Some(false)),
        ("`or` = 1 XOR i = 5", None),
        ("i = 5 XOR i = 5 OR TRUE", Some(true)),
        ("i = 4 OR i = 5 AND i = 6", Some(false)),
        ("NOT i = 4 AND i = 5", Some(true)),
        ("!(i = 4) && (i > 4)", Some(true)),
        ("i < 6 IS NOT NULL", Some(true)),
        ("i = 5 = 1", Some(true)),
        ("(i = 4) = FALSE", Some(true)),
        ("`or` IN (1, 2)", None),
        ("i IN (1, NULL)", None),
        ("i NOT IN (1, 5, NULL)", Some(false)),
        ("i NOT BETWEEN 1 AND 4", Some(true)),
        ("i BETWEEN NULL AND 4", Some(false)),
        ("i BETWEEN -1 AND NULL", None),
        ("i IS TRUE AND `or` IS NOT FALSE", Some(true)),
        ("u = 18446744073709551615", Some(true)),
        ("u > 18446744073709551614.5", Some(true)),
        ("i = '5.0'", Some(true)),
        ("d < '2024-01-01' AND d > '2023-12-31'", Some(true)),
        ("e = 'b' AND e <> 'B'", Some(true)),
        ("s <> 'x'", Some(true)),
        ("p = 'AB'", Some(true)),
        ("n = 'ab'", Some(true)),
        ("y = 2024 and j is not null", Some(true)),
        ("x < 'a'", Some(true)),
        ("f < 0.6 AND f = '0.5'", Some(true)),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_certain_is_not_decided() {
    for (text, part) in [
        ("i = 5 AND s = 'STRASSE'", "s = 'STRASSE'"),
        ("s < 'x'", "s < 'x'"),
        ("n <> 'x'", "n <> 'x'"),
        ("u = '5'", "u = '5'"),
        ("i <> 5 OR ts IS NULL", "ts"),
        ("u + 1 > 0", "u + 1"),
        ("u * u > 0", "u * u"),
        ("-u < 0", "-u"),
        ("u - i * i * i < 0 OR i - u < 0", "i - u"),
        ("f * 1.0 < 1 AND f + i > 5 AND UPPER(s) = 'STRASSE'", "UPPER(s)"),
    ] {
        assert_eq!(value(text).unwrap_err().part, part, "{text}");
    }
    // Unless the other side decides alone.
    assert_eq!(value("s = 'STRASSE' AND i = 4"), Ok(Some(false)));
}

#[test]
fn patterns_are_compared_character_by_character() {
    for (text, expected) in [
        ("s LIKE 'stra_e'", Ok(Some(true))),
        ("s LIKE 'STRA%'", Ok(Some(true))),
        ("s LIKE 'STRASSE'", Ok(Some(false))),
        ("s NOT LIKE '%x%'", Ok(Some(true))),
        ("s LIKE '%a%e%'", Ok(Some(true))),
        // Two letters are one under no collation here.
        ("s LIKE '%ss%'", Ok(Some(false))),
        ("p LIKE 'ab'", Ok(Some(false))),
        ("p LIKE 'ab__'", Ok(Some(true))),
        ("x LIKE 'a'", Ok(Some(false))),
        ("x LIKE 'A%'", Ok(Some(true))),
        ("e LIKE 'B'", Ok(Some(false))),
        ("p LIKE 'a|b%' ESCAPE '|'", Ok(Some(true))),
        ("p LIKE 'a\\_%'", Ok(Some(false))),
        ("s LIKE '%ß%'", Ok(Some(true))),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_place() {
    for (text, at, words) in [
        ("i = ", 3, "missing"),
        ("", 0, "missing"),
        ("i / 2 = 2", 2, "`/` is not supported"),
        ("i + NULL = 2", 4, "computing with `NULL`"),
        ("s + 1 = 2", 0, "computing with `s`"),
        ("y - 1 = 2", 0, "computing with `y`"),
        ("f DIV 2 = 2", 0, "integers only"),
        ("i * 1.000000000000000000001 * i * 1.000000000000000000001 > 1", 0, "are supported"),
        ("at < NOW()", 5, "`NOW` gives another value"),
        ("at < CURRENT_DATE", 5, "`CURRENT_DATE` gives another value"),
        ("RAND() < 0.5", 0, "depend on the row alone"),
        ("LENGTH() = 1", 7, "not supported"),
        ("LENGTH(s, 1) = 1", 0, "2 arguments"),
        ("LENGTH(i) = 1", 7, "this type"),
        ("LENGTH(e) = 1", 7, "this type"),
        ("LOWER(x) = 'a'", 6, "text only"),
        ("LENGTH(s) = '1'", 0, "columns only"),
        ("LEFT(s, i) = 'a'", 8, "integer literal"),
        ("ROUND(f) = 1", 0, "exact numbers"),
        ("YEAR(i) = 1", 5, "no such part"),
        ("HOUR(d) = 1", 5, "no such part"),
        ("IFNULL(i, 'a') = 1", 10, "not of one type"),
        ("IFNULL(u, i) = 1", 10, "not of one type"),
        ("IFNULL(f, 0) = 1", 10, "not of one type"),
        ("GREATEST(s, s) = 'a'", 0, "numbers only"),
        ("IF(i = 1, 'a', 'b') = 'a'", 0, "no argument is a column"),
        ("i = 1 i", 6, "`i` is not supported"),
        ("MD5(s) > 'a'", 0, "`MD5`"),
        ("i LIKE '5'", 0, "only a string"),
        ("d LIKE '2024%'", 0, "only a string"),
        ("s LIKE 'a\\\\'", 0, "escape character at the end"),
        ("s LIKE p", 7, "literal string"),
        ("s LIKE 'a' ESCAPE '%'", 18, "ESCAPE takes"),
        ("s LIKE 'a' ESCAPE ''", 18, "ESCAPE takes"),
        ("'a' LIKE 'a'", 0, "only a column"),
        ("i = 0x10", 4, "`0x10`"),
        ("i << 1", 2, "`<`"),
        ("(i = 1", 6, "`)` is missing"),
        ("i IN 1", 5, "`(` is missing"),
        ("i BETWEEN 1 2", 12, "AND is missing"),
        ("s = 'a", 4, "without end"),
        ("s = _latin1'a'", 4, "_latin1"),
        ("i = 1; DROP TABLE t", 5, "`;`"),
        ("nobody = 1", 0, "no column `nobody`"),
        ("i = 1 OR nobody IS NULL", 9, "no column `nobody`"),
        ("i", 0, "neither true nor false"),
        ("s AND i", 0, "neither true nor false"),
        ("j = 'a'", 0, "Json"),
        ("ts > '2024-01-01'", 0, "Timestamp"),
        ("d = '2024-02-30'", 0, "YYYY-MM-DD"),
        ("s = 5", 0, "without a conversion"),
        ("s = p", 0, "without a conversion"),
        ("i = 'five'", 0, "form of a number"),
        ("y = 24", 0, "1901"),
        ("i IN (1, 'a')", 9, "mixed"),
        ("i IN (1, u)", 9, "of literals"),
        ("'a' = 'a'", 0, "columns only"),
        ("i = 1e3", 4, "1e3"),
    ] {
        let error = Expression::parse(text).and_then(|e| e.bind(&table())).expect_err(text);
        assert!(error.at == at && error.what.contains(words), "{text}: {error:?}");
    }
    let deep = format!("{}i = 1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Expression::parse(&deep).is_err());
    assert!(Expression::parse(&format!("{} TRUE", "!".repeat(5000))).is_err());
    assert!(Expression::parse(&format!("{}i = 1", "- ".repeat(5000))).is_err());
    assert!(Expression::parse(&format!("i{} = 1", " + 1".repeat(5000))).is_err());
    assert!(Expression::parse(&format!("{}i{} = 1", "ABS(".repeat(5000), ")".repeat(5000))).is_err());
    assert!(Expression::parse(&format!("i = 1{}", " OR i = 1".repeat(5000))).is_err());
    assert!(Expression::parse(&format!("i{}", " = 1".repeat(5000))).is_err());
    // A list may be long.
    assert_eq!(value(&format!("i IN ({}5)", "4, ".repeat(100_000))), Ok(Some(true)));
}
