//! Is what clients saw of one register explainable by one order of their operations? (Wing & Gong 1993, with Lowe's memory of
//! what was tried.)
use std::collections::HashSet;

/// What a client did to a register that is there or not, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Set(bool),
    Saw(bool),
}

/// One operation; times are of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub action: Action,
    pub begun: u64,
    /// `None`: no answer came; it may have had its effect at any time later, or never.
    pub ended: Option<u64>,
}

/// Whether some order explains it, in which each operation has its effect between its beginning and its end. The register is
/// absent at first.
pub fn is_linearizable(operations: &[Operation]) -> bool {
    let mut tried = HashSet::new();
    let mut open = vec![(vec![false; operations.len()], false)];
    while let Some((done, there)) = open.pop() {
        let waiting = || operations.iter().zip(&done).enumerate().filter(|(_, (_, done))| !**done);
        // Nothing may be put before what had ended before it began.
        let first_end = waiting().filter_map(|(_, (op, _))| op.ended).min();
        let Some(first_end) = first_end else { return true };
        for (n, (op, _)) in waiting().filter(|(_, (op, _))| op.begun <= first_end) {
            let after = match op.action {
                Action::Set(value) => value,
                Action::Saw(value) if value == there => there,
                Action::Saw(_) => continue,
            };
            let mut next = done.clone();
            next[n] = true;
            if tried.insert((next.clone(), after)) {
                open.push((next, after));
            }
        }
    }
    false
}

/// The last operations before the first answer that nothing explains, in the order of their answers.
pub fn last_before_contradiction(operations: &[Operation], most: usize) -> Vec<Operation> {
    let mut answers: Vec<u64> = operations.iter().filter_map(|o| o.ended).collect();
    answers.sort_unstable();
    // As it stood at that moment: later answers were still out.
    let until = |moment: u64| {
        let begun = operations.iter().filter(move |o| o.begun <= moment);
        let open = |o: &Operation| Operation { ended: o.ended.filter(|end| *end <= moment), ..*o };
        let seen = begun.map(open).filter(|o| o.ended.is_some() || matches!(o.action, Action::Set(_)));
        seen.collect::<Vec<_>>()
    };
    let contradiction = answers.partition_point(|moment| is_linearizable(&until(*moment)));
    let mut story = answers.get(contradiction).map(|moment| until(*moment)).unwrap_or_default();
    story.sort_by_key(|o| o.ended.unwrap_or(u64::MAX));
    story.split_off(story.len().saturating_sub(most))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn op(action: Action, begun: u64, ended: impl Into<Option<u64>>) -> Operation {
        Operation { action, begun, ended: ended.into() }
    }

    #[test]
    fn known_histories() {
        use Action::{Saw, Set};
        let cases: &[(bool, &[Operation])] = &[
            (true, &[]),
            (true, &[op(Set(true), 0, 1), op(Saw(true), 2, 3)]),
            (false, &[op(Set(true), 0, 1), op(Saw(false), 2, 3)]),
            // At the same time: either.
            (true, &[op(Set(true), 0, 5), op(Saw(false), 2, 3)]),
            (true, &[op(Set(true), 0, 5), op(Saw(true), 2, 3), op(Saw(true), 4, 6)]),
            // Seen and unseen again, and nobody removed it.
            (false, &[op(Set(true), 0, 9), op(Saw(true), 2, 3), op(Saw(false), 4, 6)]),
            // Without an answer: it may have happened late, or not at all.
            (true, &[op(Set(true), 0, None), op(Saw(false), 2, 3), op(Saw(true), 4, 6)]),
            (true, &[op(Set(true), 0, None), op(Saw(false), 2, 3)]),
            // Once only.
            (
                false,
                &[op(Set(true), 0, None), op(Saw(true), 2, 3), op(Set(false), 4, 5), op(Saw(true), 6, 7)],
            ),
            // Seen before anybody made it.
            (false, &[op(Set(true), 5, 6), op(Saw(true), 0, 1)]),
        ];
        for (expected, operations) in cases {
            assert_eq!(is_linearizable(operations), *expected, "{operations:?}");
        }
    }

    /// Clients of a real register, on a drawn timeline; each effect is at a drawn moment between beginning and end.
    fn drawn(random: &mut StdRng, answered: f64) -> Vec<Operation> {
        let mut effects = Vec::new();
        for _client in 0..4 {
            let mut now = random.random_range(0..10);
            for _ in 0..12 {
                let begun = now;
                let at = begun + random.random_range(1..20);
                let ended = at + random.random_range(1..20);
                now = ended + random.random_range(1..20);
                let set = random.random_bool(0.5).then(|| random.random_bool(0.5));
                let answered = set.is_none() || random.random_bool(answered);
                effects.push((at, set, begun, answered.then_some(ended)));
            }
        }
        effects.sort_by_key(|(at, ..)| *at);
        let mut there = false;
        let operations = effects.into_iter().map(|(_, set, begun, ended)| {
            there = set.unwrap_or(there);
            Operation { action: set.map_or(Action::Saw(there), Action::Set), begun, ended }
        });
        operations.collect()
    }

    #[test]
    fn what_a_register_does_is_accepted_and_a_stale_read_is_not() {
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..300 {
            assert!(is_linearizable(&drawn(&mut random, 0.9)));
            let mut operations = drawn(&mut random, 1.0);
            assert!(is_linearizable(&operations), "{operations:?}");
            // One reader is told what was there before the last change.
            let end = operations.iter().filter_map(|o| o.ended).max().unwrap_or(0);
            operations.push(op(Action::Set(true), end + 1, end + 2));
            operations.push(op(Action::Saw(false), end + 3, end + 4));
            operations.rotate_right(1);
            assert!(!is_linearizable(&operations), "{operations:?}");
            let story = last_before_contradiction(&operations, 2);
            assert_eq!(story.last().map(|o| o.begun), Some(end + 3), "{story:?}");
        }
    }
}
