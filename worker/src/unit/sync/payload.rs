//! Compressed transactions of MySQL (`binlog_transaction_compression`).
use bytes::Bytes;
use dm_binlog::{EventHeader, PayloadEvent};
use dm_proto::error::Code;

use super::{
    assembler::{Assembler, Transaction},
    reader::damaged,
};
use crate::failure::Failure;

/// What `max_allowed_packet` can be at most; no event is larger.
const MAX_EVENT_BYTES: u64 = 1 << 30;

impl Assembler {
    /// Takes the events inside as if they had come one by one; each of them ends where the payload ends. They are
    /// expanded one after the other, so no more is held than of a transaction that was not compressed.
    pub(super) fn payload(
        &mut self,
        outer: &EventHeader,
        payload: &PayloadEvent<'_>,
    ) -> Result<Option<Transaction>, Failure> {
        let inside = |e| damaged("in a compressed transaction", e);
        let mut reader = payload.reader(outer, MAX_EVENT_BYTES).map_err(inside)?;
        let mut finished = None;
        loop {
            let item = match reader.advance() {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(finished),
                Err(error) => return Err(inside(error)),
            };
            if finished.is_some() {
                return Err(Failure::new(
                    Code::BinlogCorrupt,
                    format!(
                        "a compressed transaction has events behind its commit (event type {})",
                        item.header.type_code
                    ),
                ));
            }
            finished = self.take(&item.header, &item.event, &Bytes::copy_from_slice(item.raw))?;
        }
    }
}
