//! What became of a DDL: definitions before and now.

use crate::ddl::{DdlClass, DdlDecision, DdlObject, DdlRecord};
use crate::error::TargetError;
use crate::link::Link;
use crate::literal::{ident, text_string};
use crate::shared::Shared;

impl Shared {
    /// `SHOW CREATE` text of an object, None when it doesn't exist. Asked first whether it exists: an error would
    /// cost the connection.
    pub(crate) async fn definition(
        &self,
        link: &mut Link,
        object: &DdlObject,
    ) -> Result<Option<String>, TargetError> {
        let deadline = self.spec.limits.packet;
        let schema = text_string(&object.schema);
        let (exists, show) = match &object.table {
            Some(table) => (
                format!(
                    "SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} AND table_name = {}",
                    text_string(table)
                ),
                format!("SHOW CREATE TABLE {}.{}", ident(&object.schema), ident(table)),
            ),
            None => (
                format!("SELECT 1 FROM information_schema.schemata WHERE schema_name = {schema}"),
                format!("SHOW CREATE DATABASE {}", ident(&object.schema)),
            ),
        };
        if link.first::<u8>(&exists, deadline).await?.is_none() {
            return Ok(None);
        }
        let row: Option<mysql_async::Row> = link.first(&show, deadline).await?;
        let text = row.and_then(|mut row| row.take::<Vec<u8>, usize>(1));
        match text {
            Some(text) => Ok(Some(without_counter(&String::from_utf8_lossy(&text)))),
            None => {
                Err(TargetError::Corrupt { what: show, message: "no definition in the answer".to_owned() })
            }
        }
    }

    /// How an undecided DDL has to be settled; None = a person decides.
    pub(crate) async fn judge_ddl(&self, record: &DdlRecord) -> Result<Option<DdlDecision>, TargetError> {
        self.with_ddl(async |shared, link| shared.judge(link, record).await).await
    }

    async fn judge(&self, link: &mut Link, record: &DdlRecord) -> Result<Option<DdlDecision>, TargetError> {
        match record.class {
            DdlClass::Repeatable => Ok(Some(DdlDecision::Run)),
            DdlClass::Neither => Ok(None),
            DdlClass::Decidable => {
                let mut changed = 0;
                for (object, before) in &record.before {
                    let now = self.definition(link, object).await?;
                    // It was refused, for the object was there; somebody has removed that since.
                    if creates(&record.sql) && before.is_some() && now.is_none() {
                        return Ok(Some(DdlDecision::Run));
                    }
                    if now != *before {
                        changed += 1;
                    }
                }
                Ok(match changed {
                    _ if record.before.is_empty() => None,
                    0 => Some(DdlDecision::Run),
                    n if n == record.before.len() => Some(DdlDecision::Executed),
                    // Half of it has happened: neither running nor skipping it is right.
                    _ => None,
                })
            }
        }
    }
}

fn creates(sql: &[u8]) -> bool {
    sql.get(..7).is_some_and(|head| head.eq_ignore_ascii_case(b"CREATE "))
        && !sql
            .get(7..)
            .is_some_and(|rest| rest.to_ascii_uppercase().windows(6).take(24).any(|w| w == b"INDEX "))
}

/// A definition without ` AUTO_INCREMENT=n`: every row that is written moves it.
pub fn without_counter(create: &str) -> String {
    let marker = " AUTO_INCREMENT=";
    // Only in the table options, after the last closing parenthesis of the columns.
    let Some(at) = create.rfind(marker) else { return create.to_owned() };
    let rest = create.get(at + marker.len()..).unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return create.to_owned();
    }
    format!("{}{}", create.get(..at).unwrap_or_default(), rest.get(digits..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{creates, without_counter};

    #[test]
    fn only_what_makes_its_object_counts_as_creating() {
        assert!(creates(b"CREATE TABLE `a`.`t` (`id` int)"));
        assert!(creates(b"CREATE DATABASE IF NOT EXISTS `a`"));
        assert!(!creates(b"create unique index `i` on `a`.`t` (`id`)"));
        assert!(!creates(b"ALTER TABLE `a`.`t` ADD `v` int"));
    }

    #[test]
    fn the_counter_is_no_part_of_a_definition() {
        assert_eq!(
            without_counter("CREATE TABLE `t` (\n) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4"),
            "CREATE TABLE `t` (\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        );
        assert_eq!(without_counter("CREATE TABLE `t`"), "CREATE TABLE `t`");
    }
}
