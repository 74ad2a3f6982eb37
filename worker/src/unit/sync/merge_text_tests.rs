//! As in `merge_tests`, with keys of text: equal is what the collation says, and tokens are coarser than that.
use std::sync::Arc;

use dm_binlog::Value;
use dm_schema::{RowChange, RowWriter, RowWriterOptions, SqlMode, TableDefaults, TableModel};
use dm_target::Batch;
use proptest::{prelude::*, test_runner::TestCaseError};

use super::{
    changes::Changes,
    merge::Merger,
    merge_text_keys::{ALL, Collation, KEYS, Keys, Row, TEXTS, execute},
    tables::Table,
};

/// What the serial source did: (table, before, after).
type Step = (usize, Option<Row>, Option<Row>);

/// Tables with these keys; `change` may break what their writers promise.
fn tables(change: impl Fn(&mut RowWriter)) -> Vec<Arc<Table>> {
    let table = |(number, keys): (usize, &Keys)| {
        let text = |c: Collation| format!("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {}", c.name);
        let prefix = if keys.prefix == ALL { String::new() } else { format!("({})", keys.prefix) };
        let sql = format!(
            "CREATE TABLE t{number} (id {} PRIMARY KEY, u {}, v INT, UNIQUE KEY u (u{prefix}))",
            text(keys.id),
            text(keys.u)
        );
        let model =
            TableModel::parse_create(&sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap();
        let mut writer =
            RowWriter::new(&model, &model, RowWriterOptions { merged: number % 2 == 1 }).unwrap();
        assert_eq!(*writer.token_mode(), dm_schema::TokenMode::Keys, "{sql}");
        change(&mut writer);
        Arc::new(Table {
            source: model.name.clone(),
            number: 0,
            hints: Vec::new(),
            writer,
            cascades: false,
            checked: false,
            joined: false,
            filter: Default::default(),
            noted: Default::default(),
        })
    };
    KEYS.iter().enumerate().map(table).collect()
}

/// Turns wishes into changes that a server with these keys would have accepted.
fn history(wishes: &[Wish]) -> (Vec<Step>, Vec<Vec<Row>>) {
    let mut target = vec![Vec::new(); KEYS.len()];
    let mut steps = Vec::new();
    for (v, &(table, what, id, u)) in (0..).zip(wishes) {
        let (keys, rows): (_, &mut Vec<Row>) = (&KEYS[table], &mut target[table]);
        let id = TEXTS[id % TEXTS.len()];
        let u = TEXTS.get(u % (TEXTS.len() + 4)).copied();
        let found = rows.iter().position(|r| keys.same_id(r.0, id));
        let before = found.map(|at| rows.remove(at));
        let after = match (before, what % 6) {
            (None, _) => Some((id, u, v)),
            (Some(_), 0) => None,
            // Another spelling of the same key, or nothing new but the value.
            (Some(old), 1) => Some((id, old.1, v)),
            (Some(old), 2) => Some((old.0, old.1, v)),
            (Some(old), 3) => Some((old.0, u, v)),
            (Some(_), 4) => Some((id, u, v)),
            // Another key.
            (Some(old), _) => Some((TEXTS[(u.map_or(0, str::len) + v as usize) % TEXTS.len()], old.1, v)),
        };
        match after.map_or(Ok(()), |row| keys.insert(rows, row)) {
            Ok(()) => steps.push((table, before, after)),
            Err(_) => rows.extend(before),
        }
    }
    (steps, target)
}

fn changes(tables: &[Arc<Table>], steps: &[Step]) -> Changes {
    let image = |(id, u, v): Row| {
        let text = |text: &'static str| Value::Bytes(text.as_bytes());
        [Some(text(id)), Some(u.map_or(Value::Null, text)), Some(Value::Int(v))]
    };
    let mut changes = Changes::default();
    for (table, before, after) in steps {
        let (before, after) = (before.map(image), after.map(image));
        let change = match (&before, &after) {
            (Some(before), Some(after)) => RowChange::Update { before, after },
            (Some(before), None) => RowChange::Delete { before },
            (None, Some(after)) => RowChange::Insert { after },
            (None, None) => unreachable!(),
        };
        changes.change(change, &tables[*table], false).unwrap();
    }
    changes
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

/// The batch's statements.
fn statements(batch: &Batch) -> Vec<String> {
    batch.texts().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
}

fn sorted(mut rows: Vec<Vec<Row>>) -> Vec<Vec<Row>> {
    rows.iter_mut().for_each(|rows| rows.sort());
    rows
}

type Wish = (usize, u8, usize, usize);

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    prop::collection::vec((0..KEYS.len(), any::<u8>(), any::<usize>(), any::<usize>()), 1..80)
}

/// The merged statements meet no key in use, each finds a row, and what is left is the source's, byte for byte.
fn check(tables: &[Arc<Table>], wishes: &[Wish], cut: usize, batches: usize) -> Result<(), TestCaseError> {
    let (steps, end) = history(wishes);
    let mut target = vec![Vec::new(); KEYS.len()];
    let size = steps.len().div_ceil(batches).max(1);
    for steps in steps.chunks(size) {
        let transactions: Vec<&[Step]> = steps.chunks(cut).collect();
        let batch = batch_of(tables, &transactions);
        prop_assert!(batch.statements() <= steps.len());
        for sql in statements(&batch) {
            let done = execute(&mut target, &sql);
            prop_assert!(done.is_ok(), "{:?}\n{:#?}", done, statements(&batch));
            prop_assert!(done.unwrap() > 0, "no row: {} in\n{:#?}", sql, statements(&batch));
        }
    }
    prop_assert_eq!(sorted(target), sorted(end));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Spellings of one key, keys that only their tokens take for one, prefixes.
    #[test]
    fn the_same_rows(wishes in wishes(), cut in 1_usize..8, batches in 1_usize..4) {
        check(&tables(|_| {}), &wishes, cut, batches)?;
    }
}

/// The test would notice tokens that tell spellings of one key apart, and those of one key only.
#[cfg(feature = "test-switches")]
#[test]
fn broken_tokens_are_noticed() {
    use dm_schema::BrokenTokens;
    use proptest::test_runner::TestRunner;
    for broken in [BrokenTokens::Bytes, BrokenTokens::PrimaryOnly] {
        let tables = tables(|writer| writer.break_tokens(broken));
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) };
        let rng = proptest::test_runner::TestRng::deterministic_rng(Default::default());
        let found = TestRunner::new_with_rng(config, rng)
            .run(&(wishes(), 1_usize..8), |(wishes, cut)| check(&tables, &wishes, cut, 1));
        assert!(found.is_err(), "{broken:?}");
    }
}
