//! Merged statements leave the same rows as the changes one by one.
use std::{collections::BTreeMap, sync::Arc};

use dm_binlog::Value;
use dm_schema::{RowChange, RowWriter, RowWriterOptions, SqlMode, TableDefaults, TableModel};
use dm_target::Batch;
use proptest::prelude::*;

use super::{changes::Changes, merge::Merger, tables::Table};

/// A row: id (the key), u (unique or NULL), v.
type Row = (i64, Option<i64>, i64);
/// A table of the target: rows by id.
type Rows = BTreeMap<i64, (Option<i64>, i64)>;

fn tables() -> Vec<Arc<Table>> {
    let table = |name: &str, merged| {
        let sql = format!("CREATE TABLE {name} (id INT PRIMARY KEY, u INT, v INT, UNIQUE KEY u (u))");
        let model =
            TableModel::parse_create(&sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap();
        Arc::new(Table {
            source: model.name.clone(),
            hints: Vec::new(),
            writer: RowWriter::new(&model, &model, RowWriterOptions { merged }).unwrap(),
            cascades: false,
            checked: false,
            number: 0,
            joined: false,
            filter: Default::default(),
            noted: Default::default(),
        })
    };
    vec![table("a", false), table("b", true)]
}

fn image(row: Row) -> [Option<Value<'static>>; 3] {
    let (id, u, v) = row;
    [Some(Value::Int(id)), Some(u.map_or(Value::Null, Value::Int)), Some(Value::Int(v))]
}

/// What the serial source did: (table, before, after).
type Step = (usize, Option<Row>, Option<Row>);

/// Turns wishes into changes that a server with these keys would have accepted.
fn history(wishes: &[(usize, u8, i64, i64)]) -> (Vec<Step>, Vec<Rows>) {
    let mut target: Vec<Rows> = vec![Rows::new(), Rows::new()];
    let mut steps = Vec::new();
    for &(table, what, id, n) in wishes {
        let rows = &mut target[table];
        let u = (n % 5 != 0).then_some(n % 4);
        let taken = |rows: &Rows, u: Option<i64>, but: i64| {
            u.is_some() && rows.iter().any(|(id, r)| *id != but && r.0 == u)
        };
        let step = match (rows.get(&id).copied(), what % 4) {
            (None, _) if !taken(rows, u, id) => {
                rows.insert(id, (u, n));
                (None, Some((id, u, n)))
            }
            (Some(old), 0) => {
                rows.remove(&id);
                (Some((id, old.0, old.1)), None)
            }
            (Some(old), 1) if !taken(rows, u, id) => {
                rows.insert(id, (u, n));
                (Some((id, old.0, old.1)), Some((id, u, n)))
            }
            (Some(old), 2) if !rows.contains_key(&(id + 1)) => {
                rows.remove(&id);
                rows.insert(id + 1, (old.0, n));
                (Some((id, old.0, old.1)), Some((id + 1, old.0, n)))
            }
            (Some(old), _) => {
                rows.insert(id, (old.0, n));
                (Some((id, old.0, old.1)), Some((id, old.0, n)))
            }
            _ => continue,
        };
        steps.push((table, step.0, step.1));
    }
    (steps, target)
}

fn changes(tables: &[Arc<Table>], steps: &[Step]) -> Changes {
    let mut changes = Changes::default();
    for (table, before, after) in steps {
        let table = &tables[*table];
        let (before, after) = (before.map(image), after.map(image));
        let change = match (&before, &after) {
            (Some(before), Some(after)) => RowChange::Update { before, after },
            (Some(before), None) => RowChange::Delete { before },
            (None, Some(after)) => RowChange::Insert { after },
            (None, None) => unreachable!(),
        };
        changes.change(change, table, false).unwrap();
    }
    changes
}

/// The batch's statements.
fn statements(batch: &Batch) -> Vec<String> {
    batch.texts().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
}

fn number(text: &str) -> Option<i64> {
    (text != "NULL").then(|| text.parse().unwrap())
}

/// Carries out the few forms that the writer has, as a server would: every row refused that meets a key in use.
fn execute(target: &mut [Rows], sql: &str) -> Result<usize, String> {
    let rows = &mut target[usize::from(sql.contains("`d`.`b`"))];
    let tuples = |text: &str| -> Vec<Vec<Option<i64>>> {
        let inner = text.trim_start_matches('(').trim_end_matches(')');
        inner.split("),(").map(|t| t.split(',').map(number).collect()).collect()
    };
    let unique = |rows: &Rows, id: i64, u: Option<i64>| match u {
        Some(_) if rows.iter().any(|(other, r)| *other != id && r.0 == u) => Err(format!("u of {id}: {sql}")),
        _ => Ok(()),
    };
    if let Some(values) = sql.split(") VALUES ").nth(1).filter(|_| sql.starts_with("INSERT")) {
        let tuples = tuples(values);
        for t in &tuples {
            let id = t[0].unwrap();
            unique(rows, id, t[1])?;
            if rows.insert(id, (t[1], t[2].unwrap())).is_some() {
                return Err(format!("id {id}: {sql}"));
            }
        }
        return Ok(tuples.len());
    }
    let (head, condition) = sql.split_once(" WHERE ").unwrap();
    let column = |row: &Row, name: &str| match name {
        "`id`" => Some(row.0),
        "`u`" => row.1,
        _ => Some(row.2),
    };
    let meets = |row: &Row, text: &str| {
        text.split(" AND ").all(|c| match c.split_once(" IS NULL") {
            Some((name, _)) => column(row, name).is_none(),
            None => c.split_once('=').is_some_and(|(name, v)| column(row, name) == number(v)),
        })
    };
    let any = |row: &Row| match condition.strip_prefix("`id` IN (") {
        Some(list) => list.trim_end_matches(')').split(',').any(|v| number(v) == Some(row.0)),
        None => condition.split(" OR ").any(|c| meets(row, c.trim_matches(['(', ')']))),
    };
    let found: Vec<Row> = rows.iter().map(|(id, r)| (*id, r.0, r.1)).filter(any).collect();
    for row in &found {
        rows.remove(&row.0);
    }
    if sql.starts_with("DELETE") {
        return Ok(found.len());
    }
    let sets = head.split_once(" SET ").unwrap().1;
    for row in &found {
        let mut new = *row;
        for set in sets.split(",`") {
            let (name, value) = set.split_once('=').unwrap();
            let value = match value.strip_prefix("CASE ") {
                Some(case) => {
                    let case = case.trim_end_matches(" END");
                    let mut whens =
                        case.split("WHEN ").skip(1).map(|w| w.trim().split_once(" THEN ").unwrap());
                    number(whens.find(|(when, _)| number(when) == Some(row.0)).unwrap().1)
                }
                None => number(value),
            };
            match name.trim_matches('`') {
                "id" => new.0 = value.unwrap(),
                "u" => new.1 = value,
                _ => new.2 = value.unwrap(),
            }
        }
        unique(rows, new.0, new.1)?;
        if rows.insert(new.0, (new.1, new.2)).is_some() {
            return Err(format!("id {}: {sql}", new.0));
        }
    }
    Ok(found.len())
}

fn batch_of(tables: &[Arc<Table>], transactions: &[&[Step]]) -> Batch {
    let mut merger = Merger::default();
    for (n, steps) in transactions.iter().enumerate() {
        merger.add(&mut changes(tables, steps), n);
    }
    let mut batch = Batch::new();
    merger.move_into(&mut batch, false);
    batch
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Two unique keys, key changes, values that move from row to row, deleted and inserted again: the merged statements
    /// meet no key in use, find each a row for every change that is left, and leave what the source has.
    #[test]
    fn the_same_rows(
        wishes in prop::collection::vec((0_usize..2, any::<u8>(), 0_i64..6, 0_i64..40), 1..60),
        cut in 1_usize..8,
        batches in 1_usize..4,
    ) {
        let tables = tables();
        let (steps, end) = history(&wishes);
        let mut target = vec![Rows::new(), Rows::new()];
        let size = steps.len().div_ceil(batches).max(1);
        for steps in steps.chunks(size) {
            let transactions: Vec<&[Step]> = steps.chunks(cut).collect();
            let batch = batch_of(&tables, &transactions);
            prop_assert_eq!(batch.statements() <= steps.len(), true);
            for sql in statements(&batch) {
                let done = execute(&mut target, &sql);
                prop_assert!(done.is_ok(), "{:?}\n{:#?}", done, statements(&batch));
                prop_assert!(done.unwrap() > 0, "no row: {} in\n{:#?}", sql, statements(&batch));
            }
        }
        prop_assert_eq!(target, end);
    }
}

/// One row many times, and many rows once: one statement each.
#[test]
fn as_few_as_can_be() {
    let tables = tables();
    let hot: Vec<Step> = (0..100).map(|n| (0, Some((1, None, n)), Some((1, None, n + 1)))).collect();
    let batch = batch_of(&tables, &hot.chunks(1).collect::<Vec<_>>());
    assert_eq!(statements(&batch), ["UPDATE `d`.`a` SET `id`=1,`u`=NULL,`v`=100 WHERE `id`=1"]);
    let many: Vec<Step> = (0..20).map(|n| (0, Some((n, None, 0)), Some((n, None, n)))).collect();
    let other: Vec<Step> = (0..20).map(|n| (1, Some((n, None, 0)), Some((n, None, n)))).collect();
    let both: Vec<Step> = many.iter().zip(&other).flat_map(|(a, b)| [*a, *b]).collect();
    assert_eq!(batch_of(&tables, &both.chunks(2).collect::<Vec<_>>()).statements(), 2, "tables by turns");
    // A value that goes from row to row keeps its order.
    let swap: Vec<Step> = vec![
        (0, Some((1, Some(1), 0)), Some((1, Some(9), 0))),
        (0, Some((2, Some(2), 0)), Some((2, Some(1), 0))),
        (0, Some((1, Some(9), 0)), Some((1, Some(2), 0))),
    ];
    assert_eq!(batch_of(&tables, &[&swap]).statements(), 3);
}
