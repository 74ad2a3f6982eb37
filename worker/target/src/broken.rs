//! Promises that a test can break, to prove that the checkers would notice.

/// Switches of the test-only feature `broken`; everything off is the product.
#[derive(Debug, Clone, Copy, Default)]
pub struct Broken {
    /// Swaps don't look at epoch and attempt.
    pub no_epoch: bool,
    /// Swaps don't look at seq.
    pub no_seq: bool,
    /// Rows are committed, but neither low nor done tell it.
    pub done_forgotten: bool,
    /// A take-over kills no former lane (also what a missing privilege does); nothing depends on it.
    pub no_kill: bool,
    /// A take-over doesn't kill the former DDL connection, it only waits.
    pub no_ddl_kill: bool,
    /// A take-over doesn't wait until the former owner's DDL connection is gone.
    pub no_ddl_wait: bool,
    /// A DDL beside rows doesn't wait for those of its own tables, nor they for it.
    pub ddl_overtakes: bool,
    /// A batch's transactions join the set in a packet of its own, before the rows.
    pub position_first: bool,
    /// A DDL's transaction doesn't join the set.
    pub ddl_missing: bool,
    /// A DDL runs without an intent.
    pub no_intent: bool,
    /// A take-over makes a lane row that is gone anew, as if it had never been there.
    pub roster_ignored: bool,
    /// A packet goes on although its BEGIN has failed: each statement commits by itself.
    pub begin_swallowed: bool,
    /// A connection is used again after an error, and what was begun on it is not undone: the next BEGIN commits it.
    pub reused_after_error: bool,
}
