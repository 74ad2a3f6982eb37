//! Results of text queries.

use std::time::Duration;

use bytes::{Buf as _, Bytes};

use crate::error::ReplicationError;
use crate::packet::PacketStream;

/// Most bytes of a result: these queries ask for settings.
const MAX_RESULT: usize = 16 << 20;

/// Reads the answer to COM_QUERY; empty for statements without rows.
pub(crate) async fn read(
    packets: &mut PacketStream,
    limit: Duration,
) -> Result<Vec<Vec<Option<Bytes>>>, ReplicationError> {
    let mut first = packets.read(limit).await?;
    match first.first() {
        Some(0x00) => return Ok(Vec::new()),
        Some(0xFF) => return Err(ReplicationError::from_packet(&first)),
        Some(0xFB) | None => return Err(ReplicationError::protocol("an unexpected answer to a query")),
        Some(_) => {}
    }
    let columns = lenenc(&mut first).ok_or_else(bad)?;
    if columns > 4096 {
        return Err(bad());
    }
    // Definitions of the columns, then an EOF packet.
    while !is_eof(&read_part(packets, limit).await?) {}
    let mut rows = Vec::new();
    let mut size = 0usize;
    loop {
        let mut packet = read_part(packets, limit).await?;
        if is_eof(&packet) {
            return Ok(rows);
        }
        size = size.saturating_add(packet.len());
        if size > MAX_RESULT {
            return Err(ReplicationError::protocol("the result of a query is too large"));
        }
        let mut row = Vec::with_capacity(columns as usize);
        for _ in 0..columns {
            row.push(value(&mut packet)?);
        }
        rows.push(row);
    }
}

async fn read_part(packets: &mut PacketStream, limit: Duration) -> Result<Bytes, ReplicationError> {
    let packet = packets.read(limit).await?;
    if packet.first() == Some(&0xFF) { Err(ReplicationError::from_packet(&packet)) } else { Ok(packet) }
}

fn is_eof(packet: &[u8]) -> bool {
    packet.first() == Some(&0xFE) && packet.len() < 9
}

fn value(packet: &mut Bytes) -> Result<Option<Bytes>, ReplicationError> {
    if packet.first() == Some(&0xFB) {
        packet.advance(1);
        return Ok(None);
    }
    let len = lenenc(packet).and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= packet.len());
    Ok(Some(packet.split_to(len.ok_or_else(bad)?)))
}

fn lenenc(packet: &mut Bytes) -> Option<u64> {
    let size = match *packet.first()? {
        n @ 0..=250 => {
            packet.advance(1);
            return Some(u64::from(n));
        }
        252 => 2,
        253 => 3,
        254 => 8,
        _ => return None,
    };
    if packet.len() < 1 + size {
        return None;
    }
    packet.advance(1);
    Some(packet.get_uint_le(size))
}

fn bad() -> ReplicationError {
    ReplicationError::protocol("the result of a query cannot be read")
}
