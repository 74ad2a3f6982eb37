//! Decoding of the small events.

use crate::checksum::{CHECKSUM_LEN, ChecksumAlgorithm};
use crate::error::DecodeError;
use crate::event::{
    FormatDescription, IncidentEvent, IntVar, PayloadEvent, RandEvent, RotateEvent, UserVar, XaPrepare,
};
use crate::header::HEADER_LEN;
use crate::reader::Reader;

impl FormatDescription {
    /// The body with the checksum still on it: its last five bytes are the algorithm and, whatever
    /// that says, room for a checksum.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.offset();
        let binlog_version = r.u16()?;
        if binlog_version != 4 {
            return Err(DecodeError::unsupported(at, "binlog version", u64::from(binlog_version)));
        }
        let version = r.take(50)?;
        let end = version.iter().position(|b| *b == 0).unwrap_or(version.len());
        let server_version = String::from_utf8_lossy(&version[..end]).into_owned();
        let created = r.u32()?;
        let at = r.offset();
        if usize::from(r.u8()?) != HEADER_LEN {
            return Err(DecodeError::invalid(at, "header length"));
        }
        let lengths = r.remaining().checked_sub(1 + CHECKSUM_LEN);
        let post_header = r.take(lengths.ok_or_else(|| DecodeError::invalid(at, "format description"))?)?;
        // Entry 18 is TABLE_MAP: 8 since MySQL 5.1.4, when table numbers got six bytes.
        if post_header.get(18).is_some_and(|n| *n != 8) {
            return Err(DecodeError::invalid(at, "table map header length"));
        }
        let at = r.offset();
        let checksum = ChecksumAlgorithm::from_code(r.u8()?, at)?;
        Ok(Self { binlog_version, server_version, created, checksum })
    }
}

impl<'a> RotateEvent<'a> {
    pub(crate) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { position: r.u64()?, file: r.rest() })
    }
}

impl<'a> XaPrepare<'a> {
    pub(crate) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let one_phase = r.u8()? != 0;
        let format_id = r.u32()? as i32;
        let (gtrid_len, bqual_len) = (r.u32()?, r.u32()?);
        Ok(Self {
            one_phase,
            format_id,
            gtrid: r.take_u64(u64::from(gtrid_len))?,
            bqual: r.take_u64(u64::from(bqual_len))?,
        })
    }
}

impl IntVar {
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: r.u8()?, value: r.u64()? })
    }
}

impl RandEvent {
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seed1: r.u64()?, seed2: r.u64()? })
    }
}

impl<'a> UserVar<'a> {
    pub(crate) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let name_len = r.u32()?;
        let name = r.take_u64(u64::from(name_len))?;
        if r.u8()? != 0 {
            return Ok(Self { name, value: None });
        }
        let kind = r.u8()?;
        let charset = r.u32()?;
        let len = r.u32()?;
        Ok(Self { name, value: Some((kind, charset, r.take_u64(u64::from(len))?)) })
    }
}

impl<'a> PayloadEvent<'a> {
    /// Fields of type, length and value, up to type 0; the payload is what follows.
    pub(crate) fn decode(
        r: &mut Reader<'a>,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Result<Self, DecodeError> {
        let checksum = checksum.unwrap_or(ChecksumAlgorithm::None);
        let (mut size, mut compression, mut uncompressed_size) = (None, 255, 0);
        loop {
            let at = r.offset();
            let field = r.lenenc()?;
            if field == 0 {
                break;
            }
            let len = r.lenenc()?;
            let value_at = r.offset();
            let mut value = Reader::with_base(r.take_u64(len)?, value_at);
            match field {
                1 => size = Some(value.lenenc()?),
                2 => compression = value.lenenc()?,
                3 => uncompressed_size = value.lenenc()?,
                other => return Err(DecodeError::unsupported(at, "payload field", other)),
            }
        }
        let at = r.offset();
        let size = size.ok_or_else(|| DecodeError::invalid(at, "payload without a size"))?;
        Ok(Self { compression, uncompressed_size, checksum, data: r.take_u64(size)? })
    }
}

impl<'a> IncidentEvent<'a> {
    pub(crate) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = r.u16()?;
        let message = if r.is_empty() {
            &[][..]
        } else {
            let len = usize::from(r.u8()?);
            r.take(len)?
        };
        Ok(Self { code, message: String::from_utf8_lossy(message) })
    }
}
