//! Events only MariaDB writes.

use crate::error::DecodeError;
use crate::gtid::{Gtid, MariaDbGtidPos};
use crate::reader::Reader;

/// Bits of [`MariaGtidEvent::flags`] and [`MariaGtidEvent::flags_extra`].
#[allow(missing_docs)]
pub mod maria_flags {
    /// One event group without BEGIN and COMMIT: the next event is the whole of it.
    pub const STANDALONE: u8 = 1;
    pub const GROUP_COMMIT_ID: u8 = 2;
    pub const TRANSACTIONAL: u8 = 4;
    pub const ALLOW_PARALLEL: u8 = 8;
    pub const WAITED: u8 = 16;
    pub const DDL: u8 = 32;
    /// The group ends with XA PREPARE.
    pub const PREPARED_XA: u8 = 64;
    /// The group is XA COMMIT or XA ROLLBACK of an earlier one.
    pub const COMPLETED_XA: u8 = 128;
    /// Of `flags_extra`: a transaction of several engines.
    pub const EXTRA_MULTI_ENGINE: u8 = 1;
    /// Of `flags_extra`: the first half of a two-phase ALTER.
    pub const EXTRA_START_ALTER: u8 = 2;
    /// Of `flags_extra`: the second half.
    pub const EXTRA_COMMIT_ALTER: u8 = 4;
    /// Of `flags_extra`: the first half was given up.
    pub const EXTRA_ROLLBACK_ALTER: u8 = 8;
}

/// The xid of a MariaDB XA transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariaXid {
    /// Format id.
    pub format_id: i32,
    /// Global part.
    pub gtrid: Box<[u8]>,
    /// Branch part.
    pub bqual: Box<[u8]>,
}

/// GTID_EVENT of MariaDB (162): an event group begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariaGtidEvent {
    /// The group's id.
    pub gtid: Gtid,
    /// Bits of [`maria_flags`].
    pub flags: u8,
    /// Bits of [`maria_flags`], those named extra.
    pub flags_extra: u8,
    /// Groups committed together share it.
    pub commit_id: Option<u64>,
    /// The xid, with PREPARED_XA or COMPLETED_XA.
    pub xid: Option<MariaXid>,
    /// Sequence number of the first half, with COMMIT_ALTER or ROLLBACK_ALTER.
    pub start_alter_seq: Option<u64>,
}

impl MariaGtidEvent {
    /// Whether the next event is the whole group: there is no BEGIN and no commit event.
    pub fn is_standalone(&self) -> bool {
        self.flags & maria_flags::STANDALONE != 0
    }

    pub(crate) fn decode(r: &mut Reader<'_>, server: u32) -> Result<Self, DecodeError> {
        let seq = r.u64()?;
        let domain = r.u32()?;
        let flags = r.u8()?;
        let commit_id = if flags & maria_flags::GROUP_COMMIT_ID != 0 { Some(r.u64()?) } else { None };
        let xid = if flags & (maria_flags::PREPARED_XA | maria_flags::COMPLETED_XA) != 0 {
            let format_id = r.u32()? as i32;
            let (gtrid, bqual) = (usize::from(r.u8()?), usize::from(r.u8()?));
            Some(MariaXid { format_id, gtrid: r.take(gtrid)?.into(), bqual: r.take(bqual)?.into() })
        } else {
            None
        };
        // Padding of older servers reads as no flags.
        let flags_extra = if r.is_empty() { 0 } else { r.u8()? };
        if flags_extra & maria_flags::EXTRA_MULTI_ENGINE != 0 {
            r.u8()?;
        }
        let second_half = maria_flags::EXTRA_COMMIT_ALTER | maria_flags::EXTRA_ROLLBACK_ALTER;
        let start_alter_seq = if flags_extra & second_half != 0 { Some(r.u64()?) } else { None };
        let gtid = Gtid::MariaDb { domain, server, seq };
        Ok(Self { gtid, flags, flags_extra, commit_id, xid, start_alter_seq })
    }
}

/// GTID_LIST_EVENT of MariaDB (163).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MariaGtidList {
    /// Bits of the list's header.
    pub flags: u8,
    /// Every last (domain, server, sequence), as listed.
    pub gtids: Vec<Gtid>,
}

impl MariaGtidList {
    /// The position the list stands for.
    pub fn position(&self) -> MariaDbGtidPos {
        let mut pos = MariaDbGtidPos::default();
        for gtid in &self.gtids {
            if let Gtid::MariaDb { domain, server, seq } = gtid {
                pos.add(*domain, *server, *seq);
            }
        }
        pos
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let head = r.u32()?;
        let mut gtids = Vec::new();
        for _ in 0..head & 0x0FFF_FFFF {
            gtids.push(Gtid::MariaDb { domain: r.u32()?, server: r.u32()?, seq: r.u64()? });
        }
        Ok(Self { flags: (head >> 28) as u8, gtids })
    }
}
