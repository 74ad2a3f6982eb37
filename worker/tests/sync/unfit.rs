//! Columns that differ at the target, and tables that differ and merge.
use std::time::Duration;

use anyhow::{Context, Result};
use dm_proto::worker::{CheckItem, CheckRequest, MetaStage};
use dm_tests::Flavor;

use crate::{
    leader::check,
    scene::{Scene, rows, same},
};

const DEADLINE: Duration = Duration::from_secs(60);

async fn column_check(scene: &Scene) -> Result<CheckItem> {
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: scene.task_config(),
    };
    let answer = check(&scene.address, request).await?;
    let item = answer.items.iter().rfind(|i| i.name == "target_columns");
    item.cloned().context(format!("{:?}", answer.items))
}

/// What the servers would cut without an error: digits of a DECIMAL and of a time.
async fn narrower(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, flavor, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.d (id INT PRIMARY KEY, price DECIMAL(10,4), at DATETIME(6), w VARCHAR(9))",
            "CREATE TABLE shop.ok (id INT PRIMARY KEY, v INT)",
        ])
        .await?;
    scene
        .target
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.d (id INT PRIMARY KEY, price DECIMAL(10,2), at DATETIME, w VARCHAR(20))",
            "CREATE TABLE shop.ok (id BIGINT PRIMARY KEY, v BIGINT)",
        ])
        .await?;
    scene.mark_start().await?;
    let item = column_check(&scene).await?;
    assert_eq!(item.state, "failure", "{item:?}");
    for part in ["price", "DECIMAL(10,4)", "DECIMAL(10,2)", "`shop`.`d`", "DATETIME(6)"] {
        assert!(item.message.contains(part), "{part}: {item:?}");
    }
    assert!(
        !item.message.contains("VARCHAR") && !item.message.contains("`ok`"),
        "wider columns pass: {item:?}"
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.ok VALUES (1, 1)",
            "INSERT INTO shop.d VALUES (1, 1.2345, '2024-01-01', 'x')",
        ])
        .await?;
    let seen = leader.until("the column is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    let error = format!("{:?}", seen.errors[0]);
    assert_eq!(seen.errors[0].code, 51013, "{error}");
    assert!(
        error.contains("price") && error.contains("DECIMAL(10,2)") && error.contains("startLocation"),
        "{error}"
    );
    assert!(rows(&scene.target, "SELECT * FROM shop.d").await?.is_empty());
    // As the message says.
    scene.target.run(&["ALTER TABLE shop.d MODIFY price DECIMAL(12,4), MODIFY at DATETIME(6)"]).await?;
    assert_eq!(column_check(&scene).await?.state, "success");
    leader.change(|s| s.resume_serial += 1).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.d", "SELECT * FROM shop.d").await?;
    same(&scene, "SELECT * FROM shop.ok", "SELECT * FROM shop.ok").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_column_is_refused_on_mariadb() -> Result<()> {
    narrower(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_column_is_refused_on_mysql() -> Result<()> {
    narrower(Flavor::MySql).await
}

/// Loaded and followed, with a key and without.
async fn members(source: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(source, target, true).await?;
    let lists = "e ENUM('a','b','\u{e9}') CHARACTER SET utf8mb4, s SET('p','q','r') CHARACTER SET utf8mb4";
    let other =
        "e ENUM('z','\u{e9}','b','a') CHARACTER SET utf8mb4, s SET('r','x','q','p') CHARACTER SET utf8mb4";
    scene.source.run(&["CREATE DATABASE shop"]).await?;
    scene.target.run(&["CREATE DATABASE shop"]).await?;
    for (table, key) in [("k", "id INT PRIMARY KEY"), ("n", "id INT")] {
        scene.source.run(&[&format!("CREATE TABLE shop.{table} ({key}, {lists})")]).await?;
        scene.target.run(&[&format!("CREATE TABLE shop.{table} ({key}, {other})")]).await?;
        scene
            .source
            .run(&[&format!(
                "INSERT INTO shop.{table} VALUES (1, 'a', 'p,q'), (2, 'b', ''), (3, '\u{e9}', 'r')"
            )])
            .await?;
    }
    scene.load_first();
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    for table in ["k", "n"] {
        scene
            .source
            .run(&[
                &format!(
                    "INSERT INTO shop.{table} VALUES (4, 'b', 'p,r'), (5, NULL, NULL), (6, 'a', 'p,q,r')"
                ),
                &format!("UPDATE shop.{table} SET e = 'b', s = 'q' WHERE id = 1"),
                &format!("DELETE FROM shop.{table} WHERE id IN (2, 4)"),
            ])
            .await?;
    }
    scene.caught_up().await?;
    for table in ["k", "n"] {
        let sql = format!("SELECT id, CONCAT(e), HEX(CONCAT(e)), LENGTH(s), FIND_IN_SET('p', s), FIND_IN_SET('r', s) > 0, FIND_IN_SET('q', s) > 0 FROM shop.{table}")
            .replace("FIND_IN_SET('p', s)", "FIND_IN_SET('p', s) > 0");
        same(&scene, &sql, &sql).await?;
        assert_eq!(rows(&scene.target, &sql).await?.len(), 4);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_keep_their_names_where_the_lists_differ_mariadb_to_mysql() -> Result<()> {
    members(Flavor::MariaDb, Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_keep_their_names_where_the_lists_differ_mysql_to_mariadb() -> Result<()> {
    members(Flavor::MySql, Flavor::MariaDb).await
}

/// The present list is not the one of older rows, and nothing says which one they were written with.
#[tokio::test(flavor = "multi_thread")]
async fn rows_older_than_a_change_of_members_are_not_guessed() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let create = "CREATE TABLE shop.t (id INT PRIMARY KEY, e ENUM('a','b'))";
    scene.target.run(&["CREATE DATABASE shop", create]).await?;
    scene.source.run(&["CREATE DATABASE shop", create]).await?;
    scene.mark_start().await?;
    scene
        .source
        .run(&["INSERT INTO shop.t VALUES (1, 'a')", "ALTER TABLE shop.t MODIFY e ENUM('b','a')"])
        .await?;
    let leader = scene.leader(1).await?;
    leader.assign(scene.bound(1, MetaStage::MetaNone)).await?;
    let seen = leader.until("it is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert!(format!("{:?}", seen.errors).contains("members"), "{:?}", seen.errors);
    assert!(rows(&scene.target, "SELECT * FROM shop.t").await?.is_empty());
    Ok(())
}

/// Rows from before a column became wider, at a target that has not seen the change: they fit.
#[tokio::test(flavor = "multi_thread")]
async fn rows_older_than_a_wider_column_fit() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let create = "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(5) CHARACTER SET utf8mb4, t TEXT)";
    scene.target.run(&["CREATE DATABASE shop", create]).await?;
    scene.source.run(&["CREATE DATABASE shop", create]).await?;
    scene.mark_start().await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.t VALUES (1, 'abcde', 'x')",
            "ALTER TABLE shop.t MODIFY v VARCHAR(9) CHARACTER SET utf8mb4, MODIFY t LONGTEXT",
            "INSERT INTO shop.t VALUES (2, 'abcdefghi', 'y')",
        ])
        .await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await
}

/// One shard has the target's key, the other one of another type: their equal keys must keep their order all the same.
async fn shards(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.o1 (id DECIMAL(12,0) PRIMARY KEY, v INT)",
            "CREATE TABLE shop.o2 (id INT PRIMARY KEY, v SMALLINT)",
        ])
        .await?;
    scene
        .target
        .run(&["CREATE DATABASE archive", "CREATE TABLE archive.every (id DECIMAL(12,0) PRIMARY KEY, v INT)"])
        .await?;
    scene.with_rules(
        "    syncer-thread: 4\n    route-rules: [move]\n",
        "routes:\n  move:\n    schema-pattern: shop\n    table-pattern: o*\n    target-schema: archive\n    target-table: every\n",
    );
    scene.mark_start().await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let mut history = Vec::new();
    for n in 0..1500 {
        let (id, from, to) =
            (n % 3, if n % 2 == 0 { "o1" } else { "o2" }, if n % 2 == 0 { "o2" } else { "o1" });
        history.push(format!("INSERT INTO shop.{from} VALUES ({id}, {n})"));
        history.push(format!("DELETE FROM shop.{from} WHERE id = {id}"));
        history.push(format!("INSERT INTO shop.{to} VALUES ({id}, -{n})"));
        history.push(format!("DELETE FROM shop.{to} WHERE id = {id}"));
    }
    history.push("INSERT INTO shop.o1 VALUES (1, 1)".to_owned());
    history.push("INSERT INTO shop.o2 VALUES (2, 2)".to_owned());
    scene.source.run(&history.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    scene.caught_up().await?;
    let seen = leader.until("synced", DEADLINE, |s| s.sync.is_some()).await?;
    assert!(seen.errors.is_empty(), "{:?}", seen.errors);
    assert_eq!(seen.sync.map(|s| s.rows_missed), Some(0));
    same(
        &scene,
        "SELECT CAST(id AS CHAR), v FROM shop.o1 UNION ALL SELECT CAST(id AS CHAR), v FROM shop.o2",
        "SELECT CAST(id AS CHAR), v FROM archive.every",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_other_types_keep_their_order_from_mariadb() -> Result<()> {
    shards(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_other_types_keep_their_order_from_mysql() -> Result<()> {
    shards(Flavor::MySql).await
}

/// What a MariaDB target has no type for is said before the task starts.
#[tokio::test(flavor = "multi_thread")]
async fn types_that_the_target_lacks_fail_the_check() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.v (id INT PRIMARY KEY, v VECTOR(3), w VARCHAR(9), KEY low ((LOWER(w))))",
        ])
        .await?;
    scene.load_first();
    let item = column_check(&scene).await?;
    assert_eq!(item.state, "failure", "{item:?}");
    assert!(item.message.contains("VECTOR") && item.message.contains("low"), "{item:?}");
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MySql, true).await?;
    scene.source.run(&["CREATE DATABASE shop", "CREATE TABLE shop.u (id UUID PRIMARY KEY, i INET6)"]).await?;
    scene.load_first();
    let item = column_check(&scene).await?;
    assert_eq!(item.state, "failure", "{item:?}");
    assert!(item.message.contains("UUID") && item.message.contains("INET6"), "{item:?}");
    Ok(())
}
