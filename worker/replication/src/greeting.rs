//! The first packets of a connection: the server's greeting and our answer.

use dm_binlog::Flavor;

use crate::error::{ReplicationError, ReplicationErrorKind};

/// Capability bits of the protocol (`CLIENT_*`).
mod capability {
    pub const LONG_PASSWORD: u32 = 1;
    pub const LONG_FLAG: u32 = 4;
    pub const PROTOCOL_41: u32 = 0x200;
    pub const TRANSACTIONS: u32 = 0x2000;
    pub const SECURE_CONNECTION: u32 = 0x8000;
    pub const PLUGIN_AUTH: u32 = 0x8_0000;
    pub const PLUGIN_AUTH_LENENC: u32 = 0x20_0000;
}

/// Collation `utf8mb4_general_ci`, known to both servers.
const UTF8MB4: u8 = 45;

/// What the server says first (`HandshakeV10`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) connection_id: u32,
    pub(crate) capabilities: u32,
    pub(crate) nonce: Vec<u8>,
    pub(crate) plugin: String,
}

impl Greeting {
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, ReplicationError> {
        if packet.first() == Some(&0xFF) {
            return Err(ReplicationError::from_packet(packet));
        }
        Self::fields(packet).ok_or_else(|| ReplicationError::protocol("the server's greeting cannot be read"))
    }

    fn fields(packet: &[u8]) -> Option<Self> {
        let (10, rest) = packet.split_first().map(|(p, r)| (*p, r))? else { return None };
        let (version, rest) = nul_terminated(rest)?;
        let (connection_id, rest) = rest.split_first_chunk::<4>()?;
        let (nonce1, rest) = rest.split_first_chunk::<8>()?;
        let (_filler, rest) = rest.split_first()?;
        let (low, rest) = rest.split_first_chunk::<2>()?;
        let (_charset_status, rest) = rest.split_first_chunk::<3>()?;
        let (high, rest) = rest.split_first_chunk::<2>()?;
        let (_nonce_len, rest) = rest.split_first()?;
        let (_reserved, rest) = rest.split_first_chunk::<10>()?;
        // The nonce is 20 bytes with a zero behind it.
        let (nonce2, rest) = rest.split_first_chunk::<12>()?;
        let plugin = rest.get(1..).map(|p| nul_terminated(p).map_or(p, |(name, _)| name)).unwrap_or_default();
        Some(Self {
            version: String::from_utf8_lossy(version).into_owned(),
            connection_id: u32::from_le_bytes(*connection_id),
            capabilities: u32::from(u16::from_le_bytes(*low)) | u32::from(u16::from_le_bytes(*high)) << 16,
            nonce: [&nonce1[..], &nonce2[..]].concat(),
            plugin: String::from_utf8_lossy(plugin).into_owned(),
        })
    }

    /// Refuses a server of another flavor: GTIDs, positions and commands differ.
    pub(crate) fn check_flavor(&self, wanted: Flavor) -> Result<(), ReplicationError> {
        let found = Flavor::from_version(&self.version);
        if found == wanted {
            return Ok(());
        }
        Err(ReplicationError::new(
            ReplicationErrorKind::WrongFlavor,
            format!("the source is {found} {}, but its configuration says {wanted}", self.version),
        ))
    }

    /// Our answer (`HandshakeResponse41`).
    pub(crate) fn response(
        &self,
        user: &str,
        plugin: &str,
        auth: &[u8],
    ) -> Result<Vec<u8>, ReplicationError> {
        use capability as c;
        let needed = c::PROTOCOL_41 | c::SECURE_CONNECTION | c::PLUGIN_AUTH;
        if self.capabilities & needed != needed {
            return Err(ReplicationError::new(
                ReplicationErrorKind::Unsupported,
                format!("server {} is too old for this client", self.version),
            ));
        }
        let wished = needed | c::LONG_PASSWORD | c::LONG_FLAG | c::TRANSACTIONS | c::PLUGIN_AUTH_LENENC;
        let flags = wished & (self.capabilities | c::LONG_PASSWORD);
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&(1u32 << 30).to_le_bytes());
        out.push(UTF8MB4);
        out.extend_from_slice(&[0; 23]);
        out.extend_from_slice(user.as_bytes());
        out.push(0);
        // At most 250 bytes: the length takes one byte in both forms.
        out.push(auth.len() as u8);
        out.extend_from_slice(auth);
        out.extend_from_slice(plugin.as_bytes());
        out.push(0);
        Ok(out)
    }
}

/// The bytes before a zero, and those behind it.
pub(crate) fn nul_terminated(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}
