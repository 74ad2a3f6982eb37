//! One authenticated connection, before it becomes a stream.

use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::auth::authenticate;
use crate::config::ReplicationConfig;
use crate::error::ReplicationError;
use crate::greeting::Greeting;
use crate::packet::PacketStream;
use crate::result_set;

/// One row of a text result; `None` is NULL.
pub type TextRow = Vec<Option<Bytes>>;

/// An authenticated connection that runs plain statements.
#[derive(Debug)]
pub struct Connection {
    pub(crate) packets: PacketStream,
    greeting: Greeting,
    limit: Duration,
}

impl Connection {
    /// Connects and authenticates within `config.connect_timeout`; `config.start` is not looked at.
    ///
    /// # Errors
    /// See [`crate::ReplicationErrorKind`].
    pub async fn open(config: &ReplicationConfig) -> Result<Self, ReplicationError> {
        let limit = config.connect_timeout;
        let open = async {
            let stream = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(|e| {
                ReplicationError::lost(format!("cannot connect to {}:{}: {e}", config.host, config.port))
            })?;
            // Commands are small and wait for their answers.
            stream.set_nodelay(true).map_err(|e| ReplicationError::lost(e.to_string()))?;
            let mut packets = PacketStream::new(stream);
            let greeting = Greeting::parse(&packets.read(limit).await?)?;
            greeting.check_flavor(config.flavor)?;
            authenticate(&mut packets, &greeting, &config.user, &config.password, limit).await?;
            Ok(Self { packets, greeting, limit })
        };
        match timeout(limit, open).await {
            Ok(result) => result,
            Err(_) => {
                let ms = limit.as_millis();
                Err(ReplicationError::lost(format!(
                    "{}:{} did not answer within {ms} ms",
                    config.host, config.port
                )))
            }
        }
    }

    /// `@@version` as the server greeted.
    pub fn server_version(&self) -> &str {
        &self.greeting.version
    }

    /// The server's number of this connection, for KILL.
    pub fn connection_id(&self) -> u32 {
        self.greeting.connection_id
    }

    /// Runs one statement and gives its rows as text; empty for statements without rows. For settings:
    /// results are limited to 16 MiB.
    ///
    /// # Errors
    /// The server's, or a lost connection.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<TextRow>, ReplicationError> {
        const COM_QUERY: u8 = 0x03;
        let mut command = Vec::with_capacity(sql.len() + 1);
        command.push(COM_QUERY);
        command.extend_from_slice(sql.as_bytes());
        self.packets.command(&command, self.limit).await?;
        result_set::read(&mut self.packets, self.limit).await
    }

    /// Sends a command that is answered by OK or an error.
    pub(crate) async fn simple_command(&mut self, command: &[u8]) -> Result<(), ReplicationError> {
        self.packets.command(command, self.limit).await?;
        let answer = self.packets.read(self.limit).await?;
        match answer.first() {
            Some(0x00) => Ok(()),
            Some(0xFF) => Err(ReplicationError::from_packet(&answer)),
            _ => Err(ReplicationError::protocol("an unexpected answer to a command")),
        }
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.packets.shutdown().await;
    }
}
