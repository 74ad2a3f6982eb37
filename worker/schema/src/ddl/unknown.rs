//! What happens with a statement that the parser cannot name.

use super::statement::DdlStatement;
use crate::lex::{Cursor, TokenKind, tokenize};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

/// The answer for one statement of kind [`super::DdlKind::Unknown`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownDecision {
    /// It means the same at the target: execute its canonical text there, in its default schema.
    PassThrough,
    /// It might not; the string says why.
    Stop(String),
}

impl DdlStatement {
    /// Decides for a statement of unknown kind. What it names is not known, so everything that can be a name counts as
    /// one: each identifier in the default schema, and each `schema.table`. `kept` says whether a table (or, with an
    /// empty table, a schema) is replicated under its own name.
    pub fn decide_unknown(
        &self,
        default_schema: &str,
        same_family: bool,
        mut kept: impl FnMut(&TableName) -> bool,
    ) -> UnknownDecision {
        if !same_family {
            return UnknownDecision::Stop("the target is of another family than the source".to_owned());
        }
        let Ok(tokens) = tokenize(self.canonical(), SqlMode::default()) else {
            return UnknownDecision::Stop("it cannot be read".to_owned());
        };
        let mut touched = |name: &TableName| {
            (!kept(name)).then(|| UnknownDecision::Stop(format!("a rule filters or routes {name}")))
        };
        if !default_schema.is_empty()
            && let Some(stop) = touched(&TableName::schema_only(default_schema))
        {
            return stop;
        }
        let mut c = Cursor::new(&tokens);
        while let Some(token) = c.take() {
            if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent) {
                continue;
            }
            let Some(name) = token.identifier() else { continue };
            let mut qualified = c.clone();
            let name = match (qualified.eat_punct('.'), qualified.eat_identifier()) {
                (true, Some(table)) => {
                    c = qualified;
                    TableName::new(name, table)
                }
                // Without a default schema it can be no table.
                _ if default_schema.is_empty() => continue,
                _ => TableName::new(default_schema, name),
            };
            if let Some(stop) = touched(&name) {
                return stop;
            }
        }
        UnknownDecision::PassThrough
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DdlKind, parse};
    use super::*;

    fn decide(sql: &str, schema: &str, same: bool, routed: &str) -> UnknownDecision {
        let statement = parse(sql, SqlMode::from_bits(SqlMode::ANSI_QUOTES), schema).unwrap().remove(0);
        assert_eq!(statement.kind, DdlKind::Unknown, "{sql}");
        statement.decide_unknown(schema, same, |name| format!("{}.{}", name.schema, name.table) != routed)
    }

    #[test]
    fn passes_only_what_no_rule_can_touch() {
        let pass = UnknownDecision::PassThrough;
        let sql = "CREATE GIZMO g ON \"s\" . t USING 'd.u'";
        assert_eq!(decide(sql, "d", true, "d.other"), pass);
        // A word in a string is no name.
        assert_eq!(decide(sql, "d", true, "d.u"), pass);
        assert_eq!(decide(sql, "", true, "d.g"), pass);
        for (schema, same, routed) in
            [("d", false, ""), ("d", true, "d."), ("d", true, "d.g"), ("d", true, "s.t"), ("", true, "s.t")]
        {
            let decision = decide(sql, schema, same, routed);
            assert!(matches!(decision, UnknownDecision::Stop(_)), "{schema} {same} {routed}");
        }
    }

    #[test]
    fn what_is_passed_on_needs_no_quoting_modes() {
        let mode = SqlMode::from_bits(SqlMode::ANSI_QUOTES | SqlMode::NO_BACKSLASH_ESCAPES);
        let statement = parse("CREATE GIZMO \"g\" AS 'a\\'", mode, "d").unwrap().remove(0);
        assert_eq!(statement.canonical(), "CREATE GIZMO `g` AS 'a\\\\'");
    }
}
