//! What a session has sent on its present stream, and what of it the worker has answered.
use std::time::{Duration, Instant};

use dm_proto::worker::Assignment;

#[derive(Default)]
pub struct Sent {
    pub assignment: Option<Assignment>,
    /// Of the last assignment, sent or too large to be; 0 = none yet.
    pub revision: u64,
    /// Bytes of the last assignment, when it could not be sent.
    pub too_large: usize,
    /// Log index of the state last looked at.
    pub computed: u64,
    pings: u64,
    last_ping: Option<Instant>,
    /// The oldest ping without an answer.
    open: Option<(u64, Instant)>,
}

impl Sent {
    /// Whether it is time for the next ping.
    pub fn ping_due(&self, every: Duration) -> bool {
        self.last_ping.is_none_or(|at| at.elapsed() >= every)
    }

    /// The id that the next ping has.
    pub fn next_ping(&self) -> u64 {
        self.pings + 1
    }

    /// A ping has been handed over.
    pub fn pinged(&mut self) {
        self.pings += 1;
        let now = Instant::now();
        self.last_ping = Some(now);
        self.open.get_or_insert((self.pings, now));
    }

    /// The worker has answered this ping.
    pub fn answered(&mut self, id: u64) {
        if self.open.is_some_and(|(open, _)| id >= open) {
            // A later one may be on its way: then the next ping starts the count.
            self.open = None;
        }
    }

    /// Since when the worker has not shown that it hears us: it may send reports all the same.
    pub fn unanswered(&self) -> Option<Instant> {
        self.open.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ping_without_an_answer_counts() {
        let mut sent = Sent::default();
        assert!(sent.ping_due(Duration::from_secs(1)) && sent.unanswered().is_none());
        sent.pinged();
        let first = sent.unanswered();
        assert!(first.is_some() && !sent.ping_due(Duration::from_secs(1)));
        sent.pinged();
        assert_eq!(sent.unanswered(), first);
        sent.answered(0);
        assert_eq!(sent.unanswered(), first, "an answer of nothing that is open");
        sent.answered(1);
        assert!(sent.unanswered().is_none());
        sent.pinged();
        assert!(sent.unanswered() > first);
        assert_eq!(sent.next_ping(), 4);
    }
}
