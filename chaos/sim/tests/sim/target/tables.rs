//! Tables with transactions: committed rows, one pending change per row, row locks that last as long as a transaction.
use std::collections::BTreeMap;

use super::sql::{Condition, Expression, Row, Value};

#[derive(Debug, Clone, Default)]
struct Slot {
    committed: Option<Row>,
    /// What the transaction that holds the row has made of it.
    pending: Option<Option<Row>>,
    owner: Option<u64>,
}

impl Slot {
    fn seen_by(&self, session: u64) -> Option<&Row> {
        match &self.pending {
            Some(pending) if self.owner == Some(session) => pending.as_ref(),
            _ => self.committed.as_ref(),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Table {
    key: Vec<String>,
    slots: Vec<Slot>,
}

/// Somebody else's transaction holds a row that is needed.
#[derive(Debug)]
pub struct Busy;

/// All tables of the server.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    tables: BTreeMap<String, Table>,
}

impl Tables {
    pub fn exists(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    pub fn create(&mut self, table: &str, key: Vec<String>) {
        self.tables.entry(table.to_owned()).or_insert(Table { key, slots: Vec::new() });
    }

    /// What a session sees.
    pub fn select(&self, session: u64, table: &str, condition: &Condition) -> Vec<Row> {
        let slots = self.tables.get(table).map(|t| t.slots.as_slice()).unwrap_or_default();
        slots.iter().filter_map(|s| s.seen_by(session)).filter(|row| condition.holds(row)).cloned().collect()
    }

    /// Locks what matches; an update of nothing else does as much.
    pub fn lock(&mut self, session: u64, table: &str, condition: &Condition) -> Result<u64, Busy> {
        self.change(session, table, condition, |row| Some(row.clone()))
    }

    pub fn update(
        &mut self,
        session: u64,
        table: &str,
        condition: &Condition,
        sets: &[(String, Expression)],
    ) -> Result<u64, Busy> {
        self.change(session, table, condition, |row| {
            let mut new = row.clone();
            for (column, expression) in sets {
                new.insert(column.clone(), expression.value(row));
            }
            Some(new)
        })
    }

    pub fn delete(&mut self, session: u64, table: &str, condition: &Condition) -> Result<u64, Busy> {
        self.change(session, table, condition, |_| None)
    }

    fn change(
        &mut self,
        session: u64,
        table: &str,
        condition: &Condition,
        change: impl Fn(&Row) -> Option<Row>,
    ) -> Result<u64, Busy> {
        let Some(table) = self.tables.get_mut(table) else { return Ok(0) };
        // A row that somebody else is changing is waited for: whether it will match is not known yet.
        let touches = |slot: &Slot| {
            let pending = slot.pending.as_ref().and_then(Option::as_ref);
            [slot.committed.as_ref(), pending].into_iter().flatten().any(|row| condition.holds(row))
        };
        if table.slots.iter().any(|s| s.owner.is_some_and(|o| o != session) && touches(s)) {
            return Err(Busy);
        }
        let mut matched = 0;
        for slot in &mut table.slots {
            let Some(row) = slot.seen_by(session).filter(|row| condition.holds(row)) else { continue };
            let new = change(row);
            slot.owner = Some(session);
            slot.pending = Some(new);
            matched += 1;
        }
        Ok(matched)
    }

    /// Inserts a row; gives whether there was one with its key. That one stays, or is replaced.
    pub fn insert(&mut self, session: u64, table: &str, row: Row, replace: bool) -> Result<bool, Busy> {
        let Some(table) = self.tables.get_mut(table) else { return Ok(false) };
        let key = table.key.clone();
        let same =
            |other: &Row| !key.is_empty() && key.iter().all(|column| other.get(column) == row.get(column));
        for slot in &mut table.slots {
            let pending = slot.pending.as_ref().and_then(Option::as_ref);
            if slot.owner.is_some_and(|o| o != session)
                && [slot.committed.as_ref(), pending].into_iter().flatten().any(&same)
            {
                return Err(Busy);
            }
            if slot.seen_by(session).is_some_and(&same) {
                if replace {
                    slot.owner = Some(session);
                    slot.pending = Some(Some(row));
                }
                return Ok(true);
            }
        }
        table.slots.push(Slot { committed: None, pending: Some(Some(row)), owner: Some(session) });
        Ok(false)
    }

    /// Ends a transaction.
    pub fn end(&mut self, session: u64, commit: bool) {
        for table in self.tables.values_mut() {
            for slot in table.slots.iter_mut().filter(|slot| slot.owner == Some(session)) {
                let pending = slot.pending.take();
                if commit && let Some(new) = pending {
                    slot.committed = new;
                }
                slot.owner = None;
            }
            table.slots.retain(|slot| slot.committed.is_some() || slot.owner.is_some());
        }
    }

    /// Committed rows.
    pub fn committed(&self, table: &str) -> impl Iterator<Item = &Row> {
        self.tables.get(table).into_iter().flat_map(|t| t.slots.iter().filter_map(|s| s.committed.as_ref()))
    }

    /// All tables whose names end so.
    pub fn names_ending(&self, end: &str) -> Vec<String> {
        self.tables.keys().filter(|name| name.ends_with(end)).cloned().collect()
    }

    /// Nobody's transaction survives.
    pub fn end_all(&mut self) {
        for table in self.tables.values_mut() {
            for slot in &mut table.slots {
                slot.pending = None;
                slot.owner = None;
            }
            table.slots.retain(|slot| slot.committed.is_some());
        }
    }
}

/// A number in a row.
pub fn number(row: &Row, column: &str) -> i128 {
    match row.get(column) {
        Some(Value::Number(n)) => *n,
        _ => 0,
    }
}
