//! The events inside a TRANSACTION_PAYLOAD event, one after the other.
//!
//! Nothing is expanded ahead: each event is expanded when it is asked for, into one buffer that is used again.

use std::io::{self, Read};

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::checksum::ChecksumAlgorithm;
use crate::decoder::Decoder;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::event::{Event, PayloadEvent};
use crate::flavor::Flavor;
use crate::header::{EventHeader, HEADER_LEN, type_code as code};

/// Values of [`PayloadEvent::compression`].
const ZSTD: u64 = 0;
const NONE: u64 = 255;

/// One event that was inside.
#[derive(Debug)]
pub struct PayloadItem<'r> {
    /// Its header, as if it stood in the stream by itself: it ends where the payload ends.
    pub header: EventHeader,
    /// The event.
    pub event: Event<'r>,
    /// Its bytes as if it stood in the stream by itself: with the stream's checksum.
    pub raw: &'r [u8],
}

/// Walks the events inside of a payload.
#[derive(Debug)]
pub struct PayloadReader<'a> {
    source: Source<'a>,
    decoder: Decoder,
    outer: EventHeader,
    checksum: ChecksumAlgorithm,
    /// Bytes that are still to come, as the payload says.
    left: u64,
    limit: u64,
    buffer: Vec<u8>,
}

impl<'a> PayloadEvent<'a> {
    /// Begins to walk the events inside. `outer` is the payload's own header; an event of more than `limit` bytes is
    /// refused before it is expanded.
    ///
    /// # Errors
    /// The compression is not known, or the compressed data do not begin as they must.
    pub fn reader(&self, outer: &EventHeader, limit: u64) -> Result<PayloadReader<'a>, DecodeError> {
        let source = match self.compression {
            ZSTD => Source::Zstd(Box::new(StreamingDecoder::new(self.data).map_err(|e| failed(&e))?)),
            NONE => Source::Plain(self.data),
            other => return Err(DecodeError::unsupported(HEADER_LEN, "payload compression", other)),
        };
        let left = match (self.compression, self.uncompressed_size) {
            // The size is left out where nothing is compressed.
            (NONE, 0) => self.data.len() as u64,
            (_, size) => size,
        };
        Ok(PayloadReader {
            source,
            decoder: Decoder::new(Flavor::MySql),
            outer: *outer,
            checksum: self.checksum,
            left,
            limit,
            buffer: Vec::new(),
        })
    }
}

impl PayloadReader<'_> {
    /// The next event; `None` after the last, when all bytes were used up.
    ///
    /// # Errors
    /// The data are damaged, or hold more or less than the payload says. The transaction must not be applied then.
    pub fn advance(&mut self) -> Result<Option<PayloadItem<'_>>, DecodeError> {
        self.buffer.clear();
        if self.left == 0 {
            self.fill(1)?;
            return match self.buffer.len() {
                0 => Ok(None),
                _ => Err(DecodeError::invalid(0, "payload: it expands to more than it says")),
            };
        }
        self.fill(HEADER_LEN as u64)?;
        let mut header = EventHeader::parse(&self.buffer)?;
        let size = u64::from(header.event_size);
        if size > self.limit {
            return Err(DecodeError::new(9, DecodeErrorKind::TooLarge { size, limit: self.limit }));
        }
        let body = size.checked_sub(HEADER_LEN as u64);
        let body = body
            .filter(|_| size <= self.left)
            .ok_or_else(|| DecodeError::invalid(9, "size of an event in a payload"))?;
        self.fill(body)?;
        if (self.buffer.len() as u64) < size {
            let left = self.buffer.len();
            return Err(DecodeError::new(left, DecodeErrorKind::Truncated { wanted: size, left }));
        }
        self.left -= size;
        if !may_be_inside(header.type_code) {
            let kind = u64::from(header.type_code);
            return Err(DecodeError::unsupported(4, "event in a payload", kind));
        }
        header.log_pos = self.outer.log_pos;
        self.frame(&mut header)?;
        let end = size as usize;
        let event = self.decoder.decode_inner(&header, &self.buffer[HEADER_LEN..end])?;
        Ok(Some(PayloadItem { header, event, raw: &self.buffer }))
    }

    /// Appends up to `len` bytes; memory grows with what really comes, whatever `len` says.
    fn fill(&mut self, len: u64) -> Result<(), DecodeError> {
        let read = Read::by_ref(&mut self.source).take(len).read_to_end(&mut self.buffer);
        read.map(|_| ()).map_err(|e| failed(&e))
    }

    /// Makes the bytes those of an event of the stream.
    fn frame(&mut self, header: &mut EventHeader) -> Result<(), DecodeError> {
        if self.checksum == ChecksumAlgorithm::Crc32 {
            let size = header.event_size.checked_add(4);
            header.event_size =
                size.ok_or_else(|| DecodeError::invalid(9, "size of an event in a payload"))?;
        }
        self.buffer[9..13].copy_from_slice(&header.event_size.to_le_bytes());
        self.buffer[13..17].copy_from_slice(&header.log_pos.to_le_bytes());
        if self.checksum == ChecksumAlgorithm::Crc32 {
            let crc = crc32fast::hash(&self.buffer);
            self.buffer.extend_from_slice(&crc.to_le_bytes());
        }
        Ok(())
    }
}

/// What makes sense only in the stream itself must not come out of a payload.
fn may_be_inside(type_code: u8) -> bool {
    !matches!(
        type_code,
        code::FORMAT_DESCRIPTION
            | code::ROTATE
            | code::STOP
            | code::TRANSACTION_PAYLOAD
            | code::GTID
            | code::GTID_TAGGED
            | code::ANONYMOUS_GTID
            | code::PREVIOUS_GTIDS
            | code::HEARTBEAT
            | code::HEARTBEAT_V2
    )
}

fn failed(error: &dyn std::fmt::Display) -> DecodeError {
    DecodeError::new(0, DecodeErrorKind::Decompress(error.to_string()))
}

/// The bytes of the events, expanded as they are read.
enum Source<'a> {
    Plain(&'a [u8]),
    Zstd(Box<StreamingDecoder<&'a [u8], FrameDecoder>>),
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let stream = match self {
            Self::Plain(bytes) => return bytes.read(buf),
            Self::Zstd(stream) => stream,
        };
        loop {
            let len = stream.read(buf)?;
            if len > 0 || buf.is_empty() {
                return Ok(len);
            }
            let frame = &mut stream.decoder;
            let sum = frame.get_checksum_from_data();
            if sum.is_some() && sum != frame.get_calculated_checksum() {
                return Err(io::Error::other("the checksum of a zstd frame does not match"));
            }
            let mut rest: &[u8] = stream.get_ref();
            if rest.is_empty() {
                return Ok(0);
            }
            // A writer may end a frame and begin another.
            stream.decoder.reset(&mut rest).map_err(io::Error::other)?;
            *stream.get_mut() = rest;
        }
    }
}

#[cfg(test)]
mod tests;
