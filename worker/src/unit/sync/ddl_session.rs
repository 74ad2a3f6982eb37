//! The session in which a statement is executed at the target.
use dm_schema::SqlMode;

use super::assembler::Statement;

/// The session that the statement ran in, as far as it changes its outcome. Text is canonical, so that quoting modes
/// do not matter.
pub fn session(statement: &Statement, collations: bool) -> Vec<String> {
    let mut session = vec![
        "SET NAMES utf8mb4".to_owned(),
        format!("SET timestamp = {}.{:06}", statement.timestamp, statement.microseconds),
        format!("SET sql_mode = '{}'", modes(statement.sql_mode)),
    ];
    if let Some(zone) = &statement.time_zone
        && zone.starts_with(['+', '-'])
    {
        session.push(format!("SET time_zone = '{}'", zone.replace('\'', "")));
    }
    if let Some(id) = statement.collation_server.filter(|_| collations) {
        session.push(format!("SET collation_server = {id}"));
    }
    session
}

/// Modes that change what a definition means, what it does to the rows that are there, or whether it is refused. Quoting
/// modes are not among them.
fn modes(mode: SqlMode) -> String {
    const KEPT: [(u64, &str); 12] = [
        (1, "REAL_AS_FLOAT"),
        (1 << 1, "PIPES_AS_CONCAT"),
        (1 << 3, "IGNORE_SPACE"),
        (1 << 6, "NO_UNSIGNED_SUBTRACTION"),
        (1 << 19, "NO_AUTO_VALUE_ON_ZERO"),
        (1 << 21, "STRICT_TRANS_TABLES"),
        (1 << 22, "STRICT_ALL_TABLES"),
        (1 << 23, "NO_ZERO_IN_DATE"),
        (1 << 24, "NO_ZERO_DATE"),
        (1 << 25, "ALLOW_INVALID_DATES"),
        (1 << 26, "ERROR_FOR_DIVISION_BY_ZERO"),
        (1 << 29, "HIGH_NOT_PRECEDENCE"),
    ];
    let mut names = vec!["NO_ENGINE_SUBSTITUTION"];
    names.extend(KEPT.iter().filter(|(bit, _)| mode.bits() & bit != 0).map(|(_, name)| *name));
    names.join(",")
}
