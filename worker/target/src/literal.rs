//! SQL literals for sessions with binary names.

/// Appends `_utf8mb4'...'`: comparable with the meta tables' text columns by index.
pub(crate) fn text(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(b"_utf8mb4");
    quote(out, value.as_bytes());
}

/// Appends `_binary'...'`.
pub(crate) fn blob(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b"_binary");
    quote(out, value);
}

/// A text literal as a string.
pub(crate) fn text_string(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 16);
    text(&mut out, value);
    // Quoting only adds ASCII to valid UTF-8.
    String::from_utf8_lossy(&out).into_owned()
}

/// An identifier in backticks.
pub(crate) fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quote(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'\'');
    for &byte in value {
        match byte {
            0 => out.extend_from_slice(b"\\0"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x1a => out.extend_from_slice(b"\\Z"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\'' => out.extend_from_slice(b"\\'"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}
