//! Every column type with edge values: both servers as source and target, loaded and followed, compared by checksums that
//! the servers compute and byte by byte.
use anyhow::{Context, Result};
use dm_proto::worker::MetaStage;
use dm_tests::{Database, Flavor, compare_databases};
use mysql_async::prelude::Queryable;

use crate::{
    matrix_tables::{TypeTable, tables},
    scene::{Scene, rows},
};

/// With a key (`k_`) rows are found by it, without (`n_`) by all their values.
const KINDS: [(&str, &str); 2] = [("k_", "id INT PRIMARY KEY"), ("n_", "id INT")];

/// Zero dates, and clients of several time zones.
const SESSION: &str = "SET NAMES utf8mb4, sql_mode='NO_ENGINE_SUBSTITUTION', time_zone='+05:30'";

async fn run(db: &Database, statements: &[String]) -> Result<()> {
    let mut conn = db.conn().await?;
    conn.query_drop(SESSION).await?;
    for (n, sql) in statements.iter().enumerate() {
        if n % 7 == 3 {
            conn.query_drop("SET time_zone='-08:00'").await?;
        }
        conn.query_drop(sql).await.with_context(|| sql.clone())?;
    }
    conn.disconnect().await?;
    Ok(())
}

fn create(all: &[TypeTable], name: &str) -> Vec<String> {
    let table = |(prefix, key): &(&str, &str), (table, columns, _): &TypeTable| {
        format!("CREATE TABLE fid.{prefix}{table}{name} ({key}, {columns}) DEFAULT CHARSET=utf8mb4")
    };
    KINDS.iter().flat_map(|kind| all.iter().map(|t| table(kind, t))).collect()
}

/// Rows `from`, `from + 1` and so on; each table also has a row of NULLs.
fn inserts(all: &[TypeTable], name: &str, from: usize) -> Vec<String> {
    let mut out = Vec::new();
    for (prefix, _) in KINDS {
        for (table, _, rows) in all {
            for (n, row) in rows.iter().enumerate() {
                out.push(format!("INSERT INTO fid.{prefix}{table}{name} SET id={}, {row}", from + n));
            }
            out.push(format!("INSERT INTO fid.{prefix}{table}{name} SET id={}", from + rows.len()));
        }
    }
    out
}

/// Each row becomes the next one; the row of NULLs and one other are removed. In one transaction, so that the rows of a
/// table with a key share statements.
fn changes(all: &[TypeTable], name: &str, from: usize) -> Vec<String> {
    let mut out = vec!["BEGIN".to_owned()];
    for (prefix, _) in KINDS {
        for (table, _, rows) in all {
            for n in 0..rows.len() {
                let next = rows[(n + 1) % rows.len()];
                out.push(format!("UPDATE fid.{prefix}{table}{name} SET {next} WHERE id={}", from + n));
            }
            out.push(format!(
                "DELETE FROM fid.{prefix}{table}{name} WHERE id IN ({}, {from})",
                from + rows.len()
            ));
        }
    }
    out.push("COMMIT".to_owned());
    out
}

/// A form of a column that both servers print alike.
fn printed(column: &str, data_type: &str) -> String {
    let c = format!("`{column}`");
    match data_type {
        "float" => format!("{c}*1e0"),
        "double" => format!("CONCAT({c})"),
        "bit" => format!("CAST({c} AS UNSIGNED)"),
        "enum" | "set" => format!("CONCAT(CAST({c} AS UNSIGNED),':',HEX(CONVERT({c} USING utf8mb4)))"),
        // One server keeps the text, the other the value; the other comparison looks into it.
        "json" => format!("CONCAT(JSON_TYPE({c}) IN ('OBJECT','ARRAY'),JSON_LENGTH({c}),JSON_DEPTH({c}))"),
        "year" | "date" | "time" | "datetime" | "timestamp" | "uuid" | "inet4" | "inet6" | "decimal" => {
            format!("CAST({c} AS CHAR)")
        }
        t if t.ends_with("int") && !t.ends_with("point") => format!("CAST({c} AS CHAR)"),
        _ => format!("HEX({c})"),
    }
}

/// Rows and checksum of each table, computed in the server by the source's types.
async fn checksums(db: &Database, types: &Database) -> Result<Vec<String>> {
    let mut conn = types.conn().await?;
    let columns: Vec<(String, String, String)> = conn
        .query(
            "SELECT table_name, column_name, LOWER(data_type) FROM information_schema.columns \
             WHERE table_schema = 'fid' ORDER BY table_name, ordinal_position",
        )
        .await?;
    conn.disconnect().await?;
    let mut conn = db.conn().await?;
    conn.query_drop("SET time_zone='+00:00'").await?;
    let mut out = Vec::new();
    for (table, _, _) in columns.iter().filter(|(_, c, _)| c == "id") {
        for (_, column, data_type) in columns.iter().filter(|(t, _, _)| t == table) {
            // MariaDB shows JSON as LONGTEXT.
            let json = column == "j" && table.contains("docs");
            let form = printed(column, if json { "json" } else { data_type });
            let sum = format!("CRC32(CONCAT(IFNULL(id,'-'),'|',IFNULL({form},'NULL')))");
            let sql = format!("SELECT COUNT(*), BIT_XOR({sum}), CAST(SUM({sum}) AS CHAR) FROM fid.`{table}`");
            let row: (u64, u64, Option<String>) =
                conn.query_first(&sql).await.context(sql)?.context("sum")?;
            out.push(format!("{table}.{column}: {row:?}"));
        }
    }
    conn.disconnect().await?;
    Ok(out)
}

async fn equal(scene: &Scene, when: &str) -> Result<()> {
    scene.caught_up().await?;
    let (source, target) =
        (checksums(&scene.source, &scene.source).await?, checksums(&scene.target, &scene.source).await?);
    assert!(source.len() > 100, "{when}: {} columns", source.len());
    let wrong: Vec<_> = source.iter().zip(&target).filter(|(s, t)| s != t).collect();
    if let Some((column, _)) = wrong.first() {
        let name = column.split(':').next().unwrap_or_default();
        let (table, column) = name.split_once('.').context("a column")?;
        let sql = format!("SELECT id, CONCAT('<', `{column}`, '>'), LENGTH(`{column}`) FROM fid.`{table}`");
        let (left, right) = (rows(&scene.source, &sql).await?, rows(&scene.target, &sql).await?);
        panic!("{when}: {wrong:#?} {left:#?} {right:#?}");
    }
    let diff = compare_databases(&scene.source, &scene.target, &["fid"]).await?;
    assert!(diff.is_equal(), "{when}: {diff}");
    Ok(())
}

async fn matrix(source: Flavor, target: Flavor) -> Result<()> {
    let mut scene = Scene::start(source, target, true).await?;
    let all = tables(source, target);
    run(&scene.source, &["CREATE DATABASE fid CHARACTER SET utf8mb4".to_owned()]).await?;
    run(&scene.source, &create(&all, "")).await?;
    if source == Flavor::MySql {
        let mut conn = scene.source.conn().await?;
        conn.query_drop("SET sql_generate_invisible_primary_key=ON").await?;
        conn.query_drop("CREATE TABLE fid.gipk (id INT, v VARCHAR(9))").await?;
        conn.query_drop("INSERT INTO fid.gipk VALUES (1, 'a'), (NULL, NULL), (1, 'a')").await?;
        conn.disconnect().await?;
    }
    run(&scene.source, &inserts(&all, "", 0)).await?;
    scene.load_first();
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    equal(&scene, "loaded").await?;
    run(&scene.source, &inserts(&all, "", 100)).await?;
    equal(&scene, "inserted").await?;
    let mut later = changes(&all, "", 0);
    later.extend(changes(&all, "", 100));
    if source == Flavor::MySql {
        later.push("INSERT INTO fid.gipk VALUES (2, 'b')".to_owned());
        later.push("UPDATE fid.gipk SET v = 'c' WHERE id = 1 LIMIT 1".to_owned());
    }
    if source == target {
        // By the source's own statements.
        later.extend(create(&all, "_made"));
        later.extend(inserts(&all, "_made", 0));
        later.extend(changes(&all, "_made", 0));
    }
    run(&scene.source, &later).await?;
    equal(&scene, "updated and deleted").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_from_mysql_to_mysql() -> Result<()> {
    matrix(Flavor::MySql, Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_from_mysql_to_mariadb() -> Result<()> {
    matrix(Flavor::MySql, Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_from_mariadb_to_mysql() -> Result<()> {
    matrix(Flavor::MariaDb, Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_from_mariadb_to_mariadb() -> Result<()> {
    matrix(Flavor::MariaDb, Flavor::MariaDb).await
}
