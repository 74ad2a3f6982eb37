//! Waiting by observing.
use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

/// Generous: the machine may be busy with other tests.
pub const LONG: Duration = Duration::from_secs(40);

/// Polls until `look` gives a value; panics with what was awaited.
pub async fn until<T, F: Future<Output = Option<T>>>(what: impl Debug, mut look: impl FnMut() -> F) -> T {
    let begun = Instant::now();
    loop {
        let left = LONG.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        if let Ok(Some(value)) = tokio::time::timeout(left, look()).await {
            return value;
        }
        assert!(begun.elapsed() < LONG, "waited in vain for {what:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
