//! Session settings of every target connection.

use dm_proto::config::MODES_LEFT_OUT;

use crate::spec::TargetAddress;

/// Modes that every session has, whatever the user's `session` says.
const MODES: [&str; 4] =
    ["STRICT_ALL_TABLES", "ALLOW_INVALID_DATES", "NO_AUTO_VALUE_ON_ZERO", "NO_ENGINE_SUBSTITUTION"];

/// The statements that set up a session: the user's variables first, so that ours win.
pub fn session_statements(address: &TargetAddress, foreign_key_checks: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut modes: Vec<String> = MODES.iter().map(|m| (*m).to_owned()).collect();
    for (name, value) in &address.session {
        if name.eq_ignore_ascii_case("sql_mode") {
            for mode in value.trim_matches(['\'', '"']).split(',').map(|m| m.trim().to_ascii_uppercase()) {
                if !mode.is_empty() && !MODES_LEFT_OUT.contains(&mode.as_str()) && !modes.contains(&mode) {
                    modes.push(mode);
                }
            }
        } else {
            out.push(format!("SET SESSION {} = {}", variable(name), value_text(value)));
        }
    }
    out.extend(fixed(&modes.join(","), foreign_key_checks));
    out
}

/// What is the same in every session, and restored after a DDL statement with settings of its own.
fn fixed(sql_mode: &str, foreign_key_checks: bool) -> [String; 3] {
    [
        "SET NAMES binary".to_owned(),
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        format!(
            "SET SESSION sql_mode = '{sql_mode}', time_zone = '+00:00', autocommit = 1, \
             innodb_lock_wait_timeout = 2, lock_wait_timeout = 5, wait_timeout = 10, net_write_timeout = 60, \
             unique_checks = 1, foreign_key_checks = {}",
            u8::from(foreign_key_checks)
        ),
    ]
}

fn variable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).collect()
}

fn value_text(value: &str) -> String {
    let bare =
        !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    if bare { value.to_owned() } else { format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")) }
}
