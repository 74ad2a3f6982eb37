//! What operators do: skip, replace, inject.
use dm_proto::{
    error::Code,
    worker::{ErrorOperator, OperatorKind},
};
use dm_schema::{SqlMode, ddl::parse};
use dm_target::{DdlStep, TxnId};
use tracing::{info, warn};

use super::{
    assembler::{Statement, Transaction, short},
    ddl,
    ddl_after::nothing_left,
    operators::ordinal,
    pipeline::{Pipeline, already_in},
    stats::Place,
    unit::parse_txn,
};
use crate::failure::Failure;

/// STRICT_TRANS_TABLES: for statements that a person gives for an event that has no mode.
const STRICT: u64 = 1 << 21;

impl Pipeline<'_> {
    /// The event as its operator wants it. The operator is consumed by what makes the transaction a member of the executed
    /// set: from then on it is passed over, with or without an operator.
    pub(super) async fn operated(
        &mut self,
        operator: &ErrorOperator,
        txn: &TxnId,
        transaction: &Transaction,
    ) -> Result<(), Failure> {
        self.ddl_ended().await?;
        match operator.kind() {
            OperatorKind::OperatorSkip => self.skip(txn, transaction).await?,
            OperatorKind::OperatorReplace => {
                let steps = self.given(operator, txn, transaction)?;
                let pending =
                    ddl::left_behind(transaction, &self.tables, txn, |t| already_in(t, transaction));
                self.audit("an event is replaced by an operator's statements", txn, transaction);
                self.execute(ddl::Plan::new(steps, pending), txn, transaction, false).await?;
            }
            OperatorKind::OperatorInject => {
                // They are the target's alone: the source's definitions stay.
                let steps = self.given(operator, txn, transaction)?;
                self.audit("an operator's statements come before an event", txn, transaction);
                match &transaction.ddl {
                    Some(statement) => self.definition(txn, statement, transaction, steps).await?,
                    None => {
                        let plan = ddl::Plan::new(steps, nothing_left(txn));
                        self.execute(plan, txn, transaction, true).await?;
                    }
                }
            }
            OperatorKind::OperatorInvalid => {
                return Err(Failure::new(Code::InvalidOperation, "an operator without a kind"));
            }
        }
        self.consumed(operator, "the event is in the executed set");
        Ok(())
    }

    /// The whole transaction joins the set, and nothing of it is applied.
    async fn skip(&mut self, txn: &TxnId, transaction: &Transaction) -> Result<(), Failure> {
        self.flush().await?;
        self.attachment.drain().await.map_err(|e| self.target(&e))?;
        self.audit("a transaction is skipped by an operator", txn, transaction);
        let mut pending = ddl::left_behind(transaction, &self.tables, txn, |t| already_in(t, transaction));
        pending.file.clone_from(&transaction.start.file);
        pending.pos = transaction.start.pos;
        let mut stored = self.tables.to_stored();
        stored.pending = Some(pending.clone());
        self.keeper.set_schemas(stored.encode()).await;
        self.keeper.write(self.attachment).await.map_err(|e| self.target(&e))?;
        self.attachment.skip(txn).await.map_err(|e| self.target(&e))?;
        self.tables.replace(pending);
        if let Some(stored) = self.tables.take_changed() {
            self.keeper.set_schemas(stored.encode()).await;
        }
        self.context.status.sync.submitted(0);
        Ok(())
    }

    /// The statements that a person gave, with names of the source, filtered and routed as the source's own.
    fn given(
        &self,
        operator: &ErrorOperator,
        txn: &TxnId,
        transaction: &Transaction,
    ) -> Result<Vec<DdlStep>, Failure> {
        let mut steps = Vec::new();
        let place = transaction.end.text();
        for sql in &operator.sqls {
            let broken = |why: &dyn std::fmt::Display| {
                Failure::new(
                    Code::DdlUnparseable,
                    format!("the statement given for the event can't be run: [{}]", short(sql)),
                )
                .cause(why)
            };
            let mode = SqlMode::from_bits(STRICT);
            let statements = parse(sql, mode, "").map_err(|e| broken(&e))?;
            if statements.iter().flat_map(|s| &s.tables).any(|t| t.schema.is_empty()) {
                return Err(broken(&"every table needs the name of its database before it"));
            }
            let statement = Statement {
                sql: sql.clone(),
                schema: String::new(),
                statements,
                sql_mode: transaction.ddl.as_ref().map_or(mode, |d| d.sql_mode),
                timestamp: transaction.timestamp,
                microseconds: 0,
                time_zone: None,
                collation_server: None,
                garbled: false,
            };
            let plan = ddl::plan(&statement, &self.tables, txn, &place, |_| true, self.dialect)
                .map_err(|e| broken(&e))?;
            if plan.keeps {
                return Err(broken(
                    &"it names a shadow table of an online schema change, which the target does not have; skip the event here, and give the statement for the table itself in place of the rename that ends the change",
                ));
            }
            steps.extend(plan.steps);
        }
        for (number, step) in steps.iter_mut().enumerate() {
            step.ordinal = ordinal(operator, number);
            // The operator is done with once they are executed, and not before.
            step.beside = false;
        }
        if steps.len() > 255 {
            return Err(Failure::new(Code::InvalidOperation, "more than 255 statements for one event"));
        }
        Ok(steps)
    }

    fn audit(&self, what: &str, txn: &TxnId, transaction: &Transaction) {
        let sql = transaction.ddl.as_ref().map_or(transaction.passed.as_str(), |d| d.sql.as_str());
        warn!(
            task = %self.context.task, source = %self.context.source_id, transaction = %txn,
            start = %transaction.start.text(), end = %transaction.end.text(), sql = %short(sql), "{what}"
        );
    }

    /// The leader may forget the operator.
    pub(super) fn consumed(&self, operator: &ErrorOperator, why: &str) {
        if self.context.status.has_operator_done(operator.id) {
            return;
        }
        info!(
            task = %self.context.task, source = %self.context.source_id, operator = operator.id,
            kind = operator.kind().as_str_name(), place = %format!("{}:{}", operator.file, operator.pos),
            "operator is consumed: {why}"
        );
        self.context.status.operator_done(operator.id);
    }

    /// Operators of transactions that are applied: the source does not send them again.
    pub(super) fn forget_executed(&self) {
        let executed = self.attachment.executed();
        for operator in self.operators.list().iter().filter(|o| !o.gtid.is_empty()) {
            if parse_txn(&operator.gtid, &executed).is_some_and(|txn| executed.contains(&txn)) {
                self.consumed(operator, "its transaction is applied");
            }
        }
    }

    /// Operators at places where no event begins would wait for ever. An event that the stream has passed and that is not in
    /// the executed set is met again by the next attempt.
    pub(super) fn forget_passed(&self, met: Option<&ErrorOperator>, end: &Place) {
        let ddl = self.recent.ddl_start().filter(|_| self.attachment.has_ddl());
        let open = |o: &ErrorOperator| {
            ddl.iter().chain(self.undecided.starts()).any(|at| at.file == o.file && at.pos == o.pos)
        };
        for operator in self.operators.passed(end).filter(|o| met.is_none_or(|m| m.id != o.id) && !open(o)) {
            self.consumed(operator, "the stream has gone past its place, and no event begins there");
        }
    }
}
