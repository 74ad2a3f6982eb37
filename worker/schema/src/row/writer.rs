//! Row changes to statements.

use dm_binlog::{ColumnSet, Value};

use super::absent::Absent;
use super::error::WriteError;
use super::extracted::{Fixed, extend};
use super::literal::push_value;
use super::pieces::Pieces;
use super::plan::{ColumnPlan, plans, warnings_count};
use super::safe::Safe;
use super::tokens::{TableTokenReason, TokenMode, Tokens};
use crate::filter::Extracted;
use crate::model::TableModel;
use crate::name::TableName;
use crate::quote::quote_identifier;

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
    /// How many rows are found says nothing: the change may have been applied before.
    pub any: bool,
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
    pub(super) table: Vec<u8>,
    pub(super) columns: Vec<ColumnPlan>,
    /// Columns of the identity key, None for a table without one.
    pub(super) identity: Option<Vec<usize>>,
    /// Back-quoted name of the identity key.
    pub(super) index: Option<Vec<u8>>,
    /// Columns of all unique keys.
    pub(super) key_columns: Vec<usize>,
    pub(super) whole_row: bool,
    pub(super) no_warnings: bool,
    tokens: Tokens,
    pub(super) safe: Safe,
    /// Values of the last columns, which only the target has.
    pub(super) added: Vec<Fixed>,
}

impl RowWriter {
    /// `source` is the definition that the row images have; `target` the one at the target, whose name, keys and
    /// charsets count. Where the target was made by the source's own DDL, `source.renamed(target_name)` will do.
    pub fn new(
        source: &TableModel,
        target: &TableModel,
        options: RowWriterOptions,
    ) -> Result<Self, WriteError> {
        Self::with_extracted(source, target, options, &[])
    }

    /// With columns that only the target has. Images have to be [`Self::extended`] by their values.
    pub fn with_extracted(
        source: &TableModel,
        target: &TableModel,
        options: RowWriterOptions,
        extracted: &[Extracted],
    ) -> Result<Self, WriteError> {
        let (source, added) = extend(source, target, extracted)?;
        let source = &source;
        let columns = plans(source, target)?;
        let in_source = |i: usize| source.column_index(&target.columns[i].name);
        let identity = target.unique_keys().find_map(|key| {
            let columns = target.whole_columns(key)?.into_iter();
            let columns = columns.map(|i| if target.columns[i].nullable { None } else { in_source(i) });
            Some((key, columns.collect::<Option<Vec<_>>>()?))
        });
        let parts = target.unique_keys().flat_map(|key| &key.parts);
        let key_columns = parts.filter_map(|part| source.column_index(part.column.as_deref()?)).collect();
        let index = identity.as_ref().filter(|(key, _)| !key.name.is_empty());
        let index = index.map(|(key, _)| quote_identifier(&key.name).into_bytes());
        let identity = identity.map(|(_, columns)| columns);
        Ok(RowWriter {
            no_warnings: warnings_count(&columns),
            safe: Safe::of(source, target),
            name: target.name.clone(),
            table: target.name.quoted().into_bytes(),
            columns,
            whole_row: options.merged || identity.is_none(),
            tokens: Tokens::new(source, target, identity.is_some()),
            identity,
            index,
            key_columns,
            added,
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

    /// Breaks a promise, for a test.
    #[cfg(feature = "broken")]
    pub fn break_tokens(&mut self, broken: super::tokens::BrokenTokens) {
        self.tokens.break_promise(broken);
    }

    /// Whether images of these columns have what the tokens of every unique key need. Where they have not, the table has
    /// to be ordered as a whole first, see [`Self::use_table_token`].
    pub fn has_key_columns(&self, before: Option<&ColumnSet>, after: Option<&ColumnSet>) -> bool {
        let logged = self.columns.len() - self.added.len();
        let has = |image: &ColumnSet, i: usize| i >= logged || image.contains(i);
        // What an UPDATE's after image leaves out, the before image has.
        match (before, after) {
            (Some(before), _) => before.is_full() || self.tokens.all_columns(|i| has(before, i)),
            (None, Some(after)) if !after.is_full() => {
                self.tokens.all_columns(|i| has(after, i) || self.columns[i].absent == Absent::Null)
            }
            (None, _) => true,
        }
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
            RowChange::Insert { after } => {
                self.check(after)?;
                self.tokens.of_image(self, after, None, |i| self.columns[i].absent == Absent::Null, out)
            }
            RowChange::Delete { before } => {
                self.check(before)?;
                self.tokens.of_image(self, before, None, |_| false, out)
            }
            RowChange::Update { before, after } => {
                self.check(before)?;
                self.check(after)?;
                self.tokens.of_image(self, before, None, |_| false, out)?;
                // A column that the after image leaves out has not changed.
                self.tokens.of_image(self, after, Some(before), |_| false, out)
            }
        }
    }

    /// Appends any change as one statement.
    pub fn write(&self, out: &mut Vec<u8>, change: RowChange<'_, '_>) -> Result<Expect, WriteError> {
        let mut pieces = Pieces::default();
        let change = self.pieces(&mut pieces, change)?;
        Ok(self.statement(out, &pieces, &[change]))
    }

    /// `t (columns) VALUES `.
    pub(super) fn begin_insert(&self, out: &mut Vec<u8>, included: impl Fn(usize) -> bool) {
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

    pub(super) fn value(
        &self,
        out: &mut Vec<u8>,
        plan: &ColumnPlan,
        value: &Value<'_>,
    ) -> Result<(), WriteError> {
        if matches!(value, Value::Enum(0)) {
            return Err(WriteError::Value {
                table: self.name.quoted(),
                column: plan.name.clone(),
                what: "the ENUM value of index 0 (an invalid value stored without strict mode)".to_owned(),
            });
        }
        Ok(push_value(out, plan, value)?)
    }

    /// A column that is written and that the image leaves out.
    pub(super) fn lacks(&self, image: RowImage<'_, '_>) -> Option<usize> {
        self.columns.iter().zip(image).position(|(plan, value)| !plan.generated && value.is_none())
    }

    pub(super) fn not_full(&self, column: usize) -> WriteError {
        WriteError::ImageNotFull { table: self.name.quoted(), column: self.columns[column].name.clone() }
    }

    /// A unique key needs the characters of this value, and its bytes are none.
    pub(super) fn no_text(&self, column: usize) -> WriteError {
        WriteError::Value {
            table: self.name.quoted(),
            column: self.columns[column].name.clone(),
            what: "its bytes are not valid in its character set".to_owned(),
        }
    }

    pub(super) fn check(&self, image: RowImage<'_, '_>) -> Result<(), WriteError> {
        if image.len() == self.columns.len() {
            return Ok(());
        }
        Err(WriteError::ColumnCount {
            table: self.name.quoted(),
            expected: self.columns.len(),
            got: image.len(),
        })
    }
}
