//! XA transactions in the binlog: which one, and what becomes of it.
use std::fmt;

use dm_binlog::{MariaXid, XaPrepare};

/// Name of a branch of a distributed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xid {
    pub format_id: i32,
    pub gtrid: Vec<u8>,
    pub bqual: Vec<u8>,
}

/// What a transaction of the binlog is to an XA transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Xa {
    /// Its rows, which are not committed yet.
    Prepare(Xid),
    /// It is committed here; the rows came before.
    Commit(Xid),
    /// It is given up.
    Rollback(Xid),
}

impl From<&XaPrepare<'_>> for Xid {
    fn from(event: &XaPrepare<'_>) -> Self {
        Self { format_id: event.format_id, gtrid: event.gtrid.to_vec(), bqual: event.bqual.to_vec() }
    }
}

impl From<&MariaXid> for Xid {
    fn from(xid: &MariaXid) -> Self {
        Self { format_id: xid.format_id, gtrid: xid.gtrid.to_vec(), bqual: xid.bqual.to_vec() }
    }
}

/// As `XA COMMIT` and `XA ROLLBACK` take it.
impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.gtrid, &self.bqual] {
            f.write_str("X'")?;
            for byte in part {
                write!(f, "{byte:02x}")?;
            }
            f.write_str("',")?;
        }
        write!(f, "{}", self.format_id)
    }
}

/// Reads `XA COMMIT xid` and `XA ROLLBACK xid` as servers log them; `None` for anything else.
pub fn decision(text: &str) -> Option<Xa> {
    let text = text.trim();
    let mut words = text.splitn(3, char::is_whitespace);
    let (xa, verb, rest) = (words.next()?, words.next()?, words.next()?);
    if !xa.eq_ignore_ascii_case("XA") {
        return None;
    }
    let xid = parse(rest)?;
    match verb.to_ascii_uppercase().as_str() {
        "COMMIT" => Some(Xa::Commit(xid)),
        "ROLLBACK" => Some(Xa::Rollback(xid)),
        _ => None,
    }
}

fn parse(text: &str) -> Option<Xid> {
    let mut parts = text.split(',').map(str::trim);
    let gtrid = hex(parts.next()?)?;
    let bqual = parts.next().map_or(Some(Vec::new()), hex)?;
    let format_id = parts.next().map_or(Some(1), |n| n.parse().ok())?;
    parts.next().is_none().then_some(Xid { format_id, gtrid, bqual })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(['X', 'x'])?.strip_prefix('\'')?.strip_suffix('\'')?;
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len() % 2 == 1 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_read_and_written_again() {
        let xid = Xid { format_id: 1, gtrid: b"g1".to_vec(), bqual: Vec::new() };
        assert_eq!(decision("XA COMMIT X'6731',X'',1"), Some(Xa::Commit(xid.clone())));
        assert_eq!(decision(&format!("xa rollback {xid}")), Some(Xa::Rollback(xid.clone())));
        assert_eq!(decision("XA COMMIT X'6731'"), Some(Xa::Commit(xid)));
        for other in [
            "XA COMMIT X'6731',X'',1 ONE PHASE",
            "XA COMMIT 'g'",
            "XA COMMIT X'673',X'',1",
            "XA COMMIT X'67+1',X'',1",
            "XA COMMIT X'67',X'',1,2",
            "XA START X'67',X'',1",
            "COMMIT",
        ] {
            assert_eq!(decision(other), None, "{other}");
        }
    }
}
