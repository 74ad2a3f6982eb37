//! What can go wrong at the target.

use std::time::Duration;

/// What has to happen after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take over anew, with backoff; nothing was lost.
    Retryable,
    /// A person has to change something first.
    NeedsPerson,
    /// Somebody else owns the target: report the epoch and stop, without retrying.
    Superseded,
}

/// An error of the target protocol. No variant carries a secret or a row's values, except what the server itself put
/// into its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Another owner with a higher epoch has taken over.
    #[error("the target is owned by epoch {epoch_found}, ours is {epoch}")]
    Fenced {
        /// Our epoch.
        epoch: u64,
        /// The epoch found in the target's rows.
        epoch_found: u64,
    },
    /// The rows belong to another cluster.
    #[error("the target's meta rows belong to cluster {found:?}, ours is {ours:?}")]
    Foreign {
        /// Cluster id found in the target.
        found: String,
        /// Our cluster id.
        ours: String,
    },
    /// A meta table or row that must exist is missing.
    #[error("{what} is missing in the target although it was created earlier")]
    MetaMissing {
        /// Table or row.
        what: String,
    },
    /// The target refused a packet before any row statement (error 1242): our lane row did not match.
    #[error("the target refused a packet of {connection} (error 1242): its lane row no longer matches")]
    Refused1242 {
        /// Which connection: `lane 3`, `lane -1`.
        connection: String,
    },
    /// A change matched another number of rows than it must, in strict mode.
    #[error(
        "statement {statement} of a packet of {connection} did not match exactly {expected} row(s); {at}"
    )]
    RowsMissed {
        /// Which connection.
        connection: String,
        /// Number of the row statement in its batch, from 0.
        statement: usize,
        /// How many rows it had to match.
        expected: u64,
        /// The transaction or chunk that it belongs to.
        at: String,
    },
    /// The target would have changed a value to make it fit; nothing of the packet was committed.
    #[error(
        "statement {statement} of a packet of {connection} did not match its rows, or a value would have been cut; {at}"
    )]
    Warned {
        /// Which connection.
        connection: String,
        /// Number of the row statement in its batch, from 0.
        statement: usize,
        /// The transaction or chunk that it belongs to.
        at: String,
    },
    /// A connection was lost or could not be opened.
    #[error("connection {connection} to the target lost: {message}")]
    Lost {
        /// Which connection.
        connection: String,
        /// What the driver said.
        message: String,
    },
    /// Something took longer than its deadline.
    #[error("{what} took longer than {after:?}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// A statement of a packet was not answered in time.
    #[error("statement {statement} of a packet of {connection} was not answered within {after:?}")]
    Unanswered {
        /// Which connection.
        connection: String,
        /// Number of the statement in the packet, from 0.
        statement: usize,
        /// The deadline.
        after: Duration,
    },
    /// The server refused a statement.
    #[error("target error {code} ({state}): {message}; {context}")]
    Sql {
        /// Error number.
        code: u16,
        /// SQLSTATE.
        state: String,
        /// The server's text.
        message: String,
        /// Which connection, doing what.
        context: String,
    },
    /// The connections ended at different servers (a load balancer), which the fence doesn't allow.
    #[error("the connections of one take-over ended at different servers: {first:?} and {second:?}")]
    NotOneServer {
        /// Identity behind the first connection.
        first: String,
        /// Identity behind another one.
        second: String,
    },
    /// This server or the proxy before it doesn't stop a packet after a failed swap.
    #[error("the fence does not hold at this target: {what}")]
    FenceNotHeld {
        /// What was seen instead of error 1242.
        what: String,
    },
    /// The former owner's DDL connection is still there.
    #[error("connection {connection_id} of the former owner still runs a DDL after {waited:?}")]
    DdlStillRunning {
        /// Its id at the target.
        connection_id: u64,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A meta row holds something that this version can't read.
    #[error("cannot read {what}: {message}")]
    Corrupt {
        /// Which row and column.
        what: String,
        /// Why.
        message: String,
    },
    /// The caller broke the protocol (a bug), for example a position id in GTID mode.
    #[error("{message}")]
    Misuse {
        /// What was wrong.
        message: String,
    },
    /// The attachment was closed.
    #[error("the attachment is closed")]
    Closed,
}

impl TargetError {
    /// What has to happen now.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Fenced { .. } => Verdict::Superseded,
            Self::Refused1242 { .. }
            | Self::Lost { .. }
            | Self::Timeout { .. }
            | Self::Unanswered { .. }
            | Self::DdlStillRunning { .. } => Verdict::Retryable,
            Self::Closed | Self::NotOneServer { .. } => Verdict::Retryable,
            Self::Sql { code, .. } if retryable_code(*code) => Verdict::Retryable,
            Self::Foreign { .. }
            | Self::MetaMissing { .. }
            | Self::RowsMissed { .. }
            | Self::Warned { .. }
            | Self::Sql { .. }
            | Self::FenceNotHeld { .. }
            | Self::Corrupt { .. }
            | Self::Misuse { .. } => Verdict::NeedsPerson,
        }
    }

    /// Whether the target refused a late writer (the fence at work).
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Refused1242 { .. })
    }

    /// Names what a refused statement belongs to.
    pub(crate) fn of_batch(mut self, batch: &crate::batch::Batch) -> Self {
        if let Self::RowsMissed { statement, at, .. } | Self::Warned { statement, at, .. } = &mut self {
            *at = batch.owner_of(*statement);
        }
        self
    }

    pub(crate) fn from_driver(error: &mysql_async::Error, connection: &str, doing: &str) -> Self {
        match error {
            mysql_async::Error::Server(e) if is_loss(e.code) => Self::Lost {
                connection: connection.to_owned(),
                message: format!("{doing}: {} ({})", e.message, e.code),
            },
            mysql_async::Error::Server(e) => Self::Sql {
                code: e.code,
                state: e.state.clone(),
                message: e.message.clone(),
                context: format!("{connection}: {doing}"),
            },
            other => Self::Lost { connection: connection.to_owned(), message: format!("{doing}: {other}") },
        }
    }
}

/// Codes by which a server says that the connection ends: killed, shutting down, gone away, timed out.
fn is_loss(code: u16) -> bool {
    matches!(code, 1053 | 1077 | 1079 | 1080 | 1152 | 1154..=1161 | 1184 | 1317 | 1927 | 2006 | 2013 | 4031)
}

/// Deadlock, lock wait, too many connections, read only, out of resources, out of memory, disk full, server busy.
fn retryable_code(code: u16) -> bool {
    matches!(
        code,
        1213 | 1205
            | 1040
            | 1041
            | 1037
            | 1038
            | 1021
            | 1114
            | 1203
            | 1226
            | 1290
            | 1836
            | 1792
            | 1180
            | 3101
            | 3024
            | 1969
            | 1023
            | 1030
            | 1129
            | 1053
    )
}
