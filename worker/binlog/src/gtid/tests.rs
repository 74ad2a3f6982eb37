use proptest::prelude::*;

use super::*;
use crate::Flavor;
use crate::reader::Reader;

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

fn set(text: &str) -> MySqlGtidSet {
    MySqlGtidSet::parse(text).unwrap()
}

#[test]
fn mysql_text_is_normalised_like_the_servers() {
    let text = format!("{}:7:1-5:6:MyTag:1-4:9,\n {A}:20-22", A.to_uppercase());
    assert_eq!(set(&text).to_string(), format!("{A}:1-7:20-22:mytag:1-4:9"));
    assert_eq!(set(&format!("{B}:2,{A}:1")).to_string(), format!("{A}:1,{B}:2"));
    assert_eq!(set("").to_string(), "");
    assert_eq!(set(&format!("{A}:5-3")).to_string(), "");
}

#[test]
fn mysql_bad_texts_are_refused() {
    for bad in ["x:1", A, &format!("{A}:0"), &format!("{A}:1-"), &format!("{A}:tag"), &format!("{A}:-1")] {
        assert!(MySqlGtidSet::parse(bad).is_err(), "{bad}");
    }
    assert!(MySqlGtidSet::parse(&format!("{A}:9223372036854775807")).is_err());
    assert!(Tag::new(&"a".repeat(33)).is_err());
    assert!(Tag::new("1a").is_err());
}

#[test]
fn one_id_both_ways() {
    for text in [format!("{A}:7"), format!("{A}:tag_1:7")] {
        assert_eq!(Gtid::parse(Flavor::MySql, &text).unwrap().to_string(), text);
    }
    assert_eq!(Gtid::parse(Flavor::MariaDb, "0-11-60").unwrap().to_string(), "0-11-60");
    for bad in ["0-11", "0-11-60-1", "a-1-1", "0-4294967296-1"] {
        assert!(Gtid::parse(Flavor::MariaDb, bad).is_err(), "{bad}");
    }
    assert!(Gtid::parse(Flavor::MySql, &format!("{A}:1-2")).is_err());
}

#[test]
fn tags_are_separate_sources() {
    let s = set(&format!("{A}:1-3:t:5"));
    let sid = parse::uuid(A).unwrap();
    assert!(s.contains(&sid, &Tag::NONE, 3) && !s.contains(&sid, &Tag::NONE, 5));
    assert!(s.contains(&sid, &Tag::new("t").unwrap(), 5));
    assert_eq!(s.count(), 4);
}

#[test]
fn wire_form_both_ways() {
    for text in [String::new(), format!("{A}:1-5:7,{B}:3"), format!("{A}:1:abc:2-4,{B}:x:9")] {
        let s = set(&text);
        let mut bytes = Vec::new();
        s.encode(&mut bytes);
        assert_eq!(MySqlGtidSet::decode(&mut Reader::new(&bytes)).unwrap(), s, "{text}");
    }
}

#[test]
fn mariadb_position() {
    let mut p = GtidSet::parse(Flavor::MariaDb, "7-99-2,0-11-60, 0-12-58").unwrap();
    assert_eq!(p.to_string(), "0-11-60,7-99-2");
    let g = |t: &str| Gtid::parse(Flavor::MariaDb, t).unwrap();
    assert!(p.contains(&g("0-5-60")) && !p.contains(&g("0-5-61")) && !p.contains(&g("1-1-1")));
    p.add(&g("0-5-61"));
    p.add(&g("7-1-1"));
    assert_eq!(p.to_string(), "0-5-61,7-99-2");
    let older = GtidSet::parse(Flavor::MariaDb, "0-11-60").unwrap();
    assert!(older.is_subset_of(&p) && !p.is_subset_of(&older));
    let mut left = p.clone();
    left.subtract(&GtidSet::parse(Flavor::MariaDb, "0-1-61").unwrap());
    assert_eq!(left.to_string(), "7-99-2");
    left.union(&older);
    assert_eq!(left.to_string(), "0-11-60,7-99-2");
}

proptest! {
    /// Against a plain set of numbers.
    #[test]
    fn mysql_set_algebra(a in prop::collection::vec((1u64..60, 0u64..6), 0..12),
                         b in prop::collection::vec((1u64..60, 0u64..6), 0..12)) {
        use std::collections::BTreeSet;
        let sid = [1u8; 16];
        let build = |v: &[(u64, u64)]| {
            let (mut s, mut m) = (MySqlGtidSet::default(), BTreeSet::new());
            for (first, len) in v {
                s.add_interval(sid, Tag::NONE, *first, first + len);
                m.extend(*first..=first + len);
            }
            (s, m)
        };
        let same = |s: &MySqlGtidSet, m: &BTreeSet<u64>| {
            (0..80).all(|n| s.contains(&sid, &Tag::NONE, n) == m.contains(&n))
                && s.count() == m.len() as u64
                && MySqlGtidSet::parse(&s.to_string()).unwrap() == *s
                && s.sources().all(|(_, _, l)| l.windows(2).all(|w| w[0].1 + 1 < w[1].0))
        };
        let ((sa, ma), (sb, mb)) = (build(&a), build(&b));
        prop_assert!(same(&sa, &ma));
        prop_assert_eq!(sa.is_subset_of(&sb), ma.is_subset(&mb));
        let mut u = sa.clone();
        u.union(&sb);
        prop_assert!(same(&u, &ma.union(&mb).copied().collect()));
        let mut d = sa.clone();
        d.subtract(&sb);
        prop_assert!(same(&d, &ma.difference(&mb).copied().collect()));
    }
}
