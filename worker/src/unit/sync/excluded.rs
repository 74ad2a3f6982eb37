//! Which tables' rows are not worth keeping.
use std::{collections::HashMap, sync::Arc};

use dm_binlog::TableMap;
use dm_schema::TableName;

use crate::unit::rules::Rules;

/// Answers remembered; forgotten whole beyond this.
const REMEMBERED: usize = 4096;

/// The rules' answer to each table map.
pub struct Excluded {
    rules: Rules,
    known: HashMap<u64, (Arc<TableMap>, bool)>,
}

impl Excluded {
    pub fn new(rules: Rules) -> Self {
        Self { rules, known: HashMap::new() }
    }

    /// True when nothing of the table goes to the target. Where the rules have no answer, whoever writes the rows says so.
    pub fn has(&mut self, map: &Arc<TableMap>) -> bool {
        if let Some((known, excluded)) = self.known.get(&map.table_id)
            && Arc::ptr_eq(known, map)
        {
            return *excluded;
        }
        let name = TableName::new(map.schema_lossy(), map.table_lossy());
        let excluded = matches!(self.rules.target_of(&name), Ok(None));
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(map.table_id, (Arc::clone(map), excluded));
        excluded
    }
}
