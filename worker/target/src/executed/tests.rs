//! Executed sets against a plain set of members.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::ExecutedSet;
use crate::txn::{Mode, TxnId, compare_files};

const MODES: [Mode; 3] = [Mode::MySqlGtid, Mode::MariaDbGtid, Mode::Position];
const COUNT: u64 = 60;

/// Transaction `i` of a source; in MariaDB of one of two domains.
fn txn(mode: Mode, i: u64) -> TxnId {
    match mode {
        Mode::MySqlGtid => {
            TxnId::parse(mode, &format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{}", i + 1)).unwrap()
        }
        Mode::MariaDbGtid => TxnId::parse(mode, &format!("{}-1-{}", i % 2, i / 2 + 1)).unwrap(),
        Mode::Position => {
            TxnId::Position { generation: 3, file: format!("b.{:06}", 999_998 + i / 15), pos: i * 100 }
        }
    }
}

fn set(mode: Mode, upto: u64, members: &BTreeSet<u64>) -> ExecutedSet {
    let mut set = ExecutedSet::empty(mode, 3);
    for i in 0..upto {
        set.advance(&txn(mode, i)).unwrap();
    }
    for &i in members {
        set.insert(&txn(mode, i)).unwrap();
    }
    set
}

fn is(set: &ExecutedSet, wanted: impl Fn(u64) -> bool) -> Result<(), TestCaseError> {
    for i in 0..COUNT {
        prop_assert_eq!(set.contains(&txn(set.mode(), i)), wanted(i), "{} in {}", i, set);
    }
    Ok(())
}

proptest! {
    #[test]
    fn sets_are_membership(
        a_low in 0..COUNT, b_low in 0..COUNT, advance in 0..COUNT,
        a in prop::collection::btree_set(0..COUNT, 0..30),
        b in prop::collection::btree_set(0..COUNT, 0..30),
    ) {
        for mode in MODES {
            let (first, second) = (set(mode, a_low, &a), set(mode, b_low, &b));
            is(&first, |i| i < a_low || a.contains(&i))?;
            // Text.
            let again = ExecutedSet::parse(&first.to_string()).unwrap();
            prop_assert_eq!(&again, &first);
            // Merge.
            let mut both = first.clone();
            both.merge(&second).unwrap();
            is(&both, |i| i < a_low || a.contains(&i) || i < b_low || b.contains(&i))?;
            // Explicit members, less those that a checkpoint covers.
            let mut done = set(mode, 0, &a);
            done.prune(&second);
            is(&done, |i| a.contains(&i) && !(i < b_low || b.contains(&i)))?;
            // Advancing the low past members keeps the others.
            let mut moved = first.clone();
            for i in 0..advance {
                moved.advance(&txn(mode, i)).unwrap();
            }
            is(&moved, |i| i < a_low || i < advance || a.contains(&i))?;
            // The base of a watermark claims nothing above the first hole, except in MySQL's exact sets.
            if mode != Mode::MySqlGtid {
                is(&first.without_explicit(), |i| i < a_low)?;
            }
        }
    }

    #[test]
    fn parsing_anything_never_panics(text in "(mysql|mariadb|position|x)?=?[0-9a-f:;,.\\-]{0,40}") {
        let _ = ExecutedSet::parse(&text);
    }
}

#[test]
fn file_numbers_compare_as_numbers() {
    assert!(compare_files("bin.999999", "bin.1000000").is_lt());
    assert!(compare_files("bin.000002", "bin.000010").is_lt());
}

#[test]
fn another_generation_is_another_world() {
    let old = ExecutedSet::up_to_position(1, "b.000009", 500);
    assert!(old.contains(&TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos: 4 }));
    assert!(!old.contains(&TxnId::Position { generation: 2, file: "b.000001".to_owned(), pos: 4 }));
    let mut merged = ExecutedSet::empty(Mode::Position, 2);
    merged.merge(&old).unwrap();
    assert!(merged.is_empty());
}
