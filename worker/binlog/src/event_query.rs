//! QUERY events: statements with the session state they ran in.

use std::borrow::Cow;

use crate::error::DecodeError;
use crate::reader::Reader;
use crate::value::inflate;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryEvent<'a> {
    /// Connection that ran it.
    pub thread_id: u32,
    /// Seconds it took.
    pub exec_secs: u32,
    /// Error it ended with on the source; 0 mostly.
    pub error_code: u16,
    /// The session's default schema, empty for none.
    pub schema: &'a [u8],
    /// The statement in the charset of `vars.charset_client`.
    pub query: Cow<'a, [u8]>,
    /// The session's state.
    pub vars: StatusVars<'a>,
}

/// Session state sent with a statement; what was not sent is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusVars<'a> {
    /// Session option bits: sql_auto_is_null 14, foreign_key_checks off 26, unique_checks off 27.
    pub flags2: Option<u32>,
    /// `sql_mode` bits.
    pub sql_mode: Option<u64>,
    /// `auto_increment_increment`, `auto_increment_offset`.
    pub auto_increment: Option<(u16, u16)>,
    /// Collation id of `character_set_client`.
    pub charset_client: Option<u16>,
    /// `collation_connection`.
    pub collation_connection: Option<u16>,
    /// `collation_server`.
    pub collation_server: Option<u16>,
    /// `time_zone`.
    pub time_zone: Option<&'a [u8]>,
    /// `lc_time_names` number.
    pub lc_time_names: Option<u16>,
    /// `collation_database`.
    pub charset_database: Option<u16>,
    /// Microseconds of the statement's time.
    pub microseconds: Option<u32>,
    /// `explicit_defaults_for_timestamp`.
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// `default_collation_for_utf8mb4` (MySQL 8).
    pub default_collation_for_utf8mb4: Option<u16>,
    /// `sql_require_primary_key` (MySQL 8).
    pub sql_require_primary_key: Option<bool>,
    /// Transaction number of an atomic DDL (MySQL 8; MariaDB's `Q_XID`).
    pub ddl_xid: Option<u64>,
    /// Code of the first variable that is not known: those behind it could not be read.
    pub unknown: Option<u8>,
}

/// Bit of [`StatusVars::flags2`]: `foreign_key_checks=0`.
const NO_FOREIGN_KEY_CHECKS: u32 = 1 << 26;

impl StatusVars<'_> {
    /// Whether the session had `foreign_key_checks=0`.
    pub fn foreign_key_checks_off(&self) -> bool {
        self.flags2.is_some_and(|f| f & NO_FOREIGN_KEY_CHECKS != 0)
    }
}

impl<'a> QueryEvent<'a> {
    /// Decodes the body; `compressed` for MariaDB's QUERY_COMPRESSED_EVENT.
    pub(crate) fn decode(r: &mut Reader<'a>, compressed: bool) -> Result<Self, DecodeError> {
        let thread_id = r.u32()?;
        let exec_secs = r.u32()?;
        let schema_len = usize::from(r.u8()?);
        let error_code = r.u16()?;
        let vars_len = usize::from(r.u16()?);
        let vars_at = r.offset();
        let vars = StatusVars::decode(&mut Reader::with_base(r.take(vars_len)?, vars_at))?;
        let schema = r.take(schema_len)?;
        let at = r.offset();
        if r.u8()? != 0 {
            return Err(DecodeError::invalid(at, "end of the schema name"));
        }
        let at = r.offset();
        let text = r.rest();
        let query = if compressed { Cow::Owned(inflate_body(text, at)?) } else { Cow::Borrowed(text) };
        Ok(Self { thread_id, exec_secs, error_code, schema, query, vars })
    }
}

/// Expands the compressed part of MariaDB's `*_COMPRESSED` events: a byte (0x80, method in bits 4 to
/// 6, size of the length in bits 0 to 2), the length big-endian, a zlib stream.
pub(crate) fn inflate_body(data: &[u8], base: usize) -> Result<Vec<u8>, DecodeError> {
    let mut r = Reader::with_base(data, base);
    let head = r.u8()?;
    let (method, len_bytes) = ((head & 0x70) >> 4, usize::from(head & 7));
    if head & 0x88 != 0x80 || method != 0 || !(1..=4).contains(&len_bytes) {
        return Err(DecodeError::unsupported(base, "event compression", u64::from(head)));
    }
    let len = r.uint_be(len_bytes)?;
    let at = r.offset();
    let body = r.rest();
    inflate(flate2::read::ZlibDecoder::new(body), len, body.len(), at)
}

impl<'a> StatusVars<'a> {
    /// A variable's code fixes its size: the first unknown
    /// code ends what can be read, as on a replica of the server itself.
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut vars = Self::default();
        while !r.is_empty() {
            match r.u8()? {
                0 => vars.flags2 = Some(r.u32()?),
                1 => vars.sql_mode = Some(r.u64()?),
                2 => {
                    let len = usize::from(r.u8()?);
                    r.take(len + 1)?;
                }
                3 => vars.auto_increment = Some((r.u16()?, r.u16()?)),
                4 => {
                    vars.charset_client = Some(r.u16()?);
                    vars.collation_connection = Some(r.u16()?);
                    vars.collation_server = Some(r.u16()?);
                }
                5 => vars.time_zone = Some(short(r)?),
                6 => {
                    short(r)?;
                }
                7 => vars.lc_time_names = Some(r.u16()?),
                8 => vars.charset_database = Some(r.u16()?),
                9 => {
                    r.u64()?;
                }
                10 => {
                    r.u32()?;
                }
                11 => {
                    short(r)?;
                    short(r)?;
                }
                12 => {
                    const OVER_MAX_DBS: u8 = 254;
                    let count = r.u8()?;
                    if count != OVER_MAX_DBS {
                        for _ in 0..count {
                            r.nul_terminated()?;
                        }
                    }
                }
                13 | 128 => vars.microseconds = Some(r.uint_le(3)? as u32),
                16 => vars.explicit_defaults_for_timestamp = Some(r.u8()? != 0),
                17 | 129 => vars.ddl_xid = Some(r.u64()?),
                18 => vars.default_collation_for_utf8mb4 = Some(r.u16()?),
                19 => vars.sql_require_primary_key = Some(r.u8()? != 0),
                20 => {
                    r.u8()?;
                }
                130 => {
                    // MariaDB Q_GTID_FLAGS3: flags, and for the second half of an ALTER its number.
                    let flags = r.u8()?;
                    if flags & 0x0C != 0 {
                        r.u64()?;
                    }
                }
                131 => {
                    let pairs = usize::from(r.u8()?);
                    r.take(pairs * 4)?;
                }
                other => {
                    vars.unknown = Some(other);
                    break;
                }
            }
        }
        Ok(vars)
    }
}

fn short<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let len = usize::from(r.u8()?);
    r.take(len)
}
