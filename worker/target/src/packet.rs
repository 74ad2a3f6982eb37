//! Text of one packet: fence first, then rows, then COMMIT.

use crate::batch::{Batch, CHECKS_OFF, CHECKS_ON};
use crate::error::TargetError;
use crate::link::PacketError;
use crate::literal;
use crate::names::{Names, stream_of};
use crate::spec::TargetSpec;

/// Fails with error 1242 unless exactly `n` rows matched the statement before; nothing after it is executed then.
/// `SET`, not `DO`: MariaDB goes on after a failing `DO`.
fn guard_text(n: u64) -> String {
    format!("SET @dm = IF(ROW_COUNT() = {n}, 1, (SELECT 1 UNION ALL SELECT 2));")
}

/// The same for a statement that must not be warned about. A lost digit of a DECIMAL is a mere note, which no sql_mode
/// turns into an error; notes count here too.
fn warning_guard_text(n: Option<u64>) -> String {
    let rows = n.map_or_else(String::new, |n| format!("ROW_COUNT() = {n} AND "));
    format!("SET @dm = IF({rows}@@warning_count = 0, 1, (SELECT 1 UNION ALL SELECT 2));")
}

/// What a statement of a packet is for, to read its answer or its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// ROLLBACK, BEGIN, COMMIT, the swap's UPDATE, a record without expectation.
    Frame,
    /// The guard after the swap.
    Fence,
    /// Row statement `n` of the batch, counted when it has an expectation.
    Row { expected: Option<u64> },
    /// The guard after a row statement.
    Guard { statement: usize, expected: u64 },
    /// The guard after a row statement without warnings.
    WarningGuard { statement: usize },
    /// The guard after a record's statement.
    RecordGuard,
}

/// Which lane row a packet swaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swap<'a> {
    pub(crate) lane: i32,
    pub(crate) attempt: u64,
    /// seq as last acknowledged or read at take-over.
    pub(crate) seq: u64,
    pub(crate) low: &'a str,
    pub(crate) done: &'a str,
}

/// The text of one packet under construction.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) text: Vec<u8>,
    roles: Vec<Role>,
}

impl Packet {
    /// `ROLLBACK; BEGIN;` and the swap with its guard.
    pub(crate) fn begin(spec: &TargetSpec, names: &Names, swap: Swap<'_>) -> Self {
        let mut packet = Self { text: Vec::with_capacity(512), roles: Vec::with_capacity(8) };
        if !spec.breaks_rollback() {
            packet.add(Role::Frame, b"ROLLBACK");
        }
        if !spec.breaks_begin() {
            packet.add(Role::Frame, b"BEGIN");
        }
        let out = &mut packet.text;
        out.extend_from_slice(format!("UPDATE {} SET `seq` = `seq` + 1, `low` = ", names.lane).as_bytes());
        literal::text(out, swap.low);
        out.extend_from_slice(b", `done` = ");
        literal::text(out, swap.done);
        out.extend_from_slice(b" WHERE `source_id` = ");
        literal::text(out, &spec.source_id);
        let stream = stream_of(spec, swap.lane);
        out.extend_from_slice(format!(" AND `stream` = {stream} AND `lane` = {}", swap.lane).as_bytes());
        if !spec.breaks_epoch() {
            out.extend_from_slice(
                format!(" AND `epoch` = {} AND `attempt` = {}", spec.epoch, swap.attempt).as_bytes(),
            );
        }
        if !spec.breaks_seq() {
            out.extend_from_slice(format!(" AND `seq` = {}", swap.seq).as_bytes());
        }
        out.push(b';');
        packet.roles.push(Role::Frame);
        packet.text.extend_from_slice(guard_text(1).as_bytes());
        packet.roles.push(Role::Fence);
        packet
    }

    fn add(&mut self, role: Role, sql: &[u8]) {
        self.text.extend_from_slice(sql);
        self.text.push(b';');
        self.roles.push(role);
    }

    /// Adds the batch's row statements with their guards. Where they change the session they begin with its usual state:
    /// the same packet may be sent again after a deadlock in its middle.
    pub(crate) fn rows(&mut self, batch: &Batch, foreign_key_checks: bool) {
        if batch.changes_session {
            self.add(Role::Frame, if foreign_key_checks { CHECKS_ON } else { CHECKS_OFF }.as_bytes());
        }
        self.text.reserve(batch.sql_bytes() + batch.statements() * 80);
        for (n, (sql, statement)) in batch.iter_statements().enumerate() {
            self.add(Role::Row { expected: statement.expected }, sql);
            if statement.no_warnings {
                let rows = statement.expected.filter(|_| statement.strict);
                self.text.extend_from_slice(warning_guard_text(rows).as_bytes());
                self.roles.push(Role::WarningGuard { statement: n });
            } else if let (Some(expected), true) = (statement.expected, statement.strict) {
                self.text.extend_from_slice(guard_text(expected).as_bytes());
                self.roles.push(Role::Guard { statement: n, expected });
            }
        }
    }

    /// Adds a statement on a meta table.
    pub(crate) fn record(&mut self, sql: &[u8]) {
        self.add(Role::Frame, sql);
    }

    /// Adds a statement on a meta table that must match exactly `n` rows.
    pub(crate) fn record_exactly(&mut self, sql: &[u8], n: u64) {
        self.add(Role::Frame, sql);
        self.text.extend_from_slice(guard_text(n).as_bytes());
        self.roles.push(Role::RecordGuard);
    }

    /// Ends it.
    pub(crate) fn commit(mut self) -> Self {
        self.text.extend_from_slice(b"COMMIT");
        self.roles.push(Role::Frame);
        self
    }

    /// How many statements it has.
    pub(crate) fn statements(&self) -> usize {
        self.roles.len()
    }

    /// Misses of the statements that were not strict: (rows missed, warnings).
    pub(crate) fn misses(&self, answers: &[crate::link::Answer]) -> (u64, u64) {
        let mut missed = 0;
        let mut warnings = 0;
        for (role, answer) in self.roles.iter().zip(answers) {
            if let Role::Row { expected } = role {
                missed += expected.map_or(0, |n| n.abs_diff(answer.affected));
                warnings += answer.warnings;
            }
        }
        (missed, warnings)
    }

    /// What an error inside the packet means.
    pub(crate) fn classify(&self, error: PacketError, connection: &str) -> TargetError {
        let TargetError::Sql { code: 1242, .. } = error.error else { return error.error };
        match self.roles.get(error.statement) {
            Some(Role::Fence) => TargetError::Refused1242 { connection: connection.to_owned() },
            Some(Role::Guard { statement, expected }) => TargetError::RowsMissed {
                connection: connection.to_owned(),
                statement: *statement,
                expected: *expected,
                at: String::new(),
            },
            Some(Role::WarningGuard { statement }) => TargetError::Warned {
                connection: connection.to_owned(),
                statement: *statement,
                at: String::new(),
            },
            Some(Role::RecordGuard) => TargetError::MetaMissing { what: format!("a record of {connection}") },
            _ => error.error,
        }
    }
}
