//! Executed set of MariaDB GTIDs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dm_binlog::{Gtid, MariaDbGtidPos};

/// A run of explicit members of one domain: `first..=last`, all of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    last: u64,
    server: u32,
}

/// Per domain everything up to `low`, and explicit members above it.
///
/// Order between domains is never used. Sequence numbers of a domain only grow (`gtid_strict_mode`), so only numbers
/// that follow each other directly join into a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MariaDbExecuted {
    low: MariaDbGtidPos,
    done: BTreeMap<u32, BTreeMap<u64, Run>>,
    /// Prepared and not decided: domain and number. The `low` of the domain stays below them, which is all that has to
    /// be stored of them.
    holes: BTreeSet<(u32, u64)>,
}

impl MariaDbExecuted {
    /// Everything up to the position of each domain.
    pub fn up_to(low: MariaDbGtidPos) -> Self {
        Self { low, ..Self::default() }
    }

    /// Per domain, everything up to here is applied.
    pub fn low(&self) -> &MariaDbGtidPos {
        &self.low
    }

    /// The last member of each server in each domain, as far as it is known: of each domain's `low`, and of each run.
    pub fn last(&self) -> impl Iterator<Item = Gtid> + '_ {
        let runs = self.done.iter().flat_map(|(&domain, runs)| {
            runs.values().map(move |r| Gtid::MariaDb { domain, server: r.server, seq: r.last })
        });
        self.low.iter().chain(runs)
    }

    pub(super) fn low_only(&self) -> Self {
        Self::up_to(self.low.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.low.is_empty() && self.done.is_empty()
    }

    pub(super) fn contains(&self, domain: u32, server: u32, seq: u64) -> bool {
        if self.low.contains(domain, seq) {
            return true;
        }
        self.done
            .get(&domain)
            .and_then(|runs| runs.range(..=seq).next_back())
            .is_some_and(|(_, run)| seq <= run.last && run.server == server)
    }

    pub(super) fn insert(&mut self, domain: u32, server: u32, seq: u64) {
        self.insert_run(domain, server, seq, seq);
    }

    fn insert_run(&mut self, domain: u32, server: u32, first: u64, last: u64) {
        let low = self.low.last_of(domain).map_or(0, seq_of);
        let (mut first, mut last) = (first.max(low.saturating_add(1)), last);
        if first > last {
            return;
        }
        let runs = self.done.entry(domain).or_default();
        // Join with the runs of the same server that touch or overlap.
        if let Some((&f, run)) = runs.range(..=first).next_back()
            && run.server == server
            && run.last.saturating_add(1) >= first
        {
            first = f;
            last = last.max(run.last);
        }
        let touching: Vec<u64> = runs
            .range(first..=last.saturating_add(1))
            .filter(|(_, r)| r.server == server)
            .map(|(&f, _)| f)
            .collect();
        for f in touching {
            if let Some(run) = runs.remove(&f) {
                last = last.max(run.last);
            }
        }
        runs.insert(first, Run { last, server });
    }

    /// The transaction is not decided yet: the `low` of its domain does not pass it.
    pub(super) fn hold(&mut self, domain: u32, seq: u64) {
        self.holes.insert((domain, seq));
    }

    pub(super) fn advance(&mut self, domain: u32, server: u32, seq: u64) {
        if self.low.contains(domain, seq) {
            return;
        }
        self.holes.remove(&(domain, seq));
        if self.holes.range((domain, 0)..(domain, seq)).next().is_some() {
            self.insert(domain, server, seq);
        } else {
            self.low.add(domain, server, seq);
            self.drop_below_low(domain);
        }
        // What stood behind a hole that is filled now.
        let next = self.low.last_of(domain).map_or(0, seq_of).saturating_add(1);
        if let Some(run) = self.done.get(&domain).and_then(|runs| runs.get(&next)).copied() {
            self.low.add(domain, run.server, run.last);
            self.drop_below_low(domain);
        }
    }

    fn drop_below_low(&mut self, domain: u32) {
        let low = self.low.last_of(domain).map_or(0, seq_of);
        let Some(runs) = self.done.get_mut(&domain) else { return };
        let above = runs.split_off(&low.saturating_add(1));
        // A run that begins below and ends above the low keeps its end.
        let tail = runs.iter().next_back().filter(|(_, r)| r.last > low).map(|(_, r)| *r);
        *runs = above;
        if let Some(run) = tail {
            runs.insert(low + 1, run);
        }
        if runs.is_empty() {
            self.done.remove(&domain);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.low.union(&other.low);
        let domains: Vec<u32> = self.done.keys().copied().collect();
        for domain in domains {
            self.drop_below_low(domain);
        }
        for (&domain, runs) in &other.done {
            for (&first, run) in runs {
                self.insert_run(domain, run.server, first, run.last);
            }
        }
    }

    /// Drops explicit members that `covered` contains.
    pub(super) fn prune(&mut self, covered: &Self) {
        let mut kept = Self::up_to(self.low.clone());
        for (&domain, runs) in &self.done {
            let low = covered.low.last_of(domain).map_or(0, seq_of);
            for (&first, run) in runs {
                let mut at = first.max(low.saturating_add(1));
                // Cut out what the explicit members of `covered` hold.
                if let Some(theirs) = covered.done.get(&domain) {
                    for (&f, r) in theirs.iter().filter(|(_, r)| r.server == run.server) {
                        if r.last < at || f > run.last {
                            continue;
                        }
                        if f > at {
                            kept.insert_run(domain, run.server, at, f - 1);
                        }
                        at = r.last.saturating_add(1);
                    }
                }
                if at <= run.last {
                    kept.insert_run(domain, run.server, at, run.last);
                }
            }
        }
        self.done = kept.done;
    }

    /// `low text;domain-server-first:last,...`
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (low, done) = text.split_once(';').unwrap_or((text, ""));
        let mut set = Self::up_to(MariaDbGtidPos::parse(low).map_err(|e| e.to_string())?);
        for part in done.split(',').filter(|p| !p.is_empty()) {
            let bad = || format!("bad run {part:?}");
            let mut fields = part.splitn(3, '-');
            let domain = fields.next().and_then(|x| x.parse().ok()).ok_or_else(bad)?;
            let server = fields.next().and_then(|x| x.parse().ok()).ok_or_else(bad)?;
            let run = fields.next().ok_or_else(bad)?;
            let (first, last) = run.split_once(':').unwrap_or((run, run));
            let (first, last) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
            if first > last {
                return Err(bad());
            }
            set.insert_run(domain, server, first, last);
        }
        Ok(set)
    }
}

fn seq_of(gtid: dm_binlog::Gtid) -> u64 {
    match gtid {
        dm_binlog::Gtid::MariaDb { seq, .. } => seq,
        dm_binlog::Gtid::MySql { gno, .. } => gno,
    }
}

impl fmt::Display for MariaDbExecuted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.low)?;
        let mut separator = ';';
        for (domain, runs) in &self.done {
            for (first, run) in runs {
                write!(f, "{separator}{domain}-{}-{first}", run.server)?;
                if run.last > *first {
                    write!(f, ":{}", run.last)?;
                }
                separator = ',';
            }
        }
        Ok(())
    }
}
