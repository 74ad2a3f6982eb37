//! Statements of the corpus, damaged at random, and all kinds of deep nesting: never a panic, never a deep recursion.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../binlog/tests/fuzz/harness.rs"]
mod harness;

#[path = "../oracle/corpus.rs"]
mod corpus;

use dm_schema::{SqlMode, TableDefaults, TableModel, TableName, ddl, lex};
use rand::{Rng as _, rngs::StdRng};

use crate::harness::{fuzz, mutate};

const MIB: usize = 1 << 20;

const MODES: [u64; 4] =
    [0, SqlMode::ANSI_QUOTES, SqlMode::NO_BACKSLASH_ESCAPES, SqlMode::ANSI_QUOTES | SqlMode::REAL_AS_FLOAT];

fn all_statements() -> Vec<String> {
    let statements: Vec<String> = corpus::corpus().into_iter().map(|case| case.sql).collect();
    assert!(statements.len() > 400);
    statements
}

/// Reads it in every way there is.
fn read(sql: &str, mode: SqlMode) {
    // An error is a fine answer to a damaged statement.
    let _ = lex::tokenize(sql, mode);
    if let Ok(statements) = ddl::parse(sql, mode, "d") {
        for statement in &statements {
            let moved = statement.rewrite(|name| TableName::new("moved", name.table.as_str()));
            let _ = (statement.canonical(), statement.subject());
            let _ = lex::tokenize(&moved, mode);
        }
    }
    let _ = TableModel::parse_create(sql, mode, "d", &TableDefaults::default());
    let mut table = TableModel::parse_create(
        "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10), c ENUM('x','y'), KEY (b))",
        mode,
        "d",
        &TableDefaults::default(),
    )
    .unwrap();
    let _ = table.apply_alter(sql, mode);
}

/// Exchanges, drops and doubles words; deeper nesting and open quotes come in between.
fn words(rng: &mut StdRng, sql: &str, other: &str) -> String {
    const PIECES: [&str; 16] = [
        "(", ")", "'", "\"", "`", "/*!50100", "*/", "--\u{20}", "#", ";", ",", ".", "\\", "\0", "x'",
        "\u{fc}",
    ];
    let mut words: Vec<&str> = sql.split_inclusive([' ', ',', '(', ')']).collect();
    let others: Vec<&str> = other.split_inclusive([' ', ',', '(', ')']).collect();
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..words.len());
        match rng.random_range(0..6) {
            0 => words.swap(at, 0),
            1 if words.len() > 1 => drop(words.remove(at)),
            2 => words.insert(at, words[at]),
            3 => words.insert(at, others[rng.random_range(0..others.len())]),
            4 => words.truncate(at + 1),
            _ => words.insert(at, PIECES[rng.random_range(0..PIECES.len())]),
        }
    }
    words.concat()
}

#[test]
fn statements() {
    let corpus = all_statements();
    fuzz("dm-schema", "statements", 8 * MIB, |rng| {
        let sql = &corpus[rng.random_range(0..corpus.len())];
        let other = &corpus[rng.random_range(0..corpus.len())];
        let mode = SqlMode::from_bits(MODES[rng.random_range(0..MODES.len())]);
        let sql = if rng.random() {
            words(rng, sql, other)
        } else {
            let mut bytes = sql.clone().into_bytes();
            mutate(rng, &mut bytes, 0, other.as_bytes());
            String::from_utf8_lossy(&bytes).into_owned()
        };
        read(&sql, mode);
    });
}

#[test]
fn nesting() {
    let frames = [
        ("CREATE TABLE t (a INT DEFAULT ", "(", ")"),
        ("CREATE TABLE t (a INT, b INT AS ", "(", ")"),
        ("CREATE TABLE t ", "(", ")"),
        ("ALTER TABLE t ADD COLUMN a INT CHECK ", "(", ")"),
        ("ALTER TABLE t ADD COLUMN z INT DEFAULT ", "CONCAT(", ")"),
        ("CREATE TABLE t SELECT ", "(SELECT ", ")"),
        ("CREATE VIEW v AS SELECT ", "CASE WHEN ", " END"),
        ("", "/*!50100 ", " */"),
        ("", "/*", "*/"),
        ("CREATE TABLE t (a INT) PARTITION BY RANGE ", "(", ")"),
        ("DROP TABLE ", "a,", ""),
        ("RENAME TABLE ", "a TO b,", ""),
    ];
    for (head, open, close) in frames {
        for depth in [10, 1000, 100_000] {
            for closed in [true, false] {
                let close = if closed { close.repeat(depth) } else { String::new() };
                let sql = format!("{head}{}1{close})", open.repeat(depth));
                read(&sql, SqlMode::default());
            }
        }
    }
}
