//! Paths of JSON diffs, as the server prints them: `$.name."other name"[3]`.

use std::borrow::Cow;

use crate::error::DecodeError;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leg<'a> {
    /// A member of an object.
    Member(Cow<'a, [u8]>),
    /// A cell of an array, counted from its start.
    Cell(usize),
    /// A cell of an array, counted from its last.
    FromLast(usize),
}

impl Leg<'_> {
    /// Index of the cell in an array of `len`; `None` before its start.
    pub(crate) fn index(&self, len: usize) -> Option<usize> {
        match *self {
            Self::Member(_) => None,
            Self::Cell(n) => Some(n),
            Self::FromLast(n) => len.checked_sub(n.checked_add(1)?),
        }
    }
}

/// Reads a whole path.
pub(crate) fn parse(path: &[u8], base: usize) -> Result<Vec<Leg<'_>>, DecodeError> {
    let wrong = || DecodeError::invalid(base, "path of a JSON diff");
    let mut rest = path.strip_prefix(b"$").ok_or_else(wrong)?;
    let mut legs = Vec::new();
    while let Some((head, tail)) = rest.split_first() {
        let leg;
        (leg, rest) = match head {
            b'[' => {
                let end = tail.iter().position(|b| *b == b']').ok_or_else(wrong)?;
                (cell(&tail[..end]).ok_or_else(wrong)?, &tail[end + 1..])
            }
            b'.' => match tail.strip_prefix(b"\"") {
                Some(quoted) => {
                    let (name, rest) = unquote(quoted).ok_or_else(wrong)?;
                    (Leg::Member(name), rest)
                }
                None => {
                    let end = tail.iter().position(|b| matches!(b, b'.' | b'[')).unwrap_or(tail.len());
                    let (name, rest) = tail.split_at(end);
                    if name.is_empty() || name.contains(&b'*') {
                        return Err(wrong());
                    }
                    (Leg::Member(Cow::Borrowed(name)), rest)
                }
            },
            _ => return Err(wrong()),
        };
        legs.push(leg);
    }
    Ok(legs)
}

fn cell<'a>(text: &[u8]) -> Option<Leg<'a>> {
    let number = |digits: &[u8]| {
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| plain)?.parse::<usize>().ok()
    };
    match text.strip_prefix(b"last") {
        None => number(text).map(Leg::Cell),
        Some(b"") => Some(Leg::FromLast(0)),
        Some(back) => number(back.strip_prefix(b"-")?).map(Leg::FromLast),
    }
}

/// A JSON string after its first quote, and what follows its last.
fn unquote(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let plain = text.iter().position(|b| matches!(b, b'"' | b'\\'))?;
    if text[plain] == b'"' {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut out = text[..plain].to_vec();
    let mut rest = &text[plain..];
    loop {
        let (head, tail) = rest.split_first()?;
        rest = tail;
        match head {
            b'"' => return Some((Cow::Owned(out), rest)),
            b'\\' => {
                let (escaped, tail) = rest.split_first()?;
                rest = tail;
                match escaped {
                    b'"' | b'\\' | b'/' => out.push(*escaped),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'u' => {
                        // The server escapes control characters only: no surrogates.
                        let digits = std::str::from_utf8(rest.get(..4)?).ok()?;
                        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
                        let code = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
                        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
                        rest = &rest[4..];
                    }
                    _ => return None,
                }
            }
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Leg<'_> {
        Leg::Member(Cow::Borrowed(name.as_bytes()))
    }

    #[test]
    fn every_kind_of_step() {
        assert_eq!(parse(b"$", 0).unwrap(), []);
        let path = br#"$.a."b c\"\\\u0001"[12][last][last-3].d"#;
        assert_eq!(
            parse(path, 0).unwrap(),
            [
                member("a"),
                member("b c\"\\\u{1}"),
                Leg::Cell(12),
                Leg::FromLast(0),
                Leg::FromLast(3),
                member("d")
            ]
        );
        assert_eq!(parse(br#"$."""#, 0).unwrap(), [member("")]);
    }

    #[test]
    fn what_is_not_one_path_is_refused() {
        let wrong =
            ["", "a", "$.", "$a", "$[", "$[]", "$[-1]", "$[*]", "$.*", "$**.a", "$.\"a", "$[1]x", "$[+1]"];
        for path in wrong {
            assert!(parse(path.as_bytes(), 0).is_err(), "{path}");
        }
    }
}
