use proptest::prelude::*;

use super::*;
use crate::ddl::{DdlStatement, parse};
use crate::filter::events::NEVER;
use crate::model::{TableDefaults, TableModel};
use crate::sql_mode::SqlMode;

fn rule(schema: &str, table: &str, events: &[&str], sql: &[&str], action: FilterAction) -> EventRule {
    EventRule {
        name: format!("{schema}/{table}"),
        schema_pattern: schema.into(),
        table_pattern: table.into(),
        events: events.iter().map(ToString::to_string).collect(),
        sql_patterns: sql.iter().map(ToString::to_string).collect(),
        action,
    }
}

fn statement(sql: &str) -> DdlStatement {
    parse(sql, SqlMode::default(), "d").unwrap().remove(0)
}

/// Types of a statement about `t`, comma between the names of one specification, bar between specifications.
fn types(sql: &str) -> String {
    let create = "CREATE TABLE t (a INT NOT NULL AUTO_INCREMENT, b VARCHAR(20) DEFAULT 'x', c DECIMAL(10,4), e \
                  ENUM('p','q'), PRIMARY KEY (a), UNIQUE KEY u (b), KEY k (c))";
    let before =
        TableModel::parse_create(create, SqlMode::default(), "d", &TableDefaults::default()).unwrap();
    let part = statement(sql);
    let mut after = before.clone();
    if sql.starts_with("ALTER TABLE") || sql.contains(" INDEX ") {
        after.apply_alter(part.canonical(), SqlMode::default()).unwrap();
    }
    let events = EventTypes::of_statement(&part, Some((&before, &after)));
    let covered = |e: &EventTypes| {
        let named = |n: &&&str| {
            e.covered_by(n) == Some(true)
                && !n.starts_with("all")
                && !n.contains("schema")
                && !["alter table", "set default value", "incompatible ddl changes", "multi schema change"]
                    .contains(n)
        };
        let mut names: Vec<&str> = EVENT_NAMES.iter().filter(named).copied().collect();
        names.sort_unstable();
        names.join(",")
    };
    events.iter().map(covered).collect::<Vec<_>>().join("|")
}

#[test]
fn statements_have_the_types_that_their_specifications_say() {
    for (sql, want) in [
        ("CREATE DATABASE x", "create database"),
        ("CREATE TABLE t2 (a INT)", "create table"),
        ("CREATE TABLE t2 LIKE t", "create table"),
        ("TRUNCATE t", "truncate table"),
        ("DROP TABLE t", "drop table"),
        ("RENAME TABLE t TO t9", "rename table"),
        ("CREATE INDEX i ON t (b)", "create index"),
        ("DROP INDEX k ON t", "drop index"),
        ("DROP INDEX u ON t", "drop index,drop unique key"),
        ("ALTER TABLE t ADD COLUMN z INT, DROP COLUMN b", "add column|drop column"),
        ("ALTER TABLE t ADD z INT", "add column"),
        ("ALTER TABLE t ADD INDEX z (c), ADD UNIQUE (c)", "create index|create index"),
        ("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES o (id)", "add foreign key"),
        ("ALTER TABLE t DROP PRIMARY KEY", "drop primary key"),
        ("ALTER TABLE t DROP KEY u", "drop index,drop unique key"),
        ("ALTER TABLE t RENAME COLUMN b TO bb", "rename column"),
        ("ALTER TABLE t RENAME INDEX k TO kk", "rename index"),
        ("ALTER TABLE t RENAME TO t9", "rename table"),
        ("ALTER TABLE t ENGINE=InnoDB", "modify storage engine"),
        ("ALTER TABLE t MODIFY b VARCHAR(30) DEFAULT 'x'", "modify column"),
        ("ALTER TABLE t MODIFY b VARCHAR(10) DEFAULT 'x'", "modify column,value range decrease"),
        ("ALTER TABLE t MODIFY b VARCHAR(20) DEFAULT 'y'", "modify column,modify default value"),
        ("ALTER TABLE t MODIFY a INT NOT NULL", "modify column,remove auto increment"),
        ("ALTER TABLE t MODIFY c DECIMAL(10,2)", "modify column,precision decrease"),
        ("ALTER TABLE t CHANGE e f ENUM('p')", "modify column,rename column,value range decrease"),
        ("ALTER TABLE t MODIFY e ENUM('p','q') FIRST", "modify column,modify columns order"),
        ("ALTER TABLE t ALTER COLUMN b SET DEFAULT 'z'", "modify default value"),
    ] {
        assert_eq!(types(sql), want, "{sql}");
    }
    let alter = EventTypes::of_statement(&statement("ALTER DATABASE d CHARACTER SET utf8mb4"), None);
    assert_eq!(alter[0].covered_by("modify schema charset and collation"), Some(true));
    assert_eq!(alter[0].covered_by("alter schema"), Some(true));
    assert!(NEVER.iter().all(|n| EVENT_NAMES.contains(n)));
}

#[test]
fn the_first_entry_and_the_first_rule_decide() {
    use FilterAction::*;
    let (insert, update) = (EventTypes::dml("insert"), EventTypes::dml("update"));
    let drop = EventTypes::of_statement(&statement("DROP TABLE t"), None).remove(0);
    let filter = |rules: &[EventRule]| EventFilter::new(rules, false).unwrap();
    let f = filter(&[rule("d*", "t", &["none ddl", "all"], &[], Ignore)]);
    assert_eq!(f.decide("D1", "T", Some(&insert), &[]), Verdict::Skip("d*/t"));
    assert_eq!(f.decide("d1", "t", Some(&drop), &["DROP TABLE t"]), Verdict::Keep);
    assert_eq!(f.decide("d1", "u", Some(&insert), &[]), Verdict::Keep);
    assert_eq!(f.decide("d1", "", Some(&drop), &[]), Verdict::Keep);
    let f = filter(&[rule("d", "", &["insert"], &[], Do), rule("d", "t", &["insert"], &[], Error)]);
    assert_eq!(f.decide("d", "t", Some(&update), &[]), Verdict::Skip("d/"));
    assert_eq!(f.decide("d", "t", Some(&insert), &[]), Verdict::Refuse("d/t"));
    assert_eq!(f.decide("d", "", Some(&drop), &[]), Verdict::Skip("d/"));
    let f = filter(&[rule("d", "t", &[], &["^drop\\s+table", "x{2}"], Ignore)]);
    assert_eq!(f.decide("d", "t", Some(&drop), &["DROP  TABLE t"]), Verdict::Skip("d/t"));
    assert_eq!(f.decide("d", "t", None, &["anything xx"]), Verdict::Skip("d/t"));
    assert_eq!(f.decide("d", "t", None, &["anything"]), Verdict::Keep);
    let f = filter(&[rule("d", "t", &["all"], &["^create"], Do)]);
    assert_eq!(f.decide("d", "t", Some(&drop), &["DROP TABLE t"]), Verdict::Skip("d/t"));
    assert_eq!(f.decide("d", "t", Some(&insert), &[]), Verdict::Keep);
}

#[test]
fn what_only_the_definition_could_tell_is_not_guessed() {
    let modify = statement("ALTER TABLE t MODIFY b VARCHAR(10)");
    let event = EventTypes::of_statement(&modify, None).remove(0);
    let f = |events: &[&str]| {
        EventFilter::new(&[rule("d", "t", events, &[], FilterAction::Ignore)], false).unwrap()
    };
    assert!(matches!(f(&["precision decrease"]).decide("d", "t", Some(&event), &[]), Verdict::Unknown(_)));
    assert!(matches!(f(&["modify column"]).decide("d", "t", Some(&event), &[]), Verdict::Skip(_)));
    assert!(matches!(f(&["drop column"]).decide("d", "t", Some(&event), &[]), Verdict::Keep));
}

#[test]
fn bad_rules_are_errors() {
    let new = |r: EventRule| EventFilter::new(&[r], false);
    assert!(new(rule("", "t", &[], &[], FilterAction::Do)).is_err());
    assert!(new(rule("d", "t", &["upsert"], &[], FilterAction::Do)).is_err());
    assert!(new(rule("d", "t", &[], &["("], FilterAction::Do)).is_err());
    assert!(new(rule("~(", "t", &[], &[], FilterAction::Do)).is_err());
}

proptest! {
    /// For one rule, `Do` and `Ignore` with the same events split what there is between them.
    #[test]
    fn do_and_ignore_are_opposites(events in prop::collection::vec(prop::sample::select(EVENT_NAMES), 0..5), which in 0usize..3) {
        let event = EventTypes::dml(["insert", "update", "delete"][which]);
        let verdict = |action| {
            let f = EventFilter::new(&[rule("d", "t", &events, &[], action)], false).unwrap();
            f.decide("d", "t", Some(&event), &[]) == Verdict::Keep
        };
        prop_assert_ne!(verdict(FilterAction::Do), verdict(FilterAction::Ignore));
    }
}
