//! DDL with intent and done.

use crate::txn::TxnId;

/// How an undecided DDL can be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlClass {
    /// Definitions before and after differ: comparing `SHOW CREATE` now with before tells.
    Decidable,
    /// Running it again does no harm (TRUNCATE where nothing was applied after it, DROP IF EXISTS, CREATE IF NOT
    /// EXISTS).
    Repeatable,
    /// Neither: a person decides.
    Neither,
}

impl DdlClass {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Decidable => "decidable",
            Self::Repeatable => "repeatable",
            Self::Neither => "neither",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Decidable, Self::Repeatable, Self::Neither].into_iter().find(|c| c.as_str() == text)
    }
}

/// A table or database whose definition tells whether a DDL has run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DdlObject {
    /// Database in the target.
    pub schema: String,
    /// Table; None = the database itself.
    pub table: Option<String>,
}

/// One DDL statement, already rewritten for the target.
#[derive(Debug, Clone)]
pub struct DdlStep {
    /// The source transaction; None for the load's own DDL (creating or emptying tables).
    pub txn: Option<TxnId>,
    /// Number of this statement in its transaction, from 0 (one event can become several statements).
    pub ordinal: u32,
    /// The transaction joins the executed set with this statement.
    pub last: bool,
    /// Text for the target.
    pub sql: Vec<u8>,
    /// How an unknown outcome is settled.
    pub class: DdlClass,
    /// Objects whose definitions are read before the statement.
    pub objects: Vec<DdlObject>,
    /// Statements that set the session up for it (`SET sql_mode=...`, `USE ...`); ours is restored after it.
    pub session: Vec<String>,
    /// Nothing but the tables of its objects has anything to do with it, so that rows of others may go on meanwhile.
    pub beside: bool,
}

/// The statements of one transaction that are executed while rows of other tables go on.
#[derive(Debug, Clone)]
pub struct DdlBeside {
    /// The transaction; each step is of it, and the last one completes it.
    pub txn: TxnId,
    /// Where it begins in the source's binlog, by file and position.
    pub start: (String, u64),
    /// The tables that wait for it, and for whose rows it waits, numbered as in [`crate::Batch::tables`].
    pub tables: Vec<u64>,
    /// In order, at least one.
    pub steps: Vec<DdlStep>,
}

/// A DDL found in the target at take-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdlRecord {
    /// Text of its transaction's name, or `load:N`.
    pub txn_text: String,
    /// The transaction; None for the load's own.
    pub txn: Option<TxnId>,
    /// Number of the statement in its transaction.
    pub ordinal: u32,
    /// Whether the transaction is complete with it.
    pub last: bool,
    /// Hash of the statement.
    pub hash: u64,
    /// How it can be settled.
    pub class: DdlClass,
    /// The statement.
    pub sql: Vec<u8>,
    /// Session statements of it.
    pub session: Vec<String>,
    /// Definitions before: `SHOW CREATE` text, None = the object did not exist.
    pub before: Vec<(DdlObject, Option<String>)>,
    /// Executed; false = undecided.
    pub done: bool,
}

/// What to do with an undecided DDL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlDecision {
    /// It has run: only record it.
    Executed,
    /// It has not run, or may run again: run it, then record it.
    Run,
    /// A person skips it: record it without running it.
    Skip,
}
