//! What must hold after every step, and at the end.
use std::{collections::BTreeMap, path::Path, sync::PoisonError};

use dm_consensus::MemoryLog;
use dm_target::ExecutedSet;

use crate::{
    processes::Window,
    source::sources,
    target::{Row, Value, database, number},
};

#[derive(Default)]
pub struct Oracle {
    /// Who has led in each term.
    leaders: BTreeMap<u64, String>,
    /// Checksum of the state at each log index, and who had it first.
    states: BTreeMap<u64, (u32, String)>,
    /// What each master has last been seen to be: term, leading, applied.
    seen: BTreeMap<String, (u64, bool, u64)>,
    /// Of each entry: checksum, and the term of the entry before it where one is known.
    entries: BTreeMap<(u64, u64), (u32, Option<u64>)>,
    /// Term and revision that each worker has obeyed.
    authority: BTreeMap<String, (u64, u64)>,
    /// Of everything that was looked at, in order: equal runs have equal traces.
    trace: crc32fast::Hasher,
    looks: u64,
    commits: u64,
    epochs: u64,
}

impl Oracle {
    fn trace(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.trace.update(&number.to_be_bytes());
        }
    }

    pub fn summary(&self) -> String {
        format!(
            "trace {:08x}, {} terms, {} epochs, {} log entries, {} commits at the target, {} transactions",
            self.trace.clone().finalize(),
            self.leaders.len(),
            self.epochs,
            self.entries.len(),
            self.commits,
            sources().committed.values().map(Vec::len).sum::<usize>(),
        )
    }

    /// After every step.
    pub fn look(&mut self, now: u64, masters: &[String], windows: &[Window]) -> Result<(), String> {
        self.looks += 1;
        for (at, (name, window)) in masters.iter().zip(windows).enumerate() {
            if let Some(ended) = window.ended.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(ended);
            }
            let Some(node) = window.node() else { continue };
            let leadership = node.consensus.leadership().borrow().clone();
            let applied = *node.consensus.applied().borrow();
            let what = (leadership.term, leadership.is_leader, applied);
            if self.seen.get(name) == Some(&what) {
                continue;
            }
            self.seen.insert(name.clone(), what);
            self.trace(&[now, at as u64, what.0, what.1.into(), what.2]);
            if leadership.is_leader {
                let first = self.leaders.entry(leadership.term).or_insert_with(|| name.clone());
                if first != name {
                    return Err(format!("both {first} and {name} lead in term {}", leadership.term));
                }
            }
            let (index, epoch, crc) = node.state(|state, index| {
                (index, state.epoch_counter, crc32fast::hash(&dm_state::encode(state)))
            });
            self.epochs = self.epochs.max(epoch);
            let (known, by) = self.states.entry(index).or_insert_with(|| (crc, name.clone()));
            if *known != crc {
                return Err(format!("{by} and {name} have different states at index {index}"));
            }
        }
        let (commits, violation) = {
            let database = database();
            (database.commits, database.violations.first().cloned())
        };
        if commits != self.commits {
            self.commits = commits;
            self.trace(&[now, commits]);
        }
        match violation {
            Some(violation) => Err(violation),
            None if self.looks.is_multiple_of(50) => self.rows_and_positions(),
            None => Ok(()),
        }
    }

    /// No transaction of a source has more than one row in the table without a key, and no set claims one that has none.
    fn rows_and_positions(&self) -> Result<(), String> {
        let mut counts: BTreeMap<(Vec<u8>, i128), u32> = BTreeMap::new();
        let database = database();
        for row in database.tables.committed("db.ledger") {
            let Some(Value::Text(source)) = row.get("source") else { continue };
            let count = counts.entry((source.clone(), number(row, "n"))).or_default();
            *count += 1;
            if *count > 1 {
                let source = String::from_utf8_lossy(source).into_owned();
                return Err(format!("transaction {} of {source} was applied twice", number(row, "n")));
            }
        }
        for (source, txns) in &sources().names {
            let name = source.clone().into_bytes();
            let of_source = |row: &&Row| row.get("source_id") == Some(&Value::Text(name.clone()));
            let tables = &database.tables;
            let sets =
                ["dm_meta.t_lane", "dm_meta.t_checkpoint"].into_iter().flat_map(|t| tables.committed(t));
            for text in sets.filter(of_source).flat_map(|row| ["low", "done", "executed"].map(|c| row.get(c)))
            {
                let Some(Value::Text(text)) = text else { continue };
                let text = String::from_utf8_lossy(text);
                let text = text.split('|').next().unwrap_or_default();
                if text.is_empty() {
                    continue;
                }
                let set = ExecutedSet::parse(text).map_err(|e| format!("an unreadable set: {e}"))?;
                for (n, txn) in (1..).zip(txns) {
                    if set.contains(txn) && !counts.contains_key(&(name.clone(), n)) {
                        return Err(format!("transaction {n} of {source} counts as applied and has no row"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Logs match, and no worker obeys somebody earlier than before.
    pub fn look_at_disks(&mut self, logs: &[MemoryLog], dir: &Path) -> Result<(), String> {
        for log in logs {
            let mut before: Option<(u64, u64)> = None;
            for (index, term, crc) in log.durable() {
                let predecessor = before.filter(|(i, _)| i + 1 == index).map(|(_, t)| t);
                let known = self.entries.entry((index, term)).or_insert((crc, predecessor));
                let other = known.1.is_some() && predecessor.is_some() && known.1 != predecessor;
                if known.0 != crc || other {
                    return Err(format!("two logs differ at or before entry {index} of term {term}"));
                }
                known.1 = known.1.or(predecessor);
                before = Some((index, term));
            }
        }
        for worker in ["w1", "w2", "w3"] {
            let Ok(text) = std::fs::read(dir.join(worker).join("authority.json")) else { continue };
            let Ok(seen) = serde_json::from_slice::<serde_json::Value>(&text) else { continue };
            let field = |name: &str| seen.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
            let now = (field("term"), field("revision"));
            let before = self.authority.insert(worker.to_owned(), now).unwrap_or_default();
            if now < before {
                return Err(format!(
                    "{worker} obeyed term {} revision {} and then {now:?}",
                    before.0, before.1
                ));
            }
        }
        Ok(())
    }

    /// After the last fault: everything is there, once and in order, and nothing that was acknowledged is gone.
    pub fn finish(&self, acknowledged: &[String], windows: &[Window]) -> Result<(), String> {
        let committed = sources().committed.clone();
        let database = database();
        for (source, keys) in &committed {
            let of_source = |row: &&Row| row.get("source") == Some(&Value::Text(source.clone().into_bytes()));
            let rows = database.tables.committed("db.ledger").filter(of_source);
            let mut found: Vec<i128> = rows.map(|row| number(row, "n")).collect();
            found.sort_unstable();
            let expected: Vec<i128> = (1..=keys.len() as i128).collect();
            if found != expected {
                let missing = expected.iter().find(|n| !found.contains(n));
                return Err(format!(
                    "stuck: {} of {} transactions of {source} are applied long after the last fault; the first missing is {missing:?}",
                    found.len(),
                    expected.len()
                ));
            }
            for row in database.tables.committed("db.hot").filter(of_source) {
                let key = number(row, "k");
                let last =
                    keys.iter().rposition(|k| k.map(i128::from) == Some(key)).map_or(0, |at| at as i128 + 1);
                if number(row, "n") != last {
                    return Err(format!("hot row {key} of {source} is at {}, not {last}", number(row, "n")));
                }
            }
        }
        let leader = windows.iter().filter_map(Window::node).find(|node| node.tenure().is_some());
        let leader = leader.ok_or("nobody leads at the end")?;
        let lost = leader
            .state(|state, _| acknowledged.iter().find(|name| !state.sources.contains_key(*name)).cloned());
        match lost {
            Some(name) => Err(format!("the acknowledged source {name} is gone")),
            None => Ok(()),
        }
    }
}
