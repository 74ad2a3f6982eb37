//! Waiting by observing.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

/// Awaits `future`, but not for longer than `deadline`; either failure names `what` was awaited.
pub async fn within<T, E>(
    deadline: Duration,
    what: impl Display,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T>
where
    E: Into<anyhow::Error>,
{
    match tokio::time::timeout(deadline, future).await {
        Ok(ended) => ended.map_err(Into::into).with_context(|| what.to_string()),
        Err(_) => Err(anyhow!("not done within {deadline:?}: {what}")),
    }
}

/// Asks `condition` every 20 ms until it answers `Ok(true)`; fails after `deadline`, naming `what` was awaited and
/// the last error that `condition` gave.
pub async fn wait_until<F, Fut>(deadline: Duration, what: &str, mut condition: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<bool>>,
{
    wait_until_value(deadline, what, || {
        let asked = condition();
        async move { Ok(asked.await?.then_some(())) }
    })
    .await
}

/// Asks `observe` every 20 ms until it answers `Ok(Some(value))`, and gives that value.
pub async fn wait_until_value<F, Fut, T>(deadline: Duration, what: impl Display, mut observe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let last = match tokio::time::timeout(left, observe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(anyhow::anyhow!("the observation itself did not end before the deadline")),
        };
        if Instant::now() >= end {
            match last {
                Some(error) => return Err(error.context(format!("waited {deadline:?} in vain for: {what}"))),
                None => bail!("waited {deadline:?} in vain for: {what}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_ends_is_named() {
        let never = std::future::pending::<Result<()>>();
        let error = within(Duration::from_millis(20), "the answer", never).await.unwrap_err();
        assert!(error.to_string().contains("the answer"), "{error}");
        let failed = async { Err::<(), _>(anyhow!("no")) };
        let error = within(Duration::from_secs(1), "the answer", failed).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the answer: no");
    }
}
