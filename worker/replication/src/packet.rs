//! Framing of the client protocol: packets of 3 bytes of length, 1 of sequence, the payload.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::error::ReplicationError;

/// A payload of this size goes on in the next packet.
const FULL: usize = 0xFF_FFFF;
/// Largest joined payload: the servers' largest packet (1 GiB) with room for an event around it.
const MAX_PAYLOAD: usize = (1 << 30) + (1 << 20);
/// Room for small packets, read many at once.
const READ_BUFFER: usize = 64 << 10;
/// What a caller that looks in late still waits before silence counts.
const GRACE: Duration = Duration::from_millis(200);

/// A connection as a row of packets. Reading can be cancelled between any two bytes and taken up again.
#[derive(Debug)]
pub(crate) struct PacketStream {
    stream: TcpStream,
    buffer: BytesMut,
    /// The joined part of a payload that goes on.
    partial: Option<BytesMut>,
    sequence: u8,
    /// When the last byte came, while a wait is under way.
    waiting_since: Option<Instant>,
}

impl PacketStream {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BUFFER),
            partial: None,
            sequence: 0,
            waiting_since: None,
        }
    }

    /// Reads one payload. `silence` is the longest time without a single byte.
    pub(crate) async fn read(&mut self, silence: Duration) -> Result<Bytes, ReplicationError> {
        loop {
            if let Some(payload) = self.take_buffered()? {
                self.waiting_since = None;
                return Ok(payload);
            }
            let now = Instant::now();
            let since = *self.waiting_since.get_or_insert(now);
            let deadline = (since + silence).max(now + GRACE.min(silence));
            let read = timeout_at(deadline, self.stream.read_buf(&mut self.buffer)).await;
            match read {
                Ok(Ok(0)) => return Err(ReplicationError::lost("the source closed the connection")),
                Ok(Ok(_)) => self.waiting_since = Some(Instant::now()),
                Ok(Err(e)) => return Err(ReplicationError::lost(format!("the connection broke: {e}"))),
                Err(_) => {
                    let silent = since.elapsed().as_millis();
                    return Err(ReplicationError::lost(format!("the source was silent for {silent} ms")));
                }
            }
        }
    }

    /// One payload out of the buffer, when it is complete.
    fn take_buffered(&mut self) -> Result<Option<Bytes>, ReplicationError> {
        loop {
            let Some(&[a, b, c, sequence]) = self.buffer.first_chunk::<4>() else {
                self.buffer.reserve(READ_BUFFER);
                return Ok(None);
            };
            let len = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let missing = (4 + len).saturating_sub(self.buffer.len());
            if missing > 0 {
                self.buffer.reserve(missing.max(READ_BUFFER));
                return Ok(None);
            }
            // A server that ends a connection on its own counts from where it stood.
            if sequence != self.sequence && self.buffer.get(4) != Some(&0xFF) {
                let wanted = self.sequence;
                return Err(ReplicationError::protocol(format!(
                    "packet {sequence} came instead of packet {wanted}"
                )));
            }
            self.sequence = sequence.wrapping_add(1);
            let mut packet = self.buffer.split_to(4 + len);
            let payload = packet.split_off(4);
            let joined = self.partial.as_ref().map_or(0, BytesMut::len) + payload.len();
            if joined > MAX_PAYLOAD {
                return Err(ReplicationError::protocol(format!("a packet of more than {MAX_PAYLOAD} bytes")));
            }
            match (self.partial.take(), len == FULL) {
                (None, false) => return Ok(Some(payload.freeze())),
                (None, true) => self.partial = Some(payload),
                (Some(mut whole), more) => {
                    whole.extend_from_slice(&payload);
                    if !more {
                        return Ok(Some(whole.freeze()));
                    }
                    self.partial = Some(whole);
                }
            }
        }
    }

    /// Writes the next packet of an exchange.
    pub(crate) async fn write(&mut self, payload: &[u8], limit: Duration) -> Result<(), ReplicationError> {
        let mut out = Vec::with_capacity(payload.len() + 8);
        let mut chunks = payload.chunks(FULL);
        loop {
            let chunk = chunks.next().unwrap_or_default();
            out.extend_from_slice(&(chunk.len() as u32).to_le_bytes()[..3]);
            out.push(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
            out.extend_from_slice(chunk);
            if chunk.len() < FULL {
                break;
            }
        }
        match timeout_at(Instant::now() + limit, self.stream.write_all(&out)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(ReplicationError::lost(format!("the connection broke: {e}"))),
            Err(_) => Err(ReplicationError::lost("the source does not take our request")),
        }
    }

    /// Writes a command: the first packet of an exchange.
    pub(crate) async fn command(&mut self, payload: &[u8], limit: Duration) -> Result<(), ReplicationError> {
        self.sequence = 0;
        self.write(payload, limit).await
    }

    /// Ends the connection.
    pub(crate) async fn shutdown(mut self) {
        // The other side may be gone already: there is nobody to tell.
        let _ = timeout_at(Instant::now() + Duration::from_secs(1), self.stream.shutdown()).await;
    }
}
