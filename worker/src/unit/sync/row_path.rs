//! Rows on their way through the pipeline: into the batch, or in parts where a transaction is larger than one.
use bytes::Bytes;
use dm_binlog::{Event, EventHeader};
use dm_target::TxnId;
use tracing::info;

use super::{
    assembler::Transaction, batcher::check_part, changes::Changes, ddl_beside::overtakes, far::back,
    pipeline::Pipeline, reader::damaged, spool::Held, stats::Place,
};
use crate::failure::Failure;

impl Pipeline<'_> {
    /// Rows into the batch; a large transaction leaves in parts.
    pub(super) async fn rows(&mut self, txn: &TxnId, transaction: &Transaction) -> Result<(), Failure> {
        let mut changes = Changes::default();
        changes.replay = self.safe_mode.of(transaction);
        let applied = self.batcher.applied_part(txn).cloned();
        let mut total = 0;
        // What did not fit in memory is no single packet either.
        let mut cut = transaction.events.is_on_disk();
        let now = self.row_decoder.checksum();
        self.row_decoder.set_checksum(transaction.checksum);
        let mut events = transaction.events.read()?;
        while let Some(held) = events.advance()? {
            let skip = applied.as_ref().is_some_and(|p| changes.ordinal < p.ordinal);
            match held {
                Held::Event(raw) => total += self.row_event(&raw, transaction, &mut changes, skip).await?,
                Held::Passed(passed) => {
                    changes.passed(&passed);
                    if passed.ends_statement {
                        self.row_decoder.end_statement();
                    }
                }
            }
            if let Some(part) = applied.as_ref().filter(|p| skip && changes.ordinal >= p.ordinal) {
                check_part(part, &changes)?;
            }
            if self.batcher.too_large(&changes, cut) {
                cut = true;
                self.batcher.check_fits(&changes)?;
                let sent = self.batcher.part(self.attachment, txn, &mut changes).await;
                sent.map_err(|e| self.target(&e))?;
            }
        }
        self.row_decoder.set_checksum(now);
        let handed = self.batcher.handed;
        self.metrics.batch_rows.observe(total as f64);
        let added = self.batcher.add(self.attachment, txn.clone(), &mut changes).await;
        added.map_err(|e| self.target(&e))?;
        if self.batcher.handed != handed && self.batcher.is_empty() {
            self.context.status.sync.submitted(total);
        } else {
            self.context.status.sync.added(total);
        }
        if let Some(stored) = self.tables.take_changed() {
            self.keeper.set_schemas(stored.encode()).await;
        }
        Ok(())
    }

    /// Writes one event; gives the number of its rows. What is applied already is only counted.
    async fn row_event(
        &mut self,
        raw: &Bytes,
        transaction: &Transaction,
        changes: &mut Changes,
        skip: bool,
    ) -> Result<u64, Failure> {
        let ends = || event_end(&transaction.end, raw);
        let (_, event) = self.row_decoder.decode(raw).map_err(|e| damaged(ends(), e))?;
        match event {
            Event::TableMap(map) => {
                if self.tables.waits(&map)? && !overtakes() {
                    info!(task = %self.context.task, source = %self.context.source_id, table = %map.table_lossy(), "rows wait for a DDL of their table");
                    self.ddl_ended().await?;
                }
                self.tables.resolve(&map, &transaction.start).await?;
                self.unify(changes).await?;
                Ok(0)
            }
            Event::Rows(rows) => {
                let mut table = match self.tables.resolved(&rows.table) {
                    Some(table) => table,
                    None => {
                        let table = self.tables.resolve(&rows.table, &transaction.start).await?;
                        self.unify(changes).await?;
                        table
                    }
                };
                let (before, after) = (rows.columns_before.as_ref(), rows.columns_after.as_ref());
                if let Some(known) = table.as_ref().filter(|t| !t.writer.has_key_columns(before, after)) {
                    self.tables.order_as_a_whole(known);
                    self.unify(changes).await?;
                    table = self.tables.resolve(&rows.table, &transaction.start).await?;
                }
                match table {
                    Some(table) if !skip && !table.filter.skips(&rows, &table.source)? => {
                        let (count, skipped) = changes.write(&rows, &table).map_err(|f| f.context(ends()))?;
                        if skipped > 0 {
                            self.context.status.sync.filtered(skipped);
                        }
                        self.metrics.event_rows.observe(count as f64);
                        Ok(count)
                    }
                    table => {
                        let count = changes.pass(&rows).map_err(|f| f.context(ends()))?;
                        if !skip && self.tables.filters(&rows.table, table.as_deref()) {
                            self.context.status.sync.filtered(count);
                        }
                        Ok(0)
                    }
                }
            }
            _ => Ok(0),
        }
    }

    /// Tables that merge into one have changed to one token: what has other ones of theirs goes first.
    async fn unify(&mut self, changes: &mut Changes) -> Result<(), Failure> {
        let Some(drain) = self.tables.take_to_drain() else { return Ok(()) };
        changes.add_token(drain.token);
        self.flush().await?;
        self.attachment.settled(&[drain.table]).await.map_err(|e| self.target(&e))
    }
}

/// Where an event of a transaction ends; its header has been read before.
fn event_end(end: &Place, raw: &Bytes) -> String {
    let pos = EventHeader::parse(raw).map_or(end.pos, |h| back(end.pos, h.log_pos));
    format!("the event ends at {}", Place { file: end.file.clone(), pos }.text())
}
