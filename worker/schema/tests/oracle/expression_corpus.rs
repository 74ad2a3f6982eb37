//! Columns with their values, and expressions about them.

/// Values of columns, as literals; every column goes with every one of its expressions.
pub struct Column {
    pub name: &'static str,
    pub definition: &'static str,
    pub values: &'static [&'static str],
    pub literals: &'static [&'static str],
}

const fn column(
    name: &'static str,
    definition: &'static str,
    values: &'static [&'static str],
    literals: &'static [&'static str],
) -> Column {
    Column { name, definition, values, literals }
}

const STRINGS: &[&str] = &[
    "''", "'a'", "'A'", "'a '", "'ab'", "'aB '", "'a b'", "'b'", "'a1'", "'1'", "'a-b'", "'a_b'", "'ß'",
    "'ss'", "'é'", "'e'", "'~'", "'y'", "'a\\t'", "NULL",
];
const LATIN: &[&str] = &[
    "''", "'a'", "'A'", "'a '", "'ab'", "'a b'", "'b'", "'a1'", "'1'", "'a_b'", "'ss'", "'e'", "'~'", "'y'",
    "NULL",
];
const SMALL: &[&str] = &["0", "1", "-1", "127", "-128", "NULL"];
const DATES: &[&str] = &["'2024-02-29'", "'1999-12-31'", "'9999-12-31'", "'1000-01-01'", "NULL"];
const MOMENTS: &[&str] =
    &["'2024-02-29 00:00:00'", "'2024-02-29 23:59:59'", "'1999-12-31'", "'2024-02-29'", "NULL"];

pub const COLUMNS: &[Column] = &[
    column(
        "i",
        "TINYINT",
        SMALL,
        &["0", "1", "-1", "127", "128", "0.5", "-0.5", "'1'", "'0.5'", "'-1.0'", "TRUE", "NULL"],
    ),
    column(
        "u",
        "BIGINT UNSIGNED",
        &["0", "1", "9007199254740993", "18446744073709551615", "NULL"],
        &[
            "0",
            "-1",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "'1'",
            "NULL",
        ],
    ),
    column(
        "b",
        "BIGINT",
        &["-9223372036854775808", "9223372036854775807", "5", "NULL"],
        &[
            "-9223372036854775808",
            "-9223372036854775809",
            "9223372036854775807",
            "5.0",
            "'5'",
            "'5.5'",
            "FALSE",
        ],
    ),
    column(
        "dc",
        "DECIMAL(30,10)",
        &["0", "-0.0000000001", "0.1", "12345678901234567890.0123456789", "5", "NULL"],
        &[
            "0",
            "0.1",
            "0.10000000000001",
            "12345678901234567890.0123456789",
            "5",
            "'0.1'",
            "'5'",
            "-0.0000000001",
            "NULL",
        ],
    ),
    column(
        "f",
        "FLOAT",
        &["0.1", "0.5", "-0.5", "16777216", "NULL"],
        &["0.1", "0.5", "'0.5'", "0", "16777217", "NULL"],
    ),
    column(
        "db",
        "DOUBLE",
        &["0.1", "0.5", "1e300", "9007199254740992", "NULL"],
        &["0.1", "'0.1'", "0.5", "1", "9007199254740993", "NULL"],
    ),
    column("bt", "BIT(9)", &["0", "1", "511", "NULL"], &["0", "1", "511", "512", "TRUE"]),
    column("yr", "YEAR", &["1901", "2024", "2155", "NULL"], &["1901", "2024", "2155", "NULL"]),
    column("s9", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE @0900@", STRINGS, STRINGS),
    column("sg", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", STRINGS, STRINGS),
    column("su", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", STRINGS, STRINGS),
    column("sb", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", STRINGS, STRINGS),
    column("sn", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE @nopad_bin@", STRINGS, STRINGS),
    column("sc", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE @as_cs@", STRINGS, STRINGS),
    column("ch", "CHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", STRINGS, STRINGS),
    column("tx", "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", STRINGS, STRINGS),
    column("l1", "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci", STRINGS, LATIN),
    column("lb", "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", STRINGS, LATIN),
    column("vb", "VARBINARY(20)", STRINGS, STRINGS),
    column("bi", "BINARY(4)", LATIN, &["'a'", "'a\\0\\0\\0'", "'ab\\0\\0'", "'b'", "''", "NULL"]),
    column("bl", "BLOB", STRINGS, STRINGS),
    column(
        "e",
        "ENUM('b', 'a', 'Zed', 'é') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        &["'a'", "'b'", "'Zed'", "'é'", "NULL"],
        &["'a'", "'A'", "'b'", "'zed'", "'e'", "'none'", "''", "NULL"],
    ),
    column("da", "DATE", DATES, DATES),
    column("dt", "DATETIME", MOMENTS, MOMENTS),
    column(
        "d3",
        "DATETIME(3)",
        &["'2024-02-29 10:00:00.125'", "'2024-02-29'", "NULL"],
        &[
            "'2024-02-29 10:00:00.125'",
            "'2024-02-29 10:00:00'",
            "'2024-02-29 10:00:00.12'",
            "'2024-02-29'",
            "NULL",
        ],
    ),
    column(
        "ti",
        "TIME(2)",
        &["'10:00:00'", "'-838:59:59'", "'100:00:00.25'", "'00:00:00'", "NULL"],
        &["'10:00:00'", "'-00:00:01'", "'100:00:00.25'", "'838:59:59'", "NULL"],
    ),
];

/// Expressions about several columns, and about the logic.
pub const MORE: &[&str] = &[
    "i = 1 AND u = 1",
    "i = 1 OR u = 1",
    "i XOR u",
    "NOT i",
    "!i OR u",
    "NOT i = 1 AND u > 0",
    "i IS NULL OR i",
    "i < 1 IS NULL",
    "i = b",
    "i < u",
    "b > u",
    "dc = i",
    "dc < u",
    "f = db",
    "f < db",
    "db = i",
    "db > dc",
    "bt = i",
    "da = dt",
    "dt < d3",
    "da <=> da",
    "s9 = s9",
    "sb < sb",
    "sb = sb",
    "vb = bl",
    "bi <= vb",
    "sg <=> sg",
    "i = u = 1",
    "(i = 1) = (u = 1)",
    "i IS TRUE",
    "i IS NOT TRUE",
    "u IS FALSE",
    "u IS NOT FALSE",
    "(i AND u) IS UNKNOWN",
    "i BETWEEN NULL AND 0",
    "i NOT BETWEEN 0 AND NULL",
    "NOT (i IN (1, NULL))",
    "i = 1 OR i = 0 AND u = 0",
    "i XOR u OR b",
    "i AND u XOR b",
    "NOT NOT i",
    "i <> u <> 0",
    "i <=> NULL AND u IS NOT NULL",
    "dc",
    "TRUE XOR i",
    "f AND i",
    "bt OR NULL",
    "NULL AND i",
    "i IN (TRUE, 127)",
    "e = e",
    "(da = '2024-02-29' OR i = 1) AND sg = 'A'",
    "i = -1 OR dc = -0.0000000001",
    "b IS NULL = 0",
    "i > 0 AND NOT sb = 'a'",
];
