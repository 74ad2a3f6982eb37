//! Running a DDL between intent and done.

use xxhash_rust::xxh3::xxh3_64;

use crate::ddl::{DdlClass, DdlDecision, DdlObject, DdlRecord, DdlStep};
use crate::error::TargetError;
use crate::hold::hold;
use crate::literal::{self, ident, text_string};
use crate::rows::definitions_text;
use crate::session;
use crate::shared::Shared;
use crate::spec::MAIN_STREAM;
use crate::spine::Spine;
use crate::txn::TxnId;

impl Shared {
    /// Intent, statement, done. Everything before it is acknowledged, nothing later is sent until it is done.
    pub(crate) async fn run_ddl(&self, spine: &mut Spine, step: DdlStep) -> Result<(), TargetError> {
        let txn_text = match &step.txn {
            Some(txn) => txn.to_string(),
            // Unique: the load's own DDL belongs to no transaction.
            None => format!("load:{:016x}:{}", self.attempt, spine.seq),
        };
        let mut before = Vec::with_capacity(step.objects.len());
        for object in &step.objects {
            before.push((object.clone(), self.definition(spine, object).await?));
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
        hold("target::before_intent");
        self.spine_packet(spine, &[], |packet| packet.record(&intent)).await?;
        hold("target::after_intent");
        self.run_statement(spine, &record).await?;
        hold("target::after_statement");
        self.ddl_done(spine, &record).await?;
        hold("target::after_done");
        Ok(())
    }

    /// Settles an undecided DDL.
    pub(crate) async fn settle_ddl(
        &self,
        spine: &mut Spine,
        record: &DdlRecord,
        decision: DdlDecision,
    ) -> Result<(), TargetError> {
        if decision == DdlDecision::Run {
            self.run_statement(spine, record).await?;
            hold("target::after_statement");
        }
        self.ddl_done(spine, record).await?;
        hold("target::after_done");
        self.state().undecided = false;
        Ok(())
    }

    /// One swap: the transaction joins the set. Its records, if it has any, go with the next checkpoint.
    pub(crate) async fn join_skipped(&self, spine: &mut Spine, txn: &TxnId) -> Result<(), TargetError> {
        self.spine_packet(spine, &[txn], |_| {}).await?;
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
        self.spine_packet(spine, &[], |packet| packet.record_exactly(sql.as_bytes(), 1)).await?;
        self.state().undecided = false;
        Ok(())
    }

    async fn run_statement(&self, spine: &mut Spine, record: &DdlRecord) -> Result<(), TargetError> {
        let packet = self.spec.limits.packet;
        for statement in &record.session {
            spine.link.run(statement.as_bytes(), packet).await?;
        }
        hold("target::before_ddl");
        let begun = tokio::time::Instant::now();
        loop {
            match spine.link.run(&record.sql, self.spec.limits.ddl).await {
                Ok(_) => break,
                // Somebody holds a lock on the table; nothing has been changed.
                Err(TargetError::Sql { code: 1205 | 1213, .. })
                    if begun.elapsed() < self.spec.limits.retry =>
                {
                    self.state().stats.retries += 1;
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
        if !record.session.is_empty() {
            for statement in session::statements(&self.spec.address, self.spec.foreign_key_checks) {
                spine.link.run(statement.as_bytes(), packet).await?;
            }
        }
        Ok(())
    }

    /// The second swap: stores done, and the transaction joins the set with its last statement.
    async fn ddl_done(&self, spine: &mut Spine, record: &DdlRecord) -> Result<(), TargetError> {
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
        self.spine_packet(spine, &joins, |packet| packet.record_exactly(sql.as_bytes(), 1)).await?;
        let mut state = self.state();
        if let Some(txn) = &record.txn {
            state.ddl_done.push((txn.clone(), record.txn_text.clone()));
            if record.last {
                let number = state.tracker.push(vec![txn.clone()], None)?;
                state.tracker.ack(number)?;
                state.stats.transactions += 1;
            }
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

    /// `SHOW CREATE` text of an object, None when it doesn't exist. Asked first whether it exists: an error would
    /// cost the connection.
    async fn definition(&self, spine: &mut Spine, object: &DdlObject) -> Result<Option<String>, TargetError> {
        let deadline = self.spec.limits.packet;
        let schema = text_string(&object.schema);
        let (exists, show) = match &object.table {
            Some(table) => (
                format!(
                    "SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} AND table_name = {}",
                    text_string(table)
                ),
                format!("SHOW CREATE TABLE {}.{}", ident(&object.schema), ident(table)),
            ),
            None => (
                format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {schema}"),
                format!("SHOW CREATE DATABASE {}", ident(&object.schema)),
            ),
        };
        if spine.link.first::<u8>(&exists, deadline).await?.is_none() {
            return Ok(None);
        }
        let row: Option<mysql_async::Row> = spine.link.first(&show, deadline).await?;
        let text = row.and_then(|mut row| row.take::<Vec<u8>, usize>(1));
        match text {
            Some(text) => Ok(Some(without_counter(&String::from_utf8_lossy(&text)))),
            None => {
                Err(TargetError::Corrupt { what: show, message: "no definition in the answer".to_owned() })
            }
        }
    }

    /// How an undecided DDL has to be settled; None = a person decides.
    pub(crate) async fn judge_ddl(
        &self,
        spine: &mut Spine,
        record: &DdlRecord,
    ) -> Result<Option<DdlDecision>, TargetError> {
        match record.class {
            DdlClass::Repeatable => Ok(Some(DdlDecision::Run)),
            DdlClass::Neither => Ok(None),
            DdlClass::Decidable => {
                let mut changed = 0;
                for (object, before) in &record.before {
                    let now = self.definition(spine, object).await?;
                    // It was refused, for the object was there; somebody has removed that since.
                    if creates(&record.sql) && before.is_some() && now.is_none() {
                        return Ok(Some(DdlDecision::Run));
                    }
                    if now != *before {
                        changed += 1;
                    }
                }
                Ok(match changed {
                    _ if record.before.is_empty() => None,
                    0 => Some(DdlDecision::Run),
                    n if n == record.before.len() => Some(DdlDecision::Executed),
                    // Half of it has happened: neither running nor skipping it is right.
                    _ => None,
                })
            }
        }
    }
}

fn creates(sql: &[u8]) -> bool {
    sql.get(..7).is_some_and(|head| head.eq_ignore_ascii_case(b"CREATE "))
        && !sql
            .get(7..)
            .is_some_and(|rest| rest.to_ascii_uppercase().windows(6).take(24).any(|w| w == b"INDEX "))
}

/// A definition without ` AUTO_INCREMENT=n`: every row that is written moves it.
pub fn without_counter(create: &str) -> String {
    let marker = " AUTO_INCREMENT=";
    // Only in the table options, after the last closing parenthesis of the columns.
    let Some(at) = create.rfind(marker) else { return create.to_owned() };
    let rest = create.get(at + marker.len()..).unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return create.to_owned();
    }
    format!("{}{}", create.get(..at).unwrap_or_default(), rest.get(digits..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{creates, without_counter};

    #[test]
    fn only_what_makes_its_object_counts_as_creating() {
        assert!(creates(b"CREATE TABLE `a`.`t` (`id` int)"));
        assert!(creates(b"CREATE DATABASE IF NOT EXISTS `a`"));
        assert!(!creates(b"create unique index `i` on `a`.`t` (`id`)"));
        assert!(!creates(b"ALTER TABLE `a`.`t` ADD `v` int"));
    }

    #[test]
    fn the_counter_is_no_part_of_a_definition() {
        assert_eq!(
            without_counter("CREATE TABLE `t` (\n) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4"),
            "CREATE TABLE `t` (\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        );
        assert_eq!(without_counter("CREATE TABLE `t`"), "CREATE TABLE `t`");
    }
}
