//! The stream of events.

use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::time::timeout;

use crate::config::ReplicationConfig;
use crate::connection::Connection;
use crate::dump;
use crate::error::ReplicationError;
use crate::packet::PacketStream;

/// A stream of binlog events from one source.
#[derive(Debug)]
pub struct BinlogClient {
    packets: PacketStream,
    read_timeout: Duration,
    server_version: String,
    connection_id: u32,
}

impl BinlogClient {
    /// Connects, authenticates and asks for the stream. The server's refusal of the place asked for comes
    /// with the first [`Self::next`].
    ///
    /// # Errors
    /// See [`crate::ReplicationErrorKind`].
    pub async fn connect(config: &ReplicationConfig) -> Result<Self, ReplicationError> {
        let conn = Connection::open(config).await?;
        Self::start(conn, config).await
    }

    /// Turns a connection, on which the caller may have set its own variables, into a stream.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn start(mut conn: Connection, config: &ReplicationConfig) -> Result<Self, ReplicationError> {
        match timeout(config.connect_timeout, dump::start(&mut conn, config)).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(ReplicationError::lost(
                    "the source did not take the request for its binlog in time",
                ));
            }
        }
        Ok(Self {
            server_version: conn.server_version().to_owned(),
            connection_id: conn.connection_id(),
            packets: conn.packets,
            read_timeout: config.read_timeout,
        })
    }

    /// `@@version` as the server greeted.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The server's number of this connection, for KILL.
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// The next whole event: header, body, checksum, without the protocol's status byte. May be cancelled and
    /// called again without losing a byte.
    ///
    /// # Errors
    /// `Lost` when the source is silent beyond the read timeout (counted from the last byte, or from the
    /// call), ends the stream or the connection. After an error the client is of no more use.
    pub async fn next(&mut self) -> Result<Bytes, ReplicationError> {
        let mut packet = self.packets.read(self.read_timeout).await?;
        match packet.first() {
            Some(0x00) => {
                packet.advance(1);
                Ok(packet)
            }
            Some(0xFF) => Err(ReplicationError::from_packet(&packet)),
            // A server that shuts down ends the stream as if it had been asked not to wait.
            Some(0xFE) if packet.len() < 9 => Err(ReplicationError::lost("the source ended the stream")),
            _ => Err(ReplicationError::protocol("a packet that is no event in the stream")),
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.packets.shutdown().await;
    }
}
