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

    /// Whatever is applied around them, holes are no members until they are filled, and reading begins before them.
    #[test]
    fn holes_stay_until_they_are_filled(
        held in prop::collection::btree_set(0..COUNT, 1..6),
        upto in 0..COUNT,
        filled in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        split in 0..COUNT,
    ) {
        for mode in MODES {
            let held: Vec<u64> = held.iter().copied().filter(|i| *i < upto).collect();
            let filled: BTreeSet<u64> =
                filled.iter().filter(|_| !held.is_empty()).map(|i| held[i.index(held.len())]).collect();
            let mut set = ExecutedSet::empty(mode, 3);
            let mut early = set.clone();
            for i in 0..upto {
                if held.contains(&i) {
                    set.hold(&txn(mode, i), ("b.999998", i * 100 + 1)).unwrap();
                } else {
                    set.advance(&txn(mode, i)).unwrap();
                }
                if i == split {
                    early = set.clone();
                }
            }
            // A lane that has filled them, not yet at the front of its queue.
            let mut lane = ExecutedSet::empty(mode, 3);
            let mut ahead = set.clone();
            for i in &filled {
                lane.insert(&txn(mode, *i)).unwrap();
                ahead.insert(&txn(mode, *i)).unwrap();
                set.advance(&txn(mode, *i)).unwrap();
            }
            let wanted = |i| i < upto && (!held.contains(&i) || filled.contains(&i));
            is(&set, wanted)?;
            is(&ahead, wanted)?;
            let stored = ExecutedSet::parse(&set.to_string()).unwrap();
            is(&stored, wanted)?;
            // Rows of several lanes, in any order.
            let mut merged = early.clone();
            merged.merge(&stored).unwrap();
            is(&merged, wanted)?;
            merged = lane.clone();
            merged.merge(&early).unwrap();
            merged.merge(&stored).unwrap();
            is(&merged, wanted)?;
            // A checkpoint from before covers nothing of the lane's.
            let mut kept = lane.clone();
            kept.prune(&early);
            is(&kept, |i| filled.contains(&i))?;
            // Reading begins before every hole that is left.
            let missing: Vec<u64> = held.iter().copied().filter(|i| !filled.contains(i)).collect();
            match stored.resume_point() {
                super::ResumePoint::Gtid(point) => {
                    for i in &missing {
                        let TxnId::Gtid(gtid) = txn(mode, *i) else { unreachable!() };
                        prop_assert!(!point.contains(&gtid), "{} in {}", i, point);
                    }
                }
                super::ResumePoint::Position(point) => {
                    let first = missing.first().map(|i| ("b.999998".to_owned(), i * 100 + 1));
                    let low = (0..upto).rfind(|i| !held.contains(i) || filled.contains(i));
                    let low = low.map(|i| match txn(mode, i) {
                        TxnId::Position { file, pos, .. } => (file, pos),
                        TxnId::Gtid(_) => unreachable!(),
                    });
                    let first = first.into_iter().chain(low).min_by(|a, b| {
                        compare_files(&a.0, &b.0).then(a.1.cmp(&b.1))
                    });
                    prop_assert_eq!(point, first);
                }
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
