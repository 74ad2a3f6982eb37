//! Checksums at the end of events.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::header::{EventHeader, HEADER_LEN, header_flags};

/// Size of a checksum in bytes.
pub(crate) const CHECKSUM_LEN: usize = 4;

/// How events are protected, as the format description event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// No checksum bytes.
    None,
    /// The last 4 bytes are a CRC32 (little-endian) of all bytes before them.
    Crc32,
}

impl ChecksumAlgorithm {
    pub(crate) fn from_code(code: u8, offset: usize) -> Result<Self, DecodeError> {
        match code {
            0 => Ok(Self::None),
            1 => Ok(Self::Crc32),
            other => Err(DecodeError::unsupported(offset, "checksum algorithm", u64::from(other))),
        }
    }
}

fn stored(event: &[u8]) -> Option<(&[u8], u32)> {
    let (rest, tail) = event.split_last_chunk::<CHECKSUM_LEN>()?;
    (rest.len() >= HEADER_LEN).then_some((rest, u32::from_le_bytes(*tail)))
}

/// Verifies the checksum of `event` and returns the event without it.
pub(crate) fn verify<'a>(event: &'a [u8], header: &EventHeader) -> Result<&'a [u8], DecodeError> {
    let Some((rest, stored)) = stored(event) else {
        return Err(DecodeError::new(
            event.len(),
            DecodeErrorKind::Truncated { wanted: CHECKSUM_LEN as u64, left: 0 },
        ));
    };
    let mut computed = crc32fast::hash(rest);
    if computed != stored
        && header.type_code == crate::header::type_code::FORMAT_DESCRIPTION
        && header.flags & header_flags::BINLOG_IN_USE != 0
    {
        // The server sets the in-use flag in place and leaves the checksum as it was without it.
        let mut hasher = crc32fast::Hasher::new();
        let flags = header.flags & !header_flags::BINLOG_IN_USE;
        hasher.update(&rest[..HEADER_LEN - 2]);
        hasher.update(&flags.to_le_bytes());
        hasher.update(&rest[HEADER_LEN..]);
        computed = hasher.finalize();
    }
    if computed == stored {
        Ok(rest)
    } else {
        Err(DecodeError::new(rest.len(), DecodeErrorKind::Checksum { stored, computed }))
    }
}

/// Before the first format description nothing says whether events end with a checksum: cut it off
/// when the last four bytes are the CRC32 of the others.
pub(crate) fn strip_if_present(event: &[u8]) -> &[u8] {
    match stored(event) {
        Some((rest, stored)) if crc32fast::hash(rest) == stored => rest,
        _ => event,
    }
}
