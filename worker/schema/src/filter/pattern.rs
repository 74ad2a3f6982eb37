//! DM's name patterns.

use regex::{Regex, RegexBuilder};

/// A rule that cannot be used, or a table that several rules claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The regular expression after `~` is wrong.
    #[error("pattern {pattern:?} is not a valid regular expression: {reason}")]
    Regex {
        /// As written.
        pattern: String,
        /// What the regular-expression compiler says.
        reason: String,
    },
    /// A rule without a schema pattern or target.
    #[error("rule {index}: {what}")]
    Rule {
        /// Place in the list, from 0.
        index: usize,
        /// What is missing.
        what: &'static str,
    },
    /// Several route rules of the same level match one table.
    #[error("{schema}.{table} matches more than one route rule: {first} and {second}")]
    Ambiguous {
        /// Source schema.
        schema: String,
        /// Source table, empty for a schema.
        table: String,
        /// One rule.
        first: String,
        /// Another.
        second: String,
    },
}

/// One compiled pattern: `~regex`, or a name with `*`, `?` and `[a-z]`, `[!a-z]`.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    kind: Kind,
    case_sensitive: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Exact(String),
    Regex(Regex),
}

impl Pattern {
    pub fn new(text: &str, case_sensitive: bool) -> Result<Self, FilterError> {
        let expression = match text.strip_prefix('~') {
            Some(expression) => Some(expression.to_owned()),
            None if text.contains(['*', '?', '[']) => Some(wildcard_to_regex(text)),
            None => None,
        };
        let kind = match expression {
            Some(expression) => RegexBuilder::new(&expression)
                .case_insensitive(!case_sensitive)
                .build()
                .map(Kind::Regex)
                .map_err(|e| FilterError::Regex { pattern: text.to_owned(), reason: e.to_string() })?,
            None if case_sensitive => Kind::Exact(text.to_owned()),
            None => Kind::Exact(text.to_lowercase()),
        };
        Ok(Pattern { kind, case_sensitive })
    }

    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Exact(exact) if self.case_sensitive => exact == name,
            Kind::Exact(exact) => *exact == name.to_lowercase(),
            Kind::Regex(regex) => regex.is_match(name),
        }
    }
}

/// `*` any run, `?` one character, `[..]` one of a class, `[!..]` none of it; everything else stands for itself.
fn wildcard_to_regex(text: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match rest.find(']').filter(|end| *end > 0) {
                Some(end) => {
                    let class = &rest[..end];
                    let (negated, class) = match class.strip_prefix('!') {
                        Some(class) if !class.is_empty() => ("^", class),
                        _ => ("", class),
                    };
                    out.push('[');
                    out.push_str(negated);
                    for c in class.chars() {
                        if c != '-' && !c.is_alphanumeric() {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                    out.push(']');
                    rest = &rest[end + 1..];
                }
                None => out.push_str("\\["),
            },
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}
