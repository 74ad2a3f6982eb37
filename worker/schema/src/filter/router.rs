//! DM's table routes.

use super::extract::{ExtractRule, Extracted, Extractor};
use super::pattern::{FilterError, Pattern};
use crate::name::TableName;

/// One route as written in the task file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteRule {
    /// `schema-pattern`.
    pub schema_pattern: String,
    /// `table-pattern`; empty for a rule about whole schemas.
    pub table_pattern: String,
    /// `target-schema`.
    pub target_schema: String,
    /// `target-table`; empty keeps the table's name.
    pub target_table: String,
    /// Columns that only the target has.
    pub extract: Vec<ExtractRule>,
}

impl RouteRule {
    fn describe(&self) -> String {
        if self.table_pattern.is_empty() {
            self.schema_pattern.clone()
        } else {
            format!("{}.{}", self.schema_pattern, self.table_pattern)
        }
    }
}

/// Compiled routes.
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<(Pattern, Option<Pattern>, RouteRule)>,
    /// Of each rule.
    extractors: Vec<Vec<Extractor>>,
}

impl Router {
    /// Compiles the rules. Without `case_sensitive` names are compared in lower case.
    pub fn new(rules: &[RouteRule], case_sensitive: bool) -> Result<Self, FilterError> {
        let compile = |(index, rule): (usize, &RouteRule)| {
            if rule.schema_pattern.is_empty() {
                return Err(FilterError::Rule { index, what: "schema-pattern is empty" });
            }
            if rule.target_schema.is_empty() {
                return Err(FilterError::Rule { index, what: "target-schema is empty" });
            }
            let table = match rule.table_pattern.as_str() {
                "" => None,
                pattern => Some(Pattern::new(pattern, case_sensitive)?),
            };
            Ok((Pattern::new(&rule.schema_pattern, case_sensitive)?, table, rule.clone()))
        };
        Ok(Router {
            rules: rules.iter().enumerate().map(compile).collect::<Result<_, _>>()?,
            extractors: rules
                .iter()
                .map(|rule| rule.extract.iter().map(Extractor::new).collect())
                .collect::<Result<_, _>>()?,
        })
    }

    /// The target name of a source table; with an empty table the target schema of a source schema.
    ///
    /// Table rules win over schema rules. Without a match the name stays. Two matches of one level are an error.
    pub fn route(&self, schema: &str, table: &str) -> Result<TableName, FilterError> {
        let best = self.decides(schema, table)?.and_then(|index| self.rules.get(index)).map(|(_, _, r)| r);
        Ok(match best {
            None => TableName::new(schema, table),
            Some(rule)
                if table.is_empty() || rule.target_table.is_empty() || rule.table_pattern.is_empty() =>
            {
                TableName::new(rule.target_schema.clone(), table)
            }
            Some(rule) => TableName::new(rule.target_schema.clone(), rule.target_table.clone()),
        })
    }

    /// Place of the rule that names a table; `None` when none matches.
    pub fn decides(&self, schema: &str, table: &str) -> Result<Option<usize>, FilterError> {
        let mut best: Option<(usize, &RouteRule)> = None;
        for level_has_table in [true, false] {
            if level_has_table && table.is_empty() {
                continue;
            }
            for (index, (schema_pattern, table_pattern, rule)) in self.rules.iter().enumerate() {
                let hit = table_pattern.is_some() == level_has_table
                    && schema_pattern.matches(schema)
                    && table_pattern.as_ref().is_none_or(|p| p.matches(table));
                if !hit {
                    continue;
                }
                if let Some((_, first)) = best {
                    return Err(FilterError::Ambiguous {
                        schema: schema.to_owned(),
                        table: table.to_owned(),
                        first: first.describe(),
                        second: rule.describe(),
                    });
                }
                best = Some((index, rule));
            }
            if best.is_some() {
                break;
            }
        }
        Ok(best.map(|(index, _)| index))
    }

    /// Columns that the rule of a table adds at the target; `source` is the source's id.
    pub fn extracted(&self, name: &TableName, source: &str) -> Result<Vec<Extracted>, FilterError> {
        let rule = self.decides(&name.schema, &name.table)?.and_then(|index| self.extractors.get(index));
        Ok(rule.into_iter().flatten().map(|extractor| extractor.of(name, source)).collect())
    }

    /// Whether any rule may give a source table this name at the target; with an empty table, a place in this schema.
    pub fn leads_to(&self, target: &TableName) -> bool {
        self.rules.iter().any(|(_, tables, rule)| {
            let keeps_name = rule.target_table.is_empty() || rule.table_pattern.is_empty();
            let table = match (target.is_schema(), keeps_name) {
                (true, _) => true,
                (false, true) => tables.as_ref().is_none_or(|p| p.matches(&target.table)),
                (false, false) => rule.target_table.eq_ignore_ascii_case(&target.table),
            };
            rule.target_schema.eq_ignore_ascii_case(&target.schema) && table
        })
    }

    /// [`Router::route`] of a name.
    pub fn route_name(&self, name: &TableName) -> Result<TableName, FilterError> {
        self.route(&name.schema, &name.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(s: &str, t: &str, ts: &str, tt: &str) -> RouteRule {
        RouteRule {
            schema_pattern: s.into(),
            table_pattern: t.into(),
            target_schema: ts.into(),
            target_table: tt.into(),
            extract: Vec::new(),
        }
    }

    #[test]
    fn routes() {
        let router = Router::new(
            &[rule("db*", "t_*", "all", "t"), rule("db*", "", "all", ""), rule("x", "y", "z", "")],
            false,
        )
        .unwrap();
        assert_eq!(router.route("DB1", "t_1").unwrap(), TableName::new("all", "t"));
        assert_eq!(router.route("db1", "other").unwrap(), TableName::new("all", "other"));
        assert_eq!(router.route("db1", "").unwrap(), TableName::schema_only("all"));
        assert_eq!(router.route("x", "y").unwrap(), TableName::new("z", "y"));
        assert_eq!(router.route("q", "y").unwrap(), TableName::new("q", "y"));
    }

    #[test]
    fn two_matches_of_one_level_are_an_error() {
        let router = Router::new(&[rule("a*", "t*", "x", "t"), rule("ab", "t1", "y", "t")], false).unwrap();
        assert!(matches!(router.route("ab", "t1"), Err(FilterError::Ambiguous { .. })));
        assert!(router.route("a", "t1").is_ok());
    }

    #[test]
    fn bad_rules() {
        assert!(Router::new(&[rule("", "t", "x", "")], false).is_err());
        assert!(Router::new(&[rule("a", "t", "", "")], false).is_err());
    }
}
