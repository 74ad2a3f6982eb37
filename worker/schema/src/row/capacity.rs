//! What character sets and text types can hold.

use crate::charset::normalise_charset;
use crate::model::{ColumnType, TypeKind};

/// Sets with every character of Unicode.
const ALL: [&str; 5] = ["utf8mb4", "utf16", "utf16le", "utf32", "gb18030"];
/// Sets with the characters of the first plane, which hold those of all sets but the ones above.
const FIRST_PLANE: [&str; 2] = ["utf8mb3", "ucs2"];
/// Sets whose first 128 characters are not those of ASCII.
const NOT_ASCII: [&str; 1] = ["swe7"];

/// Every text of the first set can be written in the second one.
pub(super) fn charset_holds(from: &str, to: &str) -> bool {
    let (from, to) = (normalise_charset(from), normalise_charset(to));
    let (from, to) = (from.as_str(), to.as_str());
    from == to
        || ALL.contains(&to)
        || FIRST_PLANE.contains(&to) && !ALL.contains(&from)
        || from == "ascii" && !NOT_ASCII.contains(&to)
        || from == "gb2312" && to == "gbk"
}

/// A text of so many characters, in the column's own set at most so many bytes, has a place in the column.
pub(super) fn text_fits(column: &ColumnType, characters: u64, bytes: u64) -> bool {
    match column.kind {
        TypeKind::Char | TypeKind::VarChar => characters <= u64::from(column.length.unwrap_or(1)),
        TypeKind::TinyText => bytes <= 255,
        TypeKind::Text => bytes <= 65_535,
        TypeKind::MediumText => bytes <= 16_777_215,
        _ => true,
    }
}
