//! A bound on moves, so that a crash loop doesn't make a storm of take-overs.
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Remembers when each source was bound of late.
pub struct Damper {
    per_minute: usize,
    moves: BTreeMap<String, VecDeque<Instant>>,
}

const WINDOW: Duration = Duration::from_secs(60);

impl Damper {
    /// At most so many bindings of one source in any minute.
    pub fn new(per_minute: usize) -> Self {
        Self { per_minute: per_minute.max(1), moves: BTreeMap::new() }
    }

    /// A source got a new binding.
    pub fn record(&mut self, source_id: &str, now: Instant) {
        self.moves.entry(source_id.to_owned()).or_default().push_back(now);
    }

    /// Sources that have used up their bound.
    pub fn held(&mut self, now: Instant) -> BTreeSet<String> {
        for times in self.moves.values_mut() {
            while times.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
                times.pop_front();
            }
        }
        self.moves.retain(|_, times| !times.is_empty());
        self.moves.iter().filter(|(_, t)| t.len() >= self.per_minute).map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_moved_too_often_waits_until_the_minute_has_passed() {
        let start = Instant::now();
        let mut damper = Damper::new(2);
        damper.record("a", start);
        assert!(damper.held(start).is_empty());
        damper.record("a", start + Duration::from_secs(10));
        assert!(damper.held(start + Duration::from_secs(11)).contains("a"));
        assert!(damper.held(start + Duration::from_secs(60)).is_empty());
    }
}
