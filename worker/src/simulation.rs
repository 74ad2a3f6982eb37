//! A simulation's place for the two things that only a real database can do: to say who the source is, and to stream
//! its binlog. Everything around them (sessions, assignments, subtasks, the target protocol) is the product's own.
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{unit::Unit, upstream::SourceIdentity};

/// What a simulation provides.
#[derive(Clone, Copy)]
pub struct Upstream {
    /// Variables of the server behind the source with this id.
    pub identity: fn(&str) -> SourceIdentity,
    /// What stands for the sync unit.
    pub unit: fn() -> Box<dyn Unit>,
}

static UPSTREAM: OnceLock<Upstream> = OnceLock::new();

/// From now on the sources of this process are simulated.
pub fn install(upstream: Upstream) {
    // A process simulates one world: the first stays.
    let _ = UPSTREAM.set(upstream);
}

static STALE_OBEYED: AtomicBool = AtomicBool::new(false);

/// Breaks a promise, to prove that the simulation notices: a leader of an earlier term is obeyed.
pub fn obey_stale_leaders() {
    STALE_OBEYED.store(true, Ordering::Relaxed);
}

pub(crate) fn stale_obeyed() -> bool {
    STALE_OBEYED.load(Ordering::Relaxed)
}

pub(crate) fn upstream() -> Option<Upstream> {
    UPSTREAM.get().copied()
}
