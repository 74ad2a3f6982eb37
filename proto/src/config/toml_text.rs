//! Strict TOML decoding of the processes' own files.

use crate::error::{Code, Error};
use serde::de::DeserializeOwned;

/// Decodes `text`; the message names key and line, never a value.
pub(crate) fn decode<T: DeserializeOwned>(text: &str, what: &str, code: Code) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let at = line.map_or(String::new(), |line| format!("line {line}: "));
        let message = error.message();
        // "invalid type: string \"x\", expected u16" shows the value: keep what is expected.
        let message = match (message.strip_prefix("invalid "), message.rsplit_once(", expected ")) {
            (Some(_), Some((_, expected))) => format!("the value should be {expected}"),
            _ => message.lines().next().unwrap_or_default().to_owned(),
        };
        code.error(format!("{what}: {at}{message}"))
    })
}

/// `host:port` with a port; the host may be empty only where one listens.
pub(crate) fn address(text: &str, code: Code, key: &str) -> Result<String, Error> {
    let plain = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match plain.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() && !plain.contains("://") => Ok(plain.to_owned()),
        _ => Err(code.error(format!("{key} `{text}` is not `host:port`"))),
    }
}

/// Like [`address`], and refuses hosts that other machines can't reach.
pub(crate) fn advertised(text: &str, code: Code, key: &str) -> Result<String, Error> {
    let address = address(text, code, key)?;
    let host = address.rsplit_once(':').map_or("", |(host, _)| host);
    if ["", "0.0.0.0", "[::]"].contains(&host) {
        return Err(code.error(format!("{key} `{text}` has no host that others can reach")));
    }
    Ok(address)
}

/// Items of a comma list, blanks removed.
pub(crate) fn list(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The machine's name, for default member names.
pub(crate) fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}
