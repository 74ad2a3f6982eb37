//! Statements that may be run again over rows that have them already.

use super::error::WriteError;
use super::pieces::{Pieces, RowPieces};
use super::writer::{RowChange, RowImage, RowWriter};
use crate::model::TableModel;

/// What a table's keys allow when a change may have been applied before.
#[derive(Debug, Clone, Default)]
pub(super) struct Safe {
    /// Source columns of all unique keys of the target; None where a key holds an expression, or a column that the
    /// source does not have: then no two images are known to agree in it.
    unique: Option<Vec<usize>>,
    /// The same for all keys, to which foreign keys may refer.
    keys: Option<Vec<usize>>,
    /// A column that only the target has: REPLACE would write its default over what is in it.
    extra: Option<String>,
    /// A test's doing: an image that leaves columns out passes for a whole one.
    #[cfg(feature = "broken")]
    partial: bool,
}

impl Safe {
    pub(super) fn of(source: &TableModel, target: &TableModel) -> Self {
        let columns = |unique: bool| {
            let parts = target.keys.iter().filter(|k| k.unique || !unique).flat_map(|k| &k.parts);
            parts.map(|p| source.column_index(p.column.as_ref()?)).collect::<Option<Vec<_>>>()
        };
        let extra =
            target.columns.iter().find(|c| !c.is_generated() && source.column_index(&c.name).is_none());
        Self {
            unique: columns(true),
            keys: columns(false),
            extra: extra.map(|c| c.name.clone()),
            #[cfg(feature = "broken")]
            partial: false,
        }
    }

    #[cfg(feature = "broken")]
    fn takes_partial(&self) -> bool {
        self.partial
    }

    #[cfg(not(feature = "broken"))]
    #[allow(clippy::unused_self)] // the test-only variant reads it
    fn takes_partial(&self) -> bool {
        false
    }
}

impl RowWriter {
    /// Appends the pieces of a change that may have been carried out before: a REPLACE, which removes whatever has an equal
    /// unique key and needs a whole image, or a DELETE that may find no row.
    pub fn again(&self, out: &mut Pieces, change: RowChange<'_, '_>) -> Result<RowPieces, WriteError> {
        if let RowChange::Insert { after } = change {
            if let Some(column) = &self.safe.extra {
                let table = self.target().quoted();
                return Err(WriteError::TargetColumnOnly { table, column: column.clone() });
            }
            if let Some(i) = self.lacks(after).filter(|_| !self.safe.takes_partial()) {
                return Err(self.not_full(i));
            }
        }
        Ok(RowPieces { again: true, ..self.pieces(out, change)? })
    }

    /// Breaks a promise, for a test: an image that leaves columns out is written again as if it were whole.
    #[cfg(feature = "broken")]
    pub fn replay_partial_images(&mut self) {
        self.safe.partial = true;
    }

    /// Both images are known to have the same values in every unique key.
    pub fn same_unique_keys(&self, before: RowImage<'_, '_>, after: RowImage<'_, '_>) -> bool {
        same(self.safe.unique.as_deref(), before, after)
    }

    /// Both images are known to have the same values in every key, unique or not.
    pub fn same_keys(&self, before: RowImage<'_, '_>, after: RowImage<'_, '_>) -> bool {
        same(self.safe.keys.as_deref(), before, after)
    }
}

fn same(columns: Option<&[usize]>, before: RowImage<'_, '_>, after: RowImage<'_, '_>) -> bool {
    columns.is_some_and(|columns| {
        columns.iter().all(|&i| {
            let (before, after) =
                (before.get(i).and_then(Option::as_ref), after.get(i).and_then(Option::as_ref));
            before.is_some() && before == after
        })
    })
}
