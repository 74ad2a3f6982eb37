//! Which batches must wait for which.

use nohash_hasher::IntMap;
use smallvec::SmallVec;

/// What a batch was told when it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The lane it runs on.
    pub(crate) lane: u32,
    /// Batches on other lanes whose commit it waits for: (lane, number). A lane acknowledges in order, so the last
    /// conflicting one of each lane is enough.
    pub(crate) waits: Vec<(u32, u64)>,
}

#[derive(Debug, Default, Clone)]
struct LaneLoad {
    batches: usize,
    bytes: usize,
}

/// (lane, number) of batches that are not acknowledged, by a hash.
type Open = IntMap<u64, SmallVec<[(u32, u64); 1]>>;

/// Chooses the lane of each batch and what it waits for: every earlier cut, not yet acknowledged batch on another lane
/// that shares a token with it. Only earlier ones, so nothing waits in a circle. Pure.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Open batches by token, at most one (the last) per lane. Tokens are hashes already, and nearly all have one batch.
    tokens: Open,
    /// The same by table: batches of one table do not wait for each other, but a DDL waits for all of them.
    tables: Open,
    loads: Vec<LaneLoad>,
    next: usize,
}

impl Detector {
    pub(crate) fn new(lanes: u32) -> Self {
        Self {
            tokens: Open::default(),
            tables: Open::default(),
            loads: vec![LaneLoad::default(); lanes as usize],
            next: 0,
        }
    }

    /// The last open batch of each lane that changes one of these tables, as (lane, number).
    pub(crate) fn open_on(&self, tables: &[u64]) -> Vec<(u32, u64)> {
        last_of(&self.tables, tables)
    }

    /// Places the batch `number`; `lane` forces it onto one (parts of a transaction, pieces of a chunk).
    pub(crate) fn place(
        &mut self,
        number: u64,
        (tokens, tables): (&[u64], &[u64]),
        bytes: usize,
        lane: Option<u32>,
    ) -> Placement {
        let mut last_on = last_of(&self.tokens, tokens);
        // Behind the last conflicting batch: there it simply follows. Without conflict: where least waits.
        let lane = lane
            .or_else(|| last_on.iter().max_by_key(|(_, n)| *n).map(|(l, _)| *l))
            .unwrap_or_else(|| self.least_loaded());
        last_on.retain(|(l, _)| *l != lane);
        note(&mut self.tokens, tokens, (lane, number));
        note(&mut self.tables, tables, (lane, number));
        if let Some(load) = self.loads.get_mut(lane as usize) {
            load.batches += 1;
            load.bytes += bytes;
        }
        Placement { lane, waits: last_on }
    }

    fn least_loaded(&mut self) -> u32 {
        let count = self.loads.len().max(1);
        let best = (0..self.loads.len())
            .map(|i| (self.next + i) % count)
            .min_by_key(|&i| self.loads.get(i).map_or((usize::MAX, 0), |l| (l.batches, l.bytes)))
            .unwrap_or(0);
        self.next = (best + 1) % count;
        u32::try_from(best).unwrap_or(0)
    }

    /// The batch is acknowledged.
    pub(crate) fn release(
        &mut self,
        number: u64,
        lane: u32,
        (tokens, tables): (&[u64], &[u64]),
        bytes: usize,
    ) {
        forget(&mut self.tokens, tokens, (lane, number));
        forget(&mut self.tables, tables, (lane, number));
        if let Some(load) = self.loads.get_mut(lane as usize) {
            load.batches = load.batches.saturating_sub(1);
            load.bytes = load.bytes.saturating_sub(bytes);
        }
    }

    /// Tokens and tables held by open batches.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.tokens.len() + self.tables.len()
    }
}

/// Of each lane the last open batch under one of the keys.
fn last_of(open: &Open, keys: &[u64]) -> Vec<(u32, u64)> {
    let mut last_on: Vec<(u32, u64)> = Vec::new();
    for &(lane, number) in keys.iter().filter_map(|key| open.get(key)).flatten() {
        match last_on.iter_mut().find(|(l, _)| *l == lane) {
            Some((_, n)) => *n = (*n).max(number),
            None => last_on.push((lane, number)),
        }
    }
    last_on
}

fn note(open: &mut Open, keys: &[u64], (lane, number): (u32, u64)) {
    for key in keys {
        let open = open.entry(*key).or_default();
        match open.iter_mut().find(|(l, _)| *l == lane) {
            Some((_, n)) => *n = number,
            None => open.push((lane, number)),
        }
    }
}

fn forget(open: &mut Open, keys: &[u64], batch: (u32, u64)) {
    for key in keys {
        if let Some(entries) = open.get_mut(key) {
            entries.retain(|entry| *entry != batch);
            if entries.is_empty() {
                open.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Detector;

    proptest! {
        /// Executed in any order that lanes and waits allow, batches that share a token keep their source order, and
        /// something can always run.
        #[test]
        fn conflicting_batches_keep_their_order(
            batches in prop::collection::vec(prop::collection::vec(0_u64..6, 0..4), 1..60),
            lanes in 1_u32..5,
            choices in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut detector = Detector::new(lanes);
            let mut queues = vec![std::collections::VecDeque::new(); lanes as usize];
            let mut acked = vec![0_u64; lanes as usize];
            let mut order = Vec::new();
            let mut choices = choices.iter().cycle();
            let (mut next, mut open) = (0, 0);
            while next < batches.len() || open > 0 {
                let runnable: Vec<usize> = (0..lanes as usize)
                    .filter(|&l| {
                        queues[l].front().is_some_and(|(_, waits): &(u64, Vec<(u32, u64)>)| {
                            waits.iter().all(|(lane, n)| acked[*lane as usize] > *n)
                        })
                    })
                    .collect();
                prop_assert!(open == 0 || !runnable.is_empty(), "a circle");
                let choice = choices.next().unwrap();
                let cut = next < batches.len();
                let pick = choice.index(runnable.len() + usize::from(cut));
                if pick == runnable.len() {
                    let number = next as u64;
                    let placed = detector.place(number, (&batches[next], &batches[next]), 1, None);
                    let mut last = detector.open_on(&batches[next]);
                    last.retain(|(lane, _)| *lane == placed.lane);
                    prop_assert_eq!(last.len(), usize::from(!batches[next].is_empty()));
                    prop_assert!(last.iter().all(|(_, n)| *n == number), "a DDL would not wait for it");
                    queues[placed.lane as usize].push_back((number, placed.waits));
                    next += 1;
                    open += 1;
                } else {
                    let lane = runnable[pick];
                    let (number, _) = queues[lane].pop_front().unwrap();
                    detector.release(number, lane as u32, (&batches[number as usize], &batches[number as usize]), 1);
                    acked[lane] = number + 1;
                    order.push(number as usize);
                    open -= 1;
                }
            }
            prop_assert_eq!(detector.held(), 0);
            for (i, &a) in order.iter().enumerate() {
                for &b in &order[i + 1..] {
                    let shared = batches[a].iter().any(|t| batches[b].contains(t));
                    prop_assert!(!shared || a < b, "{} ran before {}", a, b);
                }
            }
        }
    }
}
