//! What is decided once per table: how each column is written.

use super::absent::Absent;
use super::error::{Misfit, WriteError};
use super::fit::{Fit, describe};
use crate::charset::normalise_charset;
use crate::model::{Column, TableModel, TypeKind};
use crate::quote::quote_identifier;

/// How byte strings of a column become literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bytes {
    /// The stored bytes as they are: the session's charset is binary, and both sides have the same charset.
    Same,
    /// `_charset'..'`: the target converts.
    Introduced(String),
    /// `_binary'..'`.
    Binary,
    /// `_binary'..'`, filled up with zero bytes to this length (the binlog leaves them out).
    Padded(usize),
    /// UUID bytes as the server stores them.
    Uuid,
    /// IPv4 address bytes.
    Inet4,
    /// IPv6 address bytes.
    Inet6,
}

/// One source column.
#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    pub name: String,
    /// Back-quoted name.
    pub quoted: Vec<u8>,
    pub source_kind: TypeKind,
    pub target_kind: TypeKind,
    pub target_charset: Option<String>,
    pub bytes: Bytes,
    pub fit: Fit,
    /// The target computes the value: never written.
    pub generated: bool,
    /// For an INSERT whose image leaves the column out.
    pub absent: Absent,
    /// `ON UPDATE CURRENT_TIMESTAMP` at the target.
    pub on_update_now: bool,
}

/// Plans for all source columns, in their order.
pub(super) fn plans(source: &TableModel, target: &TableModel) -> Result<Vec<ColumnPlan>, WriteError> {
    source.columns.iter().map(|column| plan(source, column, target)).collect()
}

/// Every column of the source that the target lacks, or whose values it can't all hold.
pub fn misfits(source: &TableModel, target: &TableModel) -> Vec<WriteError> {
    source.columns.iter().filter_map(|column| plan(source, column, target).err()).collect()
}

fn plan(source: &TableModel, column: &Column, target: &TableModel) -> Result<ColumnPlan, WriteError> {
    let other = target.column(&column.name).ok_or_else(|| WriteError::NoTargetColumn {
        table: target.name.quoted(),
        column: column.name.clone(),
    })?;
    let fit = Fit::of(column, other).map_err(|why| {
        WriteError::DoesNotFit(Box::new(Misfit {
            source_table: source.name.quoted(),
            column: column.name.clone(),
            source_type: describe(column),
            table: target.name.quoted(),
            target_column: other.name.clone(),
            target_type: describe(other),
            why,
        }))
    })?;
    Ok(ColumnPlan {
        name: column.name.clone(),
        quoted: quote_identifier(&other.name).into_bytes(),
        source_kind: column.ty.kind,
        target_kind: other.ty.kind,
        target_charset: other.charset.clone(),
        bytes: bytes_of(column, other),
        fit,
        generated: other.is_generated(),
        absent: Absent::of(column, other),
        on_update_now: other.on_update_now,
    })
}

/// Character sets about whose mere name some servers warn.
const WARNED_OF: [&str; 5] = ["_ucs2", "_macroman", "_macce", "_dec8", "_hp8"];

/// A warning at a statement of this table can only mean that a value was changed: some column is another one at the
/// target. (Where all are the same nothing can be cut, and a guard would only cost time.)
pub(super) fn warnings_count(plans: &[ColumnPlan]) -> bool {
    let written = || plans.iter().filter(|p| !p.generated);
    written().any(|p| p.fit != Fit::Same)
        && !written().any(|p| matches!(&p.bytes, Bytes::Introduced(i) if WARNED_OF.contains(&i.as_str())))
}

/// The introducer of a character set. What is in utf8mb3 is the same in utf8mb4, whose name is not deprecated.
fn introducer(charset: &str) -> String {
    match normalise_charset(charset).as_str() {
        "utf8mb3" => "_utf8mb4".to_owned(),
        other => format!("_{other}"),
    }
}

fn bytes_of(source: &Column, target: &Column) -> Bytes {
    let kind = source.ty.kind;
    match kind {
        TypeKind::Uuid => return Bytes::Uuid,
        TypeKind::Inet4 => return Bytes::Inet4,
        TypeKind::Inet6 => return Bytes::Inet6,
        TypeKind::Binary => return Bytes::Padded(source.ty.length.unwrap_or(1) as usize),
        _ => {}
    }
    // The servers refuse a binary string as JSON.
    if kind == TypeKind::Json || target.ty.kind == TypeKind::Json {
        let charset = source.charset.as_deref().unwrap_or("utf8mb4");
        return Bytes::Introduced(introducer(charset));
    }
    if kind.is_text() {
        return match (&source.charset, &target.charset) {
            (Some(from), Some(to)) if normalise_charset(from) != normalise_charset(to) => {
                Bytes::Introduced(introducer(from))
            }
            // A charset that a definition does not say was inherited; both sides got the same definition.
            _ => Bytes::Same,
        };
    }
    Bytes::Binary
}
