//! Failpoints: places where a test stops or kills the process.
//!
//! `target::before_send`: a lane's packet is built and not sent. `target::after_send`: it is acknowledged, nobody knows
//! yet. `target::before_intent`: the first packet of a DDL is built and not sent. `target::before_ddl`: the statement is
//! about to be sent. `target::after_intent`, `target::after_statement`, `target::after_done`: the steps of a DDL.
//! `target::before_checkpoint`, `target::after_checkpoint`. `target::before_kill`, `target::before_take_over`,
//! `target::after_take_over`: steps of a take-over.

/// A failpoint; nothing without the feature `failpoints`.
pub(crate) fn hold(name: &'static str) {
    fail::fail_point!(name);
    let _ = name;
}
