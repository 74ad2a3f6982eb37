//! Statements of the binlog: what they are, whose tables they touch, and their text under other names.

mod admin;
mod alter;
mod canonical;
mod create;
mod names;
mod parse;
mod statement;
#[cfg(test)]
mod tests;
mod unknown;

pub use parse::{DdlError, parse};
pub use statement::{DdlClass, DdlKind, DdlStatement, NewName, XaVerb};
pub use unknown::UnknownDecision;
