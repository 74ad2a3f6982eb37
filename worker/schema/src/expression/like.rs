//! `LIKE`: characters one by one, as both servers do it ('ß' is not like 'ss', and blanks at the end count).

use crate::collation::Coding;

use super::text::{Collation, EQUALITY};

/// Characters of a pattern; more is no filter.
const LONGEST: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// `%`
    Any,
    /// `_`
    One,
    /// The bytes of one character, as the column stores it.
    Char(Vec<u8>),
}

/// A pattern for strings of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    items: Vec<Item>,
    collation: Collation,
    coding: Coding,
}

impl Pattern {
    /// `text` has been found fit for the column: ASCII, or the column's own characters.
    pub fn new(text: &str, escape: char, collation: Collation) -> Result<Self, String> {
        let coding = match collation.coding() {
            Some(coding @ (Coding::Utf8 | Coding::Latin1 | Coding::Bytes)) => coding,
            _ => return Err("LIKE is not supported for the column's character set".to_owned()),
        };
        if text.chars().count() > LONGEST {
            return Err(format!("a pattern of more than {LONGEST} characters is not supported"));
        }
        let mut items = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let c = match c {
                c if c == escape => match chars.next() {
                    Some(next) => next,
                    None => {
                        return Err(
                            "the escape character at the end of a pattern is not supported".to_owned()
                        );
                    }
                },
                '%' => {
                    items.push(Item::Any);
                    continue;
                }
                '_' => {
                    items.push(Item::One);
                    continue;
                }
                c => c,
            };
            let bytes = c.to_string().into_bytes();
            match coding {
                // Each byte counts there.
                Coding::Bytes => items.extend(bytes.into_iter().map(|b| Item::Char(vec![b]))),
                _ => items.push(Item::Char(bytes)),
            }
        }
        Ok(Self { items, collation, coding })
    }

    /// Whether a string is like the pattern. Where it is not known whether two characters are equal, both answers are
    /// tried: more equal characters never make a string unlike.
    pub fn matches(&self, bytes: &[u8]) -> Result<bool, &'static str> {
        let text: Vec<&[u8]> = match self.coding {
            Coding::Utf8 => {
                let text = std::str::from_utf8(bytes).map_err(|_| "its bytes are no text")?;
                text.char_indices().map(|(at, c)| &bytes[at..at + c.len_utf8()]).collect()
            }
            _ => bytes.chunks(1).collect(),
        };
        let doubtful = std::cell::Cell::new(None);
        let equal = |a: &[u8], b: &[u8], doubt: bool| match self.collation.equal_character(a, b) {
            Ok(equal) => equal,
            Err(why) => {
                doubtful.set(Some(why));
                doubt
            }
        };
        if !self.found(&text, &mut |a, b| equal(a, b, true)) {
            return Ok(false);
        }
        if doubtful.get().is_none() || self.found(&text, &mut |a, b| equal(a, b, false)) {
            return Ok(true);
        }
        Err(doubtful.get().unwrap_or(EQUALITY))
    }

    /// What stands between two `%` is found at its first place: every other one leaves less behind it.
    fn found(&self, text: &[&[u8]], equal: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        let (mut at, mut item) = (0, 0);
        // Where the last `%` was, and up to where it has reached.
        let mut back: Option<(usize, usize)> = None;
        while at < text.len() {
            let step = match self.items.get(item) {
                Some(Item::Any) => {
                    back = Some((item, at));
                    item += 1;
                    continue;
                }
                Some(Item::One) => true,
                Some(Item::Char(bytes)) => equal(text[at], bytes),
                None => false,
            };
            match (step, &mut back) {
                (true, _) => {
                    at += 1;
                    item += 1;
                }
                (false, Some((any, reached))) => {
                    *reached += 1;
                    at = *reached;
                    item = *any + 1;
                }
                (false, None) => return false,
            }
        }
        self.items.iter().skip(item).all(|i| *i == Item::Any)
    }
}
