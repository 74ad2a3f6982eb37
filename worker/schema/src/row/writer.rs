//! Row changes to statements.

use dm_binlog::Value;

use super::error::WriteError;
use super::literal::push_value;
use super::plan::{ColumnPlan, plans, warnings_count};
use super::predicate::{push_exact_condition, push_key_condition};
use super::tokens::{TableTokenReason, TokenMode, Tokens};
use crate::model::TableModel;
use crate::name::TableName;

/// One row image: a value per column of the source table, None where the image leaves the column out.
pub type RowImage<'r, 'v> = &'r [Option<Value<'v>>];

/// A change of one row.
#[derive(Debug, Clone, Copy)]
pub enum RowChange<'r, 'v> {
    /// A new row.
    Insert {
        /// The row.
        after: RowImage<'r, 'v>,
    },
    /// A changed row.
    Update {
        /// The row as it was.
        before: RowImage<'r, 'v>,
        /// The row as it is.
        after: RowImage<'r, 'v>,
    },
    /// A row that is gone.
    Delete {
        /// The row as it was.
        before: RowImage<'r, 'v>,
    },
}

/// What an appended statement must do at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Rows that must be found (matched, not changed: ask with CLIENT_FOUND_ROWS) or inserted.
    pub rows: u64,
    /// The row is found by all its values, for want of a key: a miss must always stop the task.
    pub keyless: bool,
    /// A warning means that a value was cut: it must stop the task.
    pub no_warnings: bool,
}

/// Choices per table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowWriterOptions {
    /// Several source tables feed the target: UPDATE and DELETE match the whole before image.
    pub merged: bool,
}

/// Turns row changes of one source table into SQL text for one target table.
///
/// The text holds for sessions with `SET NAMES binary`, time zone +00:00 and a sql_mode without ANSI_QUOTES and
/// NO_BACKSLASH_ESCAPES. Statements are appended without a `;`.
#[derive(Debug, Clone)]
pub struct RowWriter {
    name: TableName,
    /// Back-quoted name.
    table: Vec<u8>,
    columns: Vec<ColumnPlan>,
    /// Columns of the identity key, None for a table without one.
    identity: Option<Vec<usize>>,
    whole_row: bool,
    no_warnings: bool,
    tokens: Tokens,
}

impl RowWriter {
    /// `source` is the definition that the row images have; `target` the one at the target, whose name, keys and
    /// charsets count. Where the target was made by the source's own DDL, `source.renamed(target_name)` will do.
    pub fn new(
        source: &TableModel,
        target: &TableModel,
        options: RowWriterOptions,
    ) -> Result<Self, WriteError> {
        let columns = plans(source, target)?;
        let identity = target.unique_keys().find_map(|key| {
            target
                .whole_columns(key)?
                .into_iter()
                .map(|i| {
                    if target.columns[i].nullable {
                        None
                    } else {
                        source.column_index(&target.columns[i].name)
                    }
                })
                .collect::<Option<Vec<_>>>()
        });
        Ok(RowWriter {
            no_warnings: warnings_count(&columns),
            name: target.name.clone(),
            table: target.name.quoted().into_bytes(),
            columns,
            whole_row: options.merged || identity.is_none(),
            tokens: Tokens::new(source, target, identity.is_some()),
            identity,
        })
    }

    /// Target table.
    pub fn target(&self) -> &TableName {
        &self.name
    }

    /// No key tells rows apart.
    pub fn is_keyless(&self) -> bool {
        self.identity.is_none()
    }

    /// Whether changes are ordered by their keys or by the table.
    pub fn token_mode(&self) -> &TokenMode {
        self.tokens.mode()
    }

    /// From now on every change of the table has one token: the table's own, or `shared` for tables that are joined by
    /// cascading foreign keys or feed one target table with different token modes. Drain first: key tokens
    /// given out before do not conflict with it.
    pub fn use_table_token(&mut self, reason: TableTokenReason, shared: Option<u64>) {
        self.tokens.use_table(reason, shared);
    }

    /// Appends the conflict tokens of a change: two changes that touch an equal unique key share at least one.
    pub fn tokens(&self, change: RowChange<'_, '_>, out: &mut Vec<u64>) -> Result<(), WriteError> {
        let start = out.len();
        let found = self.push_tokens(change, out);
        if found.is_err() {
            out.truncate(start);
        }
        found
    }

    fn push_tokens(&self, change: RowChange<'_, '_>, out: &mut Vec<u64>) -> Result<(), WriteError> {
        match change {
            RowChange::Insert { after: image } | RowChange::Delete { before: image } => {
                self.check(image)?;
                self.tokens.of_image(self, image, None, out)
            }
            RowChange::Update { before, after } => {
                self.check(before)?;
                self.check(after)?;
                self.tokens.of_image(self, before, None, out)?;
                // A column that the after image leaves out has not changed.
                self.tokens.of_image(self, after, Some(before), out)
            }
        }
    }

    /// Appends any change as one statement.
    pub fn write(&self, out: &mut Vec<u8>, change: RowChange<'_, '_>) -> Result<Expect, WriteError> {
        match change {
            RowChange::Insert { after } => self.insert(out, &[after]),
            RowChange::Update { before, after } => self.update(out, before, after),
            RowChange::Delete { before } => self.delete(out, before),
        }
    }

    /// Appends one INSERT of one or more rows. All images must have the same columns.
    pub fn insert(&self, out: &mut Vec<u8>, rows: &[RowImage<'_, '_>]) -> Result<Expect, WriteError> {
        let Some(first) = rows.first() else { return Ok(self.expect(0, false)) };
        let start = out.len();
        let written = self.insert_rows(out, rows, first);
        self.keep_or_cut(out, start, written)
    }

    fn insert_rows(
        &self,
        out: &mut Vec<u8>,
        rows: &[RowImage<'_, '_>],
        first: &RowImage<'_, '_>,
    ) -> Result<Expect, WriteError> {
        self.check(first)?;
        self.begin_insert(out, |i| first[i].is_some());
        for (n, row) in rows.iter().enumerate() {
            self.check(row)?;
            out.extend_from_slice(if n == 0 { b"(" } else { b",(" });
            let mut comma = false;
            for (i, (plan, value)) in self.columns.iter().zip(row.iter()).enumerate() {
                if value.is_some() != first[i].is_some() {
                    return Err(WriteError::MixedImages { table: self.name.quoted() });
                }
                let Some(value) = value.as_ref().filter(|_| !plan.generated) else { continue };
                if comma {
                    out.push(b',');
                }
                comma = true;
                self.value(out, plan, value)?;
            }
            out.push(b')');
        }
        Ok(self.expect(rows.len() as u64, false))
    }

    /// `INSERT INTO t (columns) VALUES `.
    fn begin_insert(&self, out: &mut Vec<u8>, included: impl Fn(usize) -> bool) {
        out.extend_from_slice(b"INSERT INTO ");
        out.extend_from_slice(&self.table);
        out.extend_from_slice(b" (");
        let mut comma = false;
        for (i, plan) in self.columns.iter().enumerate() {
            if plan.generated || !included(i) {
                continue;
            }
            if comma {
                out.push(b',');
            }
            comma = true;
            out.extend_from_slice(&plan.quoted);
        }
        out.extend_from_slice(b") VALUES ");
    }

    /// Appends one UPDATE of one row. Every written column of the after image is set, changed or not, so that no
    /// `ON UPDATE CURRENT_TIMESTAMP` of the target puts in its own time.
    pub fn update(
        &self,
        out: &mut Vec<u8>,
        before: RowImage<'_, '_>,
        after: RowImage<'_, '_>,
    ) -> Result<Expect, WriteError> {
        let start = out.len();
        let written = self.update_row(out, before, after);
        self.keep_or_cut(out, start, written)
    }

    fn update_row(
        &self,
        out: &mut Vec<u8>,
        before: RowImage<'_, '_>,
        after: RowImage<'_, '_>,
    ) -> Result<Expect, WriteError> {
        self.check(before)?;
        self.check(after)?;
        out.extend_from_slice(b"UPDATE ");
        out.extend_from_slice(&self.table);
        out.extend_from_slice(b" SET ");
        let mut comma = false;
        for (plan, value) in self.columns.iter().zip(after) {
            let unchanged = value.is_none() && plan.on_update_now;
            if plan.generated || (value.is_none() && !unchanged) {
                continue;
            }
            if comma {
                out.push(b',');
            }
            comma = true;
            out.extend_from_slice(&plan.quoted);
            out.push(b'=');
            match value {
                Some(value) => self.value(out, plan, value)?,
                None => out.extend_from_slice(&plan.quoted),
            }
        }
        self.condition(out, before)
    }

    /// Appends one DELETE of one row.
    pub fn delete(&self, out: &mut Vec<u8>, before: RowImage<'_, '_>) -> Result<Expect, WriteError> {
        let start = out.len();
        let written = self.delete_row(out, before);
        self.keep_or_cut(out, start, written)
    }

    fn delete_row(&self, out: &mut Vec<u8>, before: RowImage<'_, '_>) -> Result<Expect, WriteError> {
        self.check(before)?;
        out.extend_from_slice(b"DELETE FROM ");
        out.extend_from_slice(&self.table);
        self.condition(out, before)
    }

    /// `WHERE ..`: the identity key, then, where asked for, every other value of the image.
    fn condition(&self, out: &mut Vec<u8>, before: RowImage<'_, '_>) -> Result<Expect, WriteError> {
        out.extend_from_slice(b" WHERE ");
        let mut and = false;
        let mut join = |out: &mut Vec<u8>| {
            if and {
                out.extend_from_slice(b" AND ");
            }
            and = true;
        };
        let key = self.identity.as_deref().unwrap_or_default();
        for &i in key {
            let Some(value) = &before[i] else { return Err(self.not_full(i)) };
            join(out);
            push_key_condition(out, &self.columns[i], value)?;
        }
        if self.whole_row {
            for (i, (plan, value)) in self.columns.iter().zip(before).enumerate() {
                // A text key is equal under its collation only; other key columns are said already.
                let said = key.contains(&i) && !plan.target_kind.is_text();
                if plan.generated || said {
                    continue;
                }
                match value {
                    Some(value) => {
                        join(out);
                        push_exact_condition(out, plan, value)?;
                    }
                    None if self.is_keyless() => return Err(self.not_full(i)),
                    None => {}
                }
            }
        }
        if self.is_keyless() {
            out.extend_from_slice(b" LIMIT 1");
        }
        Ok(self.expect(1, self.is_keyless()))
    }

    fn value(&self, out: &mut Vec<u8>, plan: &ColumnPlan, value: &Value<'_>) -> Result<(), WriteError> {
        if matches!(value, Value::Enum(0)) {
            return Err(WriteError::Value {
                table: self.name.quoted(),
                column: plan.name.clone(),
                what: "the ENUM value of index 0 (an invalid value stored without strict mode)".to_owned(),
            });
        }
        Ok(push_value(out, plan, value)?)
    }

    fn expect(&self, rows: u64, keyless: bool) -> Expect {
        Expect { rows, keyless, no_warnings: self.no_warnings }
    }

    pub(super) fn not_full(&self, column: usize) -> WriteError {
        WriteError::ImageNotFull { table: self.name.quoted(), column: self.columns[column].name.clone() }
    }

    fn check(&self, image: RowImage<'_, '_>) -> Result<(), WriteError> {
        if image.len() == self.columns.len() {
            return Ok(());
        }
        Err(WriteError::ColumnCount {
            table: self.name.quoted(),
            expected: self.columns.len(),
            got: image.len(),
        })
    }

    /// A statement that failed half way leaves nothing behind.
    fn keep_or_cut(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        written: Result<Expect, WriteError>,
    ) -> Result<Expect, WriteError> {
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}
