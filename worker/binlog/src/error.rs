//! Why an event cannot be decoded.

/// An event that cannot be decoded, with the byte offset from the event's first byte (or from the
/// first byte of the decoded part, for JSON and uncompressed bodies).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset} of the binlog event: {kind}")]
pub struct DecodeError {
    /// Byte offset of the piece that could not be read.
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The event ends before a field does.
    #[error("truncated: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// Bytes the field needs.
        wanted: u64,
        /// Bytes that are left.
        left: usize,
    },
    /// A field holds a value the format does not allow.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// The CRC32 at the end does not match the bytes.
    #[error("checksum mismatch: the event says {stored:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// As written in the event.
        stored: u32,
        /// As computed from its bytes.
        computed: u32,
    },
    /// A row event refers to a table map that was not sent.
    #[error("no table map for table id {0}")]
    NoTableMap(u64),
    /// The server uses something this decoder does not know.
    #[error("unsupported {what} {code}")]
    Unsupported {
        /// Which kind of thing.
        what: &'static str,
        /// Its code.
        code: u64,
    },
    /// More than the reader of a payload asked for at most.
    #[error("an event of {size} bytes, where {limit} are the most")]
    TooLarge {
        /// Size of the event.
        size: u64,
        /// The most that was asked for.
        limit: u64,
    },
    /// A part of a JSON value was changed, and the whole of it is not known.
    #[error(
        "a partial JSON update without the column's value before it (column {0} of the table, from 0); it takes \
         binlog_row_image=FULL beside binlog_row_value_options=PARTIAL_JSON"
    )]
    PartialWithoutBefore(usize),
    /// A compressed part cannot be expanded.
    #[error("decompression failed: {0}")]
    Decompress(String),
}

impl DecodeError {
    pub(crate) fn new(offset: usize, kind: DecodeErrorKind) -> Self {
        Self { offset, kind }
    }

    pub(crate) fn invalid(offset: usize, what: &'static str) -> Self {
        Self::new(offset, DecodeErrorKind::Invalid(what))
    }

    pub(crate) fn unsupported(offset: usize, what: &'static str, code: u64) -> Self {
        Self::new(offset, DecodeErrorKind::Unsupported { what, code })
    }
}
