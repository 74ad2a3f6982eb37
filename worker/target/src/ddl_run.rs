//! Running a DDL between intent and done.

use dm_failpoints::{Failpoint, hold};
use xxhash_rust::xxh3::xxh3_64;

use crate::ddl::{DdlDecision, DdlRecord, DdlStep};
use crate::error::TargetError;
use crate::link::Link;
use crate::literal::{self, text_string};
use crate::rows::definitions_text;
use crate::session;
use crate::shared::Shared;
use crate::spec::MAIN_STREAM;
use crate::spine::Spine;
use crate::txn::TxnId;

impl Shared {
    /// Intent, statement, done. Everything before it that it has to do with is acknowledged, and nothing later is sent until
    /// it is done.
    pub(crate) async fn run_ddl(&self, step: DdlStep) -> Result<(), TargetError> {
        self.with_ddl(async |shared, link| shared.intent_to_done(link, step).await).await
    }

    async fn intent_to_done(&self, link: &mut Link, step: DdlStep) -> Result<(), TargetError> {
        let txn_text = match &step.txn {
            Some(txn) => txn.to_string(),
            // Unique: the load's own DDL belongs to no transaction, and the intent itself counts the number up.
            None => {
                let seq = self.with_spine(async |_, spine| Ok(spine.seq)).await?;
                format!("load:{:016x}:{seq}", self.attempt)
            }
        };
        let mut before = Vec::with_capacity(step.objects.len());
        for object in &step.objects {
            before.push((object.clone(), self.definition(link, object).await?));
        }
        let record = DdlRecord {
            txn_text,
            txn: step.txn,
            ordinal: step.ordinal,
            last: step.last,
            hash: xxh3_64(&step.sql),
            class: step.class,
            sql: step.sql,
            session: step.session,
            before,
            done: false,
        };
        let intent = self.intent_sql(&record);
        hold(Failpoint::BeforeIntent);
        if !self.spec.breaks_intent() {
            self.with_spine(async |shared, spine| {
                shared.spine_packet(spine, &[], |packet| packet.record(&intent)).await
            })
            .await?;
        }
        hold(Failpoint::AfterIntent);
        self.run_statement(link, &record).await?;
        hold(Failpoint::AfterStatement);
        self.ddl_done(&record).await?;
        hold(Failpoint::AfterDone);
        if let Some(txn) = record.txn.filter(|_| record.last) {
            let mut state = self.state();
            let number = state.tracker.push(vec![txn], None)?;
            state.tracker.ack(number)?;
            state.stats.transactions += 1;
        }
        Ok(())
    }

    /// Settles an undecided DDL.
    pub(crate) async fn settle_ddl(
        &self,
        record: &DdlRecord,
        decision: DdlDecision,
    ) -> Result<(), TargetError> {
        if decision == DdlDecision::Run {
            self.with_ddl(async |shared, link| shared.run_statement(link, record).await).await?;
            hold(Failpoint::AfterStatement);
        }
        self.ddl_done(record).await?;
        hold(Failpoint::AfterDone);
        let mut state = self.state();
        if let Some(txn) = record.txn.as_ref().filter(|_| record.last) {
            state.tracker.insert(txn)?;
            state.stats.transactions += 1;
        }
        state.undecided = false;
        Ok(())
    }

    /// One swap: the transaction joins the set. Its records, if it has any, go with the next checkpoint.
    pub(crate) async fn join_skipped(&self, spine: &mut Spine, txn: &TxnId) -> Result<(), TargetError> {
        hold(Failpoint::BeforeSkip);
        self.spine_packet(spine, &[txn], |_| {}).await?;
        hold(Failpoint::AfterSkip);
        let mut state = self.state();
        let number = state.tracker.push(vec![txn.clone()], None)?;
        state.tracker.ack(number)?;
        state.stats.transactions += 1;
        Ok(())
    }

    pub(crate) async fn forget_undecided(
        &self,
        spine: &mut Spine,
        record: &DdlRecord,
    ) -> Result<(), TargetError> {
        let sql = format!(
            "DELETE FROM {} WHERE `source_id` = {} AND `stream` = {MAIN_STREAM} AND `txn` = {} AND `ordinal` = {} \
             AND `state` = 'intent'",
            self.names.ddl,
            text_string(&self.spec.source_id),
            text_string(&record.txn_text),
            record.ordinal
        );
        hold(Failpoint::BeforeForget);
        self.spine_packet(spine, &[], |packet| packet.record_exactly(sql.as_bytes(), 1)).await?;
        hold(Failpoint::AfterForget);
        self.state().undecided = false;
        Ok(())
    }

    async fn run_statement(&self, link: &mut Link, record: &DdlRecord) -> Result<(), TargetError> {
        let packet = self.spec.limits.packet;
        for statement in &record.session {
            link.run(statement.as_bytes(), packet).await?;
        }
        hold(Failpoint::BeforeDdl);
        let begun = tokio::time::Instant::now();
        loop {
            match link.run(&record.sql, self.spec.limits.ddl).await {
                Ok(_) => break,
                // Somebody holds a lock on the table; nothing has been changed.
                Err(TargetError::Sql { code: 1205 | 1213, .. })
                    if begun.elapsed() < self.spec.limits.retry =>
                {
                    self.state().stats.retries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Err(error) => {
                    if let (TargetError::Sql { .. }, true) = (&error, *self.ddl_open.borrow()) {
                        self.state().refused = record.txn.iter().cloned().collect();
                    }
                    return Err(error);
                }
            }
        }
        if !record.session.is_empty() {
            for statement in session::session_statements(&self.spec.address, self.spec.foreign_key_checks) {
                link.run(statement.as_bytes(), packet).await?;
            }
        }
        Ok(())
    }

    /// The second swap: stores done, and the transaction joins the set with its last statement.
    async fn ddl_done(&self, record: &DdlRecord) -> Result<(), TargetError> {
        let key = format!(
            "`source_id` = {} AND `stream` = {MAIN_STREAM} AND `txn` = {} AND `ordinal` = {}",
            text_string(&self.spec.source_id),
            text_string(&record.txn_text),
            record.ordinal
        );
        let joins: Vec<_> =
            record.txn.iter().filter(|_| record.last && !self.spec.breaks_ddl_set()).collect();
        let sql = if record.txn.is_some() {
            format!("UPDATE {} SET `state` = 'done' WHERE {key} AND `state` = 'intent'", self.names.ddl)
        } else {
            format!("DELETE FROM {} WHERE {key} AND `state` = 'intent'", self.names.ddl)
        };
        let records = u64::from(!self.spec.breaks_intent());
        self.with_spine(async |shared, spine| {
            shared.spine_packet(spine, &joins, |packet| packet.record_exactly(sql.as_bytes(), records)).await
        })
        .await?;
        if let Some(txn) = &record.txn {
            self.state().ddl_done.push((txn.clone(), record.txn_text.clone()));
        }
        Ok(())
    }

    fn intent_sql(&self, record: &DdlRecord) -> Vec<u8> {
        let mut sql = format!(
            "INSERT INTO {} (`source_id`, `stream`, `txn`, `ordinal`, `last`, `hash`, `class`, `state`, `sql_text`, \
             `session`, `definitions`) VALUES ({}, {MAIN_STREAM}, {}, {}, {}, {}, '{}', 'intent', ",
            self.names.ddl,
            text_string(&self.spec.source_id),
            text_string(&record.txn_text),
            record.ordinal,
            u8::from(record.last),
            record.hash,
            record.class.as_str(),
        )
        .into_bytes();
        literal::blob(&mut sql, &record.sql);
        sql.extend_from_slice(b", ");
        let session: Vec<serde_json::Value> =
            record.session.iter().map(|s| serde_json::Value::String(s.clone())).collect();
        literal::text(&mut sql, &serde_json::Value::Array(session).to_string());
        sql.extend_from_slice(b", ");
        literal::text(&mut sql, &definitions_text(&record.before));
        sql.push(b')');
        sql
    }
}
