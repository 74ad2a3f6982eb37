//! What can go wrong, and what to do about it.

use std::fmt;

/// What a caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Connect again, with pauses, at the place reached.
    Retry,
    /// Trying again cannot help before a person changes something.
    NeedsPerson,
}

/// Classes of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicationErrorKind {
    /// The connection could not be made, ended, or was silent for too long; or the server is going down.
    Lost,
    /// User, password or host refused, or an authentication method we do not have.
    Auth,
    /// A privilege is missing.
    Privilege,
    /// The source no longer has the events asked for.
    Purged,
    /// The position asked for lies behind the source's end or between events.
    BadPosition,
    /// We have transactions that the source does not have: another server, or one that lost some.
    Diverged,
    /// Another replica uses our server id; the two would throw each other out forever.
    DuplicateServerId,
    /// The server is not of the flavor it should be.
    WrongFlavor,
    /// The server sent what the protocol does not allow, or more than the limits.
    Protocol,
    /// A request that cannot be made.
    Unsupported,
    /// Any other error of the server.
    Server,
}

impl ReplicationErrorKind {
    /// What to do about it.
    pub fn verdict(self) -> Verdict {
        match self {
            // A protocol error is mostly a damaged connection; the retry limit of the caller ends the rest.
            Self::Lost | Self::Protocol => Verdict::Retry,
            Self::Auth
            | Self::Privilege
            | Self::Purged
            | Self::BadPosition
            | Self::Diverged
            | Self::DuplicateServerId
            | Self::WrongFlavor
            | Self::Unsupported
            | Self::Server => Verdict::NeedsPerson,
        }
    }
}

/// An error of a replication connection. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationError {
    /// Class.
    pub kind: ReplicationErrorKind,
    /// The server's error number, when it was the server that refused.
    pub code: Option<u16>,
    /// What happened, in the server's words when there are some.
    pub message: String,
}

impl ReplicationError {
    pub(crate) fn new(kind: ReplicationErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into() }
    }

    pub(crate) fn lost(message: impl Into<String>) -> Self {
        Self::new(ReplicationErrorKind::Lost, message)
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(ReplicationErrorKind::Protocol, message)
    }

    /// What to do about it.
    pub fn verdict(&self) -> Verdict {
        self.kind.verdict()
    }

    /// From an ERR packet: 0xFF, code, `#` and five characters of state, message. Before the handshake is
    /// done there is no state.
    pub(crate) fn from_packet(packet: &[u8]) -> Self {
        let Some((code, rest)) = packet.get(1..).and_then(|p| p.split_first_chunk::<2>()) else {
            return Self::protocol("a truncated error packet");
        };
        let code = u16::from_le_bytes(*code);
        let text = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
        let message = String::from_utf8_lossy(text).into_owned();
        Self { kind: classify(code, &message), code: Some(code), message }
    }
}

impl fmt::Display for ReplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "the source answered error {code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ReplicationError {}

/// The class of a server's error. Number 1236 is used for everything about the binlog: only its text tells.
fn classify(code: u16, message: &str) -> ReplicationErrorKind {
    use ReplicationErrorKind as K;
    match code {
        1044 | 1045 | 1130 | 1131 | 1251 | 1524 | 1698 | 1862 | 2054 | 3118 | 3955 | 4151 => K::Auth,
        1142 | 1227 | 1370 => K::Privilege,
        1040
        | 1053
        | 1077
        | 1079
        | 1080
        | 1152..=1161
        | 1184
        | 1203
        | 1205
        | 1226
        | 1317
        | 1927
        | 3169
        | 4031 => K::Lost,
        4052 => K::DuplicateServerId,
        1236 => {
            let text = message.to_ascii_lowercase();
            let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
            if has(&["same server_uuid", "same server_id", "same server id"]) {
                K::DuplicateServerId
            } else if has(&["has more gtids", "not in the master's binlog", "diverged", "alternate future"]) {
                K::Diverged
            } else if has(&[
                "purged",
                "could not find first log file",
                "could not find gtid state",
                "is missing the gtid",
            ]) {
                K::Purged
            } else if has(&["impossible position", "> file size", "bogus data in log event", "from position"])
            {
                K::BadPosition
            } else {
                K::Server
            }
        }
        _ => K::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_parsed_and_classified() {
        let mut packet = vec![0xFF, 0xD4, 0x04];
        packet.extend_from_slice(
            b"#HY000A replica with the same server_uuid/server_id as this replica has connected",
        );
        let e = ReplicationError::from_packet(&packet);
        assert_eq!((e.kind, e.code), (ReplicationErrorKind::DuplicateServerId, Some(1236)));
        assert_eq!(e.verdict(), Verdict::NeedsPerson);
        assert_eq!(ReplicationError::from_packet(&[0xFF, 1]).kind, ReplicationErrorKind::Protocol);
        assert_eq!(
            ReplicationError::from_packet(b"\xFF\x10\x04Too many connections").message,
            "Too many connections"
        );
        assert_eq!(
            ReplicationError::from_packet(b"\xFF\x10\x04Too many connections").verdict(),
            Verdict::Retry
        );
    }
}
