//! Why a handler could not do what was asked.
use dm_consensus::{ProposeError, ReadError};
use dm_proto::error::{Code, Error};

/// Outcome of an operation that is not an answer for the caller yet.
#[derive(Debug)]
pub enum Problem {
    /// This member does not lead, or can't prove it: ask the leader. Nothing is known to have been done.
    NotLeader,
    /// Perhaps done, perhaps not. Every operation may be repeated.
    Unknown(String),
    /// The answer is an error, and repeating changes nothing.
    Refused(Error),
    /// This process stops.
    Stopping(String),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<ProposeError> for Problem {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { .. } => Self::NotLeader,
            ProposeError::Unknown(reason) => Self::Unknown(reason),
            too_large @ ProposeError::TooLarge { .. } => {
                Self::Refused(Error::new(Code::InvalidOperation, too_large.to_string()))
            }
            ProposeError::Fatal(reason) => Self::Stopping(reason),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotLeader { .. } | ReadError::NoQuorum(_) => Self::NotLeader,
            ReadError::Fatal(reason) => Self::Stopping(reason),
        }
    }
}

/// A refusal of the replicated state as an error for people.
pub fn refusal(code: i32, message: String) -> Error {
    let known = Code::from_number(code);
    let mut error = Error::new(known.unwrap_or(Code::InvalidOperation), message);
    error.code = code;
    error
}
