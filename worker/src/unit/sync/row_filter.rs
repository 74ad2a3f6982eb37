//! Filters on row events of one table, and on their rows.
use std::sync::Arc;

use dm_binlog::{RowsEvent, RowsKind};
use dm_proto::error::Code;
use dm_schema::{RowChange, TableModel, TableName, Verdict};

use crate::{
    failure::Failure,
    unit::{
        expression_rules::{BoundRule, Image},
        rules::Rules,
    },
};

/// What the event filters say about the three kinds of changes, and the expressions about rows; made once for a
/// definition of a table.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    kinds: [Kind; 3],
    expressions: Arc<[BoundRule]>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Keep,
    Skip,
    Refuse(String),
}

impl RowFilter {
    pub fn new(rules: &Rules, source: &TableName) -> Self {
        if rules.events.is_empty() {
            return Self::default();
        }
        let kinds = rules.rows_of(source).map(|verdict| match verdict {
            Verdict::Keep => Kind::Keep,
            Verdict::Skip(_) => Kind::Skip,
            Verdict::Refuse(name) | Verdict::Unknown(name) => Kind::Refuse(name.to_owned()),
        });
        Self { kinds, ..Self::default() }
    }

    /// With the expression filters too; an error for one that this definition has no columns for.
    pub fn with_expressions(mut self, rules: &Rules, model: &TableModel) -> Result<Self, Failure> {
        self.expressions = rules.expressions.bind(model)?;
        Ok(self)
    }

    /// No row of the table is ever written.
    pub fn skips_all(&self) -> bool {
        self.kinds.iter().all(|k| *k == Kind::Skip)
    }

    /// Whether an event filter skips the whole event.
    pub fn skips(&self, rows: &RowsEvent<'_>, source: &TableName) -> Result<bool, Failure> {
        let kind = match rows.kind {
            RowsKind::Write => &self.kinds[0],
            RowsKind::Update => &self.kinds[1],
            RowsKind::Delete => &self.kinds[2],
        };
        match kind {
            Kind::Keep => Ok(false),
            Kind::Skip => Ok(true),
            Kind::Refuse(name) => Err(Failure::new(
                Code::FilterStops,
                format!("filter `{name}`: its action for {:?} events of {source} is Error", rows.kind),
            )),
        }
    }

    /// Whether an expression filter skips one row change: all expressions of a filter about it are true.
    pub fn skips_row(&self, change: RowChange<'_, '_>, source: &TableName) -> Result<bool, Failure> {
        for rule in self.expressions.iter() {
            let (mut about, mut skips) = (false, true);
            for (image, expression) in &rule.parts {
                let row = match (image, change) {
                    (Image::Insert, RowChange::Insert { after }) => after,
                    (Image::UpdateOld, RowChange::Update { before, .. }) => before,
                    (Image::UpdateNew, RowChange::Update { after, .. }) => after,
                    (Image::Delete, RowChange::Delete { before }) => before,
                    _ => continue,
                };
                about = true;
                skips = skips
                    && expression.is_true(row).map_err(|undecided| {
                        Failure::new(
                            Code::ExpressionUndecided,
                            format!("expression-filter `{}`, a row of {source}: {undecided}", rule.name),
                        )
                    })?;
            }
            if about && skips {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
