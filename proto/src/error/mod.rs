//! Errors as people and tools see them: DM's code, class, scope, level, message, cause and remedy.

mod codes;
mod convert;
mod table;

pub use codes::Code;
pub use table::{Entry, Level, Scope};

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

pub use crate::worker::Verdict;

/// One error in DM's form. `Display` gives
/// `[code=N:class=C:scope=S:level=L], Message: M, RawCause: R, Workaround: W`, empty parts left out.
///
/// Never put a secret into `message` or `raw_cause`: both are logged and sent to operators.
///
/// One pointer wide; the fields are those of [`Details`], reached through `Deref`.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Details>);

/// What an [`Error`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// DM's five-digit number; 51000 and up are ours.
    pub code: i32,
    /// What part of the system speaks, for example `config` or `sync-unit`.
    pub class: Cow<'static, str>,
    /// `internal`, `upstream`, `downstream` or `not-set`.
    pub scope: Cow<'static, str>,
    /// `low`, `medium` or `high`.
    pub level: Cow<'static, str>,
    /// What happened, with the names it happened to.
    pub message: String,
    /// The text of the innermost error, for example a database server's own words.
    pub raw_cause: String,
    /// What a person can do.
    pub workaround: Cow<'static, str>,
    /// Whether trying again can help.
    pub verdict: Verdict,
}

/// Result with DM's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with everything that the table knows about `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let entry = code.entry();
        Self::from(Details {
            code: entry.number,
            class: entry.class.into(),
            scope: entry.scope.as_str().into(),
            level: entry.level.as_str().into(),
            message: message.into(),
            raw_cause: String::new(),
            workaround: entry.workaround.into(),
            verdict: entry.verdict,
        })
    }

    /// Adds the text of the error underneath. An [`Error`] of our own gives its message (or its own cause),
    /// not its header: see [`Error::caused_by`].
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.raw_cause = cause.to_string();
        self
    }

    /// Makes another error of this kind the cause; the innermost text wins, as in DM.
    #[must_use]
    pub fn caused_by(mut self, inner: &Error) -> Self {
        self.raw_cause =
            if inner.raw_cause.is_empty() { inner.message.clone() } else { inner.raw_cause.clone() };
        self
    }

    /// Says on which side it happened; database errors take it from their connection.
    #[must_use]
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope.as_str().into();
        self
    }

    /// Replaces the table's remedy by one that names things.
    #[must_use]
    pub fn with_workaround(mut self, workaround: impl Into<Cow<'static, str>>) -> Self {
        self.workaround = workaround.into();
        self
    }

    /// Replaces the table's verdict, where the cause tells more than the code does.
    #[must_use]
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    /// Puts context before the message: `context: message`.
    #[must_use]
    pub fn annotate(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The table's case of this error, if the number is one of ours.
    pub fn case(&self) -> Option<Code> {
        Code::from_number(self.code)
    }

    /// True if this error is that case.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.number()
    }

    /// Trying again without a person may succeed.
    pub fn retryable(&self) -> bool {
        self.verdict == Verdict::Retryable
    }

    /// Nothing will change before a person acts.
    pub fn needs_person(&self) -> bool {
        self.verdict == Verdict::NeedsPerson
    }
}

impl From<Details> for Error {
    fn from(details: Details) -> Self {
        Self(Box::new(details))
    }
}

impl Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[code={}:class={}:scope={}:level={}]", self.code, self.class, self.scope, self.level)?;
        let parts = [
            ("Message", self.message.as_str()),
            ("RawCause", self.raw_cause.as_str()),
            ("Workaround", self.workaround.as_ref()),
        ];
        for (name, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
            write!(f, ", {name}: {text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_dms_form_with_empty_parts_left_out() {
        let error = Error::new(Code::DatabaseExecute, "execute statement failed")
            .with_scope(Scope::Downstream)
            .with_cause("Error 1062 (23000): Duplicate entry '1'")
            .with_workaround("");
        assert_eq!(
            error.to_string(),
            "[code=10006:class=database:scope=downstream:level=high], Message: execute statement failed, \
             RawCause: Error 1062 (23000): Duplicate entry '1'"
        );
        assert_eq!(
            Error::new(Code::CtlConnect, "can't connect to a:1")
                .with_cause("context deadline exceeded")
                .to_string(),
            "[code=48001:class=dmctl:scope=internal:level=high], Message: can't connect to a:1, \
             RawCause: context deadline exceeded, Workaround: Please check your network connection."
        );
    }

    #[test]
    fn context_goes_before_the_message_and_the_innermost_text_is_the_cause() {
        let inner = Error::new(Code::DatabaseQuery, "query failed").with_cause("gone");
        let outer = Error::new(Code::CheckOpenDatabase, "no way in").caused_by(&inner).annotate("task t");
        assert_eq!(outer.message, "task t: no way in");
        assert_eq!(outer.raw_cause, "gone");
    }
}
