//! DDL while rows of other tables go on.

use std::sync::Arc;

use super::{Attachment, check_ready};
use crate::ddl::DdlBeside;
use crate::error::TargetError;
use crate::shared::Shared;

impl Attachment {
    /// Waits until every batch that was submitted so far and changes one of these tables is acknowledged.
    pub async fn settled(&self, tables: &[u64]) -> Result<(), TargetError> {
        self.shared.settled(tables).await
    }

    /// Waits for what was submitted of its tables, and begins to execute the statements: each between intent and done, while
    /// batches of other tables go on. Returns once it has begun. Until [`Attachment::ddl_ended`], a batch of one of its tables
    /// is refused. An error of it ends the attachment; [`Attachment::refused`] then gives its transaction.
    pub async fn begin_ddl(&self, ddl: DdlBeside) -> Result<(), TargetError> {
        let shared = &self.shared;
        let _order = shared.order.lock().await;
        check_ready(&shared.state())?;
        let complete = ddl.steps.split_last().is_some_and(|(last, rest)| {
            last.last
                && rest.iter().all(|s| !s.last)
                && ddl.steps.iter().all(|s| s.txn.as_ref() == Some(&ddl.txn))
        });
        if !complete {
            return Err(TargetError::Misuse {
                message: format!("the statements of {} are no whole", ddl.txn),
            });
        }
        // One at a time.
        shared.ddl_ended().await?;
        if !shared.spec.breaks_ddl_order() {
            shared.settled(&ddl.tables).await?;
        }
        let mut tasks = self.tasks.lock().await;
        shared.check_alive()?;
        // From here on nothing waits.
        let mut state = shared.state();
        if state.tracker.acked().contains(&ddl.txn) {
            return Err(TargetError::Misuse {
                message: format!("the DDL of {} is applied already", ddl.txn),
            });
        }
        // What comes after it passes it in the set.
        state.tracker.hold(&ddl.txn, (&ddl.start.0, ddl.start.1))?;
        state.ddl_tables.clone_from(&ddl.tables);
        drop(state);
        shared.ddl_open.send_replace(true);
        tasks.spawn(run(Arc::clone(shared), ddl));
        Ok(())
    }

    /// Whether a DDL is executed beside rows.
    pub fn has_ddl(&self) -> bool {
        *self.shared.ddl_open.borrow()
    }

    /// Waits until no DDL is executed beside rows; its statements are recorded as done then.
    pub async fn ddl_ended(&self) -> Result<(), TargetError> {
        self.shared.ddl_ended().await
    }
}

/// Its errors end the attachment, which is all that anybody has to know of them.
async fn run(shared: Arc<Shared>, ddl: DdlBeside) {
    for step in ddl.steps {
        if shared.run_ddl(step).await.is_err() {
            return;
        }
    }
    shared.state().ddl_tables.clear();
    shared.ddl_open.send_replace(false);
}

impl Shared {
    /// Bounded by the deadlines of the statement.
    pub(crate) async fn ddl_ended(&self) -> Result<(), TargetError> {
        let mut open = self.ddl_open.subscribe();
        tokio::select! {
            biased;
            () = self.dead.cancelled() => Err(self.reason()),
            waited = open.wait_for(|open| !*open) => waited.map(drop).map_err(|_| TargetError::Closed),
        }
    }

    /// Bounded by the deadlines of the lanes' packets.
    async fn settled(&self, tables: &[u64]) -> Result<(), TargetError> {
        let waits = self.state().detector.open_on(tables);
        for (lane, number) in waits {
            let Some(acked) = self.lane_acked.get(lane as usize) else { continue };
            let mut acked = acked.subscribe();
            tokio::select! {
                biased;
                () = self.dead.cancelled() => return Err(self.reason()),
                there = acked.wait_for(|n| *n > number) => there.map(drop).map_err(|_| TargetError::Closed)?,
            }
        }
        Ok(())
    }
}
