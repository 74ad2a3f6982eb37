//! What is decided once per table: how each column is written.

use super::error::WriteError;
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
    /// The target computes the value: never written.
    pub generated: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP` at the target.
    pub on_update_now: bool,
}

/// Plans for all source columns, in their order.
pub(super) fn plans(source: &TableModel, target: &TableModel) -> Result<Vec<ColumnPlan>, WriteError> {
    source
        .columns
        .iter()
        .map(|column| {
            let other = target.column(&column.name).ok_or_else(|| WriteError::NoTargetColumn {
                table: target.name.quoted(),
                column: column.name.clone(),
            })?;
            Ok(ColumnPlan {
                name: column.name.clone(),
                quoted: quote_identifier(&other.name).into_bytes(),
                source_kind: column.ty.kind,
                target_kind: other.ty.kind,
                target_charset: other.charset.clone(),
                bytes: bytes_of(column, other),
                generated: other.is_generated(),
                on_update_now: other.on_update_now,
            })
        })
        .collect()
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
        return Bytes::Introduced(format!("_{charset}"));
    }
    if kind.is_text() {
        return match (&source.charset, &target.charset) {
            (Some(from), Some(to)) if normalise_charset(from) != normalise_charset(to) => {
                Bytes::Introduced(format!("_{from}"))
            }
            // A charset that a definition does not say was inherited; both sides got the same definition.
            _ => Bytes::Same,
        };
    }
    Bytes::Binary
}
