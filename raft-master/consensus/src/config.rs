//! Settings of one member.
use std::{path::PathBuf, time::Duration};

use crate::StartError;

/// Settings of one member. Addresses are `host:port`; a leading `http://` is accepted and dropped.
#[derive(Debug, Clone)]
pub struct ConsensusConfig {
    /// Name of this member, unique in the group.
    pub name: String,
    /// Folder of log, vote and snapshots; made when missing.
    pub data_dir: PathBuf,
    /// Where the peer service listens.
    pub peer_listen: String,
    /// Where other members reach it.
    pub advertise_peer: String,
    /// Where clients reach this member; shown to all through the membership.
    pub advertise_client: String,
    /// All first members as (name, peer address), this one among them, the same list on each. Empty when joining;
    /// when both are empty, this member is a cluster of its own.
    pub initial_cluster: Vec<(String, String)>,
    /// Peer addresses of existing members to ask for admission. Empty when bootstrapping.
    pub join: Vec<String>,
    /// Time between heartbeats of the leader.
    pub heartbeat: Duration,
    /// Shortest silence after which a member stands for election.
    pub election_min: Duration,
    /// Longest such silence; also the leader's lease. Failover takes about max + U(min, max) + 50 ms.
    pub election_max: Duration,
    /// Deadline of one call to another member that may wait for its disk.
    pub peer_timeout: Duration,
    /// Deadline of a proposal or read barrier.
    pub request_timeout: Duration,
    /// A log append that takes longer ends the process: a leader that cannot write must not stay leader.
    pub append_bound: Duration,
    /// Ends the process with this exit code, when it has not ended a few seconds after a fatal error. Called on a thread
    /// that waits for nothing. `None` where the process is not this member's alone.
    pub last_resort: Option<fn(u8)>,
    /// A snapshot is made after so many log entries.
    pub snapshot_every: u64,
    /// So many entries stay in the log behind a snapshot, for followers that lag a little.
    pub log_keep: u64,
    /// Bound of one command in bytes.
    pub max_command: usize,
    /// Bound of all proposals in flight in bytes; more have to wait.
    pub max_in_flight: usize,
    /// The log of a simulation, in place of the one in the data directory.
    #[cfg(feature = "simulation")]
    pub memory_log: Option<crate::MemoryLog>,
}

impl ConsensusConfig {
    /// Settings with the default timing, without peers.
    pub fn new(name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            data_dir: data_dir.into(),
            peer_listen: "127.0.0.1:8291".into(),
            advertise_peer: "127.0.0.1:8291".into(),
            advertise_client: "127.0.0.1:8261".into(),
            initial_cluster: Vec::new(),
            join: Vec::new(),
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(300),
            peer_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            append_bound: Duration::from_secs(10),
            last_resort: None,
            snapshot_every: 5000,
            log_keep: 1000,
            max_command: 1 << 20,
            max_in_flight: 32 << 20,
            #[cfg(feature = "simulation")]
            memory_log: None,
        }
    }

    /// Parses `m1=http://h:p,m2=http://h:p` as the command line has it.
    pub fn parse_initial_cluster(text: &str) -> Result<Vec<(String, String)>, StartError> {
        let mut members: Vec<(String, String)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, addr) = part.split_once('=').ok_or_else(|| {
                StartError::Config(format!("initial-cluster: `{part}` is not `name=http://host:port`"))
            })?;
            if members.iter().any(|(known, _)| known == name) {
                return Err(StartError::Config(format!("initial-cluster names `{name}` twice")));
            }
            members.push((name.trim().to_owned(), peer_address(addr)?));
        }
        Ok(members)
    }

    /// Checks the settings and brings addresses into one form.
    pub(crate) fn validated(mut self) -> Result<Self, StartError> {
        if self.name.is_empty() {
            return Err(StartError::Config("a member needs a name".into()));
        }
        if self.heartbeat.is_zero()
            || self.election_min <= self.heartbeat
            || self.election_max <= self.election_min
        {
            return Err(StartError::Config(
                "timing must satisfy 0 < heartbeat < election-min < election-max".into(),
            ));
        }
        if self.max_command > 8 << 20 || self.max_in_flight < self.max_command {
            return Err(StartError::Config(
                "max-command may be 8 MiB at most, and max-in-flight no less than it".into(),
            ));
        }
        if !self.initial_cluster.is_empty() && !self.join.is_empty() {
            return Err(StartError::Config("initial-cluster and join exclude each other".into()));
        }
        self.peer_listen = peer_address(&self.peer_listen)?;
        self.advertise_peer = peer_address(&self.advertise_peer)?;
        self.advertise_client = peer_address(&self.advertise_client)?;
        for addr in &mut self.join {
            *addr = peer_address(addr)?;
        }
        for (_, addr) in &mut self.initial_cluster {
            *addr = peer_address(addr)?;
        }
        if self.initial_cluster.is_empty() && self.join.is_empty() {
            self.initial_cluster = vec![(self.name.clone(), self.advertise_peer.clone())];
        }
        self.initial_cluster.sort();
        if !self.initial_cluster.is_empty()
            && !self.initial_cluster.iter().any(|(name, _)| *name == self.name)
        {
            return Err(StartError::Config(format!(
                "initial-cluster does not name this member, `{}`",
                self.name
            )));
        }
        Ok(self)
    }
}

/// `host:port` of an address or URL.
fn peer_address(text: &str) -> Result<String, StartError> {
    let bare = text.trim();
    if bare.starts_with("https://") {
        return Err(StartError::Config(format!(
            "`{bare}`: https needs TLS settings, which are not supported here"
        )));
    }
    let bare = bare.strip_prefix("http://").unwrap_or(bare).trim_end_matches('/');
    match bare.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(bare.to_owned()),
        _ => Err(StartError::Config(format!("`{text}` is not host:port"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_cluster_is_parsed() {
        let parsed = ConsensusConfig::parse_initial_cluster("a=http://h:1, b=h:2/").unwrap();
        assert_eq!(parsed, vec![("a".into(), "h:1".into()), ("b".into(), "h:2".into())]);
        assert!(ConsensusConfig::parse_initial_cluster("a").is_err());
        assert!(ConsensusConfig::parse_initial_cluster("a=h:1,a=h:2").is_err());
        assert!(ConsensusConfig::parse_initial_cluster("a=h").is_err());
    }

    #[test]
    fn timing_and_names_are_checked() {
        let mut config = ConsensusConfig::new("a", "/nowhere");
        assert!(config.clone().validated().is_ok());
        config.election_min = config.election_max;
        assert!(config.validated().is_err());
        let mut config = ConsensusConfig::new("a", "/nowhere");
        config.initial_cluster = vec![("b".into(), "h:1".into())];
        assert!(config.validated().is_err());
    }
}
