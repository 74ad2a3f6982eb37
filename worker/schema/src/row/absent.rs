//! Columns that the image of an INSERT leaves out: under `binlog_row_image=MINIMAL` only what the statement named is
//! logged, and the rest took the source's defaults, which the target's need not be.

use crate::charset::is_wide;
use crate::model::{Column, TypeKind};

/// What to write for such a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Absent {
    /// Nothing: the target computes it.
    LeaveOut,
    /// `NULL`.
    Null,
    /// The source's default, a literal.
    Default(Vec<u8>),
    /// The value is not known.
    Unknown,
}

impl Absent {
    pub fn of(source: &Column, target: &Column) -> Self {
        if target.is_generated() {
            return Absent::LeaveOut;
        }
        if source.is_generated() || source.auto_increment {
            return Absent::Unknown;
        }
        let text = match source.default.as_deref().map(str::trim) {
            None if source.nullable => return Absent::Null,
            // What a server without strict mode puts in.
            None => return Absent::Unknown,
            Some(text) => text,
        };
        if text.eq_ignore_ascii_case("NULL") {
            return Absent::Null;
        }
        // A definition shows it in the time zone of whoever asked.
        let moves =
            source.ty.kind == TypeKind::Timestamp && !text.trim_matches('\'').starts_with("0000-00-00");
        let wide = [source, target].iter().any(|c| c.charset.as_deref().is_some_and(is_wide));
        if moves || wide || !is_plain_literal(text) {
            return Absent::Unknown;
        }
        Absent::Default(text.as_bytes().to_vec())
    }
}

/// A number, `b'01'`, or a string in ASCII without escapes: the same for every session and character set.
fn is_plain_literal(text: &str) -> bool {
    let number = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
    };
    let quoted = |text: &str| {
        text.strip_prefix('\'')
            .and_then(|t| t.strip_suffix('\''))
            .is_some_and(|t| t.chars().all(|c| matches!(c, ' '..='~') && c != '\'' && c != '\\'))
    };
    let bits =
        text.strip_prefix(['b', 'B']).is_some_and(|t| quoted(t) && !t.contains(|c: char| !"'01".contains(c)));
    number(text) || quoted(text) || bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TableDefaults, TableModel};
    use crate::sql_mode::SqlMode;

    #[test]
    fn only_a_default_that_is_the_same_everywhere_is_written() {
        let sql = "CREATE TABLE t (a INT DEFAULT 7, b INT NOT NULL DEFAULT '-5', c VARCHAR(9) DEFAULT 'it', d INT, \
            e INT NOT NULL, f DATETIME DEFAULT CURRENT_TIMESTAMP, g VARCHAR(9) DEFAULT 'ä', h BIT(3) DEFAULT b'101', \
            i TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00', j INT DEFAULT (1+1), k INT DEFAULT NULL, \
            l DECIMAL(5,2) DEFAULT 1.50, m TIMESTAMP NOT NULL DEFAULT '0000-00-00 00:00:00', n VARCHAR(9) DEFAULT 'it''s', \
            o VARCHAR(9) CHARACTER SET ucs2 DEFAULT 'x', p INT AS (a + 1))";
        let model =
            TableModel::parse_create(sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap();
        let found: Vec<String> = model
            .columns
            .iter()
            .map(|c| match Absent::of(c, c) {
                Absent::Default(text) => String::from_utf8(text).unwrap(),
                Absent::Null => "null".to_owned(),
                Absent::LeaveOut => "-".to_owned(),
                Absent::Unknown => "?".to_owned(),
            })
            .collect();
        let wanted = [
            "7",
            "'-5'",
            "'it'",
            "null",
            "?",
            "?",
            "?",
            "b'101'",
            "?",
            "?",
            "null",
            "1.50",
            "'0000-00-00 00:00:00'",
            "?",
            "?",
            "-",
        ];
        assert_eq!(found, wanted);
    }
}
