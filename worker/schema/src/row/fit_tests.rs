use super::*;
use crate::model::{TableDefaults, TableModel};
use crate::sql_mode::SqlMode;

fn column(definition: &str) -> Column {
    let sql = format!("CREATE TABLE t (c {definition})");
    let table = TableModel::parse_create(&sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap();
    table.columns[0].clone()
}

fn fit(from: &str, to: &str) -> Result<Fit, String> {
    Fit::of(&column(from), &column(to))
}

#[test]
fn only_a_column_that_holds_every_value_passes() {
    for (from, to) in [
        ("INT", "INT(5) ZEROFILL"),
        ("INT", "INT UNSIGNED"),
        ("INT UNSIGNED", "INT"),
        ("BIGINT", "INT"),
        ("INT", "DECIMAL(9,0)"),
        ("INT", "FLOAT"),
        ("BIGINT", "DOUBLE"),
        ("DECIMAL(10,4)", "DECIMAL(10,2)"),
        ("DECIMAL(10,2)", "DECIMAL(10,4)"),
        ("DECIMAL(10,2)", "DECIMAL(12,2) UNSIGNED"),
        ("DOUBLE", "FLOAT"),
        ("FLOAT", "FLOAT(7,2)"),
        ("BIT(8)", "BIT(7)"),
        ("DATETIME(6)", "DATETIME(3)"),
        ("TIME(1)", "TIME"),
        ("TIMESTAMP(6) NULL", "TIMESTAMP NULL"),
        ("TIMESTAMP NULL", "DATETIME"),
        ("DATETIME", "TIMESTAMP NULL"),
        ("VARCHAR(20)", "VARCHAR(19)"),
        ("VARCHAR(20)", "CHAR(20)"),
        ("VARCHAR(20000) CHARACTER SET utf8mb4", "TEXT CHARACTER SET utf8mb4"),
        ("TEXT", "VARCHAR(100)"),
        ("LONGTEXT", "TEXT"),
        ("VARCHAR(9) CHARACTER SET utf8mb4", "VARCHAR(9) CHARACTER SET latin1"),
        ("VARCHAR(9) CHARACTER SET utf8mb4", "VARCHAR(9) CHARACTER SET utf8"),
        ("VARCHAR(9) CHARACTER SET gbk", "VARCHAR(9) CHARACTER SET latin1"),
        ("BINARY(8)", "BINARY(9)"),
        ("VARBINARY(8)", "BINARY(8)"),
        ("BLOB", "TINYBLOB"),
        ("BLOB", "TEXT"),
        ("TEXT", "JSON"),
        ("JSON", "TEXT CHARACTER SET utf8mb4"),
        ("INT", "INT NOT NULL"),
        ("INT", "INT AS (1) STORED"),
        ("ENUM('a','b')", "ENUM('b')"),
        ("ENUM('a')", "ENUM('A')"),
        ("SET('a','b')", "SET('a')"),
        ("ENUM('a')", "VARCHAR(10)"),
        ("VECTOR(4)", "VECTOR(3)"),
        ("INT", "VARCHAR(20)"),
        ("YEAR", "DATE"),
    ] {
        assert!(fit(from, to).is_err(), "{from} does not fit into {to}");
    }
    for (from, to) in [
        ("TINYINT UNSIGNED", "SMALLINT"),
        ("INT", "BIGINT"),
        ("INT NOT NULL", "INT"),
        ("INT", "DECIMAL(12,2)"),
        ("BIGINT UNSIGNED", "DECIMAL(20,0)"),
        ("MEDIUMINT UNSIGNED", "FLOAT"),
        ("INT", "DOUBLE"),
        ("DECIMAL(10,2)", "DECIMAL(12,4)"),
        ("FLOAT", "DOUBLE"),
        ("BIT(7)", "BIT(8)"),
        ("DATETIME", "DATETIME(6)"),
        ("DATE", "DATETIME"),
        ("CHAR(5)", "VARCHAR(5)"),
        ("VARCHAR(100)", "TEXT"),
        ("TEXT CHARACTER SET latin1", "TEXT CHARACTER SET utf8mb4"),
        ("VARCHAR(9) CHARACTER SET gbk", "VARCHAR(9) CHARACTER SET utf8"),
        ("VARCHAR(9) CHARACTER SET ascii", "VARCHAR(9) CHARACTER SET latin1"),
        ("BINARY(8)", "VARBINARY(8)"),
        ("BLOB", "LONGBLOB"),
        ("LONGTEXT CHARACTER SET utf8mb4", "JSON"),
        ("JSON", "LONGTEXT CHARACTER SET utf8mb4"),
        ("UUID", "CHAR(36)"),
        ("ENUM('a','b')", "ENUM('a','b','c')"),
    ] {
        let found = fit(from, to);
        assert!(
            matches!(found, Ok(Fit::Wider)) || from == "INT NOT NULL",
            "{from} fits into {to}: {found:?}"
        );
    }
    for same in
        ["INT", "DECIMAL(65,30)", "FLOAT(7,2)", "VARCHAR(9) CHARACTER SET gbk", "YEAR", "POINT", "JSON"]
    {
        assert_eq!(fit(same, same), Ok(Fit::Same), "{same}");
    }
    assert_eq!(fit("ENUM('a','b ')", "ENUM('b','x','a')"), Ok(Fit::Members(vec![2, 0])));
}
