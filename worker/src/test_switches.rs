//! Test-only switches of a worker built with the feature `test-switches`; no other build has this file.
//!
//! `RAFT_DM_BROKEN=no_epoch,no_kill,...` breaks promises of the target protocol ([`dm_target::Broken`]), to prove that
//! the checkers notice. `RAFT_DM_HOLD_DIR=DIR` holds the process at failpoints that the files `DIR/WORKER/PLACE` arm, see
//! [`dm_failpoints::hold_in`].
use std::{
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{anyhow, bail};
use dm_schema::{BrokenTokens, RowWriter};
use dm_target::Broken;

static BROKEN: OnceLock<Broken> = OnceLock::new();
static TOKENS: OnceLock<BrokenTokens> = OnceLock::new();
static RESET_UNSEEN: AtomicBool = AtomicBool::new(false);
static PARTIAL_REPLAYED: AtomicBool = AtomicBool::new(false);

/// Reads the environment; an unknown switch is an error, or a test would prove nothing.
pub fn install(worker: &str) -> anyhow::Result<()> {
    let broken = parse(&std::env::var("RAFT_DM_BROKEN").unwrap_or_default())?;
    let dir = std::env::var_os("RAFT_DM_HOLD_DIR").map(|dir| PathBuf::from(dir).join(worker));
    tracing::warn!(?broken, hold_dir = ?dir, "this build has test switches and must not be used for data");
    let _ = BROKEN.set(broken);
    let Some(dir) = dir else { return Ok(()) };
    dm_failpoints::hold_in(&dir).map_err(|error| anyhow!(error))
}

/// The promises that are broken.
pub fn broken() -> Broken {
    BROKEN.get().copied().unwrap_or_default()
}

/// A source that was reset or restored is followed as if nothing had happened.
pub fn reset_unseen() -> bool {
    RESET_UNSEEN.load(Ordering::Relaxed)
}

/// Equal keys of a table may get different tokens; images that leave columns out may be written again.
pub fn break_writer(writer: &mut RowWriter) {
    if let Some(broken) = TOKENS.get() {
        writer.break_tokens(*broken);
    }
    if PARTIAL_REPLAYED.load(Ordering::Relaxed) {
        writer.replay_partial_images();
    }
}

fn parse(names: &str) -> anyhow::Result<Broken> {
    let mut broken = Broken::default();
    for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let switch = match name {
            "reset_unseen" => {
                RESET_UNSEEN.store(true, Ordering::Relaxed);
                continue;
            }
            "partial_replayed" => {
                PARTIAL_REPLAYED.store(true, Ordering::Relaxed);
                continue;
            }
            "tokens_primary_only" | "tokens_bytes" => {
                let bytes = name == "tokens_bytes";
                let _ = TOKENS.set(if bytes { BrokenTokens::Bytes } else { BrokenTokens::PrimaryOnly });
                continue;
            }
            "no_epoch" => &mut broken.no_epoch,
            "no_seq" => &mut broken.no_seq,
            "done_forgotten" => &mut broken.done_forgotten,
            "no_kill" => &mut broken.no_kill,
            "no_ddl_kill" => &mut broken.no_ddl_kill,
            "no_ddl_wait" => &mut broken.no_ddl_wait,
            "ddl_overtakes" => &mut broken.ddl_overtakes,
            "position_first" => &mut broken.position_first,
            "ddl_missing" => &mut broken.ddl_missing,
            "no_intent" => &mut broken.no_intent,
            "roster_ignored" => &mut broken.roster_ignored,
            "begin_swallowed" => &mut broken.begin_swallowed,
            "reused_after_error" => &mut broken.reused_after_error,
            other => bail!("RAFT_DM_BROKEN names an unknown switch: {other}"),
        };
        *switch = true;
    }
    Ok(broken)
}
