//! Stored bytes as characters, as far as folds need them.

use super::Fold;

/// How the bytes of a string are its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// utf8mb4, utf8mb3 and ascii.
    Utf8,
    /// latin1, which is cp1252 at the servers.
    Latin1,
    /// gbk: one or two bytes a character.
    Gbk,
    /// One byte is one character, whichever.
    Bytes,
}

/// The bytes are no text of their character set, so that its characters can't be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidText;

/// What latin1's bytes 0x80 to 0x9F are.
const CP1252: [u16; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d,
    0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a,
    0x153, 0x9d, 0x17e, 0x178,
];

impl Coding {
    /// Of a charset in its normal spelling; `None` where we can't tell characters apart.
    pub fn of(charset: &str) -> Option<Self> {
        Some(match charset {
            "utf8mb4" | "utf8mb3" | "ascii" => Coding::Utf8,
            "latin1" => Coding::Latin1,
            "gbk" => Coding::Gbk,
            "binary" => Coding::Bytes,
            _ => return None,
        })
    }

    /// The first `count` characters.
    pub fn first(self, bytes: &[u8], count: usize) -> Result<&[u8], InvalidText> {
        // No character is shorter than a byte.
        if bytes.len() <= count {
            return Ok(bytes);
        }
        let end = match self {
            Coding::Latin1 | Coding::Bytes => count,
            Coding::Utf8 => {
                let text = std::str::from_utf8(bytes).map_err(|_| InvalidText)?;
                text.char_indices().nth(count).map_or(bytes.len(), |(at, _)| at)
            }
            Coding::Gbk => {
                let mut at = 0;
                for _ in 0..count {
                    at += if bytes.get(at).is_some_and(|b| !b.is_ascii()) { 2 } else { 1 };
                }
                at.min(bytes.len())
            }
        };
        bytes.get(..end).ok_or(InvalidText)
    }
}

impl Fold {
    /// Appends what is kept of a string. Bytes that are no text keep nothing: the servers find them equal to the same
    /// bytes only.
    pub fn push(self, coding: Coding, bytes: &[u8], kept: &mut Vec<u8>) {
        match coding {
            Coding::Utf8 if bytes.is_ascii() => {
                bytes.iter().for_each(|b| self.of_char(char::from(*b), kept));
            }
            Coding::Utf8 => {
                for chunk in bytes.utf8_chunks() {
                    chunk.valid().chars().for_each(|c| self.of_char(c, kept));
                }
            }
            Coding::Latin1 | Coding::Bytes => {
                for byte in bytes {
                    let code = match byte {
                        0x80..=0x9f => CP1252[usize::from(byte - 0x80)],
                        _ => u16::from(*byte),
                    };
                    char::from_u32(u32::from(code)).into_iter().for_each(|c| self.of_char(c, kept));
                }
            }
            Coding::Gbk => {
                let mut rest = bytes;
                while let Some((first, after)) = rest.split_first() {
                    if first.is_ascii() {
                        self.of_char(char::from(*first), kept);
                        rest = after;
                    } else {
                        let (character, after) = rest.split_at(rest.len().min(2));
                        kept.extend_from_slice(character);
                        rest = after;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(fold: Fold, coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        fold.push(coding, bytes, &mut kept);
        kept
    }

    #[test]
    fn what_is_equal_keeps_the_same() {
        let unicode = |text: &str| fold(Fold::Uca900, Coding::Utf8, text.as_bytes());
        assert_eq!(unicode("Straße "), unicode("STRASSE"));
        assert_eq!(unicode("\u{ad}á-b_١"), b"ab1");
        assert_ne!(unicode("中文"), unicode("中国"));
        assert_eq!(unicode("㍿"), unicode("株式会社"));
        let general = |text: &str| fold(Fold::General, Coding::Utf8, text.as_bytes());
        assert_eq!(general("Straße"), general("strase"));
        assert_eq!(fold(Fold::Swedish, Coding::Latin1, b"\xfc\xe4"), b"y");
        assert_eq!(fold(Fold::Gbk, Coding::Gbk, b"~A\xb0\x61a"), b"ya\xb0\x61a");
        assert_eq!(fold(Fold::General, Coding::Utf8, b"a\xffb\xf0"), b"ab");
    }

    #[test]
    fn characters_are_counted() {
        assert_eq!(Coding::Utf8.first("äöü".as_bytes(), 2), Ok("äö".as_bytes()));
        assert_eq!(Coding::Gbk.first(b"a\xb0\x61bc", 2), Ok(&b"a\xb0\x61"[..]));
        assert_eq!(Coding::Gbk.first(b"aaa\xb0", 4), Ok(&b"aaa\xb0"[..]));
        assert_eq!(Coding::Latin1.first(b"\xe4\xf6", 1), Ok(&b"\xe4"[..]));
        assert_eq!(Coding::Utf8.first(b"\xffab", 2), Err(InvalidText));
    }
}
