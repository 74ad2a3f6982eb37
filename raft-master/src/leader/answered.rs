//! Tells a person who starts a thing twice from a tool that repeats a lost answer.
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The original dmctl sends the same request again when its connection broke before the answer, without an id. Such a
/// repetition is answered as done; a person who creates the same thing again is told that it exists. This is what
/// this leader knows to have been answered; only the wording of an answer rests on it.
#[derive(Default)]
pub struct Answered {
    /// By name of the thing, its creation time in the state.
    created: Mutex<BTreeMap<String, u64>>,
}

/// A repetition comes within this time or never, in milliseconds.
const REPEAT_WINDOW_MS: u64 = 60_000;

impl Answered {
    /// Whether a request that finds its own effect in the state, created then, is a repetition.
    pub fn is_repetition(&self, name: &str, created_at_ms: u64, now_ms: u64) -> bool {
        let created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        now_ms.saturating_sub(created_at_ms) < REPEAT_WINDOW_MS && created.get(name) != Some(&created_at_ms)
    }

    /// The answer is about to leave.
    pub fn record(&self, name: &str, created_at_ms: u64, now_ms: u64) {
        let mut created = self.created.lock().unwrap_or_else(PoisonError::into_inner);
        created.retain(|_, at| now_ms.saturating_sub(*at) < REPEAT_WINDOW_MS);
        created.insert(name.to_owned(), created_at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_start_may_be_repeated_for_a_while_and_an_answered_one_not() {
        let answered = Answered::default();
        assert!(answered.is_repetition("t", 1000, 2000));
        assert!(!answered.is_repetition("t", 1000, 1000 + REPEAT_WINDOW_MS));
        answered.record("t", 1000, 2000);
        assert!(!answered.is_repetition("t", 1000, 2001));
        assert!(answered.is_repetition("t", 1500, 2001), "stopped and started again");
    }
}
