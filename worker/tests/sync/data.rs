//! Tables and changes.

/// A table with common types; the same text works on both servers.
pub const TYPES: &str = "CREATE TABLE shop.types (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, ti TINYINT, tu TINYINT UNSIGNED, \
    si SMALLINT, mi MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT, bu BIGINT UNSIGNED, de DECIMAL(20,6), f FLOAT, d DOUBLE, \
    b BIT(12), c CHAR(10), v VARCHAR(60) CHARACTER SET utf8mb4, l VARCHAR(20) CHARACTER SET latin1, bi BINARY(8), \
    vb VARBINARY(40), t TEXT, bl BLOB, e ENUM('x','y','z'), s SET('p','q','r'), y YEAR, da DATE, ti0 TIME, ti6 TIME(6), \
    dt DATETIME, dt3 DATETIME(3), ts TIMESTAMP(6) NULL, js JSON)";

pub const TYPE_ROWS: &[&str] = &[
    "INSERT INTO shop.types VALUES (1, -128, 255, -32768, -8388608, 16777215, -2147483648, 18446744073709551615, \
     -12345678901234.567891, 1.5, -2.25e-30, b'101010101010', 'abc', 'hällo ''wörld'' \\\\ \\n', 'caf\u{e9}', X'0001', \
     X'00FF5C27220A0D1A', 'text', X'C3', 'y', 'p,r', 2024, '2024-02-29', '-838:59:59', '12:34:56.789012', \
     '2024-02-29 23:59:59', '2024-02-29 23:59:59.123', '2024-02-29 12:00:00.654321', '{\"a\": [1, 2, null], \"b\": \"x\"}')",
    "INSERT INTO shop.types (id) VALUES (18446744073709551615)",
    "INSERT INTO shop.types (id, f, d, de) VALUES (3, 3.4028234e38, 1.7976931348623157e308, 0.000001)",
    "INSERT INTO shop.types (id, v, t) VALUES (4, '', ''), (5, 'x', 'y')",
    "UPDATE shop.types SET mi = -1, ti6 = '-00:00:00.000001', y = 0 WHERE id = 5",
    "UPDATE shop.types SET id = 6 WHERE id = 4",
    "DELETE FROM shop.types WHERE id = 3",
];

/// Everything comparable of that table; floats bit by bit.
pub const TYPE_SELECT: &str = "SELECT id, ti, tu, si, mi, mu, i, bu, de, f+0e0, d, HEX(b), HEX(c), HEX(v), HEX(l), HEX(bi), \
    HEX(vb), HEX(t), HEX(bl), e+0, s+0, y, da, ti0, ti6, dt, dt3, UNIX_TIMESTAMP(ts), REPLACE(js, ' ', '') FROM shop.types";
