//! Coarse forms of strings: equal under a collation means equal here, never the other way round.
//!
//! A form keeps of a string only what the collation gives the weight of an ASCII letter or digit ('á' is `a`, 'ß' is `ss`,
//! '٣' is `3`), and ideographs; all else is dropped. Weights of a string are the weights of its characters one after the
//! other, so equal strings lose the same and keep the same. Nothing here is known by heart: `folds.tsv` was asked of the
//! servers, and `tests/oracle/collations.rs` asks them again, character by character and for every collation of the list.

mod text;

use std::sync::OnceLock;

pub use text::{Coding, InvalidText};

/// Collations that give the same weights to whatever is kept; the columns of `folds.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fold {
    /// UCA 9.0.0.
    Uca900,
    /// UCA 14.0.0.
    Uca1400,
    /// UCA 5.2.0.
    Uca520,
    /// UCA 4.0.0.
    Uca400,
    /// One weight a character.
    General,
    /// latin1 with 'ü' as 'y'.
    Swedish,
    /// latin1 with 'ä' as 'a'.
    German1,
    /// Nothing equals an ASCII letter but its other case.
    Ascii,
    /// The same, but '~' equals 'y', and characters of two bytes are kept.
    Gbk,
}

/// Columns of the table.
const FAMILIES: [Fold; 7] =
    [Fold::Uca900, Fold::Uca1400, Fold::Uca520, Fold::Uca400, Fold::General, Fold::Swedish, Fold::German1];

/// Characters above ASCII that keep something, by the column of their family.
const TABLE: &str = include_str!("folds.tsv");

/// Every collation that the oracle has tried and found right.
pub const COLLATIONS: &[(Fold, &[&str])] = &[
    (Fold::Uca900, &["utf8mb4_0900_ai_ci", "utf8mb4_0900_as_ci", "utf8mb4_0900_as_cs"]),
    (
        Fold::Uca1400,
        &[
            "utf8mb4_uca1400_ai_ci",
            "utf8mb4_uca1400_ai_cs",
            "utf8mb4_uca1400_as_ci",
            "utf8mb4_uca1400_as_cs",
            "utf8mb4_uca1400_nopad_ai_ci",
            "utf8mb4_uca1400_nopad_ai_cs",
            "utf8mb4_uca1400_nopad_as_ci",
            "utf8mb4_uca1400_nopad_as_cs",
            "utf8mb3_uca1400_ai_ci",
            "utf8mb3_uca1400_as_ci",
            "utf8mb3_uca1400_as_cs",
        ],
    ),
    (
        Fold::Uca520,
        &[
            "utf8mb4_unicode_520_ci",
            "utf8mb4_unicode_520_nopad_ci",
            "utf8mb3_unicode_520_ci",
            "utf8mb3_unicode_520_nopad_ci",
        ],
    ),
    (
        Fold::Uca400,
        &["utf8mb4_unicode_ci", "utf8mb4_unicode_nopad_ci", "utf8mb3_unicode_ci", "utf8mb3_unicode_nopad_ci"],
    ),
    (
        Fold::General,
        &[
            "utf8mb4_general_ci",
            "utf8mb4_general_nopad_ci",
            "utf8mb3_general_ci",
            "utf8mb3_general_nopad_ci",
            "utf8mb3_general_mysql500_ci",
        ],
    ),
    (Fold::Swedish, &["latin1_swedish_ci", "latin1_swedish_nopad_ci"]),
    (Fold::German1, &["latin1_german1_ci"]),
    (Fold::Ascii, &["latin1_general_ci", "latin1_general_cs", "ascii_general_ci", "ascii_general_nopad_ci"]),
    (Fold::Gbk, &["gbk_chinese_ci", "gbk_chinese_nopad_ci"]),
];

impl Fold {
    /// The fold of a collation (lower case); `None` where we have not proved one.
    pub fn of(collation: &str) -> Option<Self> {
        COLLATIONS.iter().find(|(_, names)| names.contains(&collation)).map(|(fold, _)| *fold)
    }

    /// What is kept of one character of Unicode.
    pub fn of_char(self, c: char, kept: &mut Vec<u8>) {
        match c {
            '0'..='9' | 'a'..='z' | 'A'..='Z' => kept.push((c as u8).to_ascii_lowercase()),
            '~' if self == Fold::Gbk => kept.push(b'y'),
            '\0'..='\x7f' => {}
            _ if self.keeps_as_it_is(c) => kept.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => {
                let table = self.table();
                if let Ok(at) = table.binary_search_by_key(&c, |entry| entry.0) {
                    kept.extend_from_slice(table[at].1.as_bytes());
                }
            }
        }
    }

    /// Ideographs that every collation of Unicode tells apart.
    fn keeps_as_it_is(self, c: char) -> bool {
        use Fold::*;
        ('\u{4e00}'..='\u{9fa5}').contains(&c)
            && matches!(self, Uca900 | Uca1400 | Uca520 | Uca400 | General | Gbk)
    }

    fn table(self) -> &'static [(char, &'static str)] {
        static TABLES: OnceLock<Vec<Vec<(char, &'static str)>>> = OnceLock::new();
        let Some(column) = FAMILIES.iter().position(|f| *f == self) else { return &[] };
        &TABLES.get_or_init(|| (0..FAMILIES.len()).map(read_column).collect())[column]
    }
}

/// Lines of a code point in hexadecimal and a field for each family, `-` where nothing is kept; sorted.
fn read_column(column: usize) -> Vec<(char, &'static str)> {
    TABLE
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let c = char::from_u32(u32::from_str_radix(fields.next()?, 16).ok()?)?;
            Some((c, fields.nth(column).filter(|kept| *kept != "-")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole_and_sorted() {
        for fold in FAMILIES {
            let table = fold.table();
            assert!(table.len() > 20 && table.windows(2).all(|w| w[0].0 < w[1].0), "{fold:?}");
        }
        assert_eq!(TABLE.lines().filter(|l| l.split('\t').count() != 1 + FAMILIES.len()).count(), 0);
        let whole = TABLE.lines().all(|l| {
            let code = l.split('\t').next().unwrap_or_default();
            u32::from_str_radix(code, 16).ok().and_then(char::from_u32).is_some()
        });
        assert!(whole);
    }
}
