//! The end of an online schema change: what altered the shadow runs on the table itself.
use dm_schema::{Dialect, SqlMode, TableName};
use dm_target::{DdlStep, TxnId};

use super::{
    ddl::{objects, rewritten, step},
    ddl_after::Work,
    ddl_filter::skipped,
    online::{on_real, same_columns},
    stored_tables::{StoredChange, StoredTable},
    tables::Tables,
};
use crate::{failure::Failure, unit::load::translate};

/// The changes that a swap brings, as statements on the changed table.
pub fn swap(
    change: &StoredChange,
    real: &TableName,
    work: &Work<'_>,
    tables: &Tables,
    txn: &TxnId,
    dialect: Dialect,
    refuse: &dyn Fn(&str) -> Failure,
) -> Result<Vec<DdlStep>, Failure> {
    if change.statements.is_empty() {
        return Err(refuse(&format!(
            "{} was not altered since it was made: this is no schema change, and its rows may be others",
            change.shadow()
        ))
        .workaround("If both tables have the same rows, please skip the statement."));
    }
    let statements = on_real(change)?;
    // Before the swap; what was read at the source may be from after it.
    let of_stream = |t: &StoredTable| t.known_gtids.is_empty() && t.known_file.is_empty();
    let before = tables.stored(real).filter(|t| of_stream(t));
    if let (Some(before), Some(after)) = (before, work.get(&change.shadow()).filter(of_stream)) {
        let mut expected = before.model()?;
        let mut fits = true;
        for (part, mode) in &statements {
            fits &= expected.apply_alter(part.canonical(), SqlMode::from_bits(*mode)).is_ok();
        }
        if !fits || !same_columns(&expected, &after.model()?) {
            return Err(refuse(&format!(
                "{} is not what {real} becomes by what altered it: one of them was changed otherwise, or not made alike",
                change.shadow()
            ))
            .workaround("Please replace the statement with an ALTER that gives the table its new columns."));
        }
    }
    let mut steps = Vec::new();
    for (ordinal, ((part, _), stored)) in statements.iter().zip(&change.statements).enumerate() {
        if skipped(part, None, &tables.rules, tables.stored(real))? {
            continue;
        }
        let sql = translate(dialect, &rewritten(part, tables)?);
        steps.push(step(txn, ordinal, part, sql, objects(part, tables)?, stored.session.clone()));
    }
    Ok(steps)
}
