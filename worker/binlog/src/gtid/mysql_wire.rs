//! The binary form of a MySQL GTID set: `COM_BINLOG_DUMP_GTID` and `PREVIOUS_GTIDS_LOG_EVENT`.
//!
//! Header of 8 bytes: the top byte is the format (0 untagged, 1 tagged), the count of sources is in
//! the low 56 bits (untagged) or bits 8..56 (tagged). Then per source: 16 bytes of UUID, in the
//! tagged format the tag with a variable-length size, the count of intervals (u64), and for each
//! interval its first number and the one after its last (u64 each). Source: `Gtid_set::encode`.

use super::{MySqlGtidSet, Tag};
use crate::error::DecodeError;
use crate::reader::Reader;

impl MySqlGtidSet {
    /// Encodes the set; the tagged format only when a tag is present, as older servers know no other.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let tagged = self.sources.keys().any(|(_, tag)| !tag.is_empty());
        let count = self.sources.len() as u64;
        let header = if tagged { (1u64 << 56) | (count << 8) | 1 } else { count };
        out.extend_from_slice(&header.to_le_bytes());
        for ((sid, tag), list) in &self.sources {
            out.extend_from_slice(sid);
            if tagged {
                // Sizes up to 32 take one byte of the serialization library: the value shifted left by one.
                out.push((tag.as_str().len() as u8) << 1);
                out.extend_from_slice(tag.as_str().as_bytes());
            }
            out.extend_from_slice(&(list.len() as u64).to_le_bytes());
            for (first, last) in list {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.saturating_add(1).to_le_bytes());
            }
        }
    }

    /// Decodes a set.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = r.u64()?;
        let tagged = (header >> 56) != 0;
        let count = if tagged { (header >> 8) & ((1 << 48) - 1) } else { header & ((1 << 56) - 1) };
        let mut set = Self::default();
        for _ in 0..count {
            let sid = r.array::<16>()?;
            let tag = if tagged {
                let len = r.varlen()?;
                let at = r.offset();
                let bytes = r.take_u64(len)?;
                std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|t| Tag::new(t).ok())
                    .ok_or_else(|| DecodeError::invalid(at, "GTID tag"))?
            } else {
                Tag::NONE
            };
            let intervals = r.u64()?;
            for _ in 0..intervals {
                let at = r.offset();
                let (first, end) = (r.u64()?, r.u64()?);
                if first == 0 || end <= first {
                    return Err(DecodeError::invalid(at, "GTID interval"));
                }
                set.add_interval(sid, tag.clone(), first, end - 1);
            }
        }
        Ok(set)
    }
}
