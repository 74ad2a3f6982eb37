//! DDL on its way through the pipeline: a barrier for its tables or for all, with the definitions stored before and after.
use dm_proto::error::Code;
use dm_schema::{
    TableName,
    ddl::{DdlKind, DdlStatement},
};
use dm_target::{DdlStep, TxnId};
use tracing::{info, warn};

use super::{
    assembler::{Statement, Transaction, short},
    ddl,
    ddl_filter::skipped,
    ddl_visible::decidable,
    feeders::other_feeder,
    online::{Handling, handlings},
    pipeline::{Pipeline, already_in},
    stats::Place,
    stored_tables::StoredTable,
};
use crate::{failure::Failure, unit::rules::Online};

impl Pipeline<'_> {
    /// A DDL event, with what a person wants executed before it.
    pub(super) async fn definition(
        &mut self,
        txn: &TxnId,
        statement: &Statement,
        transaction: &Transaction,
        injected: Vec<DdlStep>,
    ) -> Result<(), Failure> {
        if !self.concerns_nobody(statement)? {
            // One at a time, and its definitions are what the last one has left.
            self.ddl_ended().await?;
        }
        let end = &transaction.end;
        let original = (statement.statements.len() == 1).then_some(statement.sql.as_str());
        let handled = handlings(&statement.statements, &self.tables.rules, self.tables.online())?;
        for (part, handling) in statement.statements.iter().zip(&handled) {
            match handling {
                Handling::CutOver(real) => self.is_known(part, real, statement, end).await?,
                Handling::Begin => self.has_real(part, statement, end).await?,
                Handling::Nothing if part.kind == DdlKind::CreateTable => {
                    let name = part.subject().map(ToString::to_string).unwrap_or_default();
                    warn!(task = %self.context.task, source = %self.context.source_id, table = %name, "a table is left out: by its name it belongs to an online schema change");
                }
                _ => {}
            }
            if *handling != Handling::Ordinary {
                continue;
            }
            let before = part.subject().and_then(|s| self.tables.stored(s));
            if skipped(part, original, &self.tables.rules, before)? {
                continue;
            }
            self.is_made(part).await?;
            if let Some(other) = other_feeder(part, &mut self.tables).await? {
                return Err(would_remove(&other, statement, end));
            }
        }
        let included = |table: &StoredTable| already_in(table, transaction);
        let mut plan = ddl::plan(statement, &self.tables, txn, &end.text(), included, self.dialect)?;
        if plan.steps.is_empty() && injected.is_empty() && !plan.keeps {
            if plan.pending.gone.is_empty() && plan.pending.after.is_empty() {
                return self.rows(txn, transaction).await;
            }
            // A new name that leads to the same table, or a statement that a filter skips: nothing to do at the target,
            // but the definitions of what was read before and what comes after differ.
            return self.execute(plan, txn, transaction, !transaction.events.is_empty()).await;
        }
        let named = statement.time_zone.as_deref().filter(|z| !z.starts_with(['+', '-']));
        if let Some(zone) = named.filter(|_| plan.needs_time_zone()) {
            // Defaults of DATETIME columns, and literals of TIMESTAMP columns, depend on it; the target may not know it.
            let zone = self.tables.source().zone_offset(zone, statement.timestamp).await?;
            plan.set_time_zone(&zone);
        }
        plan.steps.splice(0..0, injected);
        self.execute(plan, txn, transaction, !transaction.events.is_empty()).await
    }

    /// A tool makes a shadow of a table that exists; another table only has a name like that, and would be left out.
    async fn has_real(
        &mut self,
        part: &DdlStatement,
        statement: &Statement,
        end: &Place,
    ) -> Result<(), Failure> {
        let Some(shadow) = part.subject() else { return Ok(()) };
        let Online::Shadow(real) = self.tables.rules.online(shadow) else { return Ok(()) };
        let Some(target) = self.tables.rules.target_of(&real)? else { return Ok(()) };
        if self.tables.is_at_target(&target).await? {
            return Ok(());
        }
        Err(Failure::new(
            Code::DdlUnparseable,
            format!(
                "endLocation: [position: {}], origin SQL: [{}]: by its name {shadow} is made in place of {real}, and there is \
                 no table {target} at the target",
                end.text(),
                short(&statement.sql)
            ),
        )
        .workaround(
            "If it is a table like any other, please give the task narrower `shadow-table-rules` or `online-ddl: false`; if \
             it is to be left out, skip the statement.",
        ))
    }

    /// A swap of a shadow whose making was not seen: what altered it is not known, but perhaps the target has it.
    async fn is_known(
        &mut self,
        part: &DdlStatement,
        real: &TableName,
        statement: &Statement,
        end: &Place,
    ) -> Result<(), Failure> {
        let Some(shadow) = part.subject() else { return Ok(()) };
        let Some(target) = self.tables.rules.target_of(real)? else { return Ok(()) };
        if self.tables.online().iter().any(|c| c.shadow() == *shadow)
            || self.tables.same_at_both_ends(real, &target).await?
        {
            return Ok(());
        }
        Err(Failure::new(
            Code::DdlUnparseable,
            format!(
                "endLocation: [position: {}], origin SQL: [{}]: the task has not seen how {shadow} was made and altered, and \
                 {target} at the target has other columns or keys than {real} has now",
                end.text(),
                short(&statement.sql)
            ),
        )
        .workaround(format!(
            "Please replace the statement with the ALTER TABLE of {real} that the tool was given, or skip it where the target's \
             table needs no change."
        )))
    }

    /// Runs the statements, each between intent and done; the transaction joins the set with the last of them, or with
    /// the rows that follow. Where only some tables have to do with it, their rows before it are applied and their rows after
    /// it wait for it; else it is a barrier for all.
    pub(super) async fn execute(
        &mut self,
        mut plan: ddl::Plan,
        txn: &TxnId,
        transaction: &Transaction,
        rows_follow: bool,
    ) -> Result<(), Failure> {
        self.ddl_ended().await?;
        self.flush().await?;
        plan.pending.file.clone_from(&transaction.start.file);
        plan.pending.pos = transaction.start.pos;
        plan.steps.retain(|step| {
            !self.done_ddl.iter().any(|d| d.txn.as_ref() == Some(txn) && d.ordinal == step.ordinal)
        });
        decidable(&mut plan.steps, &mut self.tables).await?;
        if let Some(step) = plan.steps.last_mut() {
            step.last = !rows_follow;
        }
        for step in &plan.steps {
            let sql = String::from_utf8_lossy(&step.sql);
            info!(task = %self.context.task, source = %self.context.source_id, ddl = %sql, "DDL is executed at the target");
        }
        if let Some(targets) = self.only_these(&plan, rows_follow).await? {
            return self.begin_beside(plan, targets, txn, transaction).await;
        }
        self.attachment.drain().await.map_err(|e| self.target(&e))?;
        // Definitions before and after are stored first: whichever way a crash goes, one of them fits.
        let mut stored = self.tables.to_stored();
        stored.pending = Some(plan.pending.clone());
        self.keeper.set_schemas(stored.encode()).await;
        self.keeper.write(self.attachment).await.map_err(|e| self.target(&e))?;
        self.context.status.sync.set_blocking_ddl(&plan.text());
        for step in plan.steps {
            let sql = String::from_utf8_lossy(&step.sql).into_owned();
            self.attachment
                .ddl(step)
                .await
                .map_err(|e| self.target(&e).context(format!("execute SQL: [{sql}]")))?;
        }
        self.context.status.sync.set_blocking_ddl("");
        if !rows_follow && !self.attachment.executed().contains(txn) {
            // Nothing of it is left to run.
            self.attachment.skip(txn).await.map_err(|e| self.target(&e))?;
        }
        self.tables.replace(plan.pending);
        if rows_follow {
            self.rows(txn, transaction).await?;
            self.flush().await?;
            self.attachment.drain().await.map_err(|e| self.target(&e))?;
        } else {
            self.context.status.sync.submitted(0);
        }
        if let Some(stored) = self.tables.take_changed() {
            self.keeper.set_schemas(stored.encode()).await;
        }
        Ok(())
    }
}

fn would_remove(other: &str, statement: &Statement, end: &Place) -> Failure {
    Failure::new(
        Code::DdlUnparseable,
        format!(
            "endLocation: [position: {}], origin SQL: [{}]: it would also remove or move the rows that {other} has in the same table at the target",
            end.text(),
            short(&statement.sql)
        ),
    )
    .workaround("Please remove the rows of this table at the target by hand, and skip the statement.")
}
