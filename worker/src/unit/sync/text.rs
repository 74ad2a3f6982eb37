//! Text of QUERY events, which comes in the character set of the client that sent it.
use std::borrow::Cow;

use dm_binlog::QueryEvent;

/// The statement's text, and whether it could not be read: what is not ASCII is replaced then.
pub fn of_query<'a>(query: &'a QueryEvent<'_>) -> (Cow<'a, str>, bool) {
    decode(&query.query, query.vars.charset_client)
}

fn decode(bytes: &[u8], collation: Option<u16>) -> (Cow<'_, str>, bool) {
    if bytes.is_ascii() {
        return (String::from_utf8_lossy(bytes), false);
    }
    match collation.map(charset_of) {
        None | Some(Some("utf8mb4" | "utf8mb3")) => {
            if let Ok(text) = std::str::from_utf8(bytes) {
                return (Cow::Borrowed(text), false);
            }
        }
        Some(Some("latin1")) => return (Cow::Owned(bytes.iter().map(|b| latin1(*b)).collect()), false),
        _ => {}
    }
    let ascii = bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER });
    (Cow::Owned(ascii.collect()), true)
}

/// The servers' latin1 is Windows-1252, with its five gaps as control characters.
fn latin1(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}',
        '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}', '\u{90}',
        '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2DC}',
        '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
    ];
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte) - 0x80],
        _ => char::from(byte),
    }
}

/// Character set of a collation's number, the same on both servers; `None` where it is not known here.
pub fn charset_of(collation: u16) -> Option<&'static str> {
    Some(match collation {
        5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => "latin1",
        33 | 76 | 83 | 192..=215 | 223 => "utf8mb3",
        45 | 46 | 224..=247 | 255..=323 => "utf8mb4",
        11 | 65 => "ascii",
        63 => "binary",
        2 | 9 | 21 | 27 | 77 => "latin2",
        14 | 23 | 50 | 51 | 52 => "cp1251",
        1 | 84 => "big5",
        13 | 88 => "sjis",
        95 | 96 => "cp932",
        12 | 91 => "ujis",
        97 | 98 => "eucjpms",
        19 | 85 => "euckr",
        24 | 86 => "gb2312",
        28 | 87 => "gbk",
        248..=250 => "gb18030",
        35 | 90 | 128..=151 | 159 => "ucs2",
        54 | 55 | 101..=124 => "utf16",
        60 | 61 | 160..=183 => "utf32",
        // MariaDB's without padding.
        1025..=1300 => return charset_of(collation - 1024),
        // MariaDB's uca1400: 256 numbers a character set, in this order.
        2048..=2303 => "utf8mb3",
        2304..=2559 => "utf8mb4",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_its_clients_character_set_or_not_at_all() {
        assert_eq!(decode(b"caf\xE9 \x80", Some(8)).0, "caf\u{e9} \u{20AC}");
        assert_eq!(decode("caf\u{e9}".as_bytes(), Some(45)), (Cow::Borrowed("caf\u{e9}"), false));
        assert!(!decode("caf\u{e9}".as_bytes(), None).1);
        // Two characters of GBK that are also one of UTF-8.
        assert_eq!(
            decode(b"x \xC1\xAA\xCD\xA8", Some(28)),
            (Cow::Borrowed("x \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), true)
        );
        assert!(decode(b"caf\xE9", Some(45)).1);
        assert!(!decode(b"plain", Some(28)).1);
    }
}
