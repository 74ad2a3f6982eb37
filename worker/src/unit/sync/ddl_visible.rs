//! Statements whose outcome can be told from definitions after all: names that the server makes up, and swapped columns.
use std::collections::HashMap;

use dm_schema::{SqlMode, TableModel, TableName};
use dm_target::{DdlClass, DdlStep};

use super::tables::Tables;
use crate::failure::Failure;

/// By their text alone, statements of one table such as `ADD INDEX (a)` or `CHANGE a b .., CHANGE b a ..` need not change what
/// `SHOW CREATE TABLE` says: an index may take the place, and the name, of one that a foreign key has made, and swapped
/// columns may be put back into their places. Where they change the target's definition they are decidable.
pub async fn decidable(steps: &mut [DdlStep], tables: &mut Tables) -> Result<(), Failure> {
    if steps.iter().all(|step| step.class != DdlClass::Neither) {
        return Ok(());
    }
    let mut models: HashMap<TableName, TableModel> = HashMap::new();
    for step in steps {
        // What stands before a later statement is not known if an earlier one can't be followed.
        let [object] = step.objects.as_slice() else { return Ok(()) };
        let Some(table) = &object.table else { return Ok(()) };
        let name = TableName::new(&object.schema, table);
        let model = match models.remove(&name) {
            Some(model) => Some(model),
            None => tables.target_model(&name).await?,
        };
        let Some(before) = model else { return Ok(()) };
        let mut after = before.clone();
        if after.apply_alter(&String::from_utf8_lossy(&step.sql), SqlMode::default()).is_err() {
            return Ok(());
        }
        if step.class == DdlClass::Neither && shows(&before, &after) {
            step.class = DdlClass::Decidable;
        }
        models.insert(name, after);
    }
    Ok(())
}

/// Whether names or places of columns, names of keys or the number of foreign keys differ. Indexes that the server made for
/// foreign keys come and go by rules of its own: keys count only where there are none.
fn shows(before: &TableModel, after: &TableModel) -> bool {
    let columns = |m: &TableModel| m.columns.iter().map(|c| c.name.to_lowercase()).collect::<Vec<_>>();
    let keys = |m: &TableModel| {
        let mut names: Vec<_> = m.keys.iter().map(|k| k.name.to_lowercase()).collect();
        names.sort();
        names
    };
    columns(before) != columns(after)
        || (after.foreign_keys.is_empty() && keys(before) != keys(after))
        || before.foreign_keys.len() != after.foreign_keys.len()
}

#[cfg(test)]
mod tests {
    use dm_schema::TableDefaults;

    use super::*;

    fn visible(create: &str, alter: &str) -> bool {
        let mode = SqlMode::default();
        let before = TableModel::parse_create(create, mode, "d", &TableDefaults::default()).unwrap();
        let mut after = before.clone();
        after.apply_alter(alter, mode).unwrap();
        shows(&before, &after)
    }

    #[test]
    fn what_definitions_show() {
        let plain = "CREATE TABLE t (a INT, b INT, KEY a (a))";
        assert!(visible(plain, "ALTER TABLE `d`.`t` ADD INDEX (a)"), "a_2");
        assert!(visible(plain, "ALTER TABLE `d`.`t` ADD FOREIGN KEY (a) REFERENCES q (id)"));
        assert!(visible(plain, "ALTER TABLE `d`.`t` ADD INDEX (a), ADD INDEX (a), DROP INDEX a"));
        assert!(visible(plain, "ALTER TABLE `d`.`t` CHANGE a b INT, CHANGE b a INT"));
        assert!(!visible(plain, "ALTER TABLE `d`.`t` CHANGE a b INT, CHANGE b a INT FIRST"));
        let child = "CREATE TABLE t (a INT, KEY a (a), CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id))";
        assert!(
            !visible(child, "ALTER TABLE `d`.`t` ADD INDEX (a)"),
            "perhaps in place of the one of the foreign key"
        );
    }
}
