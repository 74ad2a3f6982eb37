//! The connection on which DDL is executed, so that lane -1 stays free for checkpoints meanwhile.

use crate::error::TargetError;
use crate::link::Link;
use crate::shared::Shared;

/// The DDL connection. It holds the lock by which a taker knows that no DDL of a former attempt is running.
pub(crate) struct DdlLink {
    pub(crate) link: Link,
    /// As of [`crate::spine::Spine`].
    pub(crate) busy: bool,
}

impl Shared {
    /// Takes the DDL connection for one piece of work. An error kills the attachment, and so does a caller that gives up in
    /// the middle (the next one notices).
    pub(crate) async fn with_ddl<T>(
        &self,
        work: impl AsyncFnOnce(&Self, &mut Link) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        self.check_alive()?;
        let mut ddl = tokio::select! {
            biased;
            () = self.dead.cancelled() => return Err(self.reason()),
            ddl = self.ddl.lock() => ddl,
        };
        if ddl.busy {
            self.fail(TargetError::Lost {
                connection: ddl.link.name.clone(),
                message: "its user gave up half way".to_owned(),
            });
        }
        self.check_alive()?;
        ddl.busy = true;
        let outcome = tokio::select! {
            biased;
            () = self.dead.cancelled() => Err(self.reason()),
            outcome = work(self, &mut ddl.link) => outcome,
        };
        match outcome {
            Ok(value) => {
                ddl.busy = false;
                Ok(value)
            }
            Err(error) => {
                self.fail(error.clone());
                Err(error)
            }
        }
    }
}
