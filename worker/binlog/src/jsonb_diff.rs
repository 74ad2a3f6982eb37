//! Partial updates of JSON values: the value before, changed step by step, printed.
//!
//! Form (`sql/json_diff.h`): for each step an operation, a path and, unless something is removed, a value in binary
//! JSON. Only containers on a path are taken apart; everything else stays where it is stored.

use std::borrow::Cow;

use crate::error::DecodeError;
use crate::jsonb::{MAX_DEPTH, Printer};
use crate::jsonb_container::{Elements, Stored};
use crate::jsonb_path::{self, Leg};
use crate::reader::Reader;

const REPLACE: u8 = 0;
const INSERT: u8 = 1;
const REMOVE: u8 = 2;

/// Appends the JSON text of `before` after the steps of `diffs`.
///
/// # Errors
/// The bytes are damaged, or a step does not fit the value: the row before was another one.
pub fn changed_json_to_text(before: &[u8], diffs: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let total = before.len().saturating_add(diffs.len());
    // No bytes at all are the JSON null.
    let (kind, body) = before.split_first().unwrap_or((&0x04, &[0]));
    let mut root = Node::Stored(Stored { kind: *kind, body, base: 1 });
    // Each stored element takes bytes of its own, unless values share bytes, which the server never writes.
    let mut budget = total;
    let mut r = Reader::new(diffs);
    while !r.is_empty() {
        let at = r.offset();
        let operation = r.u8()?;
        let len = r.lenenc()?;
        let path_at = r.offset();
        let path = jsonb_path::parse(r.take_u64(len)?, path_at)?;
        let (last, parents) =
            path.split_last().ok_or_else(|| DecodeError::invalid(path_at, "path of a JSON diff"))?;
        let mut parent = &mut root;
        for leg in parents {
            parent = parent.child(leg, &mut budget, path_at)?;
        }
        match operation {
            REPLACE => *parent.child(last, &mut budget, path_at)? = value(&mut r)?,
            INSERT => {
                let value = value(&mut r)?;
                parent.insert(last, value, &mut budget, path_at)?;
            }
            REMOVE => parent.remove(last, &mut budget, path_at)?,
            other => return Err(DecodeError::unsupported(at, "operation on JSON", u64::from(other))),
        }
    }
    root.print(&mut Printer::new(out, total), 0)
}

/// A value with its type, behind its length.
fn value<'a>(r: &mut Reader<'a>) -> Result<Node<'a>, DecodeError> {
    let len = r.lenenc()?;
    let at = r.offset();
    let (kind, body) = r
        .take_u64(len)?
        .split_first()
        .ok_or_else(|| DecodeError::invalid(at, "JSON diff: it has no value"))?;
    Ok(Node::Stored(Stored { kind: *kind, body, base: at + 1 }))
}

/// A value, taken apart as far as it was needed.
#[derive(Debug)]
enum Node<'a> {
    Stored(Stored<'a>),
    /// Sorted by length of the key, then by its bytes.
    Object(Vec<(Cow<'a, [u8]>, Node<'a>)>),
    Array(Vec<Node<'a>>),
}

impl<'a> Node<'a> {
    /// Takes a stored container apart.
    fn open(&mut self, budget: &mut usize) -> Result<(), DecodeError> {
        let Self::Stored(stored) = self else { return Ok(()) };
        if !stored.is_container() {
            return Ok(());
        }
        let base = stored.base;
        let mut elements = Elements::open(*stored)?;
        let (mut members, mut cells) = (Vec::new(), Vec::new());
        let object = elements.is_object();
        while let Some((key, element)) = elements.advance()? {
            *budget = budget
                .checked_sub(1)
                .ok_or_else(|| DecodeError::invalid(base, "JSON: values share bytes"))?;
            match key {
                Some(key) => members.push((Cow::Borrowed(key), Self::Stored(element))),
                None => cells.push(Self::Stored(element)),
            }
        }
        *self = if object { Self::Object(members) } else { Self::Array(cells) };
        Ok(())
    }

    fn child(&mut self, leg: &Leg<'_>, budget: &mut usize, at: usize) -> Result<&mut Self, DecodeError> {
        self.open(budget)?;
        let found = match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, node)| node)
            }
            (Self::Array(cells), Leg::Cell(_) | Leg::FromLast(_)) => {
                leg.index(cells.len()).and_then(|i| cells.get_mut(i))
            }
            _ => None,
        };
        found.ok_or_else(|| misfit(at))
    }

    fn insert(
        &mut self,
        leg: &Leg<'a>,
        value: Self,
        budget: &mut usize,
        at: usize,
    ) -> Result<(), DecodeError> {
        self.open(budget)?;
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                let order = |key: &Cow<'_, [u8]>| key.len().cmp(&name.len()).then_with(|| key.cmp(name));
                match members.binary_search_by(|(key, _)| order(key)) {
                    Ok(_) => return Err(misfit(at)),
                    Err(place) => members.insert(place, (name.clone(), value)),
                }
            }
            (Self::Array(cells), Leg::Cell(_) | Leg::FromLast(_)) => {
                let place = leg.index(cells.len()).unwrap_or(0).min(cells.len());
                cells.insert(place, value);
            }
            _ => return Err(misfit(at)),
        }
        Ok(())
    }

    fn remove(&mut self, leg: &Leg<'_>, budget: &mut usize, at: usize) -> Result<(), DecodeError> {
        self.open(budget)?;
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                let place = members.iter().position(|(key, _)| key == name).ok_or_else(|| misfit(at))?;
                members.remove(place);
            }
            (Self::Array(cells), Leg::Cell(_) | Leg::FromLast(_)) => {
                let place = leg.index(cells.len()).filter(|i| *i < cells.len()).ok_or_else(|| misfit(at))?;
                cells.remove(place);
            }
            _ => return Err(misfit(at)),
        }
        Ok(())
    }

    fn print(&self, printer: &mut Printer<'_>, depth: u32) -> Result<(), DecodeError> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::invalid(0, "JSON: nested too deep"));
        }
        let mut first = true;
        match self {
            Self::Stored(stored) => printer.value(*stored, depth)?,
            Self::Object(members) => {
                printer.open(true);
                for (key, node) in members {
                    printer.separate(&mut first, Some(key));
                    node.print(printer, depth + 1)?;
                }
                printer.close(true);
            }
            Self::Array(cells) => {
                printer.open(false);
                for node in cells {
                    printer.separate(&mut first, None);
                    node.print(printer, depth + 1)?;
                }
                printer.close(false);
            }
        }
        Ok(())
    }
}

fn misfit(at: usize) -> DecodeError {
    DecodeError::invalid(at, "JSON diff: it does not fit the value before it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"a": 1, "b": [true]}
    const DOC: [u8; 30] = [
        0x00, 2, 0, 29, 0, 18, 0, 1, 0, 19, 0, 1, 0, 0x05, 1, 0, 0x02, 20, 0, b'a', b'b', 1, 0, 7, 0, 0x04,
        1, 0, 0, 0,
    ];

    fn step(operation: u8, path: &str, value: Option<&[u8]>) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend_from_slice(path.as_bytes());
        if let Some(value) = value {
            out.push(value.len() as u8);
            out.extend_from_slice(value);
        }
        out
    }

    fn changed(steps: &[Vec<u8>]) -> Result<String, DecodeError> {
        let mut out = Vec::new();
        changed_json_to_text(&DOC, &steps.concat(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const SEVEN: &[u8] = &[0x05, 7, 0];

    #[test]
    fn no_step_changes_nothing() {
        assert_eq!(changed(&[]).unwrap(), r#"{"a": 1, "b": [true]}"#);
    }

    #[test]
    fn each_step_sees_what_the_one_before_left() {
        let steps = [
            step(REPLACE, "$.a", Some(SEVEN)),
            step(INSERT, "$.b[0]", Some(b"\x0C\x01x")),
            step(INSERT, "$.b[9]", Some(&DOC)),
            step(REPLACE, "$.b[last].a", Some(&[0x04, 2])),
            step(REMOVE, "$.b[1]", None),
            // Sorted by length first.
            step(INSERT, "$.\"a a\"", Some(&[0x04, 0])),
            step(INSERT, "$.z", Some(SEVEN)),
        ];
        let want = r#"{"a": 7, "b": ["x", {"a": false, "b": [true]}], "z": 7, "a a": null}"#;
        assert_eq!(changed(&steps).unwrap(), want);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for wrong in [
            step(REPLACE, "$.c", Some(SEVEN)),
            step(REPLACE, "$", Some(SEVEN)),
            step(REPLACE, "$.b[1]", Some(SEVEN)),
            step(REPLACE, "$.b.a", Some(SEVEN)),
            step(REPLACE, "$.a[0]", Some(SEVEN)),
            step(INSERT, "$.a", Some(SEVEN)),
            step(INSERT, "$.a[0]", Some(SEVEN)),
            step(INSERT, "$.c.d", Some(SEVEN)),
            step(REMOVE, "$.c", None),
            step(REMOVE, "$.b[1]", None),
            step(3, "$.a", None),
            step(REPLACE, "$.a", Some(&[])),
            step(REPLACE, "$.a", None),
        ] {
            assert!(changed(std::slice::from_ref(&wrong)).is_err(), "{wrong:?}");
        }
    }
}
