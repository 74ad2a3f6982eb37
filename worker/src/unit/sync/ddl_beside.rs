//! DDL that is executed while rows of other tables go on.
use dm_schema::{
    TableName,
    ddl::{DdlKind, DdlStatement},
};
use dm_target::{DdlBeside, TxnId};

use super::{
    assembler::{Statement, Transaction},
    ddl::Plan,
    operators::OpenDdl,
    pipeline::{Pipeline, location},
    running::table_number,
};
use crate::failure::Failure;

impl Pipeline<'_> {
    /// The tables of the target, in lower case, that a DDL has to do with, where it may be executed while rows of all others
    /// go on; `None`: everything waits for it.
    pub(super) async fn only_these(
        &mut self,
        plan: &Plan,
        rows_follow: bool,
    ) -> Result<Option<Vec<TableName>>, Failure> {
        let alone = !plan.steps.is_empty() && plan.steps.iter().all(|s| s.beside && !s.objects.is_empty());
        if rows_follow || !alone {
            return Ok(None);
        }
        let mut targets = Vec::new();
        for object in plan.steps.iter().flat_map(|s| &s.objects) {
            let Some(table) = &object.table else { return Ok(None) };
            targets.push(TableName::new(&object.schema, table));
        }
        let connected = self.tables.connected(&targets).await?;
        Ok(self.tables.covers(&connected, &plan.pending)?.then_some(connected))
    }

    /// Begins with it, once the rows of its tables that come before it are applied.
    pub(super) async fn begin_beside(
        &mut self,
        plan: Plan,
        targets: Vec<TableName>,
        txn: &TxnId,
        transaction: &Transaction,
    ) -> Result<(), Failure> {
        let tables: Vec<u64> = targets.iter().map(table_number).collect();
        if !overtakes() {
            self.attachment.settled(&tables).await.map_err(|e| self.target(&e))?;
        }
        let text = plan.text();
        let place = (transaction.start.file.clone(), transaction.start.pos);
        let ddl = DdlBeside { txn: txn.clone(), start: place, tables, steps: plan.steps };
        self.tables.begin_ddl(targets, plan.pending);
        self.keeper.dm.hold(txn);
        // Definitions before and after are stored first: whichever way a crash goes, one of them fits.
        self.keeper.set_schemas(self.tables.to_stored().encode()).await;
        self.keeper.write(self.attachment).await.map_err(|e| self.target(&e))?;
        self.context.status.sync.set_blocking_ddl(&text);
        self.recent.begin_ddl(OpenDdl {
            txn: txn.clone(),
            sql: text,
            place: location(transaction),
            start: transaction.start.clone(),
        });
        self.attachment.begin_ddl(ddl).await.map_err(|e| self.target(&e))?;
        self.context.status.sync.submitted(0);
        Ok(())
    }

    /// Waits for the DDL, if one is executed; what was read before goes on meanwhile.
    pub(super) async fn ddl_ended(&mut self) -> Result<(), Failure> {
        if self.tables.running.is_some() {
            self.flush().await?;
            self.attachment.ddl_ended().await.map_err(|e| self.target(&e))?;
            self.look_at_ddl().await;
        }
        Ok(())
    }

    /// If the DDL has ended, what it leaves counts from now on.
    pub(super) async fn look_at_ddl(&mut self) {
        if self.tables.running.is_none() || self.attachment.has_ddl() {
            return;
        }
        self.tables.end_ddl();
        self.context.status.sync.set_blocking_ddl("");
        if let Some(stored) = self.tables.take_changed() {
            self.keeper.set_schemas(stored.encode()).await;
        }
    }

    /// Nothing of a statement is replicated, whatever the definitions are.
    pub(super) fn concerns_nobody(&self, statement: &Statement) -> Result<bool, Failure> {
        for part in &statement.statements {
            if matches!(part.kind, DdlKind::Skip(_)) {
                continue;
            }
            if part.tables.is_empty() {
                return Ok(false);
            }
            for name in part.tables.iter().chain(part.new_name.as_ref().map(|n| &n.name)) {
                let online = self.tables.rules.online(name) != crate::unit::rules::Online::No;
                if online || self.tables.rules.target_of(name)?.is_some() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Whether nothing but its own table has anything to do with a statement. Making a table, or a database, takes no time.
pub(super) fn beside(part: &DdlStatement) -> bool {
    use DdlKind::{AlterTable, CreateIndex, DropIndex, DropTable, TruncateTable};
    let kinds = [AlterTable, CreateIndex, DropIndex, DropTable, TruncateTable];
    kinds.contains(&part.kind) && part.tables.len() == 1 && part.new_name.is_none()
}

/// A DDL and the rows of its own tables do not wait for each other, to prove that somebody would notice.
pub(super) fn overtakes() -> bool {
    #[cfg(feature = "test-switches")]
    return crate::test_switches::broken().ddl_overtakes;
    #[cfg(not(feature = "test-switches"))]
    false
}
