//! Definitions of one server family at the other.
use dm_binlog::Flavor;
use dm_proto::error::Scope;
use dm_schema::{SqlMode, lex};
use mysql_async::prelude::Queryable;
use tracing::warn;

use crate::{
    failure::{Failure, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

/// Collations that only one family knows, and the other's with the same rules (Unicode 9 and 14, accent and case alike,
/// both without padding); and a type that MySQL prints by a name of its own.
const MYSQL_TO_MARIADB: [(&str, &str); 5] = [
    ("geomcollection", "geometrycollection"),
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
pub struct Target {
    words: &'static [(&'static str, &'static str)],
}

impl Target {
    /// Asks the target what it is.
    pub async fn look(context: &SubtaskContext) -> Result<Self, Failure> {
        let mut conn = upstream::connect_target(&context.subtask).await?;
        let version: Option<String> = conn
            .query_first("SELECT VERSION()")
            .await
            .map_err(|e| from_mysql(&e, Scope::Downstream, "read the version of the target"))?;
        conn.disconnect()
            .await
            .map_err(|e| from_mysql(&e, Scope::Downstream, "close a connection to the target"))?;
        let mariadb = version.is_some_and(|v| v.to_lowercase().contains("mariadb"));
        Ok(Self::between(context.identity.flavor, if mariadb { Flavor::MariaDb } else { Flavor::MySql }))
    }

    fn between(source: Flavor, target: Flavor) -> Self {
        let words: &[_] = match (source, target) {
            (Flavor::MySql, Flavor::MariaDb) => &MYSQL_TO_MARIADB,
            (Flavor::MariaDb, Flavor::MySql) => &MARIADB_TO_MYSQL,
            _ => &[],
        };
        Self { words }
    }

    /// Replaces the words that the target doesn't know; names and literals stay untouched.
    pub fn translate(&self, sql: &str) -> String {
        if self.words.is_empty() {
            return sql.to_owned();
        }
        let Ok(tokens) = lex::tokenize(sql, SqlMode::default()) else { return sql.to_owned() };
        let mut out = String::with_capacity(sql.len());
        let mut copied = 0;
        for token in tokens.iter().filter(|t| t.kind == lex::TokenKind::Word) {
            let Some((from, to)) = self.words.iter().find(|(from, _)| token.is_word(from)) else {
                continue;
            };
            warn!(
                from,
                to,
                "the target does not know a word of the source's definition and gets the one that means the same"
            );
            out.push_str(&sql[copied..token.start]);
            out.push_str(to);
            copied = token.end;
        }
        out.push_str(&sql[copied..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collation_is_translated_but_not_in_a_comment() {
        let target = Target::between(Flavor::MySql, Flavor::MariaDb);
        let sql = "CREATE TABLE `t` (`a` text COMMENT 'utf8mb4_0900_ai_ci', `geomcollection` geomcollection) COLLATE=utf8mb4_0900_ai_ci";
        assert_eq!(
            target.translate(sql),
            "CREATE TABLE `t` (`a` text COMMENT 'utf8mb4_0900_ai_ci', `geomcollection` geometrycollection) COLLATE=utf8mb4_uca1400_nopad_ai_ci"
        );
        assert_eq!(Target::between(Flavor::MySql, Flavor::MySql).translate(sql), sql);
    }
}
