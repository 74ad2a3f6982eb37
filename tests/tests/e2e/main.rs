//! End to end: real databases, the real programs, the commands and files that a user types.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod check_task;
mod operators;
mod rejoin;
mod spine;
