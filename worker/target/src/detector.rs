//! Which batches must wait for which.

use std::collections::HashMap;

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

/// Chooses the lane of each batch and what it waits for: every earlier cut, not yet acknowledged batch on another lane
/// that shares a token with it. Only earlier ones, so nothing waits in a circle. Pure.
#[derive(Debug)]
pub(crate) struct Detector {
    /// Open batches by token, at most one (the last) per lane.
    tokens: HashMap<u64, Vec<(u32, u64)>>,
    loads: Vec<LaneLoad>,
    next: usize,
}

impl Detector {
    pub(crate) fn new(lanes: u32) -> Self {
        Self { tokens: HashMap::new(), loads: vec![LaneLoad::default(); lanes as usize], next: 0 }
    }

    /// Places the batch `number`; `lane` forces it onto one (parts of a transaction, pieces of a chunk).
    pub(crate) fn place(
        &mut self,
        number: u64,
        tokens: &[u64],
        bytes: usize,
        lane: Option<u32>,
    ) -> Placement {
        let mut last_on: Vec<(u32, u64)> = Vec::new();
        for token in tokens {
            for &(lane, number) in self.tokens.get(token).into_iter().flatten() {
                match last_on.iter_mut().find(|(l, _)| *l == lane) {
                    Some((_, n)) => *n = (*n).max(number),
                    None => last_on.push((lane, number)),
                }
            }
        }
        // Behind the last conflicting batch: there it simply follows. Without conflict: where least waits.
        let lane = lane
            .or_else(|| last_on.iter().max_by_key(|(_, n)| *n).map(|(l, _)| *l))
            .unwrap_or_else(|| self.least_loaded());
        last_on.retain(|(l, _)| *l != lane);
        for token in tokens {
            let open = self.tokens.entry(*token).or_default();
            match open.iter_mut().find(|(l, _)| *l == lane) {
                Some((_, n)) => *n = number,
                None => open.push((lane, number)),
            }
        }
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
    pub(crate) fn release(&mut self, number: u64, lane: u32, tokens: &[u64], bytes: usize) {
        for token in tokens {
            if let Some(open) = self.tokens.get_mut(token) {
                open.retain(|entry| *entry != (lane, number));
                if open.is_empty() {
                    self.tokens.remove(token);
                }
            }
        }
        if let Some(load) = self.loads.get_mut(lane as usize) {
            load.batches = load.batches.saturating_sub(1);
            load.bytes = load.bytes.saturating_sub(bytes);
        }
    }

    /// Tokens held by open batches.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.tokens.len()
    }
}
