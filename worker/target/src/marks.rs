//! What a lane row's `done` column holds beside transactions.

use crate::batch::PartMark;
use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::txn::{Mode, TxnId};

/// Contents of a `done` column: `set[|part ORDINAL CHECKSUM TXN][|lanes STREAM:COUNT,...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// What this lane has committed above the acknowledged checkpoint.
    pub(crate) set: ExecutedSet,
    /// The large transaction of which this lane has applied a part.
    pub(crate) part: Option<PartMark>,
    /// Only on lane -1: how many lane rows each stream must have. A deleted row would take its `done` with it, and the
    /// rows of those transactions would be applied twice; so it has to be noticed.
    pub(crate) roster: Vec<(u32, u32)>,
}

impl Done {
    pub(crate) fn empty(mode: Mode, generation: u64) -> Self {
        Self { set: ExecutedSet::empty(mode, generation), part: None, roster: Vec::new() }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = if self.set.is_empty() { String::new() } else { self.set.to_string() };
        if let Some(part) = &self.part {
            out.push_str(&format!("|part {} {:016x} {}", part.ordinal, part.checksum, part.txn));
        }
        if !self.roster.is_empty() {
            let lanes: Vec<String> = self.roster.iter().map(|(s, n)| format!("{s}:{n}")).collect();
            out.push_str(&format!("|lanes {}", lanes.join(",")));
        }
        out
    }

    pub(crate) fn parse(mode: Mode, generation: u64, text: &str) -> Result<Self, TargetError> {
        let bad =
            |why: &str| TargetError::Corrupt { what: "column done".to_owned(), message: why.to_owned() };
        let mut done = Self::empty(mode, generation);
        let mut pieces = text.split('|');
        match pieces.next() {
            None | Some("") => {}
            Some(set) => done.set = ExecutedSet::parse(set)?,
        }
        for piece in pieces {
            let (kind, rest) = piece.split_once(' ').ok_or_else(|| bad("a mark without value"))?;
            match kind {
                "part" => {
                    let mut fields = rest.splitn(3, ' ');
                    let mark = (|| {
                        Some(PartMark {
                            ordinal: fields.next()?.parse().ok()?,
                            checksum: u64::from_str_radix(fields.next()?, 16).ok()?,
                            txn: TxnId::parse(mode, fields.next()?)?,
                        })
                    })();
                    done.part = Some(mark.ok_or_else(|| bad("a part mark that cannot be read"))?);
                }
                "lanes" => {
                    for entry in rest.split(',') {
                        let pair =
                            entry.split_once(':').and_then(|(s, n)| Some((s.parse().ok()?, n.parse().ok()?)));
                        done.roster.push(pair.ok_or_else(|| bad("a lane roster that cannot be read"))?);
                    }
                }
                _ => return Err(bad("an unknown mark")),
            }
        }
        Ok(done)
    }
}

/// Parses a `low` or `executed` column; empty text is the empty set.
pub(crate) fn parse_set(mode: Mode, generation: u64, text: &str) -> Result<ExecutedSet, TargetError> {
    if text.is_empty() { Ok(ExecutedSet::empty(mode, generation)) } else { ExecutedSet::parse(text) }
}

#[cfg(test)]
mod tests {
    use super::Done;
    use crate::batch::PartMark;
    use crate::txn::{Mode, TxnId};

    #[test]
    fn marks_survive_the_round_trip() {
        for (mode, text) in [
            (Mode::MySqlGtid, "3e11fa47-71ca-11e1-9e33-c80aa9429562:7"),
            (Mode::MariaDbGtid, "4294967295-1-77"),
            (Mode::Position, "3/bin.000001:4711"),
        ] {
            let txn = TxnId::parse(mode, text).unwrap();
            let mut done = Done::empty(mode, 3);
            assert_eq!(done.text(), "");
            assert_eq!(Done::parse(mode, 3, "").unwrap(), done);
            done.set.insert(&txn).unwrap();
            done.part = Some(PartMark { txn, ordinal: 12, checksum: 0xfeed });
            done.roster = vec![(0, 4), (1, 2)];
            assert_eq!(Done::parse(mode, 3, &done.text()).unwrap(), done);
        }
        assert!(Done::parse(Mode::Position, 3, "|unknown x").is_err());
        assert!(Done::parse(Mode::Position, 3, "position=x").is_err());
    }
}
