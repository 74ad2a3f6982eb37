//! What the leader has observed of one worker process.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dm_proto::worker::Report;
use dm_state::Condition;
use tonic::transport::Channel;

/// Times that turn silence into a belief.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Silence that counts as death.
    pub lease: Duration,
    /// How long a worker whose process is gone may take to come back before its sources go elsewhere.
    pub damping: Duration,
}

/// State of the connection to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No session, nothing known about why.
    Down,
    /// A session is open.
    Open,
    /// Connections have been refused since then, or another process answers at the address.
    Gone(Instant),
}

/// Observed state of one process, in memory only.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The process.
    pub incarnation: u64,
    /// When this leader began to look for it.
    pub since: Instant,
    /// Last message from it.
    pub heard: Option<Instant>,
    /// Connection.
    pub link: Link,
    /// Last whole report, and when it came.
    pub report: Option<(Arc<Report>, Instant)>,
    /// For calls beside the session.
    pub channel: Option<Channel>,
    /// Log index of the state from which its assignment was last computed.
    pub computed: u64,
    /// Revision of the assignment last sent in this tenure; 0 = none.
    pub sent: u64,
}

impl Seen {
    /// A process about which nothing is known yet.
    pub fn unknown(incarnation: u64, now: Instant) -> Self {
        Self {
            incarnation,
            since: now,
            heard: None,
            link: Link::Down,
            report: None,
            channel: None,
            computed: 0,
            sent: 0,
        }
    }

    /// Last sign of life, or since when there could have been one.
    pub fn quiet_since(&self) -> Instant {
        self.heard.unwrap_or(self.since).max(self.since)
    }

    /// What to believe of it now.
    pub fn condition(&self, now: Instant, pace: Pace) -> Condition {
        if self.report.as_ref().is_some_and(|(report, _)| report.leaving) {
            return Condition::Released;
        }
        if now.duration_since(self.quiet_since()) >= pace.lease {
            return Condition::Dead;
        }
        match self.link {
            Link::Gone(since) if now.duration_since(since) >= pace.damping => Condition::Dead,
            Link::Open if self.heard.is_some() => Condition::Live,
            _ => Condition::Unknown,
        }
    }

    /// Whether the process has taken up everything that the state at that log index wants of it.
    pub fn obeys(&self, term: u64, index: u64) -> bool {
        let obeyed = self.report.as_ref().and_then(|(report, _)| report.obeyed.as_ref());
        self.computed >= index
            && self.sent > 0
            && obeyed.is_some_and(|a| a.term == term && a.revision >= self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { lease: Duration::from_secs(3), damping: Duration::from_millis(300) };

    #[test]
    fn unknown_then_live_then_dead_by_silence() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut seen = Seen::unknown(1, start);
        assert_eq!(seen.condition(at(2999), PACE), Condition::Unknown);
        assert_eq!(seen.condition(at(3000), PACE), Condition::Dead, "one lease without a session");
        seen.link = Link::Open;
        seen.heard = Some(at(5000));
        assert_eq!(seen.condition(at(5001), PACE), Condition::Live);
        seen.link = Link::Down;
        assert_eq!(
            seen.condition(at(6000), PACE),
            Condition::Unknown,
            "a lost connection alone says nothing"
        );
        assert_eq!(seen.condition(at(8000), PACE), Condition::Dead);
    }

    #[test]
    fn a_refused_connection_is_death_after_the_damping() {
        let start = Instant::now();
        let mut seen = Seen::unknown(1, start);
        seen.link = Link::Gone(start);
        assert_eq!(seen.condition(start + Duration::from_millis(299), PACE), Condition::Unknown);
        assert_eq!(seen.condition(start + Duration::from_millis(300), PACE), Condition::Dead);
    }
}
