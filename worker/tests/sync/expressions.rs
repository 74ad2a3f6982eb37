//! Expression filters: row changes that are skipped by their values.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage, SubtaskReport};
use dm_tests::Flavor;

use crate::scene::{Scene, checked, rows};

const DEADLINE: Duration = Duration::from_secs(60);

/// Rows of every kind are skipped by their values, on both sides of a restart, also inside one statement.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_skipped_by_their_values() -> Result<()> {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let mut scene = Scene::start(flavor, Flavor::MySql, true).await?;
        scene.with_rules(
            "    expression-filters: [even, test, del, both, old]\n",
            "expression-filter:\n  even: {schema: d, table: t, insert-value-expr: 'n IN (2, 4, 6)'}\n  test: {schema: d, table: \
             t, insert-value-expr: \"name = 'TEST' or at < '2000-01-01'\"}\n  del: {schema: d, table: t, \
             delete-value-expr: 'price > 9.99'}\n  both: {schema: d, table: t, update-old-value-expr: 'n = 1', \
             update-new-value-expr: 'n > 100'}\n  old: {schema: d, table: t, update-old-value-expr: 'name IS NULL'}\n",
        );
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene
            .source
            .run(&[
                "CREATE DATABASE d CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                "CREATE TABLE d.t (id INT PRIMARY KEY, n INT, name VARCHAR(20), price DECIMAL(8,2), at DATE)",
                "CREATE TABLE d.other (id INT PRIMARY KEY, n INT)",
                // 2, 4 and 6 go by `even`, 3 and 5 by `test`.
                "INSERT INTO d.t VALUES (1, 1, 'one', 1, '2020-01-01'), (2, 2, 'two', 2, NULL), (3, 3, 'test', 3, NULL), \
                 (4, 4, NULL, 4, NULL), (5, 5, 'five', 5, '1999-12-31'), (6, 6, 'six', 6, NULL), (7, 7, NULL, 7, NULL)",
                "INSERT INTO d.t VALUES (8, 1, 'eight', 10, NULL), (9, 1, 'nine', 9.99, NULL)",
                "INSERT INTO d.other VALUES (2, 2), (4, 4)",
                // 1 goes by `both`, 8 does not.
                "UPDATE d.t SET n = 101 WHERE id = 1",
                "UPDATE d.t SET n = 50 WHERE id = 8",
                "UPDATE d.t SET n = 102 WHERE id = 8",
            ])
            .await?;
        scene.caught_up().await?;
        let skipped = |n: u64| {
            move |s: &SubtaskReport| {
                s.sync.as_ref().is_some_and(|s| s.rows_filtered == n && s.rows_missed == 0)
            }
        };
        leader.until("six rows are skipped", DEADLINE, skipped(6)).await?;
        scene.worker().kill9()?;
        drop(leader);
        scene.start_worker()?;
        let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
        scene
            .source
            .run(&[
                // `old` skips 7; `del` skips 8, whose price is 10, and not 9.
                "UPDATE d.t SET name = 'seven' WHERE id = 7",
                "DELETE FROM d.t WHERE id IN (8, 9)",
                "INSERT INTO d.t VALUES (10, 4, 'ten', 1, NULL), (11, 11, 'eleven', 1, NULL)",
                "UPDATE d.other SET n = 5",
            ])
            .await?;
        scene.caught_up().await?;
        leader.until("three rows are skipped", DEADLINE, skipped(3)).await?;
        assert_eq!(
            rows(&scene.target, "SELECT id, n, name, price FROM d.t").await?,
            [
                "'1', '1', 'one', '1.00'",
                "'11', '11', 'eleven', '1.00'",
                "'7', '7', Null, '7.00'",
                "'8', '102', 'eight', '10.00'",
            ]
        );
        assert_eq!(rows(&scene.target, "SELECT id, n FROM d.other").await?, ["'2', '5'", "'4', '5'"]);
        // Only an answer that the source would give: the order of 'é' is not ours to guess, nor whether it is 'e'.
        scene.source.run(&["INSERT INTO d.t VALUES (12, 12, 'tést', 1, NULL)"]).await?;
        let seen = leader.until_stage(Stage::Paused).await?;
        assert_eq!(seen.errors[0].code, 51034, "{seen:?}");
        for words in ["`test`", "`name = 'TEST'`", "`d`.`t`", "collation", "the event ends at ("] {
            assert!(seen.errors[0].message.replace("d.t:", "`d`.`t`:").contains(words), "{words}: {seen:?}");
        }
    }
    Ok(())
}

/// Patterns, functions and arithmetic, for each kind of row change, behind a load (to which filters do not apply).
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_skipped_by_patterns_and_by_what_is_computed() -> Result<()> {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let mut scene = Scene::start(flavor, Flavor::MySql, true).await?;
        scene.with_rules(
            "    expression-filters: [like, sum, both, del]\n",
            "expression-filter:\n  like: {schema: d, table: t, insert-value-expr: \"name LIKE 'tmp\\\\_%'\"}\n  sum: {schema: d, \
             table: t, insert-value-expr: 'n * 2 + 1 > 100 AND CHAR_LENGTH(name) <= 3'}\n  both: {schema: d, table: t, \
             update-old-value-expr: 'MOD(n, 10) = 7', update-new-value-expr: \"LOWER(LEFT(name, 3)) = 'old'\"}\n  del: {schema: d, \
             table: t, delete-value-expr: 'YEAR(at) < 2000 OR IFNULL(n, 0) - 5 < 0'}\n",
        );
        scene.load_first();
        scene
            .source
            .run(&[
                "CREATE DATABASE d CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
                "CREATE TABLE d.t (id INT PRIMARY KEY, n BIGINT, name VARCHAR(20), at DATE)",
                "INSERT INTO d.t VALUES (1, 7, 'tmp_loaded', '2020-01-01'), (2, 8, 'two', '2020-01-01'), (3, 60, 'abc', \
                 '1999-01-01'), (4, NULL, 'four', NULL), (5, 5, 'five', '2020-01-01')",
            ])
            .await?;
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene.caught_up().await?;
        assert_eq!(rows(&scene.target, "SELECT COUNT(*) FROM d.t").await?, ["'5'"]);
        scene
            .source
            .run(&[
                // 10 goes by `like`, 12 by `sum`.
                "INSERT INTO d.t VALUES (10, 1, 'tmp_x', NULL), (11, 1, 'tmpx', NULL), (12, 50, 'abc', NULL), (13, 50, 'abcd', \
                 NULL), (14, 49, 'abc', NULL)",
                // 1 goes by `both`: its n was 7; 2 does not.
                "UPDATE d.t SET name = 'OLDER', n = 9 WHERE id IN (1, 2)",
                // 3 and 4 stay by `del`.
                "DELETE FROM d.t WHERE id IN (3, 4, 5)",
            ])
            .await?;
        scene.caught_up().await?;
        let skipped = |s: &SubtaskReport| s.sync.as_ref().is_some_and(|s| s.rows_filtered == 5);
        leader.until("five rows are skipped", DEADLINE, skipped).await?;
        assert_eq!(
            rows(&scene.target, "SELECT id, n, name FROM d.t ORDER BY id").await?,
            [
                "'1', '7', 'tmp_loaded'",
                "'11', '1', 'tmpx'",
                "'13', '50', 'abcd'",
                "'14', '49', 'abc'",
                "'2', '9', 'OLDER'",
                "'3', '60', 'abc'",
                "'4', Null, 'four'",
            ]
        );
        // An overflow is an error at the source, too: nothing is guessed.
        scene.source.run(&["INSERT INTO d.t VALUES (20, 9223372036854775807, 'abc', NULL)"]).await?;
        let seen = leader.until_stage(Stage::Paused).await?;
        assert_eq!(seen.errors[0].code, 51034, "{seen:?}");
        for words in ["`sum`", "`n * 2`", "out of the range of BIGINT", "the event ends at ("] {
            assert!(seen.errors[0].message.contains(words), "{words}: {seen:?}");
        }
    }
    Ok(())
}

/// Parts of a large transaction are the same before and behind a kill, though rows of it are skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction_with_skipped_rows_survives_kills() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene.with_rules(
        "    expression-filters: [odd]\n",
        "expression-filter:\n  odd: {schema: d, table: t, insert-value-expr: 'odd = 1'}\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT, odd INT, filler VARCHAR(2000))",
            "CREATE TABLE d.n (n INT PRIMARY KEY)",
            "INSERT INTO d.n VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
            "INSERT INTO d.t SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n, a.n % 2, REPEAT('x', 2000) FROM d.n a, d.n b, d.n c, d.n d \
             WHERE d.n < 5",
        ])
        .await?;
    for round in 0..3u64 {
        scene.worker().kill9()?;
        scene.start_worker()?;
        scene.sync(2 + round, 2 + round, MetaStage::MetaCreated).await?;
    }
    drop(leader);
    scene.caught_up().await?;
    let counted = rows(&scene.target, "SELECT COUNT(*), COUNT(DISTINCT id), SUM(odd) FROM d.t").await?;
    assert_eq!(counted, ["'2500', '2500', '0'"]);
    Ok(())
}

/// A text that can't be evaluated is refused before anything is replicated, with its place; a column that goes later stops
/// the task at the next row.
#[tokio::test(flavor = "multi_thread")]
async fn expressions_that_cannot_be_evaluated_are_refused() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene.source.run(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, j JSON)"]).await?;
    for (expression, words) in [
        ("a / 2 = 2", "at byte 2: `/` is not supported"),
        ("a < RAND()", "at byte 4: `RAND` gives another value"),
        ("a = 1 AND nobody = 2", "at byte 10: d.t has no column `nobody`"),
        ("j = 'x'", "at byte 0: column j of type Json is not supported"),
    ] {
        scene.with_rules(
            "    expression-filters: [f]\n",
            &format!(
                "expression-filter:\n  f: {{schema: d, table: t, insert-value-expr: \"{expression}\"}}\n"
            ),
        );
        let answer = checked(&scene).await?;
        let failed: Vec<_> = answer.items.iter().filter(|i| i.state == "failure").collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0].error.as_ref().unwrap().code, 20041);
        let message = failed[0].message.replace('`', "");
        assert!(
            message.contains(&words.replace('`', "")) && message.contains(expression),
            "{words}: {failed:?}"
        );
        assert!(failed[0].instruction.contains("IS [NOT] NULL"), "{failed:?}");
    }
    scene.with_rules(
        "    expression-filters: [f, idle]\n",
        "expression-filter:\n  f: {schema: d, table: t, insert-value-expr: 'a = 1'}\n  idle: {schema: d, table: gone, \
         delete-value-expr: 'a = 1'}\n",
    );
    let answer = checked(&scene).await?;
    assert!(answer.items.iter().all(|i| i.state != "failure"), "{answer:?}");
    let warned = answer.items.iter().any(|i| i.state == "warning" && i.message.contains("`idle`"));
    assert!(warned, "{answer:?}");
    scene.source.run(&["DROP DATABASE d"]).await?;
    scene.mark_start().await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE d",
            "CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b INT)",
            "INSERT INTO d.t VALUES (1, 1, 1), (2, 2, 2)",
            "ALTER TABLE d.t DROP COLUMN a",
            "INSERT INTO d.t VALUES (3, 3)",
        ])
        .await?;
    let seen = leader.until_stage(Stage::Paused).await?;
    assert_eq!(seen.errors[0].code, 20041, "{seen:?}");
    for words in ["no column `a`", "`a = 1`", "filter `f`"] {
        assert!(seen.errors[0].message.contains(words), "{words}: {seen:?}");
    }
    assert_eq!(rows(&scene.target, "SELECT id FROM d.t").await?, ["'2'"]);
    Ok(())
}
