//! The common header of every binlog event.

use crate::error::DecodeError;
use crate::reader::Reader;

/// Size of the common header in bytes.
pub const HEADER_LEN: usize = 19;

/// Event type codes (`mysql::binlog::event::Log_event_type`, MariaDB `Log_event_type`).
#[allow(missing_docs)]
pub mod type_code {
    pub const QUERY: u8 = 2;
    pub const STOP: u8 = 3;
    pub const ROTATE: u8 = 4;
    pub const INTVAR: u8 = 5;
    pub const RAND: u8 = 13;
    pub const USER_VAR: u8 = 14;
    pub const FORMAT_DESCRIPTION: u8 = 15;
    pub const XID: u8 = 16;
    pub const TABLE_MAP: u8 = 19;
    pub const WRITE_ROWS_V1: u8 = 23;
    pub const UPDATE_ROWS_V1: u8 = 24;
    pub const DELETE_ROWS_V1: u8 = 25;
    pub const INCIDENT: u8 = 26;
    pub const HEARTBEAT: u8 = 27;
    pub const IGNORABLE: u8 = 28;
    pub const ROWS_QUERY: u8 = 29;
    pub const WRITE_ROWS: u8 = 30;
    pub const UPDATE_ROWS: u8 = 31;
    pub const DELETE_ROWS: u8 = 32;
    pub const GTID: u8 = 33;
    pub const ANONYMOUS_GTID: u8 = 34;
    pub const PREVIOUS_GTIDS: u8 = 35;
    pub const TRANSACTION_CONTEXT: u8 = 36;
    pub const VIEW_CHANGE: u8 = 37;
    pub const XA_PREPARE: u8 = 38;
    pub const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub const TRANSACTION_PAYLOAD: u8 = 40;
    pub const HEARTBEAT_V2: u8 = 41;
    pub const GTID_TAGGED: u8 = 42;
    pub const MARIA_ANNOTATE_ROWS: u8 = 160;
    pub const MARIA_BINLOG_CHECKPOINT: u8 = 161;
    pub const MARIA_GTID: u8 = 162;
    pub const MARIA_GTID_LIST: u8 = 163;
    pub const MARIA_START_ENCRYPTION: u8 = 164;
    pub const MARIA_QUERY_COMPRESSED: u8 = 165;
    pub const MARIA_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub const MARIA_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub const MARIA_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub const MARIA_WRITE_ROWS_COMPRESSED: u8 = 169;
    pub const MARIA_UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub const MARIA_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// Bits of [`EventHeader::flags`].
pub mod header_flags {
    /// The file was not closed properly, or is still being written.
    pub const BINLOG_IN_USE: u16 = 0x1;
    /// Made up by the sending server; not in its file, never to be counted into a position.
    pub const ARTIFICIAL: u16 = 0x20;
    /// A replica that does not know the type may skip the event.
    pub const IGNORABLE: u16 = 0x80;
}

/// The first 19 bytes of every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// When the statement began on the first server, in seconds since 1970; 0 in artificial events.
    pub timestamp: u32,
    /// One of [`type_code`], or something newer.
    pub type_code: u8,
    /// `server_id` of the server where the event was first written.
    pub server_id: u32,
    /// Size of the whole event in bytes with header and checksum.
    pub event_size: u32,
    /// Where the next event begins in the source's file, modulo 4 GiB; 0 in artificial events.
    pub log_pos: u32,
    /// Bits of [`header_flags`].
    pub flags: u16,
}

impl EventHeader {
    /// Reads the header at the start of an event; looks at no byte behind it.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        Ok(Self {
            timestamp: r.u32()?,
            type_code: r.u8()?,
            server_id: r.u32()?,
            event_size: r.u32()?,
            log_pos: r.u32()?,
            flags: r.u16()?,
        })
    }

    /// Whether the server made the event up for this stream.
    pub fn is_artificial(&self) -> bool {
        self.flags & header_flags::ARTIFICIAL != 0
    }

    /// Where the next event begins, when this event says so: artificial ones do not.
    pub fn next_position(&self) -> Option<u32> {
        (self.log_pos != 0 && !self.is_artificial()).then_some(self.log_pos)
    }
}
