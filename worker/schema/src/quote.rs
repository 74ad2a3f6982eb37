//! Quoting of identifiers and strings for our own sessions (no ANSI_QUOTES, no NO_BACKSLASH_ESCAPES).

/// Back-quotes an identifier.
pub fn quote_identifier(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push('`');
    for c in name.chars() {
        if c == '`' {
            out.push('`');
        }
        out.push(c);
    }
    out.push('`');
    out
}

/// A single-quoted string literal.
pub fn quote_string(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 2);
    push_quoted_bytes(&mut out, value.as_bytes());
    // Escaping only inserts ASCII, so the text stays UTF-8.
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a single-quoted literal of any bytes.
///
/// `\0 \n \r \Z \\ \'` are escaped; every other byte stands for itself, which holds in a session with
/// `SET NAMES binary` whatever charset the column has.
pub(crate) fn push_quoted_bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.reserve(value.len() + 2);
    out.push(b'\'');
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| escape_of(*b).is_some()) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(escape_of(rest[at]).unwrap_or(rest[at]));
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// The letter after the backslash for bytes that must be escaped.
fn escape_of(byte: u8) -> Option<u8> {
    Some(match byte {
        0 => b'0',
        b'\n' => b'n',
        b'\r' => b'r',
        0x1a => b'Z',
        b'\\' => b'\\',
        b'\'' => b'\'',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        assert_eq!(quote_identifier("a`b"), "`a``b`");
        assert_eq!(quote_string("it's\n\\ é"), "'it\\'s\\n\\\\ é'");
        let mut out = Vec::new();
        push_quoted_bytes(&mut out, &[0, 0x1a, 0xff, b'\r', b'"']);
        assert_eq!(out, b"'\\0\\Z\xff\\r\"'");
    }
}
