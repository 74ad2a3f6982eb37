//! Start of the main stream, and the records of the load.

use dm_failpoints::{Failpoint, hold};

use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::literal;
use crate::load::LoadChunk;
use crate::marks::Done;
use crate::names::SPINE_LANE;
use crate::resume::StartPoint;
use crate::shared::Shared;
use crate::spec::{LOAD_STREAM, MAIN_STREAM};
use crate::spine::Spine;

/// Text of one packet of chunk records, in bytes.
const PLAN_PACKET: usize = 512 << 10;
/// Number of the row that says "the plan is whole".
const MARKER: i64 = -1;

impl Shared {
    /// One lane -1 packet: the start's set becomes the checkpoint, low and done of all lanes are cleared, the
    /// generation grows; with `finish` the load is marked finished and its lane rows are retired.
    pub(crate) async fn start_main(
        &self,
        spine: &mut Spine,
        start: StartPoint,
        finish: bool,
    ) -> Result<u64, TargetError> {
        let (generation, executed, roster) = {
            let state = self.state();
            let generation = state.generation + 1;
            let executed = start.executed.with_generation(generation);
            if executed.mode() != self.spec.mode {
                return Err(TargetError::Misuse {
                    message: "the start has another GTID mode than the task".to_owned(),
                });
            }
            let mut cleared = Done::empty(self.spec.mode, generation);
            cleared.roster.clone_from(&state.spine_done.roster);
            if finish {
                cleared.roster.retain(|(stream, _)| *stream != LOAD_STREAM);
            }
            (generation, executed, cleared)
        };
        let source = literal::text_string(&self.spec.source_id);
        let names = &self.names;
        let mut checkpoint = format!(
            "REPLACE INTO {} (`source_id`, `stream`, `generation`, `executed`, `source_identity`, `position_proof`, \
             `table_schemas`, `windows`) VALUES ({source}, {MAIN_STREAM}, {generation}, ",
            names.checkpoint
        )
        .into_bytes();
        literal::text(&mut checkpoint, &executed.to_string());
        checkpoint.extend_from_slice(b", ");
        literal::text(&mut checkpoint, &start.source_identity);
        checkpoint.extend_from_slice(b", ");
        literal::text(&mut checkpoint, &start.position_proof);
        checkpoint.extend_from_slice(b", ");
        literal::blob(&mut checkpoint, &start.schemas);
        checkpoint.extend_from_slice(b", ");
        literal::text(&mut checkpoint, &start.windows);
        checkpoint.push(b')');
        let clear = format!(
            "UPDATE {} SET `generation` = {generation}, `low` = '', `done` = IF(`lane` = {SPINE_LANE}, {}, '') \
             WHERE `source_id` = {source} AND `stream` = {MAIN_STREAM}",
            names.lane,
            literal::text_string(&roster.text()),
        );
        hold(Failpoint::BeforeBegin);
        self.spine_packet(spine, &[], |packet| {
            packet.record(clear.as_bytes());
            packet.record(&checkpoint);
            for statement in &start.beside {
                packet.record(statement.as_bytes());
            }
            packet.record(
                format!("DELETE FROM {} WHERE `source_id` = {source} AND `stream` = {MAIN_STREAM}", names.ddl).as_bytes(),
            );
            if finish {
                // "No more rows" is proven: every chunk is recorded as done, or the packet is refused.
                packet.record(
                    format!(
                        "SET @dm = IF((SELECT COUNT(*) FROM {} WHERE `source_id` = {source} AND `chunk` >= 0 AND \
                         `state` <> 'done') = 0, 1, (SELECT 1 UNION ALL SELECT 2))",
                        names.load
                    )
                    .as_bytes(),
                );
                packet.record_exactly(
                    format!(
                        "UPDATE {} SET `state` = 'finished' WHERE `source_id` = {source} AND `chunk` = {MARKER}",
                        names.load
                    )
                    .as_bytes(),
                    1,
                );
                packet.record(
                    format!("DELETE FROM {} WHERE `source_id` = {source} AND `stream` = {LOAD_STREAM}", names.lane)
                        .as_bytes(),
                );
            }
        })
        .await?;
        hold(Failpoint::AfterBegin);
        let mut state = self.state();
        state.generation = generation;
        state.checkpointed = executed.clone();
        state.tracker.restart(executed);
        for done in &mut state.lane_done {
            *done = Done::empty(self.spec.mode, generation);
        }
        state.spine_done = roster;
        state.ddl_done.clear();
        state.undecided = false;
        state.load_finished = finish;
        Ok(generation)
    }

    /// All chunk records, then the row that says so.
    pub(crate) async fn write_plan(
        &self,
        spine: &mut Spine,
        chunks: &[LoadChunk],
        note: &[u8],
    ) -> Result<(), TargetError> {
        let source = literal::text_string(&self.spec.source_id);
        let insert = format!(
            "INSERT INTO {} (`source_id`, `chunk`, `schema_name`, `table_name`, `bounds`, `pieces`, `row_count`, \
             `state`) VALUES ",
            self.names.load
        );
        let clear = format!("DELETE FROM {} WHERE `source_id` = {source}", self.names.load);
        hold(Failpoint::BeforePlan);
        self.spine_packet(spine, &[], |packet| packet.record(clear.as_bytes())).await?;
        let mut sql = insert.clone().into_bytes();
        for chunk in chunks {
            if sql.len() > insert.len() {
                sql.extend_from_slice(b", ");
            }
            sql.extend_from_slice(format!("({source}, {}, ", chunk.id).as_bytes());
            literal::text(&mut sql, &chunk.schema);
            sql.extend_from_slice(b", ");
            literal::text(&mut sql, &chunk.table);
            sql.extend_from_slice(b", ");
            literal::blob(&mut sql, &chunk.bounds);
            sql.extend_from_slice(b", 0, 0, 'planned')");
            if sql.len() >= PLAN_PACKET {
                self.spine_packet(spine, &[], |packet| packet.record(&sql)).await?;
                sql.truncate(insert.len());
            }
        }
        if sql.len() > insert.len() {
            sql.extend_from_slice(b", ");
        }
        sql.extend_from_slice(format!("({source}, {MARKER}, '', '', ").as_bytes());
        literal::blob(&mut sql, note);
        sql.extend_from_slice(b", 0, 0, 'planned')");
        hold(Failpoint::HalfPlan);
        self.spine_packet(spine, &[], |packet| packet.record(&sql)).await?;
        hold(Failpoint::AfterPlan);
        Ok(())
    }
}

impl ExecutedSet {
    /// The same set in another generation (only positions know theirs).
    pub(crate) fn with_generation(&self, generation: u64) -> Self {
        match self {
            Self::Position(set) => Self::Position(set.with_generation(generation)),
            other => other.clone(),
        }
    }
}
