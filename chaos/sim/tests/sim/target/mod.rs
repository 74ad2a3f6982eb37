//! The simulated target: a server that speaks just the SQL of the target protocol, with sessions, row locks, named locks,
//! KILL, and a disk that can lose the last commits.
mod server;
mod sql;
mod tables;
mod wire;

pub use server::{database, serve};
pub use sql::{Row, Value};
pub use tables::number;
pub use wire::connect;

/// An error that the server answers.
#[derive(Debug, Clone)]
pub struct Failed {
    pub code: u16,
    pub message: String,
}

impl Failed {
    pub fn syntax(what: &str) -> Self {
        Self { code: 1064, message: format!("the simulated target does not understand {what}") }
    }
}
