//! Global transaction ids and sets of them, in the text and wire forms of both servers.

mod id;
mod maria_pos;
mod mysql_set;
mod mysql_wire;
mod parse;
mod set;
mod tag;

#[cfg(test)]
mod tests;

pub use id::{Gtid, Sid};
pub use maria_pos::MariaDbGtidPos;
pub use mysql_set::MySqlGtidSet;
pub use parse::GtidParseError;
pub use set::GtidSet;
pub use tag::Tag;
