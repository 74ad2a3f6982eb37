//! What the table of codes says about one code.

use super::{Code, Verdict};

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Not known; a database error whose connection has no side.
    NotSet,
    /// The source database.
    Upstream,
    /// The target database.
    Downstream,
    /// Our own processes.
    Internal,
}

impl Scope {
    /// DM's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSet => "not-set",
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
            Self::Internal => "internal",
        }
    }
}

/// How bad DM says it is; nothing acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A nuisance.
    Low,
    /// A request is refused.
    Medium,
    /// Replication stands still.
    High,
}

impl Level {
    /// DM's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One line of the table of codes.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The case as our code names it.
    pub code: Code,
    /// The number that is printed; never reused for something else.
    pub number: i32,
    /// DM's class.
    pub class: &'static str,
    /// Scope unless the raiser says otherwise.
    pub scope: Scope,
    /// DM's level.
    pub level: Level,
    /// Verdict unless the raiser says otherwise.
    pub verdict: Verdict,
    /// One sentence on what it means.
    pub meaning: &'static str,
    /// One sentence on what to do; printed with the error.
    pub workaround: &'static str,
}
