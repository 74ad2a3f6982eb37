//! Charsets and collations, as far as equality and conversion depend on them.

/// Charset names in one spelling: lower case, `utf8` as `utf8mb3`.
pub fn normalise_charset(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if lower == "utf8" { "utf8mb3".to_owned() } else { lower }
}

/// Collation names in one spelling: lower case, `utf8_..` as `utf8mb3_..`.
pub fn normalise_collation(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    match lower.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => lower,
    }
}

/// The charset of a collation, taken from its name. None for MariaDB's short names (`uca1400_ai_ci`) that go with any
/// charset.
pub fn charset_of_collation(collation: &str) -> Option<&str> {
    if collation == "binary" {
        return Some("binary");
    }
    let charset = collation.split('_').next()?;
    (!charset.starts_with("uca")).then_some(charset)
}

/// Charsets in which a `_bin` collation compares the stored bytes but for trailing spaces (0x20).
const BYTE_ORDERED: [&str; 29] = [
    "utf8mb4", "utf8mb3", "ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256",
    "cp1257", "cp850", "cp852", "cp866", "koi8r", "koi8u", "greek", "hebrew", "macce", "macroman", "keybcs2",
    "armscii8", "geostd8", "gbk", "gb2312", "big5", "euckr", "dec8", "hp8",
];

/// True for collations whose equality we implement exactly: equal values have equal bytes once trailing spaces are
/// gone (under NO PAD the spaces count, but taking them off only makes unequal values look equal, which is safe).
pub fn equality_is_bytes(charset: &str, collation: &str) -> bool {
    collation.ends_with("_bin") && BYTE_ORDERED.contains(&charset)
}

/// The collation that `SHOW CREATE TABLE` means when it names a charset only. (Servers that have another default for
/// utf8mb4 always name it.)
pub fn default_collation(charset: &str) -> Option<&'static str> {
    Some(match charset {
        "utf8mb4" => "utf8mb4_general_ci",
        "utf8mb3" => "utf8mb3_general_ci",
        "latin1" => "latin1_swedish_ci",
        "ascii" => "ascii_general_ci",
        "gbk" => "gbk_chinese_ci",
        _ => return None,
    })
}

/// Bytes of a charset's longest character.
pub(crate) fn longest_character(charset: &str) -> u64 {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "ujis" | "eucjpms" => 3,
        "ucs2" | "gbk" | "gb2312" | "big5" | "sjis" | "cp932" | "euckr" => 2,
        _ => 1,
    }
}

/// Bytes of charsets that a session can't have as its own and whose space is not one byte.
pub fn is_wide(charset: &str) -> bool {
    matches!(charset, "ucs2" | "utf16" | "utf16le" | "utf32")
}

/// Bytes of the longest character.
pub(crate) fn char_bytes(charset: &str) -> u64 {
    match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "utf8" | "ujis" | "eucjpms" => 3,
        "ucs2" | "gbk" | "gb2312" | "big5" | "euckr" | "sjis" | "cp932" => 2,
        _ => 1,
    }
}
