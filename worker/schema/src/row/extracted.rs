//! Columns that only the target has, each with one value for all rows of a source table.
//!
//! To the rest of this room they are columns of the source at the end of its table: keys that hold them order and find
//! rows by them as by any other.

use dm_binlog::Value;

use super::error::WriteError;
use super::literal::push_value;
use super::plan::ColumnPlan;
use super::writer::{RowImage, RowWriter};
use crate::charset::{char_bytes, is_wide};
use crate::filter::Extracted;
use crate::model::{Column, TableModel, TypeKind};
use crate::row::capacity::text_fits;

/// A value in the form that the binlog would have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fixed {
    Text(Vec<u8>),
    Int(i64),
    UInt(u64),
    Enum(u16),
}

impl Fixed {
    fn value(&self) -> Value<'_> {
        match self {
            Fixed::Text(bytes) => Value::Bytes(bytes),
            Fixed::Int(n) => Value::Int(*n),
            Fixed::UInt(n) => Value::UInt(*n),
            Fixed::Enum(n) => Value::Enum(*n),
        }
    }

    pub fn push(&self, out: &mut Vec<u8>, plan: &ColumnPlan) -> Result<(), WriteError> {
        Ok(push_value(out, plan, &self.value())?)
    }
}

/// Why columns that a route fills can't be, one line each.
pub fn extract_misfits(source: &TableModel, target: &TableModel, extracted: &[Extracted]) -> Vec<WriteError> {
    extracted.iter().filter_map(|e| column_and_value(source, target, e).err()).collect()
}

/// The source's table with these columns at its end, and their values.
pub(super) fn extend(
    source: &TableModel,
    target: &TableModel,
    extracted: &[Extracted],
) -> Result<(TableModel, Vec<Fixed>), WriteError> {
    let mut extended = source.clone();
    let mut values = Vec::with_capacity(extracted.len());
    for e in extracted {
        let (column, value) = column_and_value(source, target, e)?;
        extended.columns.push(column);
        values.push(value);
    }
    Ok((extended, values))
}

fn column_and_value(
    source: &TableModel,
    target: &TableModel,
    extracted: &Extracted,
) -> Result<(Column, Fixed), WriteError> {
    let refuse = |why: String| WriteError::Extracted {
        table: target.name.quoted(),
        column: extracted.column.clone(),
        why,
    };
    if source.column(&extracted.column).is_some() {
        return Err(refuse(format!("{} at the source has a column of this name itself", source.name)));
    }
    let column = target
        .column(&extracted.column)
        .ok_or_else(|| refuse("the table at the target has no such column".to_owned()))?;
    let value = fixed(column, &extracted.value)
        .map_err(|why| refuse(format!("the value '{}' from {}: {why}", extracted.value, source.name)))?;
    // The same definition on both sides: the value stands in it as it is.
    Ok((Column { nullable: false, ..column.clone() }, value))
}

/// The value as the column stores it, exactly; else why not.
fn fixed(column: &Column, text: &str) -> Result<Fixed, String> {
    let kind = column.ty.kind;
    if column.is_generated() {
        return Err("the target computes the column".to_owned());
    }
    match kind {
        TypeKind::Char if text.ends_with(' ') => Err("CHAR loses blanks at the end".to_owned()),
        kind if kind.is_text() => text_in(column, text),
        TypeKind::VarBinary => {
            let fits = column.ty.length.is_some_and(|n| text.len() <= n as usize);
            if fits { Ok(Fixed::Text(text.into())) } else { Err("the column is too short".to_owned()) }
        }
        kind if kind.is_integer() => integer_in(column, text),
        TypeKind::Enum => {
            let place = column.ty.labels.iter().position(|label| label == text);
            let index = place.and_then(|n| u16::try_from(n + 1).ok());
            index.map(Fixed::Enum).ok_or_else(|| "it is no member of the column's ENUM".to_owned())
        }
        kind => Err(format!("a column of type {} can't take it", format!("{kind:?}").to_uppercase())),
    }
}

fn text_in(column: &Column, text: &str) -> Result<Fixed, String> {
    let charset = column.charset.as_deref().unwrap_or_default();
    let held = match charset {
        "utf8mb4" => true,
        "utf8mb3" => text.chars().all(|c| u32::from(c) <= 0xFFFF),
        // ASCII is the same in all the others that stand in bytes.
        "" | "swe7" => false,
        other => text.is_ascii() && !is_wide(other),
    };
    if !held {
        return Err(format!("character set `{charset}` can't hold it; please use utf8mb4"));
    }
    let characters = text.chars().count() as u64;
    let bytes = if text.is_ascii() { characters } else { characters * char_bytes(charset) };
    match text_fits(&column.ty, characters, bytes) {
        true => Ok(Fixed::Text(text.into())),
        false => Err("the column is too short".to_owned()),
    }
}

fn integer_in(column: &Column, text: &str) -> Result<Fixed, String> {
    let (least, greatest) = super::fit::bounds(&column.ty);
    let number: i128 = text.parse().map_err(|_| "it is no whole number".to_owned())?;
    if number < least || number > greatest {
        return Err(format!("the column holds {least} to {greatest}"));
    }
    let fixed = match column.ty.unsigned {
        true => u64::try_from(number).map(Fixed::UInt),
        false => i64::try_from(number).map(Fixed::Int),
    };
    fixed.map_err(|_| format!("the column holds {least} to {greatest}"))
}

impl RowWriter {
    /// Images need [`Self::extended`] before they are written.
    pub fn adds_columns(&self) -> bool {
        !self.added.is_empty()
    }

    /// The image with the values of the columns that only the target has.
    pub fn extended<'a>(&'a self, image: RowImage<'_, 'a>) -> Vec<Option<Value<'a>>> {
        image.iter().copied().chain(self.added.iter().map(|fixed| Some(fixed.value()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableDefaults;
    use crate::sql_mode::SqlMode;
    use crate::{LoadWriter, RowChange, RowWriterOptions, TokenMode};

    fn model(sql: &str) -> TableModel {
        TableModel::parse_create(sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap()
    }

    fn extracted(column: &str, value: &str) -> Extracted {
        Extracted { column: column.to_owned(), value: value.to_owned(), missed: false }
    }

    fn source() -> TableModel {
        model("CREATE TABLE t_1 (id INT PRIMARY KEY, v VARCHAR(9)) CHARSET=utf8mb4")
    }

    fn target() -> TableModel {
        model(
            "CREATE TABLE t (id INT, v VARCHAR(9), shard INT, src VARCHAR(9), PRIMARY KEY (id, shard, src)) CHARSET=utf8mb4",
        )
    }

    fn writer(shard: &str, src: &str) -> RowWriter {
        let columns = [extracted("Shard", shard), extracted("src", src)];
        RowWriter::with_extracted(&source(), &target(), RowWriterOptions { merged: true }, &columns).unwrap()
    }

    #[test]
    fn values_stand_in_rows_and_conditions() {
        let w = writer("1", "s1");
        let before = w.extended(&[Some(Value::Int(7)), Some(Value::Bytes(b"a"))]);
        let after = w.extended(&[Some(Value::Int(7)), Some(Value::Bytes(b"b"))]);
        let sql = |change| {
            let mut out = Vec::new();
            w.write(&mut out, change).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            sql(RowChange::Insert { after: &after }),
            "INSERT INTO `d`.`t` (`id`,`v`,`shard`,`src`) VALUES (7,'b',1,'s1')"
        );
        let condition = "`id`=7 AND `shard`=1 AND `src`='s1' AND CAST(`v` AS BINARY)=CAST('a' AS BINARY) AND \
                         CAST(`src` AS BINARY)=CAST('s1' AS BINARY)";
        assert_eq!(
            sql(RowChange::Delete { before: &before }),
            format!("DELETE FROM `d`.`t` WHERE {condition}")
        );
        assert_eq!(
            sql(RowChange::Update { before: &before, after: &after }),
            format!("UPDATE `d`.`t` SET `id`=7,`v`='b',`shard`=1,`src`='s1' WHERE {condition}")
        );
    }

    #[test]
    fn rows_of_other_shards_do_not_conflict() {
        let tokens = |w: &RowWriter| {
            let (row, mut out) = (w.extended(&[Some(Value::Int(7)), Some(Value::Null)]), Vec::new());
            w.tokens(RowChange::Insert { after: &row }, &mut out).unwrap();
            out
        };
        let (one, two) = (writer("1", "s1"), writer("2", "s1"));
        assert_eq!(*one.token_mode(), TokenMode::Keys);
        assert_eq!(tokens(&one), tokens(&one.clone()));
        assert_ne!(tokens(&one), tokens(&two));
    }

    #[test]
    fn the_load_writes_them_without_reading_them() {
        let columns = [extracted("shard", "-3"), extracted("src", "it's")];
        let load = LoadWriter::with_extracted(&source(), &target(), &columns).unwrap();
        assert_eq!(load.select_list(), "`id`,`v`");
        let mut out = Vec::new();
        load.begin(&mut out);
        load.row(&mut out, true, &[Some("1"), None]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "INSERT INTO `d`.`t` (`id`,`v`,`shard`,`src`) VALUES (1,NULL,-3,'it\\'s')"
        );
        assert!(!load.no_warnings());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let target = model(
            "CREATE TABLE t (id INT, v VARCHAR(9), a TINYINT UNSIGNED, b VARCHAR(2), c CHAR(3), d ENUM('x','y'), e DATE, f \
             VARCHAR(9) CHARACTER SET latin1, g INT AS (id), h VARBINARY(2)) CHARSET=utf8mb4",
        );
        let ok = |column: &str, value: &str| {
            extract_misfits(&source(), &target, &[extracted(column, value)]).is_empty()
        };
        assert!(ok("a", "255") && !ok("a", "256") && !ok("a", "-1") && !ok("a", "") && !ok("a", "x"));
        assert!(ok("b", "\u{e4}\u{1f600}") && !ok("b", "abc") && ok("b", ""));
        assert!(ok("c", "ab") && !ok("c", "ab "));
        assert!(ok("d", "y") && !ok("d", "Y") && !ok("e", "2020-01-01"));
        assert!(ok("f", "abc") && !ok("f", "\u{e4}"));
        assert!(!ok("g", "1") && ok("h", "ab") && !ok("h", "abc"));
        // Both ends have it, or none.
        assert!(!ok("v", "1") && !ok("nothing", "1"));
    }
}
