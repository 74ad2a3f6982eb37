//! Online schema changes of gh-ost and pt-online-schema-change: what the tools' statements mean for the changed table.
//!
//! A tool makes a shadow table, alters it, copies the rows and swaps the names. Here the shadow never exists at the target:
//! its ALTERs are remembered in the checkpoint and run on the changed table at the swap. Only a swap of that very form, of
//! a shadow whose making was seen, counts; every other rename of such tables stops the task.
use dm_proto::error::Code;
use dm_schema::{
    Column, Key, SqlMode, TableModel, TableName, TypeKind,
    ddl::{DdlKind, DdlStatement, parse},
};

use super::stored_tables::StoredChange;
use crate::{
    failure::Failure,
    unit::rules::{Online, Rules},
};

/// What is done with one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handling {
    /// As with every table's.
    Ordinary,
    /// It concerns nothing that the target has.
    Nothing,
    /// A shadow is made.
    Begin,
    /// A change that the swap brings to the table.
    Remember,
    /// The shadow is gone, or it can't be followed any more.
    Forget,
    /// The first half of a swap: the changed table becomes what nobody needs.
    PutAside,
    /// The second: the shadow becomes this table.
    CutOver(TableName),
    /// It can't be told what it means. Why, and what to do.
    Refuse(String, String),
}

/// Judges the statements of one event, in order.
pub fn handlings(
    parts: &[DdlStatement],
    rules: &Rules,
    open: &[StoredChange],
) -> Result<Vec<Handling>, Failure> {
    if let Some(real) = swapped(parts, rules)? {
        return Ok(vec![Handling::PutAside, Handling::CutOver(real)]);
    }
    parts.iter().map(|part| single(part, rules, open)).collect()
}

/// `RENAME TABLE t TO trash, shadow TO t`, and nothing else.
fn swapped(parts: &[DdlStatement], rules: &Rules) -> Result<Option<TableName>, Failure> {
    let [aside, into] = parts else { return Ok(None) };
    if [aside, into].iter().any(|p| p.kind != DdlKind::RenameTable) {
        return Ok(None);
    }
    let ([real, trash], [shadow, to]) = (aside.tables.as_slice(), into.tables.as_slice()) else {
        return Ok(None);
    };
    let swap = real == to
        && rules.online(trash) == Online::Trash
        && rules.online(shadow) == Online::Shadow(real.clone())
        && rules.target_of(real)?.is_some();
    Ok(swap.then(|| real.clone()))
}

fn single(part: &DdlStatement, rules: &Rules, open: &[StoredChange]) -> Result<Handling, Failure> {
    let Some(subject) = part.subject().filter(|s| !s.is_schema()) else { return Ok(Handling::Ordinary) };
    let role = rules.online(subject);
    let Some(new) = &part.new_name else {
        return Ok(match role {
            Online::No => match open.iter().find(|c| c.real() == *subject) {
                Some(change) if part.kind == DdlKind::DropTable => dropped(subject, change),
                _ => Handling::Ordinary,
            },
            Online::Trash => Handling::Nothing,
            Online::Shadow(_) => of_shadow(part),
        });
    };
    let into = rules.online(&new.name);
    let unknown_here = |name: &TableName| rules.target_of(name).map(|target| target.is_none());
    Ok(match (&role, &into) {
        (Online::No, Online::No) => Handling::Ordinary,
        (Online::Trash, Online::Trash) => Handling::Nothing,
        (Online::Shadow(_), Online::Trash) => Handling::Forget,
        // Not migrated before, and not migrated after.
        (Online::No, Online::Trash) if unknown_here(subject)? => Handling::Nothing,
        (Online::Trash, Online::No) if unknown_here(&new.name)? => Handling::Nothing,
        (Online::Shadow(_), Online::No) if unknown_here(&new.name)? => Handling::Forget,
        _ => renamed(subject, &new.name, open),
    })
}

fn of_shadow(part: &DdlStatement) -> Handling {
    match part.kind {
        // Whether it was there before is not known: the swap compares definitions.
        DdlKind::CreateTable | DdlKind::CreateTableLike if part.if_not_exists => Handling::Nothing,
        DdlKind::CreateTable | DdlKind::CreateTableLike => Handling::Begin,
        DdlKind::AlterTable | DdlKind::CreateIndex | DdlKind::DropIndex => Handling::Remember,
        DdlKind::TruncateTable => Handling::Nothing,
        // DROP, and what is not understood.
        _ => Handling::Forget,
    }
}

const NOT_A_TOOLS: &str = "If these are no tables of gh-ost or pt-online-schema-change, please give the task narrower \
     `shadow-table-rules` and `trash-table-rules` or `online-ddl: false`, and load them anew.";

fn renamed(subject: &TableName, new: &TableName, open: &[StoredChange]) -> Handling {
    let why = format!(
        "it renames {subject} to {new}, which by the rules of online-ddl are tables of an online schema change, and it is \
         not the swap that ends one (RENAME TABLE t TO _t_old, _t_new TO t)"
    );
    Handling::Refuse(why, format!("{}{NOT_A_TOOLS}", known(open, subject)))
}

fn dropped(subject: &TableName, change: &StoredChange) -> Handling {
    let why = format!(
        "it drops {subject} while {} is being made in its place: its rows would be lost at the target",
        change.shadow()
    );
    let workaround = format!(
        "If the shadow table takes its place next, please skip this statement and replace the rename that follows. {}",
        known(std::slice::from_ref(change), &change.shadow())
    );
    Handling::Refuse(why, workaround)
}

/// What the table lacks at the target, for a person who brings it there.
fn known(open: &[StoredChange], shadow: &TableName) -> String {
    let Some(change) = open.iter().find(|c| c.shadow() == *shadow) else { return String::new() };
    let statements: Vec<&str> = change.statements.iter().map(|s| s.sql.as_str()).collect();
    format!("Remembered for {} are [{}]. ", change.real(), statements.join("; "))
}

/// The remembered statements, on the changed table itself, with the modes in which they are read.
pub fn on_real(change: &StoredChange) -> Result<Vec<(DdlStatement, u64)>, Failure> {
    let (shadow, real) = (change.shadow(), change.real());
    let mut statements = Vec::new();
    for stored in &change.statements {
        let broken = |cause: &dyn std::fmt::Display| {
            let message = format!("what is remembered for {real} can't be understood: [{}]", stored.sql);
            Failure::new(Code::CheckpointBroken, message).cause(cause)
        };
        let one = |sql: &str| match parse(sql, SqlMode::default(), &real.schema) {
            Ok(parts) => parts.into_iter().next().ok_or_else(|| broken(&"no statement")),
            Err(error) => Err(broken(&error)),
        };
        let sql = one(&stored.sql)?.rewrite(|name| if *name == shadow { real.clone() } else { name.clone() });
        statements.push((one(&sql)?, stored.mode));
    }
    Ok(statements)
}

/// Whether columns have the same names, places and types in both.
pub fn same_columns(a: &TableModel, b: &TableModel) -> bool {
    a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(a, b)| a.is_named(&b.name) && same_type(a, b))
}

/// Whether keys are of the same columns in both, whatever their names.
pub fn same_keys(a: &TableModel, b: &TableModel) -> bool {
    let keys = |model: &TableModel| {
        let of = |key: &Key| format!("{} {} {} {:?}", key.primary, key.unique, key.special, key.parts);
        let mut keys: Vec<String> = model.keys.iter().map(of).collect();
        keys.sort();
        keys
    };
    keys(a) == keys(b)
}

fn same_type(a: &Column, b: &Column) -> bool {
    let kind = |c: &Column| match c.ty.kind {
        // MariaDB shows it so.
        TypeKind::Json => TypeKind::LongText,
        kind => kind,
    };
    // Some texts leave out what is the default; widths of integers mean nothing.
    let lengths = match (a.ty.length, b.ty.length) {
        (Some(a_length), Some(b_length)) => a_length == b_length || a.ty.kind.is_integer(),
        _ => true,
    };
    kind(a) == kind(b)
        && lengths
        && a.ty.unsigned == b.ty.unsigned
        && a.ty.decimals.unwrap_or(0) == b.ty.decimals.unwrap_or(0)
        && a.ty.labels == b.ty.labels
}

#[cfg(test)]
#[path = "online_tests.rs"]
mod tests;
