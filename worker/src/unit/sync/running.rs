//! Which tables wait for the DDL that is executed while rows of others go on.
use dm_binlog::TableMap;
use dm_schema::TableName;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    stored_tables::PendingDdl,
    tables::{Tables, lower},
};
use crate::{failure::Failure, unit::rules::Online};

/// A DDL that is executed while rows of other tables go on.
#[derive(Debug)]
pub struct Running {
    /// Tables of the target, in lower case, whose rows wait for it.
    pub(super) targets: Vec<TableName>,
    /// What it leaves, once it is done.
    pub(super) pending: PendingDdl,
}

/// A table of the target for the target protocol, whatever the case of its name.
pub fn table_number(target: &TableName) -> u64 {
    let name = lower(target);
    xxh3_64(format!("{}\0{}", name.schema, name.table).as_bytes())
}

impl Tables {
    /// The tables of the target that a DDL of some has to do with: those, and all that foreign keys join to them. In lower
    /// case.
    pub(super) async fn connected(&mut self, targets: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(closure(targets, &self.foreign_keys().await?))
    }

    /// Whether all that a DDL leaves is about tables that wait for it, or that have no rows at the target.
    pub(super) fn covers(&self, targets: &[TableName], pending: &PendingDdl) -> Result<bool, Failure> {
        let gone = pending.gone.iter().map(|(schema, table)| TableName::new(schema, table));
        for name in pending.after.iter().map(|t| t.name()).chain(gone) {
            let waits = match self.rules.target_of(&name)? {
                Some(target) => targets.contains(&lower(&target)),
                None => true,
            };
            if !waits && self.rules.online(&name) == Online::No {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What it leaves counts from its end on.
    pub(super) fn begin_ddl(&mut self, targets: Vec<TableName>, pending: PendingDdl) {
        self.running = Some(Running { targets, pending });
    }

    pub(super) fn end_ddl(&mut self) {
        if let Some(Running { targets, pending }) = self.running.take() {
            self.replace_of(&targets, pending);
        }
    }

    /// Whether rows of a table have to wait for the DDL.
    pub(super) fn waits(&self, map: &TableMap) -> Result<bool, Failure> {
        let Some(running) = &self.running else { return Ok(false) };
        let target = self.rules.target_of(&TableName::new(map.schema_lossy(), map.table_lossy()))?;
        Ok(target.is_some_and(|target| running.targets.contains(&lower(&target))))
    }
}

/// All tables that foreign keys join, in one step or several, to some.
fn closure(targets: &[TableName], keys: &[(TableName, TableName, bool)]) -> Vec<TableName> {
    let mut all: Vec<TableName> = targets.iter().map(lower).collect();
    let mut next = 0;
    while let Some(table) = all.get(next).cloned() {
        for (child, parent, _) in keys {
            let (child, parent) = (lower(child), lower(parent));
            let other = if child == table {
                parent
            } else if parent == table {
                child
            } else {
                continue;
            };
            if !all.contains(&other) {
                all.push(other);
            }
        }
        next += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_take_along_whatever_they_join() {
        let t = |n: &str| TableName::new("d", n);
        let keys = [(t("C"), t("p"), false), (t("g"), t("c"), true), (t("x"), t("y"), true)];
        assert_eq!(closure(&[t("P")], &keys), [t("p"), t("c"), t("g")]);
        assert_eq!(closure(&[t("z")], &keys), [t("z")]);
    }

    #[test]
    fn a_table_has_one_number_in_any_case() {
        assert_eq!(table_number(&TableName::new("D", "t")), table_number(&TableName::new("d", "T")));
        assert_ne!(table_number(&TableName::new("d", "t")), table_number(&TableName::new("dt", "")));
    }
}
