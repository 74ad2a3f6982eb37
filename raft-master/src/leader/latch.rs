//! One operation at a time on one thing.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by name, made on demand.
#[derive(Default)]
pub struct Latch {
    locks: Mutex<BTreeMap<String, Weak<AsyncMutex<()>>>>,
}

/// Holds the lock until dropped.
pub struct LatchGuard {
    _guard: OwnedMutexGuard<()>,
}

impl Latch {
    /// Waits for the lock of that name, at most so long; `None` when another operation keeps it.
    pub async fn lock(&self, name: &str, deadline: Duration) -> Option<LatchGuard> {
        let lock = self.get(name);
        let guard = tokio::time::timeout(deadline, lock.lock_owned()).await.ok()?;
        Some(LatchGuard { _guard: guard })
    }

    fn get(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(AsyncMutex::new(()));
        locks.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_per_name() {
        let latch = Latch::default();
        let held = latch.lock("a", Duration::ZERO).await;
        assert!(held.is_some());
        assert!(latch.lock("a", Duration::from_millis(10)).await.is_none());
        assert!(latch.lock("b", Duration::from_millis(10)).await.is_some());
        drop(held);
        assert!(latch.lock("a", Duration::from_millis(10)).await.is_some());
    }
}
