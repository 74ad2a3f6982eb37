//! Names of the meta tables and of the locks that mark our connections.

use xxhash_rust::xxh3::xxh3_128;

use crate::literal::ident;
use crate::spec::{MAIN_STREAM, TargetSpec};

/// Number of the lane that carries checkpoints, DDL records and every change of lane rows.
pub(crate) const SPINE_LANE: i32 = -1;

/// Quoted names of the meta tables of a task.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) schema: String,
    pub(crate) lane: String,
    pub(crate) checkpoint: String,
    pub(crate) ddl: String,
    pub(crate) load: String,
}

impl Names {
    pub(crate) fn new(spec: &TargetSpec) -> Self {
        let schema = ident(&spec.meta_schema);
        let table = |suffix: &str| format!("{schema}.{}", ident(&format!("{}_{suffix}", spec.task)));
        Self {
            lane: table("lane"),
            checkpoint: table("checkpoint"),
            ddl: table("ddl"),
            load: table("load"),
            schema,
        }
    }

    /// Unquoted table names, for `information_schema`.
    pub(crate) fn unquoted(spec: &TargetSpec) -> [String; 4] {
        ["lane", "checkpoint", "ddl", "load"].map(|suffix| format!("{}_{suffix}", spec.task))
    }
}

/// Stream of a lane's row: lane -1 serves all streams of the source and lives in the main stream.
pub(crate) fn stream_of(spec: &TargetSpec, lane: i32) -> u32 {
    if lane == SPINE_LANE { MAIN_STREAM } else { spec.stream }
}

/// Name of the lock (`GET_LOCK`) that a connection of an attempt holds: by it a later owner finds the connection to
/// kill. At most 64 characters, which is what the servers allow.
pub(crate) fn lock_name(spec: &TargetSpec, stream: u32, lane: i32, attempt: u64) -> String {
    hashed(spec, &format!("{stream}\0{lane}\0{attempt}"))
}

/// Name of the lock that the DDL connection of whichever attempt holds: who has it knows that no DDL of any
/// earlier attempt is running, also after several take-overs that overlapped.
pub(crate) fn ddl_lock_name(spec: &TargetSpec) -> String {
    hashed(spec, "spine")
}

fn hashed(spec: &TargetSpec, what: &str) -> String {
    let full = format!("{}\0{}\0{}\0{what}", spec.meta_schema, spec.task, spec.source_id);
    format!("raft-dm.{:032x}", xxh3_128(full.as_bytes()))
}
