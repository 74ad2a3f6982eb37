//! Pure binlog decoding for MySQL and MariaDB: events, row images, GTID sets.
//!
//! Nothing here opens a socket, a file or a clock: bytes go in, values come out. Input is never
//! trusted: every read is bounds-checked, every error carries the offset in the event, and no
//! length found in the input is used to allocate before it has been checked.
//!
//! Start at [`Decoder`]; it turns one whole event (header, body, checksum) into an [`Event`].

mod checksum;
mod column;
mod decimal;
mod decoder;
mod error;
mod event;
mod event_gtid;
mod event_maria;
mod event_payload;
mod event_query;
mod event_small;
mod flavor;
pub mod gtid;
mod header;
mod jsonb;
mod jsonb_container;
mod jsonb_diff;
mod jsonb_opaque;
mod jsonb_path;
mod old_temporal;
mod reader;
mod rows;
mod rows_cursor;
mod rows_partial;
mod table_map;
mod table_metadata;
mod temporal;
mod value;
mod value_decode;
mod value_text;

pub use checksum::ChecksumAlgorithm;
pub use column::{ColumnMeta, ColumnType};
pub use decimal::Decimal;
pub use decoder::Decoder;
pub use error::{DecodeError, DecodeErrorKind};
pub use event::{
    Event, FormatDescription, IncidentEvent, IntVar, PayloadEvent, RandEvent, RotateEvent, UserVar, XaPrepare,
};
pub use event_gtid::MySqlGtidEvent;
pub use event_maria::{MariaGtidEvent, MariaGtidList, MariaXid, maria_flags};
pub use event_payload::{PayloadItem, PayloadReader};
pub use event_query::{QueryEvent, StatusVars};
pub use flavor::{Flavor, UnknownFlavor};
pub use gtid::{Gtid, GtidParseError, GtidSet, MariaDbGtidPos, MySqlGtidSet, Sid, Tag};
pub use header::{EventHeader, HEADER_LEN, header_flags, type_code};
pub use jsonb::{jsonb_to_string, jsonb_to_text};
pub use jsonb_diff::changed_json_to_text;
pub use rows::{ColumnSet, RowsEvent, RowsKind};
pub use rows_cursor::{ColumnHint, Row, RowCursor};
pub use table_map::{KeyPart, TableMap};
pub use value::{Value, inflate_column};
