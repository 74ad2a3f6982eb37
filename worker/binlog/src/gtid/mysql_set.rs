//! A set of MySQL GTIDs.

use std::collections::BTreeMap;
use std::fmt;

use super::parse::{number, uuid, write_uuid};
use super::{GtidParseError, Sid, Tag};

/// Largest sequence number MySQL gives out (`GNO_END - 1`).
const MAX_GNO: u64 = i64::MAX as u64 - 1;

/// A set of MySQL GTIDs: per (source id, tag) a sorted list of disjoint, non-adjacent intervals.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MySqlGtidSet {
    pub(super) sources: BTreeMap<(Sid, Tag), Vec<Interval>>,
}

/// First and last sequence number, both inside.
pub(super) type Interval = (u64, u64);

impl MySqlGtidSet {
    /// Parses the server's text, e.g. `uuid:1-5:7:tag:1-3,\nuuid:9`. Blanks and newlines are free.
    pub fn parse(text: &str) -> Result<Self, GtidParseError> {
        let mut set = Self::default();
        for block in text.split(',').map(str::trim).filter(|b| !b.is_empty()) {
            let mut parts = block.split(':').map(str::trim);
            let sid = uuid(parts.next().unwrap_or_default())?;
            let mut tag = Tag::NONE;
            let mut intervals = 0usize;
            for part in parts {
                if part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    tag = Tag::new(part)?;
                    continue;
                }
                let (first, last) = match part.split_once('-') {
                    Some((a, b)) => (number(a.trim())?, number(b.trim())?),
                    None => {
                        let n = number(part)?;
                        (n, n)
                    }
                };
                if first == 0 || last > MAX_GNO {
                    return Err(GtidParseError::new(part, "the sequence number is out of range"));
                }
                if first <= last {
                    set.add_interval(sid, tag.clone(), first, last);
                }
                intervals += 1;
            }
            if intervals == 0 {
                return Err(GtidParseError::new(block, "the intervals are missing"));
            }
        }
        Ok(set)
    }

    /// Whether no id is in the set.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether the id is in the set.
    pub fn contains(&self, sid: &Sid, tag: &Tag, gno: u64) -> bool {
        self.sources.get(&(*sid, tag.clone())).is_some_and(|list| {
            let after = list.partition_point(|i| i.0 <= gno);
            after > 0 && list[after - 1].1 >= gno
        })
    }

    /// Adds all ids from `first` to `last`, both inside; nothing when `first > last`.
    pub fn add_interval(&mut self, sid: Sid, tag: Tag, first: u64, last: u64) {
        if first > last || first == 0 {
            return;
        }
        let list = self.sources.entry((sid, tag)).or_default();
        // The common case: the next transaction of a source.
        if let Some(end) = list.last_mut()
            && end.0 <= first
            && end.1.saturating_add(1) >= first
        {
            end.1 = end.1.max(last);
            return;
        }
        let from = list.partition_point(|i| i.1.saturating_add(1) < first);
        let to = list.partition_point(|i| i.0 <= last.saturating_add(1));
        if from >= to {
            list.insert(from, (first, last));
            return;
        }
        let merged = (list[from].0.min(first), list[to - 1].1.max(last));
        list.splice(from..to, [merged]);
    }

    /// Adds all ids of `other`.
    pub fn union(&mut self, other: &Self) {
        for ((sid, tag), list) in &other.sources {
            for (first, last) in list {
                self.add_interval(*sid, tag.clone(), *first, *last);
            }
        }
    }

    /// Removes all ids of `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.sources.retain(|key, list| {
            let Some(gone) = other.sources.get(key) else { return true };
            let mut left = Vec::with_capacity(list.len());
            for &(first, last) in list.iter() {
                let mut from = first;
                let start = gone.partition_point(|i| i.1 < first);
                for &(g_first, g_last) in gone[start..].iter().take_while(|i| i.0 <= last) {
                    if g_first > from {
                        left.push((from, g_first - 1));
                    }
                    from = g_last.saturating_add(1);
                }
                if from <= last {
                    left.push((from, last));
                }
            }
            *list = left;
            !list.is_empty()
        });
    }

    /// Whether every id of this set is in `other`.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.sources.iter().all(|(key, list)| {
            let Some(theirs) = other.sources.get(key) else { return false };
            list.iter().all(|&(first, last)| {
                let after = theirs.partition_point(|i| i.0 <= first);
                after > 0 && theirs[after - 1].1 >= last
            })
        })
    }

    /// How many ids the set holds; saturates.
    pub fn count(&self) -> u64 {
        self.sources.values().flatten().fold(0u64, |n, i| n.saturating_add(i.1 - i.0 + 1))
    }

    /// Every source with its intervals, first and last inside.
    pub fn sources(&self) -> impl Iterator<Item = (&Sid, &Tag, &[(u64, u64)])> {
        self.sources.iter().map(|((sid, tag), list)| (sid, tag, list.as_slice()))
    }

    /// The last sequence number of a source, 0 when it is not in the set.
    pub fn last_of(&self, sid: &Sid, tag: &Tag) -> u64 {
        self.sources.get(&(*sid, tag.clone())).and_then(|l| l.last()).map_or(0, |i| i.1)
    }
}

/// The server's text, with `,` between sources (the server writes `,\n`; both parse alike).
impl fmt::Display for MySqlGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous: Option<&Sid> = None;
        for ((sid, tag), list) in &self.sources {
            if previous != Some(sid) {
                if previous.is_some() {
                    f.write_str(",")?;
                }
                write_uuid(f, sid)?;
                previous = Some(sid);
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (first, last) in list {
                if first == last {
                    write!(f, ":{first}")?;
                } else {
                    write!(f, ":{first}-{last}")?;
                }
            }
        }
        Ok(())
    }
}
