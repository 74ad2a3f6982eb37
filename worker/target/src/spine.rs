//! Lane -1: checkpoints, DDL records and every change of lane rows.

use dm_failpoints::{Failpoint, hold};

use crate::error::TargetError;
use crate::link::Link;
use crate::literal;
use crate::names::SPINE_LANE;
use crate::packet::{Packet, Swap};
use crate::resume::CheckpointUpdate;
use crate::shared::Shared;
use crate::spec::MAIN_STREAM;
use crate::txn::TxnId;

/// The connection of lane -1.
pub(crate) struct Spine {
    pub(crate) link: Link,
    /// seq of its row as last acknowledged or read at take-over.
    pub(crate) seq: u64,
    /// Set while something is under way on it: who finds it set knows that somebody gave up half way.
    pub(crate) busy: bool,
}

impl Shared {
    /// Takes lane -1 for one piece of work. An error kills the attachment, and so does a caller that gives up in the
    /// middle (the next one notices).
    pub(crate) async fn with_spine<T>(
        &self,
        work: impl AsyncFnOnce(&Self, &mut Spine) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        self.check_alive()?;
        let mut spine = tokio::select! {
            biased;
            () = self.dead.cancelled() => return Err(self.reason()),
            spine = self.spine.lock() => spine,
        };
        if spine.busy {
            self.fail(TargetError::Lost {
                connection: spine.link.name.clone(),
                message: "its user gave up half way".to_owned(),
            });
        }
        self.check_alive()?;
        spine.busy = true;
        let outcome = tokio::select! {
            biased;
            () = self.dead.cancelled() => Err(self.reason()),
            outcome = work(self, &mut spine) => outcome,
        };
        match outcome {
            Ok(value) => {
                spine.busy = false;
                Ok(value)
            }
            Err(error) => {
                self.fail(error.clone());
                Err(error)
            }
        }
    }

    /// One packet swapped on lane -1; `joins` enter its `done`.
    pub(crate) async fn spine_packet(
        &self,
        spine: &mut Spine,
        joins: &[&TxnId],
        fill: impl FnOnce(&mut Packet),
    ) -> Result<(), TargetError> {
        let (low, done) = {
            let state = self.state();
            let mut done = state.spine_done.clone();
            done.set.prune(&state.checkpointed);
            for txn in joins {
                done.set.insert(txn)?;
            }
            (state.tracker.low().to_string(), done)
        };
        let done_text = done.text();
        let swap =
            Swap { lane: SPINE_LANE, attempt: self.attempt, seq: spine.seq, low: &low, done: &done_text };
        let mut packet = Packet::begin(&self.spec, &self.names, swap);
        fill(&mut packet);
        let packet = packet.commit();
        self.send(&mut spine.link, &packet).await?;
        spine.seq += 1;
        self.state().spine_done = done;
        Ok(())
    }

    /// Writes the merged executed set where there is news.
    pub(crate) async fn checkpoint(&self, update: CheckpointUpdate) -> Result<(), TargetError> {
        if self.spec.stream != MAIN_STREAM || self.state().generation == 0 {
            return Ok(());
        }
        self.with_spine(async |shared, spine| shared.write_checkpoint(spine, update).await).await
    }

    async fn write_checkpoint(&self, spine: &mut Spine, update: CheckpointUpdate) -> Result<(), TargetError> {
        let (executed, covered, retire) = {
            let state = self.state();
            let executed = state.tracker.acked().clone();
            let covered: Vec<(TxnId, String)> =
                state.ddl_done.iter().filter(|(txn, _)| executed.contains(txn)).cloned().collect();
            let nothing_else = update.source_identity.is_none()
                && update.position_proof.is_none()
                && update.schemas.is_none()
                && update.beside.is_empty();
            if nothing_else && covered.is_empty() && !state.retire && executed == state.checkpointed {
                return Ok(());
            }
            (executed, covered, state.retire)
        };
        let lanes = u32::try_from(self.lane_acked.len()).unwrap_or(u32::MAX);
        if retire {
            self.set_roster(MAIN_STREAM, lanes);
        }
        hold(Failpoint::BeforeCheckpoint);
        let mut sql = format!("UPDATE {} SET `executed` = ", self.names.checkpoint).into_bytes();
        literal::text(&mut sql, &executed.to_string());
        if let Some(identity) = &update.source_identity {
            sql.extend_from_slice(b", `source_identity` = ");
            literal::text(&mut sql, identity);
        }
        if let Some(proof) = &update.position_proof {
            sql.extend_from_slice(b", `position_proof` = ");
            literal::text(&mut sql, proof);
        }
        if let Some(schemas) = &update.schemas {
            sql.extend_from_slice(b", `table_schemas` = ");
            literal::blob(&mut sql, schemas);
        }
        let source = literal::text_string(&self.spec.source_id);
        sql.extend_from_slice(
            format!(" WHERE `source_id` = {source} AND `stream` = {MAIN_STREAM}").as_bytes(),
        );
        self.spine_packet(spine, &[], |packet| {
            packet.record_exactly(&sql, 1);
            for statement in &update.beside {
                packet.record(statement.as_bytes());
            }
            for (_, text) in &covered {
                let txn = literal::text_string(text);
                packet.record(
                    format!(
                        "DELETE FROM {} WHERE `source_id` = {source} AND `stream` = {MAIN_STREAM} AND `txn` = {txn}",
                        self.names.ddl
                    )
                    .as_bytes(),
                );
            }
            if retire {
                packet.record(
                    format!(
                        "DELETE FROM {} WHERE `source_id` = {source} AND `stream` = {MAIN_STREAM} AND `lane` >= {lanes}",
                        self.names.lane
                    )
                    .as_bytes(),
                );
            }
        })
        .await?;
        hold(Failpoint::AfterCheckpoint);
        let mut state = self.state();
        state.ddl_done.retain(|entry| !covered.contains(entry));
        state.retire = false;
        state.checkpointed = executed;
        Ok(())
    }

    /// Changes the roster that the next packet of lane -1 writes.
    pub(crate) fn set_roster(&self, stream: u32, lanes: u32) {
        let mut state = self.state();
        let roster = &mut state.spine_done.roster;
        roster.retain(|(s, _)| *s != stream);
        if lanes > 0 {
            roster.push((stream, lanes));
            roster.sort_unstable();
        }
    }
}
