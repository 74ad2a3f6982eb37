//! Connections to other members, one per address and purpose.
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dm_proto::peer::peer_client::PeerClient;
use tonic::transport::{Channel, Endpoint};

use super::MAX_MESSAGE;
use crate::Member;

/// What a connection is for. A snapshot must not hold up a heartbeat by flow control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Log entries, votes, admission.
    Log,
    /// Heartbeats.
    Heartbeat,
    /// Snapshots.
    Snapshot,
}

/// Connections are few, but addresses of former members must not pile up.
const KEPT: usize = 128;

/// Connections in use.
#[derive(Debug, Default)]
pub struct Channels {
    open: Mutex<HashMap<(String, Purpose), Channel>>,
    /// Where members are by the newest membership: the engine keeps its clients when only an address changes.
    addresses: Mutex<HashMap<u64, String>>,
}

impl Channels {
    /// Takes note of where all members are.
    pub fn locate(&self, members: &[Member]) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        *addresses = members.iter().map(|member| (member.id, member.peer_addr.clone())).collect();
    }

    /// Where a member is, if it is in the newest membership.
    pub fn address(&self, id: u64) -> Option<String> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The connection to `addr`; made when first used, and again whenever it broke.
    pub fn get(&self, addr: &str, purpose: Purpose) -> Result<Channel, tonic::transport::Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (addr.to_owned(), purpose);
        if let Some(channel) = open.get(&key) {
            return Ok(channel.clone());
        }
        let channel = Endpoint::from_shared(format!("http://{addr}"))?
            .connect_timeout(Duration::from_secs(1))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(5)))
            // A black-holed connection looks alive for ever without these.
            .http2_keep_alive_interval(Duration::from_secs(1))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let channel = dm_proto::net::connect_lazy(channel);
        if open.len() >= KEPT {
            open.clear();
        }
        open.insert(key, channel.clone());
        Ok(channel)
    }
}

/// A client over a connection.
pub fn peer_client(channel: Channel) -> PeerClient<Channel> {
    PeerClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)
}
