//! The test library tested: real servers start, survive, are compared and cut off.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Instant;

use anyhow::Result;
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;

async fn survives_kill9(flavor: Flavor) -> Result<()> {
    let started = Instant::now();
    let mut db = Database::start(flavor, DatabaseOptions::default()).await?;
    println!("{} started in {:?}", flavor.name(), started.elapsed());
    db.run(&[
        "CREATE DATABASE a",
        "CREATE TABLE a.t (id INT PRIMARY KEY)",
        "INSERT INTO a.t VALUES (1), (2)",
    ])
    .await?;
    db.create_user("dm", "secret", "ALL").await?;
    mysql_async::Conn::new(db.opts_for("dm", "secret")).await?.disconnect().await?;
    let before = db.copy_datadir()?;
    db.run(&["INSERT INTO a.t VALUES (3)"]).await?;
    let old = db.pid()?;
    db.kill9()?;
    assert!(!std::path::Path::new(&format!("/proc/{old}")).exists());
    let started = Instant::now();
    db.restart().await?;
    println!("{} restarted in {:?}", flavor.name(), started.elapsed());
    let mut conn = db.conn().await?;
    assert_eq!(conn.query_first::<u64, _>("SELECT COUNT(*) FROM a.t").await?, Some(3));
    let format: (String, String) =
        conn.query_first("SELECT @@binlog_format, @@binlog_row_image").await?.unwrap();
    assert_eq!(format, ("ROW".to_owned(), "FULL".to_owned()));
    db.freeze()?;
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), conn.ping()).await.is_err());
    db.thaw()?;
    drop(conn);
    db.stop().await?;
    db.restore_datadir(&before)?;
    db.restart().await?;
    let mut conn = db.conn().await?;
    assert_eq!(conn.query_first::<u64, _>("SELECT COUNT(*) FROM a.t").await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn mariadb_survives_kill9() -> Result<()> {
    survives_kill9(Flavor::MariaDb).await
}

#[tokio::test]
async fn mysql_survives_kill9() -> Result<()> {
    survives_kill9(Flavor::MySql).await
}
