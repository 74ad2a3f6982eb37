//! Parts of statements.
use crate::target::{
    Failed,
    sql::{Condition, Reader, Token, Value},
    tables::Tables,
};

pub fn lock_name(reader: &mut Reader<'_>) -> Result<String, Failed> {
    match reader.literal()? {
        Value::Text(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
        _ => Err(Failed::syntax("the name of a lock")),
    }
}

pub fn known(tables: &Tables, table: String) -> Result<String, Failed> {
    match tables.exists(&table) {
        true => Ok(table),
        false => Err(Failed { code: 1146, message: format!("Table '{table}' doesn't exist") }),
    }
}

pub fn whole(reader: &mut Reader<'_>) -> Result<Condition, Failed> {
    let condition = reader.condition()?;
    ended(reader)?;
    Ok(condition)
}

/// Nothing may be left that was not understood.
pub fn ended(reader: &Reader<'_>) -> Result<(), Failed> {
    if reader.is_empty() { Ok(()) } else { Err(Failed::syntax("the end of a statement")) }
}

/// The columns of `PRIMARY KEY (...)`.
pub fn key_of(tokens: &[Token]) -> Vec<String> {
    for at in 0..tokens.len() {
        let mut reader = Reader::new(&tokens[at..]);
        if reader.take("PRIMARY KEY") && reader.sign(b'(') {
            return reader.names().unwrap_or_default();
        }
    }
    Vec::new()
}
