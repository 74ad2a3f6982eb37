//! The target's `session`: what can't be asked for, and what has no effect.

use std::collections::BTreeMap;

use crate::error::{Code, Error};

/// Variables that would break the protocol: what a commit does, which rows our own reads give, which names transactions
/// and rows get.
const REFUSED: [&str; 9] = [
    "completion_type",
    "gtid_next",
    "gtid_domain_id",
    "gtid_seq_no",
    "insert_id",
    "last_insert_id",
    "pseudo_thread_id",
    "sql_auto_is_null",
    "sql_select_limit",
];
/// Variables to which every session gives its own value afterwards.
const FIXED: [&str; 16] = [
    "autocommit",
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "innodb_lock_wait_timeout",
    "lock_wait_timeout",
    "net_write_timeout",
    "time_zone",
    "timestamp",
    "transaction_isolation",
    "transaction_read_only",
    "tx_isolation",
    "tx_read_only",
    "unique_checks",
    "wait_timeout",
];
/// Modes that change what our text means, alone or inside a combination: sessions leave them out, whatever the user's `session`
/// says. In upper case.
pub const MODES_LEFT_OUT: [&str; 10] = [
    "NO_UNSIGNED_SUBTRACTION",
    "NO_BACKSLASH_ESCAPES",
    "PAD_CHAR_TO_FULL_LENGTH",
    "EMPTY_STRING_IS_NULL",
    "ANSI",
    "ORACLE",
    "MSSQL",
    "DB2",
    "MAXDB",
    "POSTGRESQL",
];

/// Refuses what would break a task; the rest the target itself judges at the pre-check. Names are in lower case.
pub(super) fn check(session: &BTreeMap<String, String>, warnings: &mut Vec<String>) -> Result<(), Error> {
    for (name, value) in session {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || name.is_empty() {
            let message = format!("target-database: `session` names `{name}`, which is no variable");
            return Err(Code::SessionVariable.error(message));
        }
        if REFUSED.contains(&name.as_str()) {
            let message = format!(
                "target-database: `session` sets `{name}`, on which the protocol with the target depends"
            );
            return Err(Code::SessionVariable.error(message));
        }
        if FIXED.contains(&name.as_str()) {
            warnings.push(format!("`{name}` in the target's `session` has no effect"));
        }
        if name == "sql_mode" {
            let modes = value.trim_matches(['\'', '"']).split(',').map(|m| m.trim().to_ascii_uppercase());
            for mode in modes.filter(|m| MODES_LEFT_OUT.contains(&m.as_str())) {
                warnings.push(format!("sql_mode `{mode}` in the target's `session` has no effect"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let session = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut warnings = Vec::new();
        check(&session, &mut warnings).map(|()| warnings)
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_and_what_does_nothing_is_said() {
        for name in ["completion_type", "sql_select_limit", "gtid_next", "a b", "x; drop", ""] {
            assert_eq!(checked(&[(name, "1")]).unwrap_err().code, 20071, "{name}");
        }
        let said =
            checked(&[("sql_mode", "ANSI_QUOTES,no_backslash_escapes"), ("time_zone", "+01:00"), ("x", "1")]);
        assert_eq!(
            said.unwrap(),
            [
                "sql_mode `NO_BACKSLASH_ESCAPES` in the target's `session` has no effect",
                "`time_zone` in the target's `session` has no effect"
            ]
        );
    }
}
