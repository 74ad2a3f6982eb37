//! Text that must never be shown.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A password or key. `Debug`, `Display` and `Serialize` give `******`; only [`Secret::expose`] gives the text.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands in place of a secret.
const HIDDEN: &str = "******";

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for handing to a database driver and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// No password at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has the shape of what DM's `encrypt` gives: base64 of a 16-byte vector, `@`, and the ciphertext.
    pub(crate) fn looks_encrypted(&self) -> bool {
        let text = self.0.trim_end_matches('=');
        // Characters 21 and 22 hold the byte after the 16-byte vector: bits 2.. of the one, 2 bits of the next.
        let digit = |index: usize| text.as_bytes().get(index).and_then(|b| base64_digit(*b));
        let (Some(high), Some(low)) = (digit(21), digit(22)) else { return false };
        let seventeenth = ((high & 0x0f) << 4) | (low >> 2);
        self.0.len().is_multiple_of(4)
            && text.bytes().all(|b| base64_digit(b).is_some())
            && seventeenth == b'@'
    }
}

fn base64_digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_expose_shows_it() {
        let secret = Secret::new("hunter2");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!((format!("{secret:?} {secret}"), json.as_str()), ("****** ******".into(), "\"******\""));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn dms_ciphertext_is_recognised() {
        // base64 of 16 zero bytes, '@', and six more bytes
        assert!(Secret::new("AAAAAAAAAAAAAAAAAAAAAEAAAAAAAAA=").looks_encrypted());
        assert!(!Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").looks_encrypted());
        assert!(!Secret::new("123456").looks_encrypted());
    }
}
