//! The replicated state machine as this crate sees it: bytes in, bytes out.

/// The replicated state. Every replica applies the same commands in the same order, so an implementation
/// must be deterministic: no clock, randomness, environment or configuration inside `apply`.
pub trait Machine: Send + Sync + 'static {
    /// Applies one committed command and returns its response, which the proposer gets.
    ///
    /// `index` is the command's place in the log (strictly growing, not contiguous: membership changes and
    /// the blank entries of new leaders take places too). A refusal of the command is a *response*; the
    /// error says that this program cannot understand the command and stops the node for good.
    fn apply(&mut self, index: u64, command: &[u8]) -> Result<Vec<u8>, Incompatible>;

    /// The whole state as bytes, for the snapshot file and for replicas that lag behind.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the whole state by that of a snapshot.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;
}

/// A committed command that this program does not understand, most likely written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot apply a committed command: {reason}; it was probably written by a newer version: upgrade this member"
)]
pub struct Incompatible {
    /// What was not understood.
    pub reason: String,
}

impl Incompatible {
    /// An incompatibility with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A snapshot whose bytes this program does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot restore a snapshot: {reason}; it was probably written by a newer version: upgrade this member"
)]
pub struct RestoreError {
    /// What was not understood.
    pub reason: String,
}

impl RestoreError {
    /// A failure with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}
