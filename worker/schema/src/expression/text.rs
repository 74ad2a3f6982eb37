//! Strings under their collation, as far as we know it exactly.
use std::cmp::Ordering;

use crate::charset::equality_is_bytes;
use crate::collation::{Coding, Fold};
use crate::model::Column;

/// How the source compares a column's strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Collation {
    rule: Rule,
    /// Trailing spaces do not count.
    pads: bool,
    coding: Option<Coding>,
    /// Bytes of the charset above ASCII are in the order of its `_bin` collation.
    ordered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Bytes,
    /// What differs here differs for the source; printable ASCII is equal but for letter case.
    Fold(Fold, CaseOf),
    /// No name is known: only what is the same is equal.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CaseOf {
    Counts,
    Ignored,
}

/// Why an answer is not certain.
pub(super) const ORDER: &str = "the order of such strings under the column's collation is not known exactly; compare with = or \
                                <>, numbers, dates, or a column with a _bin collation";
pub(super) const EQUALITY: &str = "whether these strings are equal under the column's collation is not known exactly; compare numbers or a column with \
     a _bin collation";

/// Neither the rows' definition nor the source's present one names a collation.
pub(super) const UNKNOWN: &str =
    "the column's collation is not known for this row; compare numbers or dates, or remove the filter";

impl Collation {
    /// Byte strings.
    pub const BINARY: Self =
        Self { rule: Rule::Bytes, pads: false, coding: Some(Coding::Bytes), ordered: true };

    /// Of a column of characters; an error for collations that we know nothing of.
    pub fn of(column: &Column) -> Result<Self, String> {
        let charset = column.charset.as_deref();
        let coding = charset.and_then(Coding::of);
        let ordered = matches!(charset, Some("utf8mb4" | "utf8mb3" | "ascii" | "latin1"));
        let (rule, pads) = match (charset, column.collation.as_deref()) {
            (_, None) | (None, _) => (Rule::Unknown, false),
            (Some(charset), Some(collation)) => {
                let rule = match Fold::of(collation) {
                    _ if equality_is_bytes(charset, collation) => Rule::Bytes,
                    Some(fold) if fold != Fold::Gbk => {
                        let case = if collation.ends_with("_cs") { CaseOf::Counts } else { CaseOf::Ignored };
                        Rule::Fold(fold, case)
                    }
                    _ => return Err(format!("strings with collation {collation} are not supported")),
                };
                (rule, !collation.contains("0900") && !collation.contains("nopad"))
            }
        };
        Ok(Self { rule, pads, coding, ordered })
    }

    /// The same for names of members, which are text of ours.
    pub fn of_members(mut self) -> Self {
        self.ordered &= self.coding == Some(Coding::Utf8);
        self.coding = Some(Coding::Utf8);
        self
    }

    /// Whether characters above ASCII of a literal are the column's own bytes.
    pub fn takes_utf8(&self, column: &Column) -> bool {
        self.coding == Some(Coding::Bytes) || column.charset.as_deref() == Some("utf8mb4")
    }

    pub fn equal(&self, a: &[u8], b: &[u8]) -> Result<bool, &'static str> {
        let (a, b) = (self.trimmed(a), self.trimmed(b));
        if a == b {
            return Ok(true);
        }
        match self.rule {
            Rule::Bytes => Ok(false),
            Rule::Fold(_, case) if printable(a) && printable(b) => {
                Ok(case == CaseOf::Ignored && a.eq_ignore_ascii_case(b))
            }
            Rule::Fold(fold, _) => {
                let coding = self.coding.ok_or(EQUALITY)?;
                let form = |bytes: &[u8]| {
                    let mut kept = Vec::with_capacity(bytes.len());
                    fold.push(coding, bytes, &mut kept);
                    kept
                };
                if form(a) == form(b) { Err(EQUALITY) } else { Ok(false) }
            }
            Rule::Unknown => Err(UNKNOWN),
        }
    }

    /// How bytes are characters.
    pub fn coding(&self) -> Option<Coding> {
        self.coding
    }

    /// Whether two single characters are equal; blanks count.
    pub fn equal_character(&self, a: &[u8], b: &[u8]) -> Result<bool, &'static str> {
        if a == b && self.rule != Rule::Unknown {
            return Ok(true);
        }
        match self.rule {
            // The weights that LIKE compares under a `_cs` collation are not known.
            Rule::Fold(_, CaseOf::Counts) if a.eq_ignore_ascii_case(b) => Err(EQUALITY),
            _ => Self { pads: false, ..*self }.equal(a, b),
        }
    }

    pub fn order(&self, a: &[u8], b: &[u8]) -> Result<Ordering, &'static str> {
        let (a, b) = (self.trimmed(a), self.trimmed(b));
        match self.rule {
            _ if a == b => Ok(Ordering::Equal),
            Rule::Bytes if !(self.ordered || a.is_ascii() && b.is_ascii()) => Err(ORDER),
            Rule::Bytes if self.pads => Ok(padded(a, b)),
            Rule::Bytes => Ok(a.cmp(b)),
            // Letters, digits and blanks: in every collation of the list a blank is before digits, digits before letters.
            Rule::Fold(_, case) if plain(a) && plain(b) => {
                let order = a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
                if order == Ordering::Equal && case == CaseOf::Counts { Err(ORDER) } else { Ok(order) }
            }
            Rule::Fold(..) => Err(ORDER),
            Rule::Unknown => Err(UNKNOWN),
        }
    }

    fn trimmed<'b>(&self, mut bytes: &'b [u8]) -> &'b [u8] {
        while let (true, Some((b' ', rest))) = (self.pads, bytes.split_last()) {
            bytes = rest;
        }
        bytes
    }
}

/// The shorter one is as if spaces followed it.
fn padded(a: &[u8], b: &[u8]) -> Ordering {
    let length = a.len().max(b.len());
    let at = |bytes: &[u8], i: usize| bytes.get(i).copied().unwrap_or(b' ');
    (0..length).map(|i| at(a, i).cmp(&at(b, i))).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| (b' '..=b'~').contains(b))
}

fn plain(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b' ')
}
