//! Filters: what is skipped at the target, and what the source's definitions are after it.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{CheckResponse, MetaStage, Stage};
use dm_tests::Flavor;

use crate::scene::{Scene, checked, rows, same};

const DEADLINE: Duration = Duration::from_secs(60);

/// Deletes, a dropped column and a truncation stay at the source; rows of the table that the source has now go on.
#[tokio::test(flavor = "multi_thread")]
async fn event_filters_skip_rows_and_ddl_and_the_source_definition_follows() -> Result<()> {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let mut scene = Scene::start(flavor, Flavor::MySql, true).await?;
        scene.with_rules(
            "    filter-rules: [deletes, texts, forbidden]\n",
            "filters:\n  deletes: {schema-pattern: d, table-pattern: 't*', events: [delete, drop column, drop table], \
             action: Ignore}\n  texts: {schema-pattern: 'd*', sql-pattern: ['^truncate', 'modify\\s+b'], action: \
             Ignore}\n  forbidden: {schema-pattern: d, table-pattern: stop, events: [update], action: Error}\n",
        );
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene
            .source
            .run(&[
                "CREATE DATABASE d",
                "CREATE TABLE d.t1 (id INT PRIMARY KEY, a INT, b VARCHAR(20), c INT)",
                "CREATE TABLE d.other (id INT PRIMARY KEY)",
                "CREATE TABLE d.stop (id INT PRIMARY KEY, a INT)",
                "INSERT INTO d.t1 VALUES (1, 1, 'x', 1), (2, 2, 'y', 2), (3, 3, 'z', 3)",
                "INSERT INTO d.other VALUES (1), (2)",
                "DELETE FROM d.t1 WHERE id < 3",
                "DELETE FROM d.other WHERE id = 1",
                // Skipped: the source has one column less from here on.
                "ALTER TABLE d.t1 DROP COLUMN a",
                "INSERT INTO d.t1 VALUES (4, 'four', 4)",
                "UPDATE d.t1 SET b = 'new' WHERE id = 3",
                "ALTER TABLE d.t1 MODIFY b VARCHAR(10)",
            ])
            .await?;
        scene.caught_up().await?;
        // The definitions are those that the stream gave, also for the next process.
        scene.worker().kill9()?;
        drop(leader);
        scene.start_worker()?;
        let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
        scene
            .source
            .run(&[
                "INSERT INTO d.t1 VALUES (5, 'five', 5)",
                "DELETE FROM d.t1 WHERE id = 5",
                "TRUNCATE TABLE d.other",
                "INSERT INTO d.other VALUES (9)",
                "CREATE TABLE d.t2 (id INT PRIMARY KEY)",
                "INSERT INTO d.t2 VALUES (1)",
                "DROP TABLE d.t2",
            ])
            .await?;
        scene.caught_up().await?;
        assert_eq!(
            rows(&scene.target, "SELECT id, a, b, c FROM d.t1").await?,
            [
                "'1', '1', 'x', '1'",
                "'2', '2', 'y', '2'",
                "'3', '3', 'new', '3'",
                "'4', Null, 'four', '4'",
                "'5', Null, 'five', '5'"
            ]
        );
        assert_eq!(rows(&scene.target, "SELECT id FROM d.other").await?, ["'2'", "'9'"]);
        assert_eq!(rows(&scene.target, "SELECT id FROM d.t2").await?, ["'1'"]);
        let length = "SELECT CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND \
                      TABLE_NAME = 't1' AND COLUMN_NAME = 'b'";
        assert_eq!(rows(&scene.target, length).await?, ["'20'"]);
        leader
            .until("skipped rows are counted", DEADLINE, |s| {
                s.sync.as_ref().is_some_and(|s| s.rows_filtered == 1 && s.rows_missed == 0)
            })
            .await?;
        scene.source.run(&["INSERT INTO d.stop VALUES (1, 1)", "UPDATE d.stop SET a = 2"]).await?;
        let seen = leader.until_stage(Stage::Paused).await?;
        assert_eq!(seen.errors[0].code, 51033, "{seen:?}");
        assert!(seen.errors[0].message.contains("`forbidden`"), "{seen:?}");
    }
    Ok(())
}

/// Filters and `case-sensitive` of the source's own file count in its tasks; on equal patterns the task's rule does.
#[tokio::test(flavor = "multi_thread")]
async fn filters_of_the_source_count_after_those_of_the_task() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MySql, true).await?;
    scene.source_lines = "case-sensitive: true\nfilters:\n- {schema-pattern: d, events: [delete], action: Ignore}\n\
                          - {schema-pattern: d, table-pattern: 't*', events: [all dml], action: Ignore}\n\
                          - {schema-pattern: D, events: [all dml], action: Error}\n";
    scene.with_rules(
        "    filter-rules: [f]\n",
        "filters:\n  f: {schema-pattern: d, table-pattern: 't*', events: [update], action: Ignore}\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t1 (id INT PRIMARY KEY, a INT)",
            "CREATE TABLE d.other (id INT PRIMARY KEY, a INT)",
            "INSERT INTO d.t1 VALUES (1, 1), (2, 2)",
            "INSERT INTO d.other VALUES (1, 1), (2, 2)",
            "UPDATE d.t1 SET a = 9",
            "UPDATE d.other SET a = 9",
            "DELETE FROM d.t1 WHERE id = 1",
            "DELETE FROM d.other WHERE id = 1",
        ])
        .await?;
    scene.caught_up().await?;
    assert_eq!(rows(&scene.target, "SELECT id, a FROM d.t1").await?, ["'1', '1'", "'2', '2'"]);
    assert_eq!(rows(&scene.target, "SELECT id, a FROM d.other").await?, ["'1', '9'", "'2', '9'"]);
    leader
        .until("four rows are filtered", DEADLINE, |s| s.sync.as_ref().is_some_and(|s| s.rows_filtered == 4))
        .await?;
    // Said by name, also where no table is there for it.
    let map = checked(&scene).await?;
    let text: Vec<&str> = map.items.iter().map(|i| i.message.as_str()).collect();
    assert!(text.iter().any(|t| t.contains("filters `f`, `s1.filters[0]`")), "{text:?}");
    assert!(
        text.iter().any(|t| t.contains("filter `s1.filters[2]` matches no replicated table")),
        "{text:?}"
    );
    // A source with a filter that can't work is refused, with or without a task.
    scene.source_lines = "filters:\n- {schema-pattern: d, events: [delet], action: Ignore}\n";
    let request = dm_proto::worker::CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: String::new(),
    };
    let answer = crate::leader::check(&scene.address, request).await?;
    let failed = answer.items.iter().find(|i| i.state == "failure").unwrap();
    assert_eq!(failed.error.as_ref().unwrap().code, 20037, "{failed:?}");
    assert!(failed.message.contains("event `delet` is not known"), "{failed:?}");
    Ok(())
}

/// An ALTER of which one part is skipped has no form at the target.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_skipped_in_part_stops_the_task() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene.with_rules(
        "    filter-rules: [f]\n",
        "filters:\n  f: {schema-pattern: d, events: [drop column, all dml], action: Ignore}\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT)",
            "INSERT INTO d.t VALUES (1, 1)",
            "ALTER TABLE d.t DROP COLUMN a, ADD COLUMN b INT",
        ])
        .await?;
    let seen = leader.until_stage(Stage::Paused).await?;
    assert_eq!(seen.errors[0].code, 51033, "{seen:?}");
    assert!(seen.errors[0].message.contains("one part of the statement"), "{seen:?}");
    same(&scene, "SELECT id, a FROM (SELECT 1 id, 1 a) x WHERE false", "SELECT id, a FROM d.t").await
}

/// An event that nobody knows is refused with the names that there are; DM drops such a rule silently.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_is_refused_at_start() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene.with_rules(
        "    filter-rules: [f]\n",
        "filters:\n  f: {schema-pattern: d, events: [truncat table], action: Ignore}\n",
    );
    let answer = checked(&scene).await?;
    let failed: Vec<_> = answer.items.iter().filter(|i| i.state == "failure").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].error.as_ref().unwrap().code, 20037);
    assert!(failed[0].message.contains("`truncat table`"), "{failed:?}");
    assert!(failed[0].message.contains("truncate table"), "{failed:?}");
    Ok(())
}

/// The check tells which table goes where and by which rule, and which rules are about nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_maps_tables_and_warns_of_idle_rules() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t1 (id INT PRIMARY KEY)",
            "CREATE TABLE d.log (id INT PRIMARY KEY)",
            "CREATE TABLE d.plain (id INT PRIMARY KEY)",
            "CREATE DATABASE other",
            "CREATE TABLE other.t (id INT PRIMARY KEY)",
        ])
        .await?;
    scene.with_rules(
        "    block-allow-list: b\n    route-rules: [merge, idle]\n    filter-rules: [deletes, nowhere]\n",
        "block-allow-list:\n  b: {do-dbs: [d, nope], ignore-dbs: [other], ignore-tables: [{db-name: d, tbl-name: 'lo*'}, \
         {db-name: d, tbl-name: ghost}]}\n\
         routes:\n  merge: {schema-pattern: d, table-pattern: 't*', target-schema: x, target-table: t}\n  \
         idle: {schema-pattern: gone, target-schema: y}\n\
         filters:\n  deletes: {schema-pattern: d, table-pattern: 't*', events: [delete], action: Ignore}\n  \
         nowhere: {schema-pattern: d, table-pattern: zz, events: [delete, drop view], action: Ignore}\n",
    );
    let answer = checked(&scene).await?;
    let of = |name: &str| answer.items.iter().find(|i| i.name == name).unwrap();
    assert!(answer.items.iter().all(|i| i.state != "failure"), "{answer:?}");
    let map = of("table_map");
    assert_eq!(map.state, "success");
    for line in [
        "source s1: 4 tables, 2 replicated, 2 skipped",
        "  `d`.`t1` -> `x`.`t` (route `merge`, filters `deletes`)",
        "  `d`.`plain` -> `d`.`plain` (no route)",
        "  `d`.`log` skipped (block-allow-list: ignore-tables `d.lo*`)",
        "  `other`.`t` skipped (block-allow-list: not in do-dbs)",
    ] {
        let found = map.message.lines().any(|l| l == line || l.replace('`', "") == line.replace('`', ""));
        assert!(found, "{line} in {}", map.message);
    }
    let rules: Vec<&str> = answer
        .items
        .iter()
        .filter(|i| i.name == "rules" && i.state == "warning")
        .map(|i| i.message.as_str())
        .collect();
    let wanted = [
        "block-allow-list: do-dbs `nope` matches no table",
        "block-allow-list: ignore-dbs `other` never counts, for do-dbs decides before it",
        "block-allow-list: ignore-tables `d.ghost` matches no table",
        "route `idle`",
        "filter `nowhere` matches no",
        "no event of this version is `drop view`",
    ];
    assert_eq!(rules.len(), wanted.len(), "{rules:?}");
    for (words, message) in wanted.iter().zip(&rules) {
        assert!(message.contains(words), "{words} in {message}");
    }
    Ok(())
}

/// Two tables that the rules can't tell apart are refused, as are two routes for one table; an ignored check is a
/// warning.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_refused_and_ignored_checks_are_said() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY)",
            "CREATE TABLE d.T (id INT PRIMARY KEY)",
            "SET GLOBAL binlog_row_image = 'MINIMAL'",
        ])
        .await?;
    let failed = |answer: &CheckResponse| -> Vec<(String, i32)> {
        let failures = answer.items.iter().filter(|i| i.state == "failure");
        failures.map(|i| (i.name.clone(), i.error.as_ref().map_or(0, |e| e.code))).collect()
    };
    // What is routed elsewhere needs whole images.
    let route = "routes:\n  one: {schema-pattern: d, target-schema: x}\n";
    scene.with_rules("    route-rules: [one]\n", route);
    let twins = failed(&checked(&scene).await?);
    assert!(twins.contains(&("rules".to_owned(), 26001)), "{twins:?}");
    assert!(twins.iter().any(|(name, _)| name == "binlog_row_image"), "{twins:?}");
    let ignored = format!("case-sensitive: true\nignore-checking-items: [binlog_row_image]\n{route}");
    scene.with_rules("    route-rules: [one]\n", &ignored);
    let answer = checked(&scene).await?;
    // Without regard to letter case at the target they would be one table.
    let said = answer.items.iter().find(|i| i.name == "binlog_row_image").unwrap();
    assert_eq!(said.state, "warning");
    assert!(said.message.starts_with("left out by `ignore-checking-items`"), "{said:?}");
    scene.source.run(&["DROP TABLE d.T"]).await?;
    scene.with_rules(
        "    route-rules: [one, two]\n",
        "routes:\n  one: {schema-pattern: d, table-pattern: t, target-schema: x}\n  two: {schema-pattern: 'd*', \
         table-pattern: 't*', target-schema: y}\n",
    );
    let both = failed(&checked(&scene).await?);
    assert!(both.contains(&("table_schema".to_owned(), 40080)), "{both:?}");
    Ok(())
}
