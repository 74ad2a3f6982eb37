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

/// Everything up to `low`, and explicit members above it, within one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionExecuted {
    generation: u64,
    low: Option<(FileName, u64)>,
    done: BTreeMap<FileName, BTreeSet<u64>>,
}

impl PositionExecuted {
    /// The empty set of a generation.
    pub fn new(generation: u64) -> Self {
        Self { generation, low: None, done: BTreeMap::new() }
    }

    /// Everything up to a position.
    pub fn up_to(generation: u64, file: &str, pos: u64) -> Self {
        Self { generation, low: Some((FileName(file.to_owned()), pos)), done: BTreeMap::new() }
    }

    /// Its generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Everything up to here is applied.
    pub fn low(&self) -> Option<(&str, u64)> {
        self.low.as_ref().map(|(f, p)| (f.0.as_str(), *p))
    }

    pub(crate) fn with_generation(&self, generation: u64) -> Self {
        Self { generation, ..self.clone() }
    }

    pub(super) fn low_only(&self) -> Self {
        Self { generation: self.generation, low: self.low.clone(), done: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.low.is_none() && self.done.is_empty()
    }

    fn below_low(&self, file: &FileName, pos: u64) -> bool {
        self.low.as_ref().is_some_and(|(f, p)| (file, pos) <= (f, *p))
    }

    pub(super) fn contains(&self, generation: u64, file: &str, pos: u64) -> bool {
        let file = FileName(file.to_owned());
        generation == self.generation
            && (self.below_low(&file, pos) || self.done.get(&file).is_some_and(|set| set.contains(&pos)))
    }

    pub(super) fn insert(&mut self, file: &str, pos: u64) {
        let file = FileName(file.to_owned());
        if !self.below_low(&file, pos) {
            self.done.entry(file).or_default().insert(pos);
        }
    }

    pub(super) fn advance(&mut self, file: &str, pos: u64) {
        let file = FileName(file.to_owned());
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
            set.retain(|pos| {
                !(covered.below_low(file, *pos) || covered.done.get(file).is_some_and(|s| s.contains(pos)))
            });
        }
        self.done.retain(|_, set| !set.is_empty());
    }

    /// `generation;low file:pos;file:pos,pos,...;file:...`; file names hold neither `;` nor `:`.
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
        Ok(())
    }
}
