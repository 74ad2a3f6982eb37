//! Compressed transactions of MySQL (`binlog_transaction_compression`).
use bytes::Bytes;
use dm_binlog::{DecodeErrorKind, EventHeader, PayloadEvent};
use dm_proto::error::Code;

use super::{
    assembler::{Assembler, MAX_TRANSACTION_BYTES, Transaction},
    reader::damaged,
};
use crate::failure::Failure;

impl Assembler {
    /// Takes the events inside as if they had come one by one; each of them ends where the payload ends. They are
    /// expanded one after the other, so no more is held than of a transaction that was not compressed.
    pub(super) fn payload(
        &mut self,
        outer: &EventHeader,
        payload: &PayloadEvent<'_>,
    ) -> Result<Option<Transaction>, Failure> {
        let inside = |e| damaged("in a compressed transaction", e);
        let mut reader = payload.reader(outer, MAX_TRANSACTION_BYTES as u64).map_err(inside)?;
        let mut finished = None;
        loop {
            let item = match reader.advance() {
                Ok(Some(item)) => item,
                Ok(None) => return Ok(finished),
                Err(error) if matches!(error.kind, DecodeErrorKind::TooLarge { .. }) => {
                    return Err(self.too_large());
                }
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
