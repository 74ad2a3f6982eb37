//! The one place that knows whether, and why, this process must end.
use std::sync::Arc;

use tokio::sync::watch;

use crate::FatalError;

/// Keeps the first fatal error; later ones are consequences.
#[derive(Clone, Debug, Default)]
pub struct Fatality {
    first: Arc<watch::Sender<Option<FatalError>>>,
}

impl Fatality {
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a fatal error, unless there is one already. Writes no log line: the disk of the log may be the one that
    /// hangs, and nothing may wait for it before everybody knows.
    pub fn raise(&self, error: FatalError) {
        self.first.send_if_modified(|first| {
            let news = first.is_none();
            if news {
                *first = Some(error);
            }
            news
        });
    }

    /// The fatal error, if any.
    pub fn get(&self) -> Option<FatalError> {
        self.first.borrow().clone()
    }

    /// Ends when there is one.
    pub fn wait(&self) -> impl Future<Output = FatalError> + Send + 'static {
        let mut watch = self.first.subscribe();
        async move {
            let found = match watch.wait_for(Option::is_some).await {
                Ok(found) => found.clone(),
                // The member was shut down in order: nothing fatal can happen any more.
                Err(_) => None,
            };
            match found {
                Some(error) => error,
                None => std::future::pending().await,
            }
        }
    }
}
