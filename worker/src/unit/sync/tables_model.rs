//! By which definition rows are read: one that fits them, wherever it is still known.
use dm_binlog::TableMap;
use dm_proto::error::Code;
use dm_schema::{TableModel, TableName, TypeKind, charset::default_collation, create_from_events};

use super::{stats::Place, stored_tables::StoredTable, tables::Tables};
use crate::failure::Failure;

impl Tables {
    /// A definition that fits the map: the stored one, else the source's present one, else the target's.
    pub(super) async fn model(
        &mut self,
        map: &TableMap,
        name: &TableName,
        target: &TableName,
        at: &Place,
    ) -> Result<TableModel, Failure> {
        let mut misfit = None;
        if let Some(stored) = self.stored(name) {
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => return Ok(model),
                // A definition that the stream itself gave has to fit; there is no better one.
                Err(error) if stored.known_gtids.is_empty() && stored.known_file.is_empty() => {
                    return Err(mismatch(name, at, &error));
                }
                Err(error) => misfit = Some(error),
            }
        }
        if misfit.is_none()
            && let Some(definition) = self.source.read(name).await?
        {
            let stored = StoredTable {
                known_gtids: definition.gtids,
                known_file: definition.file,
                known_pos: definition.pos,
                ..StoredTable::of(name, definition.create)
            };
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => {
                    self.same_names(&model, map, name, target, at).await?;
                    self.store(stored);
                    return Ok(model);
                }
                Err(error) => misfit = Some(error),
            }
        }
        // The source has changed or dropped it since; the target still has it as it was here.
        if let Some(create) = self.target.read(target).await? {
            let stored = StoredTable::of(name, create);
            let model = stored.model()?;
            match model.verify_against(map) {
                Ok(()) => {
                    self.store(stored);
                    return Ok(model);
                }
                Err(error) => misfit = Some(misfit.unwrap_or(error)),
            }
        }
        // Nobody has it any more as it was here, but the events may say it themselves.
        if let Some(create) = create_from_events(map, super::text::charset_of) {
            let stored = StoredTable::of(name, create);
            let model = stored.model()?;
            model.verify_against(map).map_err(|error| mismatch(name, at, &error))?;
            self.store(stored);
            return Ok(model);
        }
        Err(match misfit {
            Some(error) => mismatch(name, at, &error),
            None => Failure::new(
                Code::TargetTableMissing,
                format!(
                    "{name} has changes at {} and exists neither at the source nor, as {target}, at the target",
                    at.text()
                ),
            ),
        })
    }

    /// The source's definition is of now, the rows may be older. Where columns of equal types have changed their names or
    /// places since, only the target still says so, unless the events name the columns themselves.
    async fn same_names(
        &mut self,
        model: &TableModel,
        map: &TableMap,
        name: &TableName,
        target: &TableName,
        at: &Place,
    ) -> Result<(), Failure> {
        if map.columns.iter().all(|c| c.name.is_some()) {
            return Ok(());
        }
        let Some(other) = self.target_model(target).await? else { return Ok(()) };
        let other = self.as_at_source(name, other)?;
        let same =
            other.columns.iter().zip(&model.columns).all(|(a, b)| a.is_named(&b.name) && same_members(a, b));
        if same || other.verify_against(map).is_err() {
            return Ok(());
        }
        Err(Failure::new(
            Code::ColumnCountMismatch,
            format!(
                "columns of {} have other names, places or members now than those of {target} at the target, and the rows at {} fit both",
                model.name,
                at.text()
            ),
        )
        .workaround(
            "Please give the target's table the columns that the source's had at this position, or load the table anew.",
        ))
    }

    /// A definition from the binlog may leave the character set to the schema, whose default may be another one at the
    /// target: the bytes would be taken for other characters. What the event says counts, else what the source says.
    pub(super) async fn complete_charsets(
        &mut self,
        model: &mut TableModel,
        name: &TableName,
        map: &TableMap,
    ) -> Result<(), Failure> {
        for (column, meta) in model.columns.iter_mut().zip(&map.columns) {
            let logged = meta.charset.and_then(super::text::charset_of);
            if let Some(charset) = logged.filter(|c| column.ty.kind.is_text() && *c != "binary") {
                column.charset = Some(charset.to_owned());
            }
        }
        let unknown =
            |model: &TableModel| model.columns.iter().any(|c| c.ty.kind.is_text() && c.charset.is_none());
        if !unknown(model) {
            return Ok(());
        }
        if let Some(definition) = self.source.read(name).await? {
            let now = StoredTable::of(name, definition.create).model()?;
            for column in model.columns.iter_mut().filter(|c| c.ty.kind.is_text() && c.charset.is_none()) {
                column.charset = now.column(&column.name).and_then(|c| c.charset.clone());
            }
        }
        if unknown(model)
            && let Some(charset) = self.source.schema_charset(&name.schema).await?
        {
            for column in model.columns.iter_mut().filter(|c| c.ty.kind.is_text() && c.charset.is_none()) {
                column.charset = Some(dm_schema::charset::normalise_charset(&charset));
            }
        }
        Ok(())
    }

    /// Expression filters compare strings as the source does. A definition from the binlog may not name a collation; then
    /// what the source says now counts, where the character set is the same.
    pub(super) async fn with_collations(
        &mut self,
        model: &TableModel,
        name: &TableName,
    ) -> Result<TableModel, Failure> {
        let mut model = model.clone();
        let unknown = |c: &dm_schema::Column| c.ty.kind.has_charset() && c.collation.is_none();
        if self.rules.expressions.about(name).next().is_none() || !model.columns.iter().any(unknown) {
            return Ok(model);
        }
        let Some(definition) = self.source.read(name).await? else { return Ok(model) };
        let now = StoredTable::of(name, definition.create).model()?;
        for column in model.columns.iter_mut().filter(|c| unknown(c)) {
            let Some(shown) = now.column(&column.name).filter(|c| c.ty.kind.has_charset()) else { continue };
            if let Some(charset) = shown.charset.as_deref()
                && column.charset.as_deref().is_none_or(|c| c == charset)
            {
                let collation = shown.collation.as_deref();
                column.collation = collation.or_else(|| default_collation(charset)).map(str::to_owned);
                column.charset = Some(charset.to_owned());
            }
        }
        Ok(model)
    }
}

/// A member of ENUM or SET has the same number in both lists, as far as both go.
fn same_members(a: &dm_schema::Column, b: &dm_schema::Column) -> bool {
    !matches!(b.ty.kind, TypeKind::Enum | TypeKind::Set)
        || a.ty.labels.iter().zip(&b.ty.labels).all(|(a, b)| a == b)
}

fn mismatch(name: &TableName, at: &Place, error: &dm_schema::ModelError) -> Failure {
    Failure::new(
        Code::ColumnCountMismatch,
        format!("the definition of {name} does not fit its rows at {}", at.text()),
    )
    .cause(error)
    .workaround("Please load the table anew, or start after the change of its definition.")
}
