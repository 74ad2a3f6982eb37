//! Why a unit stopped: DM's error plus what the runtime does about it.
use std::fmt;

use dm_proto::{
    error::{Code, Error, Scope, Verdict},
    worker::StopPoint,
};

/// What happens next, decided where the error is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A new attempt after a pause; N identical ones in a row stop the trying.
    Retry,
    /// The other side isn't there: new attempts for ever, at a growing pause, shown as paused after a while.
    Unreachable,
    /// Someone has to change something and resume.
    Person,
    /// The target knows a higher epoch: only a new binding may go on.
    Fenced(u64),
    /// The source ended our stream since another client came with our identity: go on only once a leader has
    /// confirmed the binding, else two workers end each other's streams for ever.
    Kicked,
}

/// One classified error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: Error,
    pub next: Next,
    /// The transaction that it is about, where there is one.
    pub at: Option<StopPoint>,
}

impl Failure {
    /// The table's view of `code` decides what happens next.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error::new(code, message).into()
    }

    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.error = self.error.with_cause(cause);
        self
    }

    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.error = self.error.with_scope(scope);
        self
    }

    #[must_use]
    pub fn workaround(mut self, text: impl Into<String>) -> Self {
        self.error = self.error.with_workaround(text.into());
        self
    }

    /// Names the transaction that it is about.
    #[must_use]
    pub fn at(mut self, at: StopPoint) -> Self {
        self.at = Some(at);
        self
    }

    /// Something in this program that must never be.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// Overrides the table's verdict.
    #[must_use]
    pub fn next(mut self, next: Next) -> Self {
        self.next = next;
        self.error = self.error.with_verdict(match next {
            Next::Person => Verdict::NeedsPerson,
            Next::Retry | Next::Unreachable | Next::Fenced(_) | Next::Kicked => Verdict::Retryable,
        });
        self
    }

    /// Puts what was being done before the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.error = self.error.annotate(context);
        self
    }

    /// Two failures that are the same for the count of identical ones in a row.
    pub fn same_as(&self, other: &Self) -> bool {
        self.error.code == other.error.code
            && self.error.message == other.error.message
            && self.error.raw_cause == other.error.raw_cause
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let connection = [Code::DatabaseOpen, Code::DatabaseBadConnection, Code::DatabaseInvalidConnection];
        let next = match error.verdict {
            Verdict::Retryable if connection.iter().any(|c| error.is(*c)) => Next::Unreachable,
            Verdict::Retryable => Next::Retry,
            Verdict::NeedsPerson | Verdict::Fatal => Next::Person,
        };
        Self { error, next, at: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// The text of a database error as DM shows it: `Error 1049 (42000): Unknown database 'x'`.
pub fn mysql_text(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(e) => format!("Error {} ({}): {}", e.code, e.state, e.message),
        other => other.to_string(),
    }
}

/// Classifies an error of an ordinary SQL connection; `doing` says what was tried.
pub fn from_mysql(error: &mysql_async::Error, scope: Scope, doing: impl Into<String>) -> Failure {
    let (code, next) = match error {
        mysql_async::Error::Server(e) => match e.code {
            1044 | 1045 => (Code::DatabaseOpen, Next::Person),
            // Unknown database or table, syntax, privilege, variable: the same again will fail the same way.
            1049 | 1064 | 1142 | 1146 | 1193 | 1227 | 1231 => (Code::DatabaseQuery, Next::Person),
            // Too many connections, shutting down, host blocked, read-only, killed: it comes back.
            1040 | 1053 | 1077 | 1129 | 1203 | 1290 | 1317 | 1836 | 1927 | 3032 => {
                (Code::DatabaseQuery, Next::Unreachable)
            }
            _ => (Code::DatabaseQuery, Next::Retry),
        },
        mysql_async::Error::Io(_) | mysql_async::Error::Driver(_) => (Code::DatabaseOpen, Next::Unreachable),
        _ => (Code::DatabaseOpen, Next::Person),
    };
    Failure::new(code, doing).scope(scope).cause(mysql_text(error)).next(next)
}
