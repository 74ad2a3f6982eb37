//! Models in a form in which our reading of a statement equals our reading of SHOW CREATE TABLE after it.
use dm_schema::lex::{TokenKind, tokenize};
use dm_schema::{Column, Key, SqlMode, TableModel, TypeKind};
use dm_tests::Flavor;

/// The first difference between what we follow and what the server shows.
pub fn difference(ours: &TableModel, shown: &TableModel, flavor: Flavor) -> Option<String> {
    if ours.columns.len() != shown.columns.len() {
        let names = |m: &TableModel| m.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        return Some(format!("columns {:?} are {:?}", names(ours), names(shown)));
    }
    for (a, b) in ours.columns.iter().zip(&shown.columns) {
        let (one, two) = (column(a, flavor), column(b, flavor));
        if one != two {
            return Some(format!("column {one} is {two}"));
        }
        let differs = |x: &Option<String>, y: &Option<String>| x.is_some() && y.is_some() && x != y;
        if differs(&a.collation, &b.collation) && a.ty.kind.has_charset() {
            return Some(format!("collation of {} {:?} is {:?}", a.name, a.collation, b.collation));
        }
        let (one, two) = (Value::of(a), Value::of(b));
        if one != two {
            return Some(format!("default of {} {:?} {one:?} is {:?} {two:?}", a.name, a.default, b.default));
        }
    }
    let (one, two) = (keys(ours), keys(shown));
    if one != two {
        return Some(format!("keys {one:?} are {two:?}"));
    }
    let (one, two) = (foreign(ours), foreign(shown));
    if one != two {
        return Some(format!("foreign keys {one:?} are {two:?}"));
    }
    (ours.system_versioned != shown.system_versioned).then(|| "system versioning differs".to_owned())
}

fn column(c: &Column, flavor: Flavor) -> String {
    use TypeKind::*;
    let mut kind = c.ty.kind;
    let mut charset = c.charset.clone().filter(|_| kind.has_charset());
    if kind == Json && flavor == Flavor::MariaDb {
        (kind, charset) = (LongText, Some("utf8mb4".to_owned()));
    }
    let (length, decimals) = match kind {
        // Widths that are shown only, and sizes that the family tells.
        kind if kind.is_integer() || kind == Year => (None, None),
        TinyBlob | Blob | MediumBlob | LongBlob | TinyText | Text | MediumText | LongText => (None, None),
        Decimal => (c.ty.length.or(Some(10)), c.ty.decimals.or(Some(0))),
        Char | Binary | Bit => (c.ty.length.or(Some(1)), None),
        Time | DateTime | Timestamp => (c.ty.length.or(Some(0)), None),
        Vector => (c.ty.length.or(Some(2048)), None),
        _ => (c.ty.length, c.ty.decimals),
    };
    format!(
        "{} {kind:?}({length:?},{decimals:?}) unsigned={} {:?} nullable={} charset={charset:?} {:?} invisible={} auto={} \
         on_update={}",
        c.name,
        c.ty.unsigned,
        c.ty.labels,
        c.nullable,
        c.generated,
        c.invisible,
        c.auto_increment,
        c.on_update_now
    )
}

fn keys(model: &TableModel) -> Vec<Key> {
    let mut keys = model.keys.clone();
    keys.sort_by_key(|k| k.name.to_lowercase());
    for key in &mut keys {
        key.name = key.name.to_lowercase();
        for part in &mut key.parts {
            part.column = part.column.as_ref().map(|c| c.to_lowercase());
        }
    }
    keys
}

/// Names are made up by the server where the statement has none.
fn foreign(model: &TableModel) -> Vec<String> {
    let mut all: Vec<String> = model
        .foreign_keys
        .iter()
        .map(|f| {
            let schema = f.parent_schema.as_deref().unwrap_or(&model.name.schema);
            format!("{:?} {schema}.{} {}", f.columns, f.parent_table, f.cascades)
        })
        .collect();
    all.sort();
    all
}

/// A default, as far as it can be compared as text.
#[derive(Debug)]
enum Value {
    None,
    Text(String),
    Number(f64),
    /// An expression or a literal in bits: that there is one is all that is compared.
    Other,
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::None, Value::None) => true,
            (Value::None, _) | (_, Value::None) => false,
            (Value::Other, _) | (_, Value::Other) => true,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::Text(a), Value::Number(b)) | (Value::Number(b), Value::Text(a)) => a.parse() == Ok(*b),
        }
    }
}

impl Value {
    fn of(column: &Column) -> Self {
        let Some(text) = &column.default else { return Value::None };
        let Ok(tokens) = tokenize(text, SqlMode::default()) else { return Value::Other };
        let [.., last] = tokens.as_slice() else { return Value::Other };
        let numeric = column.ty.kind.is_integer()
            || column.ty.kind.is_float()
            || matches!(column.ty.kind, TypeKind::Decimal | TypeKind::Year);
        match (tokens.len(), last.kind) {
            (1, TokenKind::Word) if last.is_word("NULL") => Value::None,
            (1, TokenKind::Word) if last.is_word("TRUE") => Value::Number(1.0),
            (1, TokenKind::Word) if last.is_word("FALSE") => Value::Number(0.0),
            (2, TokenKind::Str { .. }) if tokens[0].kind != TokenKind::Introducer => Value::Other,
            (1 | 2, TokenKind::Str { .. }) => {
                let value = last.string_value().unwrap_or_default().into_owned();
                match value.parse() {
                    Ok(number) if numeric => Value::Number(number),
                    _ => Value::Text(value),
                }
            }
            (1, TokenKind::Number) => last.text.parse().map_or(Value::Other, Value::Number),
            (2, TokenKind::Number) if tokens[0].is_punct('-') => {
                last.text.parse::<f64>().map_or(Value::Other, |n| Value::Number(-n))
            }
            _ => Value::Other,
        }
    }
}
