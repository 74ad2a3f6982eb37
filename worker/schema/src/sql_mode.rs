//! The part of sql_mode that changes how text is read.

/// The sql_mode flags that change how DDL text is read. Bits as in the `Q_SQL_MODE_CODE` status variable of a
/// QUERY event; the same on MySQL and MariaDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SqlMode {
    bits: u64,
}

impl SqlMode {
    /// `REAL_AS_FLOAT`: REAL means FLOAT.
    pub const REAL_AS_FLOAT: u64 = 1;
    /// `ANSI_QUOTES`: double quotes hold identifiers.
    pub const ANSI_QUOTES: u64 = 4;
    /// `NO_BACKSLASH_ESCAPES`: a backslash in a string stands for itself.
    pub const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;

    /// From the bits of a QUERY event.
    pub const fn from_bits(bits: u64) -> Self {
        SqlMode { bits }
    }

    /// From the text of `@@sql_mode`.
    pub fn from_names(names: &str) -> Self {
        let mut bits = 0;
        for name in names.split(',').map(str::trim) {
            bits |= match name.to_ascii_uppercase().as_str() {
                "REAL_AS_FLOAT" => Self::REAL_AS_FLOAT,
                "ANSI_QUOTES" => Self::ANSI_QUOTES,
                "ANSI" | "DB2" | "MAXDB" | "MSSQL" | "ORACLE" | "POSTGRESQL" => {
                    Self::ANSI_QUOTES
                        | if name.eq_ignore_ascii_case("ANSI") { Self::REAL_AS_FLOAT } else { 0 }
                }
                "NO_BACKSLASH_ESCAPES" => Self::NO_BACKSLASH_ESCAPES,
                _ => 0,
            };
        }
        SqlMode { bits }
    }

    /// All bits as given.
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// Double quotes hold identifiers.
    pub const fn ansi_quotes(self) -> bool {
        self.bits & Self::ANSI_QUOTES != 0
    }

    /// Backslashes in strings stand for themselves.
    pub const fn no_backslash_escapes(self) -> bool {
        self.bits & Self::NO_BACKSLASH_ESCAPES != 0
    }

    /// REAL means FLOAT.
    pub const fn real_as_float(self) -> bool {
        self.bits & Self::REAL_AS_FLOAT != 0
    }
}
