//! ALTER TABLE and ALTER DATABASE.

use super::canonical::Splicer;
use super::create::names_sequence;
use super::names::{schema_name, table_name};
use super::parse::{DdlError, Source, skip_wait};
use super::statement::{DdlClass, DdlKind, DdlStatement, NewName};
use crate::lex::Cursor;
use crate::name::TableName;

/// First words of ALTER DATABASE's options; any other word is the name.
const DATABASE_OPTIONS: [&str; 8] =
    ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "ENCRYPTION", "READ", "COMMENT", "UPGRADE"];

pub(super) fn alter_database(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
) -> Result<Vec<DdlStatement>, DdlError> {
    c.take();
    let mut splicer = Splicer::new(source.sql, source.tokens);
    if c.is_any_word(&DATABASE_OPTIONS) {
        if source.default_schema.is_empty() {
            return Err(DdlError::syntax(c.offset(), "a schema name was expected"));
        }
        splicer.name(c.offset(), c.offset(), TableName::schema_only(source.default_schema));
    } else {
        let schema = schema_name(c)?;
        splicer.name(schema.start, schema.end, schema.name);
    }
    Ok(vec![splicer.build(DdlKind::AlterDatabase, DdlClass::Repeatable)])
}

pub(super) fn alter_table(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
) -> Result<Vec<DdlStatement>, DdlError> {
    let if_exists = c.eat_words(&["IF", "EXISTS"]);
    let subject = table_name(c, source.default_schema)?;
    let mut splicer = Splicer::new(source.sql, source.tokens);
    splicer.name(subject.start, subject.end, subject.name);
    skip_wait(c);
    let mut facts = Facts::default();
    while !c.at_end() {
        facts.specifications += 1;
        specification(source, c, &mut splicer, &mut facts)?;
        // Partition clauses follow without a comma; skip_item stops only at "," or ")".
        if !c.eat_punct(',') && !c.at_end() {
            return Err(DdlError::syntax(c.offset(), "unbalanced parenthesis"));
        }
    }
    let kind = facts.unsupported.map_or(DdlKind::AlterTable, DdlKind::Unsupported);
    let mut statement = splicer.build(kind, facts.class());
    statement.if_exists = if_exists;
    let only = facts.specifications == 1;
    statement.new_name = facts.new_name.map(|name| NewName { name, only });
    Ok(vec![statement])
}

/// What the specifications say about settling an unknown outcome.
#[derive(Default)]
struct Facts {
    neither: bool,
    repeatable: bool,
    unsupported: Option<&'static str>,
    specifications: usize,
    /// The table's.
    new_name: Option<TableName>,
    /// (old, new) of renamed columns, lower case.
    renamed_columns: Vec<(String, String)>,
}

impl Facts {
    fn class(&self) -> DdlClass {
        let swapped = self
            .renamed_columns
            .iter()
            .any(|(old, new)| old != new && self.renamed_columns.iter().any(|(other, _)| other == new));
        if self.neither || swapped {
            DdlClass::Neither
        } else if self.repeatable {
            DdlClass::Repeatable
        } else {
            DdlClass::Decidable
        }
    }
}

/// One specification, up to the comma after it.
fn specification(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    splicer: &mut Splicer<'_, '_>,
    facts: &mut Facts,
) -> Result<(), DdlError> {
    if c.eat_word("RENAME") {
        if c.eat_word("COLUMN") {
            c.eat_words(&["IF", "EXISTS"]);
            renamed_column(c, facts, true);
        } else if !c.is_any_word(&["INDEX", "KEY"]) || c.peek_at(1).is_none() {
            if !c.eat_any_word(&["TO", "AS"]) {
                c.eat_punct('=');
            }
            let name = table_name(c, source.default_schema)?;
            facts.new_name = Some(name.name.clone());
            splicer.name(name.start, name.end, name.name);
        }
    } else if c.eat_word("CHANGE") {
        c.eat_word("COLUMN");
        c.eat_words(&["IF", "EXISTS"]);
        renamed_column(c, facts, false);
    } else if c.is_word("ADD") {
        facts.neither |= adds_unnamed(c);
    } else if c.is_words(&["TRUNCATE", "PARTITION"]) {
        facts.repeatable = true;
    } else if c.is_words(&["EXCHANGE", "PARTITION"]) || c.is_any_word(&["IMPORT", "DISCARD"]) {
        facts.neither = true;
    } else if c.is_word("UNION") {
        facts.unsupported = Some("MERGE table");
    }
    names_in_item(source, c, splicer, facts)
}

/// `old [TO] new`.
fn renamed_column(c: &mut Cursor<'_, '_>, facts: &mut Facts, with_to: bool) {
    let old = c.eat_identifier();
    if with_to {
        c.eat_word("TO");
    }
    if let (Some(old), Some(new)) = (old, c.eat_identifier()) {
        facts.renamed_columns.push((old.to_lowercase(), new.to_lowercase()));
    }
}

/// An index or constraint whose name the server makes up: run again, it would be added a second time.
fn adds_unnamed(c: &Cursor<'_, '_>) -> bool {
    let mut c = c.clone();
    c.take();
    let mut named = false;
    if c.eat_word("CONSTRAINT") {
        named = !c.is_any_word(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) && c.eat_identifier().is_some();
    }
    if c.is_word("PRIMARY") || c.is_word("PARTITION") || named {
        return false;
    }
    if c.eat_word("CHECK") {
        return true;
    }
    let mut index = c.eat_any_word(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "FOREIGN"]);
    index |= c.eat_any_word(&["INDEX", "KEY"]);
    if !index {
        return false;
    }
    c.eat_words(&["IF", "NOT", "EXISTS"]);
    c.is_punct('(') || c.is_any_word(&["USING", "TYPE"])
}

/// Skips to the end of the specification; names of other tables on the way are spliced.
fn names_in_item(
    source: &Source<'_, '_>,
    c: &mut Cursor<'_, '_>,
    splicer: &mut Splicer<'_, '_>,
    facts: &mut Facts,
) -> Result<(), DdlError> {
    let mut depth = 0usize;
    while let Some(token) = c.peek() {
        if token.is_punct('(') {
            depth += 1;
        } else if token.is_punct(')') {
            depth = depth
                .checked_sub(1)
                .ok_or_else(|| DdlError::syntax(token.start, "unbalanced parenthesis"))?;
        } else if token.is_punct(',') && depth == 0 {
            return Ok(());
        } else if names_sequence(c) {
            facts.unsupported = Some("default from a sequence");
        } else {
            let words: Option<usize> = if c.is_word("REFERENCES") {
                Some(1)
            } else if depth == 0 && (c.is_words(&["WITH", "TABLE"]) || c.is_words(&["TO", "TABLE"])) {
                Some(2)
            } else if depth == 0 && c.is_words(&["CONVERT", "TABLE"]) {
                facts.neither = true;
                Some(2)
            } else {
                None
            };
            if let Some(words) = words {
                c.go_to(c.index() + words);
                let name = table_name(c, source.default_schema)?;
                splicer.name(name.start, name.end, name.name);
                continue;
            }
        }
        c.take();
    }
    if depth == 0 { Ok(()) } else { Err(DdlError::syntax(c.offset(), "unbalanced parenthesis")) }
}
