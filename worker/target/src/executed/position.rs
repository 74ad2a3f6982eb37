//! Executed set of file positions.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::txn::compare_files;

/// A binlog file name that orders by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileName(String);

impl PartialOrd for FileName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FileName {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_files(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

/// Everything up to `low` but the holes, and explicit members above it, within one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionExecuted {
    generation: u64,
    low: Option<(FileName, u64)>,
    done: BTreeMap<FileName, BTreeSet<u64>>,
    /// Transactions that are prepared and not decided, with where they begin; no members, also where `low` is past them.
    holes: BTreeMap<(FileName, u64), (FileName, u64)>,
}

impl PositionExecuted {
    /// The empty set of a generation.
    pub fn new(generation: u64) -> Self {
        Self { generation, low: None, done: BTreeMap::new(), holes: BTreeMap::new() }
    }

    /// Everything up to a position.
    pub fn up_to(generation: u64, file: &str, pos: u64) -> Self {
        Self { low: Some((FileName(file.to_owned()), pos)), ..Self::new(generation) }
    }

    /// Its generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Everything up to here is applied, but for the holes.
    pub fn low(&self) -> Option<(&str, u64)> {
        self.low.as_ref().map(|(f, p)| (f.0.as_str(), *p))
    }

    /// Where reading has to begin: nothing before it is missing.
    pub(super) fn first_missing(&self) -> Option<(&str, u64)> {
        let (file, pos) = self.holes.values().chain(&self.low).min()?;
        Some((file.0.as_str(), *pos))
    }

    /// The transaction that begins and ends there is not decided yet.
    pub(super) fn hold(&mut self, file: &str, pos: u64, start: (&str, u64)) {
        let start = (FileName(start.0.to_owned()), start.1);
        self.holes.insert((FileName(file.to_owned()), pos), start);
    }

    pub(crate) fn with_generation(&self, generation: u64) -> Self {
        Self { generation, ..self.clone() }
    }

    pub(super) fn low_only(&self) -> Self {
        Self { done: BTreeMap::new(), ..self.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.low.is_none() && self.done.is_empty()
    }

    fn below_low(&self, file: &FileName, pos: u64) -> bool {
        self.low.as_ref().is_some_and(|(f, p)| (file, pos) <= (f, *p))
    }

    pub(super) fn contains(&self, generation: u64, file: &str, pos: u64) -> bool {
        generation == self.generation && self.has(&FileName(file.to_owned()), pos)
    }

    fn has(&self, file: &FileName, pos: u64) -> bool {
        let explicit = || self.done.get(file).is_some_and(|set| set.contains(&pos));
        let below = self.below_low(file, pos) && !self.is_hole(file, pos);
        below || explicit()
    }

    fn is_hole(&self, file: &FileName, pos: u64) -> bool {
        !self.holes.is_empty() && self.holes.contains_key(&(file.clone(), pos))
    }

    fn fill(&mut self, file: &FileName, pos: u64) {
        if !self.holes.is_empty() {
            self.holes.remove(&(file.clone(), pos));
        }
    }

    pub(super) fn insert(&mut self, file: &str, pos: u64) {
        let file = FileName(file.to_owned());
        self.fill(&file, pos);
        if !self.below_low(&file, pos) {
            self.done.entry(file).or_default().insert(pos);
        }
    }

    pub(super) fn advance(&mut self, file: &str, pos: u64) {
        let file = FileName(file.to_owned());
        self.fill(&file, pos);
        if self.below_low(&file, pos) {
            return;
        }
        self.low = Some((file, pos));
        self.drop_below_low();
    }

    fn drop_below_low(&mut self) {
        let Some((file, pos)) = self.low.clone() else { return };
        self.done = self.done.split_off(&file);
        if let Some(set) = self.done.get_mut(&file) {
            *set = set.split_off(&pos.saturating_add(1));
            if set.is_empty() {
                self.done.remove(&file);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match self.generation.cmp(&other.generation) {
            Ordering::Less => *self = other.clone(),
            Ordering::Greater => {}
            Ordering::Equal => {
                let mut holes = other.holes.clone();
                holes.retain(|(file, pos), _| !self.has(file, *pos));
                self.holes.retain(|(file, pos), _| !other.has(file, *pos));
                self.holes.append(&mut holes);
                if other.low > self.low {
                    self.low.clone_from(&other.low);
                }
                for (file, set) in &other.done {
                    self.done.entry(file.clone()).or_default().extend(set);
                }
                self.drop_below_low();
            }
        }
    }

    pub(super) fn prune(&mut self, covered: &Self) {
        if covered.generation != self.generation {
            return;
        }
        for (file, set) in &mut self.done {
            set.retain(|pos| !covered.has(file, *pos));
        }
        self.done.retain(|_, set| !set.is_empty());
    }

    /// `generation;low file:pos;file:pos,pos,...;file:...;!file:pos=file:pos`, holes with their starts last; file names hold
    /// none of `;`, `:`, `=`, and begin with no `!`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';');
        let generation = parts.next().and_then(|x| x.parse().ok()).ok_or("bad generation")?;
        let mut set = Self::new(generation);
        let low = parts.next().unwrap_or_default();
        if !low.is_empty() {
            let (file, pos) = low.rsplit_once(':').ok_or("bad low")?;
            set.low = Some((FileName(file.to_owned()), pos.parse().map_err(|_| "bad low")?));
        }
        for part in parts {
            if let Some(hole) = part.strip_prefix('!') {
                let place = |text: &'_ str| {
                    let (file, pos) = text.rsplit_once(':')?;
                    Some((file.to_owned(), pos.parse::<u64>().ok()?))
                };
                let (end, start) = hole.split_once('=').ok_or("bad hole")?;
                let ((file, pos), start) = place(end).zip(place(start)).ok_or("bad hole")?;
                set.hold(&file, pos, (&start.0, start.1));
                continue;
            }
            let (file, positions) = part.rsplit_once(':').ok_or("bad file")?;
            for pos in positions.split(',') {
                set.insert(file, pos.parse().map_err(|_| "bad position")?);
            }
        }
        Ok(set)
    }
}

impl fmt::Display for PositionExecuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};", self.generation)?;
        if let Some((file, pos)) = &self.low {
            write!(f, "{}:{pos}", file.0)?;
        }
        for (file, set) in &self.done {
            write!(f, ";{}:", file.0)?;
            for (i, pos) in set.iter().enumerate() {
                write!(f, "{}{pos}", if i == 0 { "" } else { "," })?;
            }
        }
        for ((file, pos), start) in &self.holes {
            write!(f, ";!{}:{pos}={}:{}", file.0, start.0.0, start.1)?;
        }
        Ok(())
    }
}
