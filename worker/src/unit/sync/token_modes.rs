//! One way of ordering per target table, whichever source table a change comes from.
use std::collections::HashMap;

use dm_schema::{TableName, TokenMode};

/// How changes of each target table have been ordered so far.
///
/// Two source tables that merge into one may differ in types, and then one has tokens of keys and the other the table's
/// token: equal keys of both would not conflict, and their changes could overtake each other.
#[derive(Debug, Default)]
pub struct TokenModes {
    /// By target table, in lower case: the table's token, `None` where changes are ordered by their keys.
    by_target: HashMap<TableName, Option<u64>>,
}

/// What has to be done about a table's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unify {
    /// It is the first one, or orders its changes as the others do.
    Agrees,
    /// The others have the table's token already: this one takes it too.
    Follow(u64),
    /// The others go by keys: all change to the table's token, once what they have sent is applied.
    Change(u64),
}

impl TokenModes {
    /// Compares a table's own mode with that of others with the same target, and remembers what holds from now on.
    pub fn unify(&mut self, target: &TableName, mode: &TokenMode) -> Unify {
        let own = match mode {
            TokenMode::Keys => None,
            TokenMode::Table { token, .. } => Some(*token),
        };
        let key = TableName::new(target.schema.to_lowercase(), target.table.to_lowercase());
        let before = *self.by_target.entry(key.clone()).or_insert(own);
        match (before, own) {
            (Some(token), None) => Unify::Follow(token),
            (None, Some(token)) => {
                self.by_target.insert(key, own);
                Unify::Change(token)
            }
            _ => Unify::Agrees,
        }
    }

    /// Everything of this table, in lower case, is applied, and it is looked at anew.
    pub fn forget_one(&mut self, target: &TableName) {
        self.by_target.remove(target);
    }

    /// Everything is applied, and the tables are looked at anew.
    pub fn forget(&mut self) {
        self.by_target.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dm_schema::TableTokenReason;

    #[test]
    fn the_tables_token_wins() {
        let target = TableName::new("d", "T");
        let table = TokenMode::Table { token: 7, reason: TableTokenReason::NoKey };
        let mut modes = TokenModes::default();
        assert_eq!(modes.unify(&target, &TokenMode::Keys), Unify::Agrees);
        assert_eq!(modes.unify(&target, &TokenMode::Keys), Unify::Agrees);
        assert_eq!(modes.unify(&TableName::new("d", "t"), &table), Unify::Change(7));
        assert_eq!(modes.unify(&target, &TokenMode::Keys), Unify::Follow(7));
        assert_eq!(modes.unify(&target, &table), Unify::Agrees);
        modes.forget();
        assert_eq!(modes.unify(&target, &TokenMode::Keys), Unify::Agrees);
    }
}
