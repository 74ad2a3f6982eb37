//! Statements of no known kind: whether they can be passed on as they are.
use dm_schema::{
    Dialect, TableName,
    ddl::{DdlStatement, UnknownDecision},
};

use super::{assembler::Statement, tables::Tables};
use crate::failure::Failure;

/// Why a statement without a name can't be passed on; None where it can.
pub fn unknown(
    part: &DdlStatement,
    statement: &Statement,
    tables: &Tables,
    dialect: Dialect,
) -> Result<Option<String>, Failure> {
    if statement.garbled {
        return Ok(Some("it is in a character set that can't be read".to_owned()));
    }
    let mut failure = None;
    let kept = |name: &TableName| match tables.rules.target_of(name) {
        Ok(target) => target.as_ref() == Some(name),
        Err(error) => {
            failure = Some(error);
            false
        }
    };
    let decision = part.decide_unknown(&statement.schema, dialect.is_same(), kept);
    match (failure, decision) {
        (Some(failure), _) => Err(failure),
        (None, UnknownDecision::PassThrough) => Ok(None),
        (None, UnknownDecision::Stop(why)) => Ok(Some(why)),
    }
}
