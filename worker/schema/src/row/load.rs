//! Rows read with SELECT, written with INSERT.

use super::error::WriteError;
use super::extracted::extend;
use super::literal::push_selected;
use super::plan::{ColumnPlan, plans, warnings_count};
use crate::filter::Extracted;
use crate::model::{TableModel, TypeKind};
use crate::name::TableName;
use crate::quote::quote_identifier;

/// Turns rows of the text protocol into multi-row INSERT statements.
///
/// The reading session needs `SET NAMES binary` and time zone +00:00, so that strings arrive as they are stored and
/// TIMESTAMP in UTC; the writing session is that of [`super::RowWriter`].
#[derive(Debug, Clone)]
pub struct LoadWriter {
    target: TableName,
    columns: Vec<ColumnPlan>,
    select: String,
    insert: Vec<u8>,
    /// What each row ends with: the columns that only the target has.
    rest: Vec<u8>,
}

impl LoadWriter {
    /// Generated columns are neither read nor written.
    pub fn new(source: &TableModel, target: &TableModel) -> Result<Self, WriteError> {
        Self::with_extracted(source, target, &[])
    }

    /// With columns that only the target has.
    pub fn with_extracted(
        source: &TableModel,
        target: &TableModel,
        extracted: &[Extracted],
    ) -> Result<Self, WriteError> {
        let (extended, added) = extend(source, target, extracted)?;
        let mut columns = plans(&extended, target)?;
        let mut rest = Vec::new();
        for (plan, value) in columns.iter().skip(source.columns.len()).zip(&added) {
            rest.push(b',');
            value.push(&mut rest, plan)?;
        }
        columns.retain(|p| !p.generated);
        let read = columns.len() - added.len();
        let select = columns.iter().take(read).map(select_expression).collect::<Vec<_>>().join(",");
        let names: Vec<&[u8]> = columns.iter().map(|p| p.quoted.as_slice()).collect();
        let mut insert = format!("INSERT INTO {} (", target.name.quoted()).into_bytes();
        insert.extend_from_slice(&names.join(&b','));
        insert.extend_from_slice(b") VALUES ");
        columns.truncate(read);
        Ok(LoadWriter { target: target.name.clone(), columns, select, insert, rest })
    }

    /// The select list, such as `` `id`,`f`*1e0 ``; rows must come with exactly these columns.
    pub fn select_list(&self) -> &str {
        &self.select
    }

    /// A warning at a statement means that a value was cut: it must stop the load.
    pub fn no_warnings(&self) -> bool {
        warnings_count(&self.columns)
    }

    /// Columns of the select list.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// Appends `INSERT INTO t (..) VALUES `.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.insert);
    }

    /// Appends `(..)`, with a comma before it unless it is the statement's first row.
    pub fn row<B: AsRef<[u8]>>(
        &self,
        out: &mut Vec<u8>,
        first: bool,
        values: &[Option<B>],
    ) -> Result<(), WriteError> {
        if values.len() != self.columns.len() {
            return Err(WriteError::ColumnCount {
                table: self.target.quoted(),
                expected: self.columns.len(),
                got: values.len(),
            });
        }
        let start = out.len();
        out.extend_from_slice(if first { b"(" } else { b",(" });
        for (i, (plan, value)) in self.columns.iter().zip(values).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            match value {
                None => out.extend_from_slice(b"NULL"),
                Some(text) if plan.source_kind == TypeKind::Enum && text.as_ref() == b"0" => {
                    out.truncate(start);
                    return Err(WriteError::Value {
                        table: self.target.quoted(),
                        column: plan.name.clone(),
                        what: "the ENUM value of index 0 (an invalid value stored without strict mode)"
                            .to_owned(),
                    });
                }
                Some(text) => push_selected(out, plan, text.as_ref()),
            }
        }
        out.extend_from_slice(&self.rest);
        out.push(b')');
        Ok(())
    }
}

/// How a column is read so that its text is exact.
fn select_expression(plan: &ColumnPlan) -> String {
    let name = quote_identifier(&plan.name);
    match plan.source_kind {
        // As FLOAT the server prints six digits. Times one, not plus zero: -0 keeps its sign.
        TypeKind::Float => format!("{name}*1e0"),
        // Not `+0`, which goes by DOUBLE and spoils SETs above 2^53.
        TypeKind::Bit | TypeKind::Enum | TypeKind::Set => format!("CAST({name} AS UNSIGNED)"),
        _ => name,
    }
}
