//! Test-only switches of a master built with the feature `test-switches`; no other build has this file.
//!
//! `RAFT_DM_HOLD_DIR=DIR` holds the process at failpoints that the files `DIR/MASTER/PLACE` arm, see
//! [`dm_failpoints::hold_in`]. `RAFT_DM_SNAPSHOT_EVERY=N` makes a snapshot after so many log entries, and keeps a third of
//! them in the log.
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};

use crate::settings::Settings;

/// Reads the environment; what can't be read is an error, or a test would prove nothing.
pub fn install(mut settings: Settings) -> anyhow::Result<Settings> {
    let dir = std::env::var_os("RAFT_DM_HOLD_DIR").map(|dir| PathBuf::from(dir).join(&settings.name));
    let every = std::env::var("RAFT_DM_SNAPSHOT_EVERY").ok();
    tracing::warn!(hold_dir = ?dir, snapshot_every = ?every, "this build has test switches and must not be used for data");
    if let Some(every) = every {
        let every: u64 = every.parse().context("RAFT_DM_SNAPSHOT_EVERY is no number")?;
        settings.consensus.snapshot_every = every;
        settings.consensus.log_keep = every / 3;
    }
    if let Some(dir) = dir {
        dm_failpoints::hold_in(&dir).map_err(|error| anyhow!(error))?;
    }
    Ok(settings)
}
