//! Authentication: `caching_sha2_password` (fast and full, with the server's RSA key) and
//! `mysql_native_password`, with the server's right to switch between them.

use std::time::Duration;

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;

use crate::config::Password;
use crate::error::{ReplicationError, ReplicationErrorKind};
use crate::greeting::{Greeting, nul_terminated};
use crate::packet::PacketStream;

const CACHING_SHA2: &str = "caching_sha2_password";
const NATIVE: &str = "mysql_native_password";

/// Rounds after which a server that keeps asking is given up.
const MAX_ROUNDS: usize = 12;

/// First byte of the server's packets while authenticating.
mod answer {
    pub const OK: u8 = 0x00;
    pub const MORE: u8 = 0x01;
    pub const SWITCH: u8 = 0xFE;
    pub const ERR: u8 = 0xFF;
}

/// Answers the greeting and goes on until the server lets us in or refuses.
pub(crate) async fn authenticate(
    packets: &mut PacketStream,
    greeting: &Greeting,
    user: &str,
    password: &Password,
    limit: Duration,
) -> Result<(), ReplicationError> {
    // A first guess; the server switches to what the account has.
    let mut plugin = if greeting.plugin == CACHING_SHA2 { CACHING_SHA2 } else { NATIVE };
    let mut nonce = greeting.nonce.clone();
    let proof = scramble(plugin, &nonce, password)?;
    packets.write(&greeting.response(user, plugin, &proof)?, limit).await?;
    for _ in 0..MAX_ROUNDS {
        let packet = packets.read(limit).await?;
        match packet.split_first() {
            Some((&answer::OK, _)) => return Ok(()),
            Some((&answer::ERR, _)) => return Err(ReplicationError::from_packet(&packet)),
            Some((&answer::SWITCH, rest)) => {
                (plugin, nonce) = switch(rest)?;
                packets.write(&scramble(plugin, &nonce, password)?, limit).await?;
            }
            Some((&answer::MORE, rest)) if plugin == CACHING_SHA2 => match rest {
                // The server knew the password's hash: its OK follows.
                [0x03] => {}
                // It does not: it wants the password itself, for which we want its key.
                [0x04] => packets.write(&[0x02], limit).await?,
                key => packets.write(&encrypt(password, &nonce, key)?, limit).await?,
            },
            _ => return Err(ReplicationError::protocol("an unexpected packet while authenticating")),
        }
    }
    Err(ReplicationError::protocol("the server does not stop asking while authenticating"))
}

/// The plugin and nonce of a switch request.
fn switch(packet: &[u8]) -> Result<(&'static str, Vec<u8>), ReplicationError> {
    let unsupported = |name: &str| {
        ReplicationError::new(
            ReplicationErrorKind::Auth,
            format!("the account uses {name}; only {CACHING_SHA2} and {NATIVE} are supported"),
        )
    };
    let Some((name, data)) = nul_terminated(packet) else {
        return Err(unsupported("mysql_old_password"));
    };
    let plugin = match name {
        b"caching_sha2_password" => CACHING_SHA2,
        b"mysql_native_password" => NATIVE,
        other => return Err(unsupported(&String::from_utf8_lossy(other))),
    };
    Ok((plugin, data.strip_suffix(&[0]).unwrap_or(data).to_vec()))
}

/// The proof that we know the password; empty for an empty password.
fn scramble(plugin: &str, nonce: &[u8], password: &Password) -> Result<Vec<u8>, ReplicationError> {
    let nonce: &[u8; 20] =
        nonce.try_into().map_err(|_| ReplicationError::protocol("the nonce is not 20 bytes long"))?;
    let pass = password.as_bytes();
    Ok(if plugin == CACHING_SHA2 {
        scramble_sha256(nonce, pass).map(Vec::from).unwrap_or_default()
    } else {
        scramble_native(nonce, pass).map(Vec::from).unwrap_or_default()
    })
}

/// The password for `caching_sha2_password`'s full exchange: with its zero, mixed with the nonce, in the
/// server's RSA key (OAEP). The key is not checked against anything: only TLS protects from a server that
/// is not the one we mean.
fn encrypt(password: &Password, nonce: &[u8], key: &[u8]) -> Result<Vec<u8>, ReplicationError> {
    let mixed: Vec<u8> = password
        .as_bytes()
        .iter()
        .chain(&[0])
        .zip(nonce.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    mysql_common::crypto::encrypt(&mixed, key)
        .map_err(|e| ReplicationError::protocol(format!("the server's public key cannot be used: {e}")))
}
