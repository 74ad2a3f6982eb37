//! Pieces shared by the text parsers of GTIDs.

use super::Sid;

/// A text that is no GTID or GTID set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid GTID text {text:?}: {reason}")]
pub struct GtidParseError {
    /// The offending piece, cut to 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl GtidParseError {
    pub(crate) fn new(text: &str, reason: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), reason }
    }
}

/// Parses a decimal number without sign or blanks.
pub(crate) fn number(text: &str) -> Result<u64, GtidParseError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(GtidParseError::new(text, "a number was expected"));
    }
    text.parse().map_err(|_| GtidParseError::new(text, "the number is too large"))
}

/// Parses a number that fits 32 bits.
pub(crate) fn number_u32(text: &str) -> Result<u32, GtidParseError> {
    u32::try_from(number(text)?).map_err(|_| GtidParseError::new(text, "the number is too large"))
}

/// Parses a UUID with or without dashes.
pub(crate) fn uuid(text: &str) -> Result<Sid, GtidParseError> {
    let error = || GtidParseError::new(text, "a UUID was expected");
    let mut out = [0u8; 16];
    let mut digits = 0usize;
    for byte in text.bytes() {
        if byte == b'-' {
            continue;
        }
        let nibble = (byte as char).to_digit(16).ok_or_else(error)? as u8;
        let slot = out.get_mut(digits / 2).ok_or_else(error)?;
        *slot = (*slot << 4) | nibble;
        digits += 1;
    }
    if digits == 32 { Ok(out) } else { Err(error()) }
}

/// Writes a UUID with dashes.
pub(crate) fn write_uuid(f: &mut std::fmt::Formatter<'_>, sid: &Sid) -> std::fmt::Result {
    for (i, byte) in sid.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}
