//! From the bytes of one event to the event.

use std::collections::HashMap;
use std::sync::Arc;

use crate::checksum::{self, CHECKSUM_LEN, ChecksumAlgorithm};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::event::{
    Event, FormatDescription, IncidentEvent, IntVar, PayloadEvent, RandEvent, RotateEvent, UserVar, XaPrepare,
};
use crate::event_gtid::MySqlGtidEvent;
use crate::event_maria::{MariaGtidEvent, MariaGtidList};
use crate::event_query::QueryEvent;
use crate::flavor::Flavor;
use crate::gtid::MySqlGtidSet;
use crate::header::{EventHeader, HEADER_LEN, header_flags, type_code as code};
use crate::reader::Reader;
use crate::rows::{self, RowsEvent};
use crate::table_map::TableMap;

/// Table maps remembered across statements; the oldest knowledge is dropped whole beyond this.
const MAX_REMEMBERED: usize = 4096;

/// A row event with this number and no rows only ends a statement.
const DUMMY_TABLE_ID: u64 = 0xFF_FFFF;

/// Decodes the events of one stream or file, in order.
///
/// It holds the checksum algorithm of the last format description and the table maps of the statement.
/// A new connection needs a new decoder.
#[derive(Debug)]
pub struct Decoder {
    flavor: Flavor,
    /// `None` before the first format description.
    checksum: Option<ChecksumAlgorithm>,
    /// Table maps of the running statement.
    active: HashMap<u64, Arc<TableMap>>,
    /// Table maps seen, with their bytes: an equal event gives the same `Arc`.
    remembered: HashMap<u64, (Box<[u8]>, Arc<TableMap>)>,
}

impl Decoder {
    /// A decoder for a new stream.
    pub fn new(flavor: Flavor) -> Self {
        Self { flavor, checksum: None, active: HashMap::new(), remembered: HashMap::new() }
    }

    /// The flavor it was made for.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// The algorithm of the last format description.
    pub fn checksum(&self) -> Option<ChecksumAlgorithm> {
        self.checksum
    }

    /// Takes the events that follow as ones with this checksum: they were kept since before the last format description.
    pub fn set_checksum(&mut self, checksum: Option<ChecksumAlgorithm>) {
        self.checksum = checksum;
    }

    /// The statement's last event is not decoded here: its table maps are void.
    pub fn end_statement(&mut self) {
        self.active.clear();
    }

    /// Decodes one whole event: header, body and, where the stream has them, checksum, which is
    /// verified first. Equal table maps of one table come as the same `Arc`.
    ///
    /// # Errors
    /// The event is damaged or of an unsupported form. The stream must not be read on.
    pub fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<(EventHeader, Event<'a>), DecodeError> {
        let header = EventHeader::parse(bytes)?;
        if header.event_size as usize != bytes.len() || bytes.len() < HEADER_LEN {
            return Err(DecodeError::invalid(9, "event size: it differs from the bytes at hand"));
        }
        if header.type_code == code::FORMAT_DESCRIPTION {
            return self.format(bytes, header).map(|event| (header, event));
        }
        // A made-up rotation stands between two files, whose checksums may differ.
        let made_up = header.type_code == code::ROTATE && header.next_position().is_none();
        let known = if made_up { None } else { self.checksum };
        let event = match known {
            Some(ChecksumAlgorithm::Crc32) => checksum::verify(bytes, &header)?,
            Some(ChecksumAlgorithm::None) => bytes,
            None => checksum::strip_if_present(bytes),
        };
        let mut reader = Reader::with_base(&event[HEADER_LEN..], HEADER_LEN);
        self.body(&header, &mut reader).map(|event| (header, event))
    }

    fn format<'a>(&mut self, bytes: &'a [u8], header: EventHeader) -> Result<Event<'a>, DecodeError> {
        let mut reader = Reader::with_base(&bytes[HEADER_LEN..], HEADER_LEN);
        let format = FormatDescription::decode(&mut reader)?;
        if format.checksum == ChecksumAlgorithm::Crc32 {
            checksum::verify(bytes, &header)?;
        }
        debug_assert_eq!(reader.remaining(), CHECKSUM_LEN);
        self.checksum = Some(format.checksum);
        self.active.clear();
        Ok(Event::Format(format))
    }

    fn body<'a>(&mut self, header: &EventHeader, r: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
        let mariadb = self.flavor == Flavor::MariaDb;
        Ok(match header.type_code {
            code::ROTATE => {
                let rotate = RotateEvent::decode(r)?;
                self.active.clear();
                if !header.is_artificial() && header.timestamp != 0 {
                    self.remembered.clear();
                }
                Event::Rotate(rotate)
            }
            code::STOP => Event::Stop,
            code::QUERY => Event::Query(QueryEvent::decode(r, false)?),
            code::MARIA_QUERY_COMPRESSED if mariadb => Event::Query(QueryEvent::decode(r, true)?),
            code::XID => Event::Xid(r.u64()?),
            code::XA_PREPARE => Event::XaPrepare(XaPrepare::decode(r)?),
            code::TABLE_MAP => Event::TableMap(self.table_map(r)?),
            code::GTID => Event::Gtid(MySqlGtidEvent::decode(r, false)?),
            code::GTID_TAGGED => Event::Gtid(MySqlGtidEvent::decode_tagged(r)?),
            code::ANONYMOUS_GTID => Event::AnonymousGtid(MySqlGtidEvent::decode(r, true)?),
            code::PREVIOUS_GTIDS => Event::PreviousGtids(MySqlGtidSet::decode(r)?),
            code::MARIA_GTID if mariadb => Event::MariaGtid(MariaGtidEvent::decode(r, header.server_id)?),
            code::MARIA_GTID_LIST if mariadb => Event::MariaGtidList(MariaGtidList::decode(r)?),
            code::MARIA_BINLOG_CHECKPOINT if mariadb => {
                let len = r.u32()?;
                Event::MariaCheckpoint(r.take_u64(u64::from(len))?)
            }
            code::MARIA_ANNOTATE_ROWS if mariadb => Event::Annotate(r.rest()),
            code::HEARTBEAT => Event::Heartbeat(r.rest()),
            code::ROWS_QUERY => {
                r.u8()?;
                Event::RowsQuery(r.rest())
            }
            code::INTVAR => Event::IntVar(IntVar::decode(r)?),
            code::RAND => Event::Rand(RandEvent::decode(r)?),
            code::USER_VAR => Event::UserVar(UserVar::decode(r)?),
            code::TRANSACTION_PAYLOAD => Event::Payload(PayloadEvent::decode(r, self.checksum)?),
            code::INCIDENT => Event::Incident(IncidentEvent::decode(r)?),
            other if rows::classify(other).is_some() => self.rows(other, r)?,
            other => Event::Unknown {
                type_code: other,
                ignorable: header.flags & header_flags::IGNORABLE != 0,
                body: r.rest(),
            },
        })
    }

    /// An event from inside a payload: its body, which has no checksum.
    pub(crate) fn decode_inner<'a>(
        &mut self,
        header: &EventHeader,
        body: &'a [u8],
    ) -> Result<Event<'a>, DecodeError> {
        self.body(header, &mut Reader::with_base(body, HEADER_LEN))
    }

    fn table_map(&mut self, r: &mut Reader<'_>) -> Result<Arc<TableMap>, DecodeError> {
        let start = r.offset();
        let raw = r.rest();
        let id = Reader::with_base(raw, start).uint_le(6)?;
        let map = match self.remembered.get(&id) {
            Some((bytes, map)) if **bytes == *raw => Arc::clone(map),
            _ => {
                let map = Arc::new(TableMap::decode(&mut Reader::with_base(raw, start))?);
                if self.remembered.len() >= MAX_REMEMBERED {
                    self.remembered.clear();
                }
                self.remembered.insert(id, (raw.into(), Arc::clone(&map)));
                map
            }
        };
        if self.active.len() >= MAX_REMEMBERED {
            return Err(DecodeError::invalid(start, "statement: it maps too many tables"));
        }
        self.active.insert(id, Arc::clone(&map));
        Ok(map)
    }

    fn rows<'a>(&mut self, type_code: u8, r: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
        let at = r.offset();
        let head = RowsEvent::decode_head(r)?;
        let event = match self.active.get(&head.0) {
            Some(table) => Event::Rows(RowsEvent::decode(r, type_code, head, Arc::clone(table))?),
            None if head.0 == DUMMY_TABLE_ID => Event::Unknown { type_code, ignorable: true, body: r.rest() },
            None => return Err(DecodeError::new(at, DecodeErrorKind::NoTableMap(head.0))),
        };
        if rows::ends_statement(head.1) {
            self.active.clear();
        }
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(type_code: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEADER_LEN];
        out[4] = type_code;
        out[9..13].copy_from_slice(&((HEADER_LEN + body.len()) as u32).to_le_bytes());
        out.extend_from_slice(body);
        out
    }

    fn map(id: u32) -> Vec<u8> {
        let id = id.to_le_bytes();
        let body = [&id[..], &[0, 0, 1, 0, 1, b's', 0, 1, b't', 0, 1, 3, 0, 1]].concat();
        event(code::TABLE_MAP, &body)
    }

    /// A source that opens tables for months without a new file.
    #[test]
    fn what_is_remembered_of_tables_has_a_bound() {
        let mut decoder = Decoder::new(Flavor::MySql);
        for id in 0..3 * MAX_REMEMBERED as u32 {
            decoder.decode(&map(id)).unwrap();
            // An event of no rows that ends its statement.
            let id = id.to_le_bytes();
            let end = [&id[..], &[0, 0, 1, 0, 2, 0, 1, 1]].concat();
            decoder.decode(&event(code::WRITE_ROWS, &end)).unwrap();
            assert!(decoder.active.is_empty());
            assert!(decoder.remembered.len() <= MAX_REMEMBERED);
        }
        // One statement with that many tables does not exist.
        let refused = (0..2 * MAX_REMEMBERED as u32).find_map(|id| decoder.decode(&map(id)).err());
        assert!(refused.unwrap().to_string().contains("too many tables"));
    }

    /// It comes only when it is asked for; if it does come, it is no change.
    #[test]
    fn the_newer_heartbeat_carries_no_data() {
        let mut decoder = Decoder::new(Flavor::MySql);
        let heartbeat = event(code::HEARTBEAT_V2, &[1, 3, b'f', b'.', b'1', 2, 1, 4, 0]);
        let (_, event) = decoder.decode(&heartbeat).unwrap();
        assert!(!event.carries_data(), "{event:?}");
    }
}
