//! Changes of definitions: in another dialect, and under rules.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::scene::{Scene, rows, same};

/// The target's collation for each column of `shop.words`.
async fn collations(scene: &Scene) -> Result<String> {
    let sql = "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'words' AND COLLATION_NAME IS NOT NULL";
    let mut conn = scene.target.conn().await?;
    let found: Vec<(String, String)> = conn.query(sql).await?;
    conn.disconnect().await?;
    Ok(format!("{found:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn collations_of_mysql_are_followed_to_mariadb() -> Result<()> {
    let scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop COLLATE utf8mb4_0900_ai_ci",
            "CREATE TABLE shop.words (w VARCHAR(20) PRIMARY KEY) COLLATE utf8mb4_0900_ai_ci COMMENT 'utf8mb4_0900_bin'",
            "INSERT INTO shop.words VALUES ('\u{e9}t\u{e9}'), ('hiver')",
            "ALTER TABLE shop.words ADD c VARCHAR(9) COLLATE 'utf8mb4_0900_as_cs' DEFAULT 'x'",
            "UPDATE shop.words SET c = 'Y' WHERE w = 'ETE'",
        ])
        .await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.words", "SELECT * FROM shop.words").await?;
    let found = collations(&scene).await?;
    assert!(found.contains("utf8mb4_uca1400_nopad_ai_ci"), "{found}");
    assert!(found.contains("utf8mb4_uca1400_nopad_as_cs"), "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collations_of_mariadb_are_followed_to_mysql() -> Result<()> {
    let scene = Scene::start(Flavor::MariaDb, Flavor::MySql, true).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop COLLATE utf8mb4_uca1400_ai_ci",
            "CREATE TABLE shop.words (id INT PRIMARY KEY, w VARCHAR(20) COLLATE utf8mb4_uca1400_as_cs) \
             CHARSET utf8mb4 COLLATE utf8mb4_uca1400_ai_ci",
            "INSERT INTO shop.words VALUES (1, '\u{e9}t\u{e9}'), (2, 'hiver')",
            "ALTER TABLE shop.words ADD c VARCHAR(9) COLLATE utf8mb4_nopad_bin",
            "UPDATE shop.words SET c = 'Y' WHERE id = 2",
        ])
        .await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.words", "SELECT * FROM shop.words").await?;
    let found = collations(&scene).await?;
    assert!(found.contains("utf8mb4_0900_as_cs") && found.contains("utf8mb4_0900_bin"), "{found}");
    Ok(())
}

/// `ALTER TABLE .. RENAME TO` obeys the same rules as RENAME TABLE.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_by_alter_stays_within_the_rules() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.with_rules(
        "    block-allow-list: only\n    route-rules: [move]\n",
        "block-allow-list:\n  only:\n    do-dbs: [shop, marker]\n    ignore-tables:\n      - {db-name: shop, tbl-name: secret*}\n\
         routes:\n  move:\n    schema-pattern: shop\n    table-pattern: o*\n    target-schema: archive\n    target-table: all_orders\n",
    );
    scene.target.run(&["CREATE DATABASE archive"]).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.o1 (id INT PRIMARY KEY)",
            "INSERT INTO shop.o1 VALUES (1)",
            // Both names lead to one table at the target.
            "ALTER TABLE shop.o1 RENAME TO shop.o2",
            "INSERT INTO shop.o2 VALUES (2)",
            "RENAME TABLE shop.o2 TO shop.o3",
            "INSERT INTO shop.o3 VALUES (3)",
            "CREATE TABLE shop.plain (id INT PRIMARY KEY)",
            "INSERT INTO shop.plain VALUES (1)",
            "ALTER TABLE shop.plain ADD v INT, RENAME TO shop.plainer",
            "INSERT INTO shop.plainer VALUES (2, 2)",
        ])
        .await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.o3", "SELECT * FROM archive.all_orders").await?;
    same(&scene, "SELECT * FROM shop.plainer", "SELECT * FROM shop.plainer").await?;
    scene.source.run(&["ALTER TABLE shop.plainer RENAME TO shop.secret_b"]).await?;
    let seen = leader
        .until("the task stops", Duration::from_secs(60), |s| {
            !s.errors.is_empty() && s.stage() == Stage::Paused
        })
        .await?;
    let error = &seen.errors[0];
    assert_eq!(error.code, 36067, "{error:?}");
    assert!(error.message.contains("crosses the block-allow-list"), "{error:?}");
    assert!(error.workaround.contains("dmctl binlog skip t1"), "{error:?}");
    Ok(())
}

/// What the source took for a comment and what it executed is the same at a target of another family and version.
async fn executable_comments(
    source: Flavor,
    target: Flavor,
    statements: &[&str],
    want: &[&str],
) -> Result<()> {
    let scene = Scene::start(source, target, true).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["CREATE DATABASE shop"]).await?;
    scene.source.run(statements).await?;
    scene.caught_up().await?;
    let columns = "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop'";
    let want: Vec<String> = want.iter().map(|name| format!("'{name}'")).collect();
    assert_eq!(rows(&scene.source, columns).await?, want, "at the source");
    assert_eq!(rows(&scene.target, columns).await?, want, "at the target");
    let partitions = "SELECT COUNT(*) FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = 'shop'";
    same(&scene, partitions, partitions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn executable_comments_of_mysql_mean_the_same_on_mariadb() -> Result<()> {
    let statements = [
        "CREATE TABLE shop.p (a INT PRIMARY KEY /*!80000 , b INT */ /*M!100301 , c INT */) /*!50100 PARTITION BY HASH (a) PARTITIONS 3 */",
        "ALTER TABLE shop.p ADD d INT /*! , ADD e INT */ /*!90600 , ADD f INT */ /*!98000 , ADD g INT */",
    ];
    executable_comments(Flavor::MySql, Flavor::MariaDb, &statements, &["a", "b", "d", "e", "f"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn executable_comments_of_mariadb_mean_the_same_on_mysql() -> Result<()> {
    let statements = [
        "CREATE TABLE shop.p (a INT PRIMARY KEY /*!50700 , b INT */ /*M!100301 , c INT */) /*!50100 PARTITION BY HASH (a) PARTITIONS 3 */",
        "ALTER TABLE shop.p ADD d INT /*! , ADD e INT */ /*!100100 , ADD f INT */ /*M!190000 , ADD g INT */ /*!80000 , ADD h INT */",
    ];
    executable_comments(Flavor::MariaDb, Flavor::MySql, &statements, &["a", "c", "d", "e", "f"]).await
}
