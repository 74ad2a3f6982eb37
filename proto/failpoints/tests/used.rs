//! The list and the code know the same failpoints.
#![allow(clippy::unwrap_used)]
use std::{collections::BTreeMap, fs, path::Path};

use dm_failpoints::Failpoint;

/// How often `hold(Failpoint::NAME)` stands in the sources below a folder; test files arm, they do not hold.
fn count(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().unwrap() != "tests" {
                count(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for call in text.split("hold(Failpoint::").skip(1) {
                let name = call.split(')').next().unwrap().to_owned();
                *found.entry(name).or_default() += 1;
            }
        }
    }
}

#[test]
fn every_failpoint_of_the_list_is_in_the_code() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut found = BTreeMap::new();
    count(&house.join("worker"), &mut found);
    count(&house.join("raft-master"), &mut found);
    // The other way round the compiler sees to it.
    let missing: Vec<&Failpoint> =
        Failpoint::ALL.iter().filter(|f| !found.contains_key(&format!("{f:?}"))).collect();
    assert!(missing.is_empty(), "in the list and nowhere in the code: {missing:?}");
}

#[test]
fn names_are_unique_within_a_process_and_say_where_they_are() {
    let mut places = BTreeMap::new();
    for failpoint in Failpoint::ALL {
        assert!(["worker", "target", "master"].contains(&failpoint.room()), "{failpoint:?}");
        let process = if failpoint.room() == "master" { "master" } else { "worker" };
        let before = places.insert((process, failpoint.place()), failpoint);
        assert_eq!(before, None, "two failpoints of one name");
        // BeforeTakeOver = before_take_over: one spelling for both.
        let spelt: String = failpoint.place().split('_').map(capital).collect();
        assert_eq!(spelt, format!("{failpoint:?}"));
    }
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}
