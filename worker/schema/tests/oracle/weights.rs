//! Weights of characters as a server prints them, and what is kept of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// Hexadecimal digits of one weight in collations of Unicode.
const UNIT: usize = 4;

/// Weights in hexadecimal by character.
pub type Weights = BTreeMap<u32, String>;

pub fn charset(collation: &str) -> &str {
    collation.split('_').next().unwrap_or_default()
}

/// Digits of one weight; 0 where a character has one, of whatever length.
pub fn unit(collation: &str) -> usize {
    if charset(collation).starts_with("utf8") { UNIT } else { 0 }
}

pub fn units(weight: &str, unit: usize) -> Vec<&str> {
    match unit {
        0 => vec![weight],
        _ => (0..weight.len()).step_by(unit).map(|at| &weight[at..weight.len().min(at + unit)]).collect(),
    }
}

pub fn is_ideograph(n: u32) -> bool {
    (0x4e00..=0x9fa5).contains(&n)
}

/// What characters of some weights keep.
pub struct Kept<'w> {
    pub unit: usize,
    pub known: HashMap<Vec<&'w str>, String>,
}

impl<'w> Kept<'w> {
    /// A text of several weights keeps what each of them keeps.
    pub fn of(&self, weight: &'w str) -> String {
        let units = units(weight, self.unit);
        let (mut kept, mut at) = (String::new(), 0);
        while at < units.len() {
            let found = [2, 1].into_iter().find_map(|n| Some((n, self.known.get(units.get(at..at + n)?)?)));
            let (taken, text) = found.map_or((1, ""), |(n, text)| (n, text.as_str()));
            kept.push_str(text);
            at += taken;
        }
        kept
    }
}

/// What each character keeps when only ASCII letters, digits and ideographs are told apart.
pub fn kept_of(weights: &Weights, unit: usize) -> BTreeMap<u32, String> {
    let mut known = HashMap::new();
    for n in (0x30..=0x39).chain(0x61..=0x7a).chain(0x4e00..=0x9fa5) {
        let Some(weight) = weights.get(&n) else { continue };
        known.insert(units(weight, unit), char::from_u32(n).unwrap().to_string());
    }
    let kept = Kept { unit, known };
    weights.iter().map(|(n, weight)| (*n, kept.of(weight))).collect()
}

pub fn table_text(columns: &[BTreeMap<u32, String>]) -> String {
    let own = |n: u32| n < 0x80 || is_ideograph(n);
    let codes: BTreeSet<u32> = columns
        .iter()
        .flat_map(|c| c.iter().filter(|(n, k)| !own(**n) && !k.is_empty()).map(|(n, _)| *n))
        .collect();
    let mut text = String::new();
    for n in codes {
        let _ = write!(text, "{n:X}");
        for column in columns {
            let _ =
                write!(text, "\t{}", column.get(&n).filter(|k| !k.is_empty()).map_or("-", String::as_str));
        }
        text.push('\n');
    }
    text
}
