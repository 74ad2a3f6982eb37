//! Definitions of one server family at the other.
use std::borrow::Cow;

use dm_binlog::Flavor;

use crate::lex::{Token, TokenKind, tokenize};
use crate::sql_mode::SqlMode;

/// Collations that only one family knows, and the other's with the same rules (Unicode 9 and 14, accent and case alike,
/// both without padding).
const MYSQL_TO_MARIADB: [(&str, &str); 4] = [
    ("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
    ("utf8mb4_0900_as_ci", "utf8mb4_uca1400_nopad_as_ci"),
    ("utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs"),
    ("utf8mb4_0900_bin", "utf8mb4_nopad_bin"),
];
const MARIADB_TO_MYSQL: [(&str, &str); 7] = [
    ("utf8mb4_uca1400_ai_ci", "utf8mb4_0900_ai_ci"),
    ("utf8mb4_uca1400_nopad_ai_ci", "utf8mb4_0900_ai_ci"),
    ("utf8mb4_uca1400_as_ci", "utf8mb4_0900_as_ci"),
    ("utf8mb4_uca1400_nopad_as_ci", "utf8mb4_0900_as_ci"),
    ("utf8mb4_uca1400_as_cs", "utf8mb4_0900_as_cs"),
    ("utf8mb4_uca1400_nopad_as_cs", "utf8mb4_0900_as_cs"),
    ("utf8mb4_nopad_bin", "utf8mb4_0900_bin"),
];

/// The families of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    source: Flavor,
    target: Flavor,
}

impl Dialect {
    /// From a source to a target.
    pub fn between(source: Flavor, target: Flavor) -> Self {
        Dialect { source, target }
    }

    /// Both ends are of one family.
    pub fn is_same(self) -> bool {
        self.source == self.target
    }

    fn collations(self) -> &'static [(&'static str, &'static str)] {
        match (self.source, self.target) {
            (Flavor::MySql, Flavor::MariaDb) => &MYSQL_TO_MARIADB,
            (Flavor::MariaDb, Flavor::MySql) => &MARIADB_TO_MYSQL,
            _ => &[],
        }
    }

    /// Types that MySQL prints by names of its own.
    fn types(self) -> &'static [(&'static str, &'static str)] {
        match (self.source, self.target) {
            (Flavor::MySql, Flavor::MariaDb) => &[("geomcollection", "geometrycollection")],
            _ => &[],
        }
    }

    /// Replaces the collations and type names that the target does not know, and reports each to `replaced` with what it has become.
    /// Comments and literals stay untouched. Text as [`crate::ddl::DdlStatement::canonical`] gives it.
    pub fn translate<'s>(self, sql: &'s str, mut replaced: impl FnMut(&str, &str)) -> Cow<'s, str> {
        let collations = self.collations();
        if collations.is_empty() {
            return Cow::Borrowed(sql);
        }
        let Ok(tokens) = tokenize(sql, SqlMode::default()) else { return Cow::Borrowed(sql) };
        let mut out = String::new();
        let mut copied = 0;
        for (index, token) in tokens.iter().enumerate() {
            let name = collation_name(&tokens[..index], token);
            let Some((from, to)) = (match name {
                Some(name) => collations.iter().find(|(from, _)| name.eq_ignore_ascii_case(from)),
                None => self.types().iter().find(|(from, _)| token.is_word(from)),
            }) else {
                continue;
            };
            replaced(from, to);
            out.push_str(&sql[copied..token.start]);
            out.push_str(to);
            copied = token.end;
        }
        if copied == 0 {
            return Cow::Borrowed(sql);
        }
        out.push_str(&sql[copied..]);
        Cow::Owned(out)
    }
}

/// What the token names if it can be a collation: after COLLATE, as a word or in quotes.
fn collation_name<'a>(before: &[Token<'a>], token: &Token<'a>) -> Option<Cow<'a, str>> {
    let mut before = before.iter().rev().skip_while(|t| t.is_punct('='));
    if !before.next()?.is_word("COLLATE") {
        return None;
    }
    match token.kind {
        TokenKind::Str { .. } => token.string_value(),
        _ => token.identifier(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(source: Flavor, target: Flavor, sql: &str) -> String {
        Dialect::between(source, target).translate(sql, |_, _| {}).into_owned()
    }

    #[test]
    fn a_collation_is_translated_but_not_in_a_comment() {
        let sql =
            "CREATE TABLE `t` (`a` text COMMENT 'COLLATE utf8mb4_0900_ai_ci') COLLATE=utf8mb4_0900_ai_ci";
        assert_eq!(
            translated(Flavor::MySql, Flavor::MariaDb, sql),
            "CREATE TABLE `t` (`a` text COMMENT 'COLLATE utf8mb4_0900_ai_ci') COLLATE=utf8mb4_uca1400_nopad_ai_ci"
        );
        assert_eq!(translated(Flavor::MySql, Flavor::MySql, sql), sql);
    }

    #[test]
    fn a_type_is_translated_and_a_column_of_that_name_is_not() {
        let sql = "CREATE TABLE `t` (`geomcollection` geomcollection)";
        assert_eq!(
            translated(Flavor::MySql, Flavor::MariaDb, sql),
            "CREATE TABLE `t` (`geomcollection` geometrycollection)"
        );
    }

    #[test]
    fn quoted_collations_are_translated_and_columns_of_that_name_are_not() {
        let sql = "ALTER TABLE `t` ADD utf8mb4_uca1400_ai_ci CHAR(3) COLLATE 'utf8mb4_uca1400_as_cs', \
                   COLLATE = `UTF8MB4_uca1400_ai_ci`";
        assert_eq!(
            translated(Flavor::MariaDb, Flavor::MySql, sql),
            "ALTER TABLE `t` ADD utf8mb4_uca1400_ai_ci CHAR(3) COLLATE utf8mb4_0900_as_cs, \
             COLLATE = utf8mb4_0900_ai_ci"
        );
    }
}
