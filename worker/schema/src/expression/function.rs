//! Functions by their names.

/// A function that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Length,
    CharLength,
    Lower,
    Upper,
    Trim,
    TrimLeft,
    TrimRight,
    Left,
    Right,
    Substring,
    Concat,
    Absolute,
    If,
    /// `COALESCE` and `IFNULL`.
    First,
    NullIf,
    IsNull,
    Greatest,
    Least,
    Floor,
    Ceiling,
    Round,
    Remainder,
    Part(Part),
    Date,
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Year,
    Month,
    Day,
    Hour,
    /// Of a TIME, which may be longer than a day.
    HourOfTime,
    Minute,
    Second,
}

/// What depends on when or where it is evaluated.
const CHANGING: &str = "RAND NOW SYSDATE CURDATE CURTIME CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP \
     UTC_DATE UTC_TIME UTC_TIMESTAMP UNIX_TIMESTAMP UUID UUID_SHORT CONNECTION_ID USER CURRENT_USER SESSION_USER SYSTEM_USER \
     CURRENT_ROLE DATABASE SCHEMA VERSION LAST_INSERT_ID ROW_COUNT FOUND_ROWS SLEEP GET_LOCK RANDOM_BYTES";

/// Whether a function (or a word that is one without parentheses) depends on when or where it is evaluated.
pub(super) fn changes(name: &str) -> bool {
    CHANGING.split(' ').any(|word| word.eq_ignore_ascii_case(name))
}

impl Function {
    /// By its name in any letter case, with the least and the most arguments that it takes.
    pub fn of(name: &str) -> Option<(Self, usize, usize)> {
        Some(match name.to_ascii_uppercase().as_str() {
            "LENGTH" | "OCTET_LENGTH" => (Self::Length, 1, 1),
            "CHAR_LENGTH" | "CHARACTER_LENGTH" => (Self::CharLength, 1, 1),
            "LOWER" | "LCASE" => (Self::Lower, 1, 1),
            "UPPER" | "UCASE" => (Self::Upper, 1, 1),
            "TRIM" => (Self::Trim, 1, 1),
            "LTRIM" => (Self::TrimLeft, 1, 1),
            "RTRIM" => (Self::TrimRight, 1, 1),
            "LEFT" => (Self::Left, 2, 2),
            "RIGHT" => (Self::Right, 2, 2),
            "SUBSTRING" | "SUBSTR" | "MID" => (Self::Substring, 2, 3),
            "CONCAT" => (Self::Concat, 1, 100),
            "ABS" => (Self::Absolute, 1, 1),
            "IF" => (Self::If, 3, 3),
            "IFNULL" => (Self::First, 2, 2),
            "COALESCE" => (Self::First, 1, 100),
            "NULLIF" => (Self::NullIf, 2, 2),
            "ISNULL" => (Self::IsNull, 1, 1),
            "GREATEST" => (Self::Greatest, 2, 100),
            "LEAST" => (Self::Least, 2, 100),
            "FLOOR" => (Self::Floor, 1, 1),
            "CEIL" | "CEILING" => (Self::Ceiling, 1, 1),
            "ROUND" => (Self::Round, 1, 2),
            "MOD" => (Self::Remainder, 2, 2),
            "YEAR" => (Self::Part(Part::Year), 1, 1),
            "MONTH" => (Self::Part(Part::Month), 1, 1),
            "DAY" | "DAYOFMONTH" => (Self::Part(Part::Day), 1, 1),
            "HOUR" => (Self::Part(Part::Hour), 1, 1),
            "MINUTE" => (Self::Part(Part::Minute), 1, 1),
            "SECOND" => (Self::Part(Part::Second), 1, 1),
            "DATE" => (Self::Date, 1, 1),
            _ => return None,
        })
    }
}
