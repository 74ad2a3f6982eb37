//! What a take-over has found.

use dm_binlog::Flavor;

use crate::batch::PartMark;
use crate::ddl::DdlRecord;
use crate::executed::{ExecutedSet, ResumePoint};
use crate::load::LoadState;

/// The checkpoint row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The executed set that the row itself holds (lanes may hold more).
    pub executed: ExecutedSet,
    /// Counts the starts given by a person and the changes of GTID mode.
    pub generation: u64,
    /// Identity of the source as the caller stored it.
    pub source_identity: String,
    /// Proof that the source's files are the same (position mode), as the caller stored it.
    pub position_proof: String,
    /// Table schemas as the caller stored them.
    pub schemas: Vec<u8>,
    /// What may have been applied before the start, as the caller stored it.
    pub windows: String,
}

/// Where to go on, read from the target's own rows.
#[derive(Debug, Clone)]
pub struct Resume {
    /// Everything that is applied: skip its members.
    pub executed: ExecutedSet,
    /// Where to start reading: before the first hole of `executed`.
    pub resume_point: ResumePoint,
    /// Generation of the rows (0 before the first start).
    pub generation: u64,
    /// None: the main stream has not started; call [`crate::Attachment::begin`].
    pub checkpoint: Option<CheckpointRow>,
    /// The DDL whose outcome is unknown: settle it with [`crate::Attachment::resolve_ddl`] before anything else.
    pub undecided_ddl: Option<DdlRecord>,
    /// Executed DDL statements of transactions that are not in the set yet: skip these statements.
    pub done_ddl: Vec<DdlRecord>,
    /// Transactions of which only a part is applied, and the lane that holds the record.
    pub parts: Vec<PartMark>,
    /// The load, if one was planned.
    pub load: Option<LoadState>,
    /// Identity of the target server.
    pub target_identity: String,
    /// Its family.
    pub target_flavor: Flavor,
    /// Its `max_allowed_packet` in bytes; a batch's text must stay below half of it.
    pub max_allowed_packet: usize,
    /// True when the epoch in the rows was another one before.
    pub epoch_changed: bool,
}

/// Start of the main stream, or of a new generation.
#[derive(Debug, Clone)]
pub struct StartPoint {
    /// Everything before the start counts as applied.
    pub executed: ExecutedSet,
    /// Identity of the source.
    pub source_identity: String,
    /// Proof that the source's files are the same (position mode).
    pub position_proof: String,
    /// Table schemas at the start.
    pub schemas: Vec<u8>,
    /// What may have been applied before; empty: nothing.
    pub windows: String,
    /// Statements on other tables of the meta schema, committed together with it.
    pub beside: Vec<String>,
}

/// What a checkpoint changes beside the executed set; None leaves the stored value.
#[derive(Debug, Clone, Default)]
pub struct CheckpointUpdate {
    /// Identity of the source.
    pub source_identity: Option<String>,
    /// Proof that the source's files are the same (position mode).
    pub position_proof: Option<String>,
    /// Table schemas.
    pub schemas: Option<Vec<u8>>,
    /// Statements on other tables of the meta schema that belong to it, committed together with it.
    pub beside: Vec<String>,
}

/// Counters of one attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetStats {
    /// Packets committed.
    pub packets: u64,
    /// Source transactions committed.
    pub transactions: u64,
    /// Row changes committed.
    pub rows: u64,
    /// Row changes that matched no row, or too many.
    pub rows_missed: u64,
    /// Warnings of row statements.
    pub warnings: u64,
    /// Packets sent again after a deadlock or lock wait.
    pub retries: u64,
    /// Batches submitted and not yet acknowledged, and a DDL beside them.
    pub in_flight: u64,
    /// What submission or a lane waits for at the moment, if it is out of the ordinary.
    pub blocked: Option<String>,
}
