//! DDL of tables to which a route adds columns (`extract-table`, `extract-schema`, `extract-source`).
use dm_proto::error::Code;
use dm_schema::ddl::{DdlKind, DdlStatement};
use tracing::info;

use super::{pipeline::Pipeline, tables::Tables};
use crate::{failure::Failure, unit::load::no_extract_target};

/// Creates a table that a person has made at the target already.
pub fn made_by_hand(part: &DdlStatement, tables: &Tables) -> Result<bool, Failure> {
    if !matches!(part.kind, DdlKind::CreateTable | DdlKind::CreateTableLike) {
        return Ok(false);
    }
    part.subject().map_or(Ok(false), |name| tables.rules.extracted(name).map(|e| !e.is_empty()))
}

/// Why a new name can't be given: the rows that are at the target have the values of the old one.
pub fn moves_values(part: &DdlStatement, tables: &Tables) -> Result<Option<Failure>, Failure> {
    let (Some(old), Some(new)) = (part.subject(), &part.new_name) else { return Ok(None) };
    let (before, after) = (tables.rules.extracted(old)?, tables.rules.extracted(&new.name)?);
    let values = |of: &[dm_schema::Extracted]| {
        of.iter().map(|e| (e.column.to_lowercase(), e.value.clone())).collect::<Vec<_>>()
    };
    if values(&before) == values(&after) {
        return Ok(None);
    }
    let text = |of: &[dm_schema::Extracted]| match of {
        [] => "none".to_owned(),
        all => all.iter().map(|e| format!("{} = '{}'", e.column, e.value)).collect::<Vec<_>>().join(", "),
    };
    Ok(Some(Failure::new(
        Code::ExtractRename,
        format!(
            "{old} becomes {}, and the columns that its route fills have other values for the new name: {} before, {} after",
            new.name,
            text(&before),
            text(&after)
        ),
    )))
}

impl Pipeline<'_> {
    /// The statement is not executed: the table has to be there, with the columns.
    pub(super) async fn is_made(&mut self, part: &DdlStatement) -> Result<(), Failure> {
        let Some(source) = part.subject() else { return Ok(()) };
        if !made_by_hand(part, &self.tables)? {
            return Ok(());
        }
        let Some(target) = self.tables.rules.target_of(source)? else { return Ok(()) };
        let extracted = self.tables.rules.extracted(source)?;
        if !self.tables.is_at_target(&target).await? {
            return Err(no_extract_target(source, &target, &extracted));
        }
        info!(
            task = %self.context.task, source = %self.context.source_id, table = %source, target = %target,
            "a table is not created: a route adds columns to it, and it is there"
        );
        Ok(())
    }
}
