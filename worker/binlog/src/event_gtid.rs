//! GTID events of MySQL: the fixed form (33, 34) and the serialized one for tagged ids (42).

use crate::error::DecodeError;
use crate::gtid::{Gtid, Sid, Tag};
use crate::reader::Reader;

/// The beginning of a transaction on MySQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MySqlGtidEvent {
    /// The transaction's id; `None` for an anonymous transaction.
    pub gtid: Option<Gtid>,
    /// Bit 0: the transaction may hold statement-format changes.
    pub flags: u8,
    /// Logical clock: this transaction may run beside all after this one ...
    pub last_committed: u64,
    /// ... up to itself, this number.
    pub sequence_number: u64,
    /// Commit time on the server that sent it, in microseconds since 1970; 0 when unknown.
    pub immediate_commit_us: u64,
    /// Commit time on the first server; 0 when unknown.
    pub original_commit_us: u64,
    /// Size of the whole transaction in the file, with this event; 0 when unknown.
    pub transaction_length: u64,
}

impl MySqlGtidEvent {
    /// The form of MySQL 5.6 to 8.2, still used for untagged ids. Later versions appended fields.
    pub(crate) fn decode(r: &mut Reader<'_>, anonymous: bool) -> Result<Self, DecodeError> {
        let flags = r.u8()?;
        let sid: Sid = r.array()?;
        let gno = r.u64()?;
        let mut event = Self::empty(flags);
        if !anonymous {
            event.gtid = Some(Gtid::MySql { sid, tag: Tag::NONE, gno });
        }
        const LOGICAL_CLOCK: u8 = 2;
        if r.is_empty() || r.u8()? != LOGICAL_CLOCK {
            return Ok(event);
        }
        event.last_committed = r.u64()?;
        event.sequence_number = r.u64()?;
        if r.remaining() >= 7 {
            // The top bit says that the first server's time follows; otherwise it is the same.
            let raw = r.uint_le(7)?;
            event.immediate_commit_us = raw & !(1 << 55);
            event.original_commit_us = if raw >> 55 != 0 { r.uint_le(7)? } else { event.immediate_commit_us };
            if !r.is_empty() {
                event.transaction_length = r.lenenc()?;
            }
        }
        Ok(event)
    }

    /// The serialized form: version, size, last field that must be known, then numbered fields.
    pub(crate) fn decode_tagged(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.offset();
        let start = r.remaining();
        let version = r.u8()?;
        if version >> 1 != 1 {
            return Err(DecodeError::unsupported(at, "serialization version", u64::from(version >> 1)));
        }
        let size = r.varlen()?;
        let last_needed = r.varlen()?;
        let used = (start - r.remaining()) as u64;
        let fields_at = r.offset();
        let len = size.checked_sub(used).ok_or_else(|| DecodeError::invalid(at, "serialized size"))?;
        let mut f = Reader::with_base(r.take_u64(len)?, fields_at);
        let mut event = Self::empty(0);
        let (mut sid, mut gno, mut tag, mut original): (Option<Sid>, u64, Tag, Option<u64>) =
            (None, 0, Tag::NONE, None);
        while !f.is_empty() {
            let at = f.offset();
            let invalid = |what| DecodeError::invalid(at, what);
            let positive = |n: i64| u64::try_from(n).map_err(|_| invalid("negative number in a GTID event"));
            match f.varlen()? {
                0 => event.flags = f.varlen()? as u8,
                1 => {
                    let mut bytes = [0u8; 16];
                    for byte in &mut bytes {
                        *byte = u8::try_from(f.varlen()?).map_err(|_| invalid("source id"))?;
                    }
                    sid = Some(bytes);
                }
                2 => gno = positive(f.varlen_signed()?)?,
                3 => {
                    let len = f.varlen()?;
                    let text = std::str::from_utf8(f.take_u64(len)?).map_err(|_| invalid("tag"))?;
                    tag = Tag::new(text).map_err(|_| invalid("tag"))?;
                }
                4 => event.last_committed = positive(f.varlen_signed()?)?,
                5 => event.sequence_number = positive(f.varlen_signed()?)?,
                6 => event.immediate_commit_us = f.varlen()?,
                7 => original = Some(f.varlen()?),
                8 => event.transaction_length = f.varlen()?,
                9..=11 => {
                    f.varlen()?;
                }
                // A field we do not know has no length: what follows cannot be read, and may be left
                // out when the writer says so.
                other if other > last_needed => break,
                other => return Err(DecodeError::unsupported(at, "GTID field", other)),
            }
        }
        let sid = sid.ok_or_else(|| DecodeError::invalid(fields_at, "GTID event without a source id"))?;
        event.original_commit_us = original.unwrap_or(event.immediate_commit_us);
        event.gtid = Some(Gtid::MySql { sid, tag, gno });
        Ok(event)
    }

    fn empty(flags: u8) -> Self {
        Self {
            gtid: None,
            flags,
            last_committed: 0,
            sequence_number: 0,
            immediate_commit_us: 0,
            original_commit_us: 0,
            transaction_length: 0,
        }
    }
}
