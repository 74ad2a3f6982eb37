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
    /// A take-over kills no former connection (also what a missing privilege does).
    pub no_kill: bool,
    /// A DDL's transaction doesn't join the set.
    pub ddl_missing: bool,
}
