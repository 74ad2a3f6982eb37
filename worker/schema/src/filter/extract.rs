//! Columns whose values are taken from names: DM's `extract-table`, `extract-schema`, `extract-source`.

use regex::Regex;

use super::pattern::FilterError;
use crate::name::TableName;

/// The name from which a value is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamePart {
    /// The table's name at the source.
    Table,
    /// Its schema.
    Schema,
    /// The source's id.
    Source,
}

/// One column as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractRule {
    /// What is looked at.
    pub from: NamePart,
    /// Not anchored, with letter case.
    pub regexp: String,
    /// The column at the target.
    pub column: String,
}

/// A column of the target that the source does not have, with its value for all rows of one source table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The column's name.
    pub column: String,
    /// What the groups hold, one after the other.
    pub value: String,
    /// The name did not match at all, so the value is empty.
    pub missed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Extractor {
    rule: ExtractRule,
    regexp: Regex,
}

impl Extractor {
    pub fn new(rule: &ExtractRule) -> Result<Self, FilterError> {
        let regexp = Regex::new(&rule.regexp)
            .map_err(|e| FilterError::Regex { pattern: rule.regexp.clone(), reason: e.to_string() })?;
        Ok(Extractor { rule: rule.clone(), regexp })
    }

    pub fn of(&self, table: &TableName, source: &str) -> Extracted {
        let name = match self.rule.from {
            NamePart::Table => &table.table,
            NamePart::Schema => &table.schema,
            NamePart::Source => source,
        };
        let found = self.regexp.captures(name);
        let missed = found.is_none();
        let groups = found.iter().flat_map(|groups| groups.iter().skip(1).flatten());
        let value = groups.map(|group| group.as_str()).collect();
        Extracted { column: self.rule.column.clone(), value, missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_first_match_are_the_value() {
        let value = |from, regexp: &str| {
            let rule = ExtractRule { from, regexp: regexp.to_owned(), column: "c".to_owned() };
            let found = Extractor::new(&rule).unwrap().of(&TableName::new("shop_07", "T_12_a"), "mysql-3");
            (found.value, found.missed)
        };
        assert_eq!(value(NamePart::Table, r"_(\d+)_(.*)"), ("12a".to_owned(), false));
        assert_eq!(value(NamePart::Schema, r"shop_(.*)"), ("07".to_owned(), false));
        assert_eq!(value(NamePart::Source, r"(\d)|(x)"), ("3".to_owned(), false));
        assert_eq!(value(NamePart::Table, r"t_(.*)"), (String::new(), true));
        assert_eq!(value(NamePart::Table, r"T(x?)"), (String::new(), false));
    }
}
