//! What can go wrong, sorted by what the caller has to do about it.
use crate::Member;

/// Exit code for "this data directory must not be used as it is" (`EX_CONFIG`): restarting does not help.
pub const EXIT_REFUSED: u8 = 78;
/// Exit code for a fault of disk or program: a supervisor may restart with back-off.
pub const EXIT_FATAL: u8 = 3;

/// Why a member does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory lost acknowledged state, is damaged, belongs to another node, or was written by a newer
    /// version. A member that went on with it could break promises it gave to others. The text says what to do.
    /// Exit code [`EXIT_REFUSED`].
    #[error("refusing to start: {0}")]
    Refused(String),
    /// The configuration makes no sense.
    #[error("configuration: {0}")]
    Config(String),
    /// Another process holds the data directory.
    #[error("the data directory {0} is in use by another process")]
    InUse(String),
    /// Disk or socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The consensus engine did not start.
    #[error("consensus engine: {0}")]
    Engine(String),
}

impl StartError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Config(_) => EXIT_REFUSED,
            Self::InUse(_) | Self::Io { .. } | Self::Engine(_) => EXIT_FATAL,
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }
}

/// Why a running member must end its process, now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FatalError {
    /// As [`StartError::Refused`], found out only by asking the other members.
    #[error("refusing to go on: {0}")]
    Refused(String),
    /// The disk failed, is full, or hangs.
    #[error("storage: {0}")]
    Storage(String),
    /// A committed command or snapshot this program does not understand.
    #[error("{0}")]
    Incompatible(String),
    /// The consensus engine stopped by itself.
    #[error("consensus engine: {0}")]
    Engine(String),
}

impl FatalError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => EXIT_REFUSED,
            _ => EXIT_FATAL,
        }
    }
}

/// Why a command was not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProposeError {
    /// Not proposed at all; ask `leader`, or wait for one. Repeating is safe.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this member knows.
        leader: Option<Member>,
    },
    /// The command may or may not be, or become, committed. Repeat only what is idempotent.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The command exceeds the size bound; never proposed.
    #[error("the command has {size} bytes, more than the bound of {max} bytes")]
    TooLarge {
        /// Bytes of the command.
        size: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// This member has stopped or is stopping.
    #[error("this member has stopped: {0}")]
    Fatal(String),
}

/// Why a linearizable read cannot be served here.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// Ask `leader`, or wait for one.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this member knows.
        leader: Option<Member>,
    },
    /// No majority confirmed this leader in time.
    #[error("no majority confirmed the leader: {0}")]
    NoQuorum(String),
    /// This member has stopped or is stopping.
    #[error("this member has stopped: {0}")]
    Fatal(String),
}

/// Why a change of the membership or of the leader did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MembershipError {
    /// Ask `leader`, or wait for one.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as this member knows.
        leader: Option<Member>,
    },
    /// The request contradicts the membership.
    #[error("{0}")]
    Rejected(String),
    /// It may or may not have happened; look at the members.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// This member has stopped or is stopping.
    #[error("this member has stopped: {0}")]
    Fatal(String),
}
