//! Conflict tokens: equal keys always have equal tokens.

use dm_binlog::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::equality::{KeyColumn, NoKeyColumn};
use super::error::WriteError;
use super::writer::{RowImage, RowWriter};
use crate::model::TableModel;

/// Why a table's changes are ordered as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableTokenReason {
    /// No unique key of whole NOT NULL columns.
    NoKey,
    /// A unique key of expressions, or of prefixes whose characters we can't count; its name.
    PrefixOrExpression(String),
    /// A unique key over a column whose equality is not among those that we have proved; key and column.
    Equality(String, String),
    /// A unique key over a column that the source does not have, or has with another type; key and column.
    ColumnDiffers(String, String),
    /// The caller asked for it.
    Asked(&'static str),
}

/// How changes of a table are ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenMode {
    /// By the values of each unique key.
    Keys,
    /// One token for all changes.
    Table {
        /// The token.
        token: u64,
        /// Why.
        reason: TableTokenReason,
    },
}

/// Promises that a test can break, to prove that the checkers would notice.
#[cfg(feature = "broken")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenTokens {
    /// Only the first unique key gives tokens.
    PrimaryOnly,
    /// Text is equal only when its bytes are, whatever the collation.
    Bytes,
}

/// A unique key of the target.
#[derive(Debug, Clone)]
struct KeyTokens {
    seed: u64,
    columns: Vec<KeyColumn>,
}

/// Computes tokens for one table.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    mode: TokenMode,
    table: u64,
    keys: Vec<KeyTokens>,
}

impl Tokens {
    pub fn new(source: &TableModel, target: &TableModel, has_identity: bool) -> Self {
        let name = format!("{}\0{}", target.name.schema.to_lowercase(), target.name.table.to_lowercase());
        let table = xxh3_64(name.as_bytes());
        let mut tokens = Tokens { mode: TokenMode::Keys, table, keys: Vec::new() };
        let keys = target.unique_keys().map(|key| key_tokens(source, target, key, table)).collect();
        let keys = if has_identity { keys } else { Err(TableTokenReason::NoKey) };
        match keys {
            Ok(keys) => tokens.keys = keys,
            Err(reason) => tokens.use_table(reason, None),
        }
        tokens
    }

    pub fn mode(&self) -> &TokenMode {
        &self.mode
    }

    pub fn use_table(&mut self, reason: TableTokenReason, shared: Option<u64>) {
        self.mode = TokenMode::Table { token: shared.unwrap_or(self.table), reason };
        self.keys.clear();
    }

    /// Breaks the promise that equal keys share a token.
    #[cfg(feature = "broken")]
    pub fn break_promise(&mut self, broken: BrokenTokens) {
        match broken {
            BrokenTokens::PrimaryOnly => self.keys.truncate(1),
            BrokenTokens::Bytes => {
                self.keys.iter_mut().flat_map(|k| &mut k.columns).for_each(KeyColumn::compare_bytes);
            }
        }
    }

    /// Whether every column of every key is one of these.
    pub fn all_columns(&self, has: impl Fn(usize) -> bool) -> bool {
        self.keys.iter().flat_map(|k| &k.columns).all(|c| has(c.index))
    }

    /// Tokens of one image; columns that it leaves out are taken from `fallback`, or are NULL where `is_null` says so.
    pub fn of_image(
        &self,
        writer: &RowWriter,
        image: RowImage<'_, '_>,
        fallback: Option<RowImage<'_, '_>>,
        is_null: impl Fn(usize) -> bool,
        out: &mut Vec<u64>,
    ) -> Result<(), WriteError> {
        if let TokenMode::Table { token, .. } = &self.mode {
            push(out, *token, 1);
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(64);
        for key in &self.keys {
            bytes.clear();
            let mut has_null = false;
            for column in &key.columns {
                let index = column.index;
                let value = image[index].as_ref().or_else(|| fallback.and_then(|f| f[index].as_ref()));
                match value {
                    None if is_null(index) => has_null = true,
                    None => return Err(writer.not_full(index)),
                    Some(Value::Null) => has_null = true,
                    Some(value) => {
                        if !column.push(&mut bytes, value)? {
                            return Err(writer.no_text(index));
                        }
                    }
                }
            }
            // NULLs are never duplicates of one another.
            if !has_null {
                push(out, xxh3_64_with_seed(&bytes, key.seed), 2 * self.keys.len());
            }
        }
        Ok(())
    }
}

/// Repeated tokens are harmless. Those of the same row change are left out (the `recent` last ones): looking through all of
/// a large transaction's would take longer than everything else.
fn push(out: &mut Vec<u64>, token: u64, recent: usize) {
    if !out[out.len().saturating_sub(recent)..].contains(&token) {
        out.push(token);
    }
}

fn key_tokens(
    source: &TableModel,
    target: &TableModel,
    key: &crate::model::Key,
    table: u64,
) -> Result<KeyTokens, TableTokenReason> {
    let columns = key
        .parts
        .iter()
        .map(|part| {
            let plain = part.column.as_ref().and_then(|name| target.column(name));
            let to = plain.ok_or_else(|| TableTokenReason::PrefixOrExpression(key.name.clone()))?;
            let reason = |why| match why {
                NoKeyColumn::Equality => TableTokenReason::Equality(key.name.clone(), to.name.clone()),
                NoKeyColumn::Prefix => TableTokenReason::PrefixOrExpression(key.name.clone()),
                NoKeyColumn::Differs => TableTokenReason::ColumnDiffers(key.name.clone(), to.name.clone()),
            };
            let index = source.column_index(&to.name).ok_or_else(|| reason(NoKeyColumn::Differs))?;
            KeyColumn::new(index, &source.columns[index], to, part.prefix).map_err(reason)
        })
        .collect::<Result<Vec<_>, TableTokenReason>>()?;
    Ok(KeyTokens { seed: xxh3_64_with_seed(key.name.to_lowercase().as_bytes(), table), columns })
}
