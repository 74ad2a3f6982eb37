//! Filters on row events of one table.
use dm_binlog::{RowsEvent, RowsKind};
use dm_proto::error::Code;
use dm_schema::{TableName, Verdict};

use crate::{failure::Failure, unit::rules::Rules};

/// What the event filters say about the three kinds of changes; computed once for a table.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    kinds: [Kind; 3],
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
        Self { kinds }
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
}
