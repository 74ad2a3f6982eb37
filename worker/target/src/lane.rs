//! One lane: a connection, a lane row and a queue of batches.

use std::sync::Arc;

use dm_failpoints::{Failpoint, hold};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::batch::Batch;
use crate::error::TargetError;
use crate::link::Link;
use crate::literal;
use crate::marks::Done;
use crate::packet::{Packet, Swap};
use crate::resume::CheckpointUpdate;
use crate::shared::Shared;

/// One batch on its way. The queue needs no bound of its own: every batch holds permits of the byte bound.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) number: u64,
    pub(crate) batch: Batch,
    pub(crate) waits: Vec<(u32, u64)>,
    pub(crate) bytes: usize,
}

/// One lane.
pub(crate) struct Lane {
    pub(crate) index: u32,
    pub(crate) link: Link,
    /// seq of its row as last acknowledged or read at take-over.
    pub(crate) seq: u64,
}

impl Lane {
    /// Applies its batches one after the other until the queue is closed or the attachment is dead.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, mut queue: UnboundedReceiver<Work>) {
        loop {
            let outcome = tokio::select! {
                biased;
                () = shared.dead.cancelled() => break,
                work = queue.recv() => match work {
                    None => break,
                    // Dropping it half way closes the connection: the attachment dies together.
                    Some(work) => tokio::select! {
                        biased;
                        () = shared.dead.cancelled() => break,
                        outcome = self.apply(&shared, work) => outcome,
                    },
                },
                () = tokio::time::sleep(shared.spec.limits.ping) => self.link.ping(shared.spec.limits.packet).await,
            };
            if let Err(error) = outcome {
                shared.fail(error);
                break;
            }
        }
        self.link.close().await;
    }

    async fn apply(&mut self, shared: &Shared, work: Work) -> Result<(), TargetError> {
        for &(lane, number) in &work.waits {
            let Some(acked) = shared.lane_acked.get(lane as usize) else { continue };
            let mut acked = acked.subscribe();
            // Bounded by the deadlines of that lane's own packets: it acknowledges or the attachment dies. It may take
            // longer than this connection's `wait_timeout`.
            loop {
                let there = tokio::select! {
                    biased;
                    there = acked.wait_for(|n| *n > number) => Some(there.map(drop)),
                    () = tokio::time::sleep(shared.spec.limits.ping) => None,
                };
                match there {
                    Some(there) => break there.map_err(|_| TargetError::Closed)?,
                    None => self.link.ping(shared.spec.limits.packet).await?,
                }
            }
        }
        let (low, done) = self.record(shared, &work.batch).await?;
        let done_text = done.text();
        let mut swap = Swap {
            lane: i32::try_from(self.index).unwrap_or(i32::MAX),
            attempt: shared.attempt,
            seq: self.seq,
            low: if shared.spec.breaks_done() { "" } else { &low },
            done: if shared.spec.breaks_done() { "" } else { &done_text },
        };
        if shared.spec.breaks_position() {
            shared.send(&mut self.link, &Packet::begin(&shared.spec, &shared.names, swap).commit()).await?;
            self.seq += 1;
            swap.seq = self.seq;
        }
        let mut packet = Packet::begin(&shared.spec, &shared.names, swap);
        packet.rows(&work.batch, shared.spec.foreign_key_checks);
        if let Some(mark) = &work.batch.chunk {
            let mut sql = format!(
                "UPDATE {} SET `pieces` = `pieces` + 1, `row_count` = `row_count` + {}, `state` = '{}' WHERE `source_id` = ",
                shared.names.load,
                mark.rows,
                if mark.last { "done" } else { "loading" },
            )
            .into_bytes();
            literal::text(&mut sql, &shared.spec.source_id);
            sql.extend_from_slice(
                format!(" AND `chunk` = {} AND `pieces` = {} AND `state` <> 'done'", mark.chunk, mark.piece)
                    .as_bytes(),
            );
            packet.record_exactly(&sql, 1);
        }
        let packet = packet.commit();
        hold(Failpoint::BeforeSend);
        if work.batch.part.is_some() {
            hold(Failpoint::BeforePart);
        }
        if work.batch.chunk.is_some() {
            hold(Failpoint::BeforeChunk);
        }
        let answers = match shared.send(&mut self.link, &packet).await {
            Ok(answers) => answers,
            Err(error) => {
                if matches!(error, TargetError::Sql { .. } | TargetError::RowsMissed { .. }) {
                    let part = work.batch.part.iter().map(|p| &p.txn);
                    shared.state().refused = work.batch.txns.iter().chain(part).cloned().collect();
                }
                return Err(error.of_batch(&work.batch));
            }
        };
        hold(Failpoint::AfterSend);
        if work.batch.part.is_some() {
            hold(Failpoint::AfterPart);
        }
        if work.batch.chunk.is_some() {
            hold(Failpoint::AfterChunk);
        }
        self.seq += 1;
        let (missed, warnings) = packet.misses(&answers);
        self.acknowledge(shared, work, done, missed, warnings)
    }

    /// What the packet will say: (low, done). Waits for a checkpoint where done would grow past its bound.
    async fn record(&self, shared: &Shared, batch: &Batch) -> Result<(String, Done), TargetError> {
        loop {
            {
                let state = shared.state();
                let mut done = state
                    .lane_done
                    .get(self.index as usize)
                    .cloned()
                    .ok_or_else(|| TargetError::Misuse { message: format!("no lane {}", self.index) })?;
                // Only what an acknowledged checkpoint covers may go.
                done.set.prune(&state.checkpointed);
                let alone = done.set.is_empty();
                for txn in &batch.txns {
                    done.set.insert(txn)?;
                }
                done.part = match (&batch.part, done.part.take()) {
                    (Some(part), _) => Some(part.clone()),
                    // A mark stays until its transaction is complete.
                    (None, Some(old))
                        if !batch.txns.contains(&old.txn) && !state.tracker.acked().contains(&old.txn) =>
                    {
                        Some(old)
                    }
                    (None, _) => None,
                };
                if alone || done.text().len() <= shared.spec.limits.done_bytes {
                    return Ok((state.tracker.low().to_string(), done));
                }
            }
            shared.set_blocked(Some(format!("lane {} waits for a checkpoint", self.index)));
            shared.checkpoint(CheckpointUpdate::default()).await?;
            shared.set_blocked(None);
        }
    }

    fn acknowledge(
        &self,
        shared: &Shared,
        work: Work,
        done: Done,
        missed: u64,
        warnings: u64,
    ) -> Result<(), TargetError> {
        let mut state = shared.state();
        let transactions = state.tracker.ack(work.number)?;
        let held = (work.batch.tokens.as_slice(), work.batch.tables.as_slice());
        state.detector.release(work.number, self.index, held, work.bytes);
        if let Some(slot) = state.lane_done.get_mut(self.index as usize) {
            *slot = done;
        }
        state.stats.packets += 1;
        state.stats.transactions += transactions;
        state.stats.rows += work.batch.rows;
        state.stats.rows_missed += missed;
        state.stats.warnings += warnings;
        let left = state.in_flight.saturating_sub(1);
        shared.set_in_flight(&mut state, left);
        drop(state);
        if missed > 0 {
            tracing::warn!(source = %shared.spec.source_id, lane = self.index, missed, "changes that matched no row");
        }
        if warnings > 0 {
            // Of columns that are the same on both sides: no value can have been cut, or strict mode had refused it.
            tracing::warn!(source = %shared.spec.source_id, lane = self.index, warnings, "the target warned about row changes");
        }
        if let Some(acked) = shared.lane_acked.get(self.index as usize) {
            acked.send_replace(work.number + 1);
        }
        Ok(())
    }
}
