//! What an event can be.

use std::borrow::Cow;
use std::sync::Arc;

use crate::checksum::ChecksumAlgorithm;
use crate::event_gtid::MySqlGtidEvent;
use crate::event_maria::{MariaGtidEvent, MariaGtidList};
use crate::event_query::QueryEvent;
use crate::gtid::MySqlGtidSet;
use crate::header::type_code as code;
use crate::rows::RowsEvent;
use crate::table_map::TableMap;

/// One decoded event; byte strings are borrowed from it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// First event of a file: version, checksums.
    Format(FormatDescription),
    /// Where the stream goes on.
    Rotate(RotateEvent<'a>),
    /// MySQL: a transaction with this id begins.
    Gtid(MySqlGtidEvent),
    /// MySQL without GTIDs: a transaction begins.
    AnonymousGtid(MySqlGtidEvent),
    /// MySQL: all ids in earlier files.
    PreviousGtids(MySqlGtidSet),
    /// MariaDB: a transaction, or one statement on its own, begins.
    MariaGtid(MariaGtidEvent),
    /// MariaDB: the last ids of earlier files; also sent artificially in GTID mode.
    MariaGtidList(MariaGtidList),
    /// MariaDB: the oldest file needed for its crash recovery.
    MariaCheckpoint(&'a [u8]),
    /// A statement: DDL, BEGIN, COMMIT, XA, or statement-format DML.
    Query(QueryEvent<'a>),
    /// Commit of a transaction of a transactional engine.
    Xid(u64),
    /// XA PREPARE: ends its group.
    XaPrepare(XaPrepare<'a>),
    /// Meaning of a table number; the decoder keeps it for the row events.
    TableMap(Arc<TableMap>),
    /// Row images.
    Rows(RowsEvent<'a>),
    /// Sign of life; its header says how far the source is.
    Heartbeat(&'a [u8]),
    /// Auto-increment value for a statement.
    IntVar(IntVar),
    /// Seed of RAND() for a statement.
    Rand(RandEvent),
    /// User variable for a statement.
    UserVar(UserVar<'a>),
    /// MySQL: text of the statement whose rows follow.
    RowsQuery(&'a [u8]),
    /// MariaDB: the same.
    Annotate(&'a [u8]),
    /// MySQL: a whole compressed transaction; [`PayloadEvent::reader`] walks it.
    Payload(PayloadEvent<'a>),
    /// The source lost events.
    Incident(IncidentEvent<'a>),
    /// The source shut down cleanly.
    Stop,
    /// Not known to this decoder.
    Unknown {
        /// Type of the event.
        type_code: u8,
        /// Whether its writer marked it as safe to skip.
        ignorable: bool,
        /// Its body.
        body: &'a [u8],
    },
}

impl Event<'_> {
    /// Whether skipping this event could lose a change of data. A consumer that does not handle an
    /// event for which this is true must stop, never skip it.
    pub fn carries_data(&self) -> bool {
        match self {
            Self::Rows(_)
            | Self::Query(_)
            | Self::IntVar(_)
            | Self::Rand(_)
            | Self::UserVar(_)
            | Self::XaPrepare(_)
            | Self::Payload(_)
            | Self::Incident(_) => true,
            Self::Unknown { type_code, ignorable, .. } => {
                let harmless = matches!(
                    *type_code,
                    code::IGNORABLE | code::TRANSACTION_CONTEXT | code::VIEW_CHANGE | code::HEARTBEAT_V2
                );
                !ignorable && !harmless
            }
            Self::Format(_)
            | Self::Rotate(_)
            | Self::Gtid(_)
            | Self::AnonymousGtid(_)
            | Self::PreviousGtids(_)
            | Self::MariaGtid(_)
            | Self::MariaGtidList(_)
            | Self::MariaCheckpoint(_)
            | Self::Xid(_)
            | Self::TableMap(_)
            | Self::Heartbeat(_)
            | Self::RowsQuery(_)
            | Self::Annotate(_)
            | Self::Stop => false,
        }
    }
}

/// FORMAT_DESCRIPTION_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// Always 4.
    pub binlog_version: u16,
    /// `@@version` of the writing server.
    pub server_version: String,
    /// When the file was created; 0 when it is not the first file since the server's start.
    pub created: u32,
    /// How the events of the file are protected.
    pub checksum: ChecksumAlgorithm,
}

/// ROTATE_EVENT: real at a file's end, artificial (without position in its header) at a stream's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateEvent<'a> {
    /// Position of the next event in the file.
    pub position: u64,
    /// Name of the file.
    pub file: &'a [u8],
}

/// XA_PREPARE_LOG_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// `XA COMMIT .. ONE PHASE`: the transaction is committed.
    pub one_phase: bool,
    /// Format id of the xid.
    pub format_id: i32,
    /// Global part of the xid.
    pub gtrid: &'a [u8],
    /// Branch part of the xid.
    pub bqual: &'a [u8],
}

/// INTVAR_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntVar {
    /// 1 LAST_INSERT_ID(), 2 the next auto-increment value.
    pub kind: u8,
    /// The value.
    pub value: u64,
}

/// RAND_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandEvent {
    /// First seed.
    pub seed1: u64,
    /// Second seed.
    pub seed2: u64,
}

/// USER_VAR_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVar<'a> {
    /// Name of the variable.
    pub name: &'a [u8],
    /// Result type, collation and bytes; `None` for NULL.
    pub value: Option<(u8, u32, &'a [u8])>,
}

/// TRANSACTION_PAYLOAD_EVENT: the events of one transaction, compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadEvent<'a> {
    /// 0 zstd, 255 none.
    pub compression: u64,
    /// Size of the events before compression.
    pub uncompressed_size: u64,
    /// Of the stream; the events inside have none.
    pub checksum: ChecksumAlgorithm,
    /// The compressed events.
    pub data: &'a [u8],
}

/// INCIDENT_EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentEvent<'a> {
    /// 1: lost events.
    pub code: u16,
    /// What the server says.
    pub message: Cow<'a, str>,
}
