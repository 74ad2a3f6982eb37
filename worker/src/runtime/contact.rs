//! When a leader was last heard, on the monotonic clock of this process.
use std::time::{Duration, Instant};

use tokio::sync::watch;

#[derive(Debug, Clone, Copy)]
struct State {
    /// Messages of a leader accepted so far.
    heard: u64,
    last: Instant,
    grace: Duration,
}

/// Counts accepted messages of leaders; decides when the worker stops for want of a master.
#[derive(Debug)]
pub struct Contact {
    state: watch::Sender<State>,
}

impl Default for Contact {
    fn default() -> Self {
        let state = State { heard: 0, last: Instant::now(), grace: Duration::from_secs(600) };
        Self { state: watch::Sender::new(state) }
    }
}

impl Contact {
    /// A message of an admitted leader has come.
    pub fn heard(&self) {
        self.state.send_modify(|s| {
            s.heard += 1;
            s.last = Instant::now();
        });
    }

    /// `master_loss_grace_ms` of an assignment; 0 = never stop for want of a master.
    pub fn set_grace(&self, grace_ms: u64) {
        self.state.send_modify(|s| s.grace = Duration::from_millis(grace_ms));
    }

    /// Returns when at least two more messages than now have come from a leader. One could have been on its way
    /// already; after the second the binding that stands is the one the leader means.
    pub async fn confirmed(&self) {
        let mut seen = self.state.subscribe();
        let from = seen.borrow().heard;
        // An error means that the process is ending; the caller is cancelled then.
        if seen.wait_for(|s| s.heard >= from + 2).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once no leader has been heard for so long, counted from now at the earliest.
    pub async fn silent_for(&self, bound: Duration) {
        let from = Instant::now();
        loop {
            let silence = self.state.borrow().last.max(from).elapsed();
            if silence >= bound {
                return;
            }
            tokio::time::sleep(bound - silence).await;
        }
    }

    /// True when no leader was heard for longer than the grace.
    pub fn lost(&self) -> bool {
        let state = *self.state.borrow();
        !state.grace.is_zero() && state.last.elapsed() > state.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_counts_from_the_last_message_and_from_the_question() {
        let contact = Contact::default();
        let bound = Duration::from_millis(200);
        let begun = Instant::now();
        let silence = contact.silent_for(bound);
        contact.heard();
        silence.await;
        let first = begun.elapsed();
        assert!(first >= bound, "{first:?}");
        // Asked again, it does not return at once: a worker that is not dialled does not register in a loop.
        contact.silent_for(bound).await;
        assert!(begun.elapsed() >= first + bound);
    }
}
