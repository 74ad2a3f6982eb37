//! DM's block-allow-list.

use super::pattern::{FilterError, Pattern};
use crate::name::TableName;

/// Schemas that are never copied, whatever the rules say.
const SYSTEM_SCHEMAS: [&str; 7] = [
    "mysql",
    "sys",
    "information_schema",
    "performance_schema",
    "inspection_schema",
    "metrics_schema",
    "dm_heartbeat",
];

/// True for the servers' own schemas.
pub fn is_system_schema(schema: &str) -> bool {
    SYSTEM_SCHEMAS.iter().any(|s| s.eq_ignore_ascii_case(schema))
}

/// One entry of `do-tables` or `ignore-tables`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePattern {
    /// `db-name`.
    pub schema: String,
    /// `tbl-name`.
    pub table: String,
}

/// The rules as written in the task file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockAllowRules {
    /// `do-dbs`.
    pub do_dbs: Vec<String>,
    /// `do-tables`.
    pub do_tables: Vec<TablePattern>,
    /// `ignore-dbs`.
    pub ignore_dbs: Vec<String>,
    /// `ignore-tables`.
    pub ignore_tables: Vec<TablePattern>,
}

/// Which entry of the block-allow-list decides about a table; indexes are places in the lists as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowReason {
    /// A schema of the server's own.
    System,
    /// `do-dbs` is not empty and does not name it.
    NotInDoDbs,
    /// `ignore-dbs` names it.
    IgnoreDb(usize),
    /// `do-tables` names it.
    DoTable(usize),
    /// `ignore-tables` names it.
    IgnoreTable(usize),
    /// `do-tables` is not empty and does not name it.
    NotInDoTables,
    /// Nothing is against it.
    Allowed,
}

impl AllowReason {
    /// Whether the table is copied.
    pub fn allows(self) -> bool {
        matches!(self, AllowReason::Allowed | AllowReason::DoTable(_))
    }
}

/// An entry that decides nothing about the tables that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleEntry {
    /// The list's key in the file.
    pub list: &'static str,
    /// Place in the list as written.
    pub index: usize,
    /// Another list decides before this one is asked: it can never count.
    pub overruled_by: Option<&'static str>,
}

/// Compiled block-allow-list. Both parts of a table rule must match in the same rule (DM matches them apart when
/// one of them is a regular expression).
#[derive(Debug, Clone)]
pub struct BlockAllowList {
    do_dbs: Vec<Pattern>,
    do_tables: Vec<(Pattern, Pattern)>,
    ignore_dbs: Vec<Pattern>,
    ignore_tables: Vec<(Pattern, Pattern)>,
}

impl BlockAllowList {
    /// Compiles the rules. Without `case_sensitive` both sides are compared in lower case.
    pub fn new(rules: &BlockAllowRules, case_sensitive: bool) -> Result<Self, FilterError> {
        let names = |list: &[String]| {
            list.iter().map(|p| Pattern::new(p, case_sensitive)).collect::<Result<Vec<_>, FilterError>>()
        };
        let tables = |list: &[TablePattern]| {
            list.iter()
                .map(|t| {
                    Ok((Pattern::new(&t.schema, case_sensitive)?, Pattern::new(&t.table, case_sensitive)?))
                })
                .collect::<Result<Vec<_>, FilterError>>()
        };
        Ok(BlockAllowList {
            do_dbs: names(&rules.do_dbs)?,
            do_tables: tables(&rules.do_tables)?,
            ignore_dbs: names(&rules.ignore_dbs)?,
            ignore_tables: tables(&rules.ignore_tables)?,
        })
    }

    /// Is anything of this schema copied? Decides CREATE, ALTER and DROP DATABASE.
    pub fn allows_schema(&self, schema: &str) -> bool {
        if is_system_schema(schema) {
            return false;
        }
        if self.do_dbs.is_empty() {
            !self.ignore_dbs.iter().any(|p| p.matches(schema))
        } else {
            self.do_dbs.iter().any(|p| p.matches(schema))
        }
    }

    /// Is this table copied?
    pub fn allows_table(&self, schema: &str, table: &str) -> bool {
        self.reason(schema, table).allows()
    }

    /// Entries that decide about none of these tables of the source.
    pub fn idle(&self, tables: &[TableName]) -> Vec<IdleEntry> {
        let mut idle = Vec::new();
        let mut note = |list: &'static str, index: usize, matched: bool, by: Option<&'static str>| {
            if !matched || by.is_some() {
                idle.push(IdleEntry { list, index, overruled_by: by });
            }
        };
        let schemas =
            |p: &Pattern| tables.iter().any(|t| !is_system_schema(&t.schema) && p.matches(&t.schema));
        for (index, pattern) in self.do_dbs.iter().enumerate() {
            note("do-dbs", index, schemas(pattern), None);
        }
        let by = (!self.do_dbs.is_empty()).then_some("do-dbs");
        for (index, pattern) in self.ignore_dbs.iter().enumerate() {
            note("ignore-dbs", index, schemas(pattern), by);
        }
        let hit = |(s, t): &(Pattern, Pattern), name: &TableName| {
            self.allows_schema(&name.schema) && s.matches(&name.schema) && t.matches(&name.table)
        };
        for (index, pair) in self.do_tables.iter().enumerate() {
            note("do-tables", index, tables.iter().any(|t| hit(pair, t)), None);
        }
        for (index, pair) in self.ignore_tables.iter().enumerate() {
            let mut matched = tables.iter().filter(|t| hit(pair, t)).peekable();
            let some = matched.peek().is_some();
            let kept = some && matched.all(|t| self.do_tables.iter().any(|pair| hit(pair, t)));
            note("ignore-tables", index, some, kept.then_some("do-tables"));
        }
        idle
    }

    /// What decides about a table.
    pub fn reason(&self, schema: &str, table: &str) -> AllowReason {
        let hit = |list: &[(Pattern, Pattern)]| {
            list.iter().position(|(s, t)| s.matches(schema) && t.matches(table))
        };
        if is_system_schema(schema) {
            return AllowReason::System;
        }
        if !self.allows_schema(schema) {
            let ignored = self.ignore_dbs.iter().position(|p| p.matches(schema));
            return match ignored {
                Some(index) if self.do_dbs.is_empty() => AllowReason::IgnoreDb(index),
                _ => AllowReason::NotInDoDbs,
            };
        }
        match (hit(&self.do_tables), hit(&self.ignore_tables)) {
            (Some(index), _) => AllowReason::DoTable(index),
            (None, Some(index)) => AllowReason::IgnoreTable(index),
            (None, None) if self.do_tables.is_empty() => AllowReason::Allowed,
            (None, None) => AllowReason::NotInDoTables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(
        do_dbs: &[&str],
        do_tables: &[(&str, &str)],
        ignore_dbs: &[&str],
        ignore: &[(&str, &str)],
    ) -> BlockAllowList {
        let names = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect();
        let tables = |l: &[(&str, &str)]| {
            l.iter().map(|(s, t)| TablePattern { schema: (*s).to_owned(), table: (*t).to_owned() }).collect()
        };
        let rules = BlockAllowRules {
            do_dbs: names(do_dbs),
            do_tables: tables(do_tables),
            ignore_dbs: names(ignore_dbs),
            ignore_tables: tables(ignore),
        };
        BlockAllowList::new(&rules, false).unwrap()
    }

    #[test]
    fn empty_allows_all_but_system() {
        let l = list(&[], &[], &[], &[]);
        assert!(l.allows_table("a", "b"));
        assert!(!l.allows_table("MySQL", "user"));
        assert!(!l.allows_schema("sys"));
    }

    #[test]
    fn rules() {
        let l = list(&["shop*", "~^log[0-9]$"], &[], &[], &[("shop1", "tmp_*")]);
        assert!(l.allows_table("SHOP1", "t"));
        assert!(!l.allows_table("shop1", "tmp_a"));
        assert!(l.allows_table("log3", "x"));
        assert!(!l.allows_table("log33", "x"));
        assert!(!l.allows_table("other", "x"));

        let l = list(&[], &[("db?", "t[0-3]"), ("x", "[!a]b")], &["db9"], &[]);
        assert!(l.allows_table("db1", "t0"));
        assert!(!l.allows_table("db9", "t0"));
        assert!(!l.allows_table("db1", "t4"));
        assert!(l.allows_table("x", "bb"));
        assert!(!l.allows_table("x", "ab"));
        assert!(l.allows_schema("anything"));

        // do-tables wins over ignore-tables
        let l = list(&[], &[("a", "t1")], &[], &[("a", "*")]);
        assert!(l.allows_table("a", "t1"));
        assert!(!l.allows_table("a", "t2"));
    }

    #[test]
    fn entries_that_decide_nothing_are_found() {
        let tables =
            [TableName::new("shop", "t1"), TableName::new("log", "t2"), TableName::new("mysql", "user")];
        let found = |l: BlockAllowList| {
            let all = l.idle(&tables).into_iter();
            all.map(|e| format!("{}[{}] {}", e.list, e.index, e.overruled_by.unwrap_or("-")))
                .collect::<Vec<_>>()
        };
        let all =
            list(&["shop", "gone", "mysql"], &[("shop", "t*"), ("log", "*")], &["log"], &[("shop", "t1")]);
        assert_eq!(
            found(all),
            [
                "do-dbs[1] -",
                "do-dbs[2] -",
                "ignore-dbs[0] do-dbs",
                "do-tables[1] -",
                "ignore-tables[0] do-tables"
            ]
        );
        assert!(found(list(&[], &[], &["log"], &[("sh*", "t?")])).is_empty());
        assert_eq!(found(list(&[], &[], &["log"], &[("log", "t2")])), ["ignore-tables[0] -"]);
    }

    #[test]
    fn case_and_special_characters() {
        let rules = BlockAllowRules { do_dbs: vec!["Db.x".into()], ..Default::default() };
        let l = BlockAllowList::new(&rules, true).unwrap();
        assert!(l.allows_schema("Db.x") && !l.allows_schema("db.x") && !l.allows_schema("Dbxx"));
        let bad = BlockAllowRules { do_dbs: vec!["~(".into()], ..Default::default() };
        assert!(matches!(BlockAllowList::new(&bad, true), Err(FilterError::Regex { .. })));
    }
}
