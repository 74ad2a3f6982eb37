//! Canonical text by splicing spans.

use super::statement::{DdlClass, DdlKind, DdlStatement};
use crate::lex::{Token, TokenKind};
use crate::name::TableName;
use crate::quote::{quote_identifier, quote_string};

/// A name in a canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameSpan {
    pub start: usize,
    pub end: usize,
    /// Index in the statement's tables.
    pub table: usize,
}

/// A change to the original text.
enum Splice {
    Name(TableName),
    Text(String),
}

/// Collects changes to one statement's text and builds the result.
pub(super) struct Splicer<'t, 'a> {
    sql: &'a str,
    tokens: &'t [Token<'a>],
    splices: Vec<(usize, usize, Splice)>,
}

impl<'t, 'a> Splicer<'t, 'a> {
    pub fn new(sql: &'a str, tokens: &'t [Token<'a>]) -> Self {
        Splicer { sql, tokens, splices: Vec::new() }
    }

    /// A table name at `start..end`, replaced by its qualified form. An empty span inserts it.
    pub fn name(&mut self, start: usize, end: usize, name: TableName) {
        self.splices.push((start, end, Splice::Name(name)));
    }

    /// Removes `start..end`.
    pub fn remove(&mut self, start: usize, end: usize) {
        self.splices.push((start, end, Splice::Text(String::new())));
    }

    /// Builds the statement from the tokens' first to last byte.
    pub fn build(mut self, kind: DdlKind, class: DdlClass) -> DdlStatement {
        self.normalise_quotes();
        self.splices.sort_by_key(|s| (s.0, s.1));
        let begin = first_byte(self.sql, self.tokens);
        let end = last_byte(self.sql, self.tokens);
        let (mut text, mut names, mut tables) = (String::new(), Vec::new(), Vec::new());
        let mut at = begin;
        for (start, stop, splice) in self.splices {
            if start < at {
                continue; // inside a span that was replaced already
            }
            text.push_str(&self.sql[at..start]);
            match splice {
                Splice::Name(name) => {
                    let from = text.len();
                    text.push_str(&name.quoted());
                    names.push(NameSpan { start: from, end: text.len(), table: tables.len() });
                    tables.push(name);
                    if start == stop {
                        text.push(' ');
                    }
                }
                Splice::Text(t) => text.push_str(&t),
            }
            at = stop;
        }
        text.push_str(&self.sql[at..end.max(at)]);
        DdlStatement {
            kind,
            tables,
            class,
            if_exists: false,
            if_not_exists: false,
            rows_follow: false,
            new_name: None,
            text: text.trim_end().to_owned(),
            names,
        }
    }

    /// Identifiers in double quotes and strings in which backslashes do not escape get our own sessions' form.
    fn normalise_quotes(&mut self) {
        for token in self.tokens {
            if self.splices.iter().any(|s| s.0 <= token.start && token.end <= s.1) {
                continue;
            }
            let new = match token.kind {
                TokenKind::QuotedIdent if token.text.starts_with('"') => {
                    token.identifier().map(|name| quote_identifier(&name))
                }
                TokenKind::Str { backslash: false } if token.text.contains('\\') => {
                    token.string_value().map(|value| quote_string(&value))
                }
                _ => None,
            };
            if let Some(new) = new {
                self.splices.push((token.start, token.end, Splice::Text(new)));
            }
        }
    }
}

/// Start of the statement: the first token, or the mark of the executable comment that it stands in.
fn first_byte(sql: &str, tokens: &[Token<'_>]) -> usize {
    let Some(first) = tokens.first() else { return 0 };
    match sql[..first.start].rfind("/*") {
        Some(mark) if !sql[mark..first.start].contains("*/") => mark,
        _ => first.start,
    }
}

/// End of the statement: the last token, or the end of the executable comment that it stands in.
fn last_byte(sql: &str, tokens: &[Token<'_>]) -> usize {
    let Some(last) = tokens.last() else { return sql.len() };
    // After the last token there are only blanks, comments and ends of executable comments. An end that has no
    // start after the token closes an executable comment.
    let tail = &sql[last.end..];
    match tail.find("*/") {
        Some(close) if !tail[..close].contains("/*") && !tail[..close].contains(['#', ';']) => {
            last.end + close + 2
        }
        _ => last.end,
    }
}

/// A statement whose text is made here from names alone, such as one table of a DROP TABLE.
/// `parts` are pieces of text with a name after each but the last.
pub(super) fn compose(
    kind: DdlKind,
    class: DdlClass,
    parts: &[&str],
    tables: Vec<TableName>,
) -> DdlStatement {
    let (mut text, mut names) = (String::new(), Vec::new());
    for (i, part) in parts.iter().enumerate() {
        text.push_str(part);
        if let Some(table) = tables.get(i) {
            let start = text.len();
            text.push_str(&table.quoted());
            names.push(NameSpan { start, end: text.len(), table: i });
        }
    }
    DdlStatement {
        kind,
        tables,
        class,
        if_exists: false,
        if_not_exists: false,
        rows_follow: false,
        new_name: None,
        text,
        names,
    }
}

/// A statement that is passed on as it is, without names.
pub(super) fn plain(kind: DdlKind, sql: &str) -> DdlStatement {
    DdlStatement {
        kind,
        tables: Vec::new(),
        class: DdlClass::Neither,
        if_exists: false,
        if_not_exists: false,
        rows_follow: false,
        new_name: None,
        text: sql.to_owned(),
        names: Vec::new(),
    }
}
