//! Conflict tokens: equal keys always have equal tokens.

use dm_binlog::Value;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::error::WriteError;
use super::writer::{RowImage, RowWriter};
use crate::charset::equality_is_bytes;
use crate::model::{Column, TableModel, TypeKind};

/// Why a table's changes are ordered as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableTokenReason {
    /// No unique key of whole NOT NULL columns.
    NoKey,
    /// A unique key of prefixes or expressions; its name.
    PrefixOrExpression(String),
    /// A unique key over a column whose equality we do not implement exactly; key and column.
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

/// A unique key of the target.
#[derive(Debug, Clone)]
struct KeyTokens {
    seed: u64,
    /// Source columns, with what must be taken off a value's bytes before they are compared.
    columns: Vec<(usize, Trim)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trim {
    Nothing,
    /// PAD SPACE collations ignore trailing spaces.
    Spaces,
    /// BINARY(n) with or without its zero bytes.
    Zeros,
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

    /// Tokens of one image; columns that it leaves out are taken from `fallback`.
    pub fn of_image(
        &self,
        writer: &RowWriter,
        image: RowImage<'_, '_>,
        fallback: Option<RowImage<'_, '_>>,
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
            for (column, trim) in &key.columns {
                let value = image[*column].as_ref().or_else(|| fallback.and_then(|f| f[*column].as_ref()));
                match value {
                    None => return Err(writer.not_full(*column)),
                    Some(Value::Null) => has_null = true,
                    Some(value) => push_canonical(&mut bytes, value, *trim)?,
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
    let columns = target
        .whole_columns(key)
        .ok_or_else(|| TableTokenReason::PrefixOrExpression(key.name.clone()))?
        .into_iter()
        .map(|i| {
            let to = &target.columns[i];
            let names = || (key.name.clone(), to.name.clone());
            let differs = || TableTokenReason::ColumnDiffers(names().0, names().1);
            let index = source.column_index(&to.name).ok_or_else(differs)?;
            let trim = exact_equality(to).ok_or_else(|| TableTokenReason::Equality(names().0, names().1))?;
            if same_values(&source.columns[index], to) { Ok((index, trim)) } else { Err(differs()) }
        })
        .collect::<Result<Vec<_>, TableTokenReason>>()?;
    Ok(KeyTokens { seed: xxh3_64_with_seed(key.name.to_lowercase().as_bytes(), table), columns })
}

/// What to take off so that equal values have equal bytes; None where we cannot promise that.
fn exact_equality(column: &Column) -> Option<Trim> {
    use TypeKind::*;
    match column.ty.kind {
        TinyInt | SmallInt | MediumInt | Int | BigInt | Decimal | Bit | Year | Date | Time | DateTime
        | Timestamp | VarBinary | Enum | Set | Uuid | Inet4 | Inet6 => Some(Trim::Nothing),
        Binary => Some(Trim::Zeros),
        Char | VarChar => match (&column.charset, &column.collation) {
            (Some(charset), Some(collation)) if equality_is_bytes(charset, collation) => Some(Trim::Spaces),
            _ => None,
        },
        _ => None,
    }
}

/// The target's column keeps the source's values apart and equal as they are.
fn same_values(source: &Column, target: &Column) -> bool {
    let (from, to) = (&source.ty, &target.ty);
    let wide_enough = to.length >= from.length;
    if from.kind.is_integer() && to.kind.is_integer() {
        return true;
    }
    if from.kind != to.kind {
        return false;
    }
    match from.kind {
        TypeKind::Decimal => from.decimals.unwrap_or(0) == to.decimals.unwrap_or(0),
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => {
            from.length.unwrap_or(0) == to.length.unwrap_or(0)
        }
        TypeKind::Char | TypeKind::VarChar => source.charset == target.charset && wide_enough,
        TypeKind::Binary => from.length == to.length,
        TypeKind::VarBinary => wide_enough,
        TypeKind::Enum | TypeKind::Set => from.labels == to.labels,
        _ => true,
    }
}

/// Appends a self-delimiting form that is the same for equal values.
fn push_canonical(out: &mut Vec<u8>, value: &Value<'_>, trim: Trim) -> Result<(), WriteError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    match value {
        Value::Int(n) => out.extend_from_slice(&i128::from(*n).to_le_bytes()),
        Value::UInt(n) | Value::Bit(n) | Value::Set(n) => {
            out.extend_from_slice(&i128::from(*n).to_le_bytes())
        }
        Value::Enum(n) => out.extend_from_slice(&i128::from(*n).to_le_bytes()),
        Value::Bytes(bytes) => {
            let padding = match trim {
                Trim::Nothing => None,
                Trim::Spaces => Some(b' '),
                Trim::Zeros => Some(0),
            };
            let mut bytes = *bytes;
            while let Some((last, rest)) = bytes.split_last().filter(|(last, _)| Some(**last) == padding) {
                debug_assert_eq!(Some(*last), padding);
                bytes = rest;
            }
            out.extend_from_slice(bytes);
        }
        Value::CompressedBytes(bytes) => {
            let inflated = dm_binlog::inflate_column(bytes)?;
            out.truncate(start);
            return push_canonical(out, &Value::Bytes(&inflated), trim);
        }
        value => {
            value.write_text(out)?;
            // -0.00 equals 0.00, and -00:00:00 equals 00:00:00.
            let text = &out[start + 4..];
            if text.first() == Some(&b'-') && text[1..].iter().all(|b| matches!(b, b'0' | b'.' | b':')) {
                out.remove(start + 4);
            }
        }
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}
