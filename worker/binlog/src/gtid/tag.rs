//! The tag of a MySQL 8.3+ tagged GTID.

use std::fmt;

use super::GtidParseError;

/// The tag of a MySQL tagged GTID; empty for the ordinary, untagged ones.
///
/// At most 32 characters of `[a-z_][a-z0-9_]*`; upper case is folded as the server does. The empty
/// tag sorts first, as in the server's own text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Tag(Option<Box<str>>);

impl Tag {
    /// The longest tag, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The empty tag.
    pub const NONE: Tag = Tag(None);

    /// Checks and folds `text`; the empty text gives the empty tag.
    pub fn new(text: &str) -> Result<Self, GtidParseError> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let mut chars = text.chars();
        let first_ok = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest_ok = chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !first_ok || !rest_ok || text.len() > Self::MAX_LEN {
            return Err(GtidParseError::new(text, "a tag is at most 32 letters, digits and underscores"));
        }
        Ok(Self(Some(text.to_ascii_lowercase().into_boxed_str())))
    }

    /// Whether this is the empty tag.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The text, empty for the empty tag.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
