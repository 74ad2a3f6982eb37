//! How long the load waits for an answer of a database.
use std::time::Duration;

use dm_proto::error::{Code, Scope};

use crate::failure::{Failure, Next};

/// A short statement.
pub const ANSWER: Duration = Duration::from_secs(30);
/// A statement that may look through a whole index or table.
pub const SCAN: Duration = Duration::from_secs(600);

/// A half-open connection, or a table that somebody has locked, must not be waited for in silence: past the deadline the
/// attempt ends, says at what, and begins anew on other connections.
pub async fn within<T>(
    doing: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new(Code::LoadFailed, doing)
            .scope(Scope::Upstream)
            .cause(format!("no answer within {deadline:?}"))
            .next(Next::Unreachable)),
    }
}
