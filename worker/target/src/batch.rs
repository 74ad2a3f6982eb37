//! One unit of work: a contiguous run of whole source transactions.

use crate::txn::TxnId;

pub(crate) const CHECKS_ON: &str = "SET foreign_key_checks = 1";
pub(crate) const CHECKS_OFF: &str = "SET foreign_key_checks = 0";

/// One row statement inside [`Batch::sql`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Statement {
    /// End of its text in the batch's SQL (exclusive); it starts where the one before ends.
    pub(crate) end: usize,
    /// How many rows it must match, if that is known.
    pub(crate) expected: Option<u64>,
    /// A miss refuses the whole packet instead of being counted.
    pub(crate) strict: bool,
    /// Any warning refuses the whole packet: it means that a value was cut.
    pub(crate) no_warnings: bool,
    /// The transactions whose changes it carries: first and last, as indices into [`Batch::txns`].
    pub(crate) txns: (usize, usize),
}

/// Which piece of a load chunk a batch carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkMark {
    /// Id of the chunk as planned.
    pub chunk: u64,
    /// Number of this piece, from 0; pieces of one chunk are submitted in order and run on one lane.
    pub piece: u32,
    /// The chunk is complete with this piece.
    pub last: bool,
    /// Rows in this piece.
    pub rows: u64,
}

/// Which part of a transaction above the size bound a batch carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartMark {
    /// The transaction.
    pub txn: TxnId,
    /// Row changes of it, before filters, that are applied once this part is.
    pub ordinal: u64,
    /// Checksum over those row changes, as the caller defines it.
    pub checksum: u64,
}

/// A contiguous run of whole source transactions whose commit events have been read, or one part of a large one, or a
/// piece of a load chunk.
///
/// Every source transaction has to come in some batch, in source order, also one with no rows left after filters
/// (a batch without statements costs no packet).
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The transactions that are complete with this batch, in source order.
    pub txns: Vec<TxnId>,
    pub(crate) sql: Vec<u8>,
    pub(crate) statements: Vec<Statement>,
    /// A statement changes the session (`foreign_key_checks`), which a ROLLBACK does not undo.
    pub(crate) changes_session: bool,
    /// Conflict tokens of all row changes; duplicates are fine.
    pub tokens: Vec<u64>,
    /// Tables that it changes, as the caller numbers them (duplicates are fine): a DDL of one of them waits for it.
    pub tables: Vec<u64>,
    /// Row changes, for statistics.
    pub rows: u64,
    /// Set for a piece of a load chunk; `txns` is empty then.
    pub chunk: Option<ChunkMark>,
    /// Set for a part of a transaction that is not its last one; `txns` is empty then.
    pub part: Option<PartMark>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one statement (no semicolon, no comment to the end of the line).
    ///
    /// `expected` is the number of rows that it must match; None = unknown, nothing is checked or counted. `strict`
    /// refuses the packet on a miss; otherwise misses are counted.
    pub fn push_statement(&mut self, sql: &[u8], expected: Option<u64>, strict: bool) {
        self.sql.extend_from_slice(sql);
        self.end_statement(expected, strict);
    }

    fn end_statement(&mut self, expected: Option<u64>, strict: bool) {
        let (end, txn) = (self.sql.len(), self.txns.len());
        self.statements.push(Statement { end, expected, strict, no_warnings: false, txns: (txn, txn) });
    }

    /// The statement that was added last refuses the packet if the target warns about it.
    pub fn refuse_warnings(&mut self) {
        if let Some(last) = self.statements.last_mut() {
            last.no_warnings = true;
        }
    }

    /// The name of what a statement belongs to, for messages.
    pub(crate) fn owner_of(&self, statement: usize) -> String {
        match (&self.part, &self.chunk) {
            (Some(part), _) => return format!("transaction {}", part.txn),
            (None, Some(chunk)) => return format!("chunk {} of the load", chunk.chunk),
            (None, None) => {}
        }
        let txn = |index: usize| self.txns.get(index).or(self.txns.last());
        let (first, last) = self.statements.get(statement).map_or((0, 0), |s| s.txns);
        match (txn(first), txn(last)) {
            (Some(first), Some(last)) if first != last => format!("transactions from {first} to {last}"),
            (Some(txn), _) => format!("transaction {txn}"),
            (None, _) => String::new(),
        }
    }

    /// Adds `SET foreign_key_checks`, for the statements that follow.
    pub fn check_foreign_keys(&mut self, on: bool) {
        self.changes_session = true;
        self.push_statement(if on { CHECKS_ON } else { CHECKS_OFF }.as_bytes(), None, false);
    }

    /// Lets `write` append the text of one statement, which saves a copy; it gives the number of rows that the statement
    /// must match (`None`: any) and whether a miss and a warning refuse the packet. `txns` are the first and the last
    /// transaction whose changes it carries, as indices into [`Batch::txns`].
    pub fn write_statement(
        &mut self,
        txns: (usize, usize),
        write: impl FnOnce(&mut Vec<u8>) -> (Option<u64>, bool, bool),
    ) {
        let (expected, strict, no_warnings) = write(&mut self.sql);
        let end = self.sql.len();
        self.statements.push(Statement { end, expected, strict, no_warnings, txns });
    }

    /// Text of its statements so far, in bytes.
    pub fn sql_bytes(&self) -> usize {
        self.sql.len()
    }

    /// Number of statements so far.
    pub fn statements(&self) -> usize {
        self.statements.len()
    }

    /// The statements' texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.iter_statements().map(|(text, _)| text)
    }

    /// Nothing to execute and nothing to record in the target.
    pub fn has_no_statements(&self) -> bool {
        self.statements.is_empty() && self.chunk.is_none() && self.part.is_none()
    }

    /// What it counts in the queue: text, tokens and names.
    pub fn weight(&self) -> usize {
        self.sql.len()
            + self.statements.len() * 96
            + (self.tokens.len() + self.tables.len()) * 16
            + self.txns.len() * 64
            + 256
    }

    pub(crate) fn iter_statements(&self) -> impl Iterator<Item = (&[u8], Statement)> {
        let mut start = 0;
        self.statements.iter().map(move |s| {
            let text = self.sql.get(start..s.end).unwrap_or_default();
            start = s.end;
            (text, *s)
        })
    }
}
