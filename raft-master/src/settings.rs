//! Settings of one master, validated.
use std::{path::PathBuf, time::Duration};

use dm_consensus::ConsensusConfig;

use crate::leader::Pace;

/// Everything that a running master needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Member name.
    pub name: String,
    /// `host:port` to listen on for clients, workers and HTTP.
    pub listen: String,
    /// `host:port` under which others reach that.
    pub advertise: String,
    /// Folder of the member's durable state.
    pub data_dir: PathBuf,
    /// Raft member.
    pub consensus: ConsensusConfig,
    /// Times of the sessions.
    pub timing: Timing,
}

/// Times and bounds of the leader's duties.
#[derive(Clone, Debug)]
pub struct Timing {
    /// When silence and refusal count as death.
    pub pace: Pace,
    /// Between pings to a worker.
    pub ping: Duration,
    /// A worker without a leader stops by itself after so long; zero = never.
    pub master_loss_grace: Duration,
    /// Longest wait for one connection to a worker or master.
    pub dial: Duration,
    /// Longest wait for a worker's pre-check, and for an expected stage.
    pub rpc: Duration,
    /// Bindings of one source in any minute.
    pub moves_per_minute: usize,
    /// How long a call waits for a leader while an election may be running.
    pub election_patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            pace: Pace { lease: Duration::from_secs(3), damping: Duration::from_millis(300) },
            ping: Duration::from_millis(500),
            master_loss_grace: Duration::from_secs(600),
            dial: Duration::from_millis(1000),
            rpc: Duration::from_secs(30),
            moves_per_minute: 30,
            election_patience: Duration::from_secs(2),
        }
    }
}
