//! Proof that a source still has the binlog that was read before.
use std::time::Duration;

use dm_binlog::{ChecksumAlgorithm, Decoder, Event, EventHeader, HEADER_LEN, type_code};
use dm_proto::error::Code;
use dm_replication::{ReplicationError, StartAt};
use serde::Deserialize;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::reader::{damaged, failure, open_binlog, position_start};
use crate::{
    failure::{Failure, Next},
    subtask::SubtaskContext,
};

const DEADLINE: Duration = Duration::from_secs(10);
/// What comes before the first event of the file that was asked for: rotation, format, lists of GTIDs.
const EVENTS: usize = 8;
const CHECKSUM: usize = 4;

/// What a server's binlog held when we read it. Its field names are part of the checkpoint's format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SourceProof {
    /// Identity of that server; empty in proofs of the first version.
    #[serde(default)]
    pub server: String,
    pub file: String,
    /// When the server made the file: one of the same name after RESET has another time.
    pub created: u32,
    /// A transaction that is applied at the target.
    #[serde(default)]
    pub applied: Option<AppliedEvent>,
}

/// The event that ended an applied transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct AppliedEvent {
    /// Name of the transaction; empty where the source gave it none.
    pub gtid: String,
    /// MariaDB: the transaction before it in its domain; empty for the first.
    #[serde(default)]
    pub before: String,
    pub begin: u64,
    pub end: u64,
    /// Of its bytes, see [`fingerprint`].
    pub hash: u64,
    /// When the transaction was committed on its first server, which every replica passes on: microseconds on MySQL,
    /// seconds on MariaDB; 0 when unknown.
    pub committed: u64,
}

/// What the source has at the place of the proof now.
#[derive(Debug)]
pub struct Found {
    pub created: u32,
    /// End and fingerprint of the event at the place asked for.
    pub event: Option<(u64, u64)>,
}

/// The same for the same event of the same file, whether it is sent with its checksum or without.
pub fn fingerprint(header: &EventHeader, bytes: &[u8], checksum: Option<ChecksumAlgorithm>) -> u64 {
    let end = match checksum {
        Some(ChecksumAlgorithm::Crc32) => bytes.len().saturating_sub(CHECKSUM),
        Some(ChecksumAlgorithm::None) | None => bytes.len(),
    };
    let seed = u64::from(header.timestamp) << 32 | u64::from(header.server_id);
    xxh3_64_with_seed(
        bytes.get(HEADER_LEN..end).unwrap_or_default(),
        seed ^ u64::from(header.type_code) << 24,
    )
}

impl SourceProof {
    /// Asks the source for the beginning of the file.
    pub async fn read(context: &SubtaskContext, file: &str) -> Result<Self, Failure> {
        let found = look(context, position_start(file, 4), false).await?.map_err(|e| failure(&e))?;
        Ok(Self {
            server: context.identity.text(),
            file: file.to_owned(),
            created: found.created,
            applied: None,
        })
    }

    pub fn to_text(&self) -> String {
        let applied = self.applied.as_ref().map(|a| {
            json!({
                "gtid": a.gtid, "before": a.before, "begin": a.begin, "end": a.end, "hash": a.hash,
                "committed": a.committed,
            })
        });
        json!({"server": self.server, "file": self.file, "created": self.created, "applied": applied})
            .to_string()
    }

    /// `None` for the empty text. The first version wrote `FILE CREATED`.
    pub fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let broken = || Failure::new(Code::CheckpointBroken, format!("the proof {text:?} can't be read"));
        if text.is_empty() {
            return Ok(None);
        }
        if text.starts_with('{') {
            return serde_json::from_str(text).map(Some).map_err(|e| broken().cause(e));
        }
        let (file, created) = text.rsplit_once(' ').ok_or_else(broken)?;
        let created = created.parse().map_err(|_| broken())?;
        Ok(Some(Self { file: file.to_owned(), created, ..Self::default() }))
    }
}

/// Opens a stream and looks at its format, and with `event` at the first event after it. The inner error is what the source
/// answered to the place asked for.
pub async fn look(
    context: &SubtaskContext,
    start: StartAt,
    event: bool,
) -> Result<Result<Found, ReplicationError>, Failure> {
    match tokio::time::timeout(DEADLINE, ask(context, start, event)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::new(Code::BinlogRead, "the source did not show its binlog in time")
            .next(Next::Unreachable)),
    }
}

async fn ask(
    context: &SubtaskContext,
    start: StartAt,
    wanted: bool,
) -> Result<Result<Found, ReplicationError>, Failure> {
    let mut client = match open_binlog(context, start).await {
        Ok(client) => client,
        Err(error) => return Ok(Err(error)),
    };
    let mut decoder = Decoder::new(context.identity.flavor);
    let mut found = None;
    for _ in 0..EVENTS {
        let bytes = match client.next().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let header = EventHeader::parse(&bytes).map_err(|e| damaged("at the place of the proof", e))?;
        if matches!(header.type_code, type_code::HEARTBEAT | type_code::HEARTBEAT_V2) {
            // The server has nothing more to send: there is no event at this place.
            break;
        }
        if found.is_some()
            && let Some(end) = header.next_position()
        {
            // Not decoded: rows of it would lack their table.
            let hash = fingerprint(&header, &bytes, decoder.checksum());
            found = found.map(|f: Found| Found { event: Some((u64::from(end), hash)), ..f });
            break;
        }
        let (header, event) = decoder.decode(&bytes).map_err(|e| damaged("at the place of the proof", e))?;
        if matches!(event, Event::Format(_)) {
            found = Some(Found { created: header.timestamp, event: None });
            if !wanted {
                break;
            }
        }
    }
    client.close().await;
    match found {
        Some(found) => Ok(Ok(found)),
        None => Err(Failure::new(Code::BinlogCorrupt, "the source's stream has no format description")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored in targets must be read for ever.
    #[test]
    fn stored_forms_are_read() {
        assert_eq!(SourceProof::parse("").unwrap(), None);
        let first = SourceProof::parse("my binlog.000001 1700000000").unwrap().unwrap();
        assert_eq!((first.file.as_str(), first.created), ("my binlog.000001", 1_700_000_000));
        assert!(first.server.is_empty() && first.applied.is_none());
        let golden = r#"{"server":"mariadb:1:x","file":"binlog.000002","created":1700000001,"applied":{"gtid":"0-1-7","before":"0-1-6","begin":400,"end":431,"hash":18446744073709551615,"committed":1700000002}}"#;
        let second = SourceProof::parse(golden).unwrap().unwrap();
        assert_eq!(second.to_text(), golden);
        let applied = second.applied.unwrap();
        assert_eq!((applied.begin, applied.end, applied.hash), (400, 431, u64::MAX));
        for broken in ["x", "binlog.000001 x", "{\"file\":1}"] {
            assert!(SourceProof::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_fingerprint_sees_every_byte_but_position_and_checksum() {
        let event = |log_pos: u8, body: u8, tail: &[u8]| {
            let mut bytes = vec![7, 0, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, log_pos, 0, 0, 0, 0, 0, body, 2, 3];
            bytes.extend_from_slice(tail);
            bytes
        };
        let of =
            |bytes: &[u8], checksum| fingerprint(&EventHeader::parse(bytes).unwrap(), bytes, Some(checksum));
        use ChecksumAlgorithm::{Crc32, None};
        let plain = of(&event(9, 1, &[]), None);
        assert_eq!(plain, of(&event(8, 1, &[1, 2, 3, 4]), Crc32));
        assert_ne!(plain, of(&event(9, 2, &[]), None));
        let mut later = event(9, 1, &[]);
        later[0] = 8;
        assert_ne!(plain, of(&later, None));
    }
}
