//! Three masters, two workers: a database is copied and followed while it is written, and kill -9 of the leader and
//! of the worker loses nothing and applies nothing twice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dm_tests::{
    Cluster, Database, DatabaseOptions, Flavor, SourceFile, TaskFile, Workload, WorkloadOptions,
    check_workload, compare_databases, wait_until, wait_until_value,
};
use mysql_async::prelude::Queryable as _;

const SOURCE: &str = "source-01";
const TASK: &str = "spine";
const SCHEMAS: [&str; 2] = ["work", "shop"];
const LONG: Duration = Duration::from_secs(120);

/// A second schema with many types, and rows that only bytes tell apart.
const SHOP: &[&str] = &[
    "CREATE DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE shop.types (id INT PRIMARY KEY, ti TINYINT UNSIGNED, bi BIGINT UNSIGNED, de DECIMAL(30,10), fl FLOAT, \
     db DOUBLE, bt BIT(13), da DATE, ti6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL, ye YEAR, ch CHAR(8), \
     vb VARBINARY(20), bl BLOB, en ENUM('x','y','ü'), st SET('p','q','r'), js JSON, ge GEOMETRY)",
    "INSERT INTO shop.types VALUES (1, 255, 18446744073709551615, -1234567890.0123456789, 0.1, 1e-300, b'1000000000001', \
     '1000-01-01', '-838:59:58.000001', '9999-12-31 23:59:59.999', '1970-01-02 00:00:01.000001', 2155, 'é ', x'00FF', \
     x'', 'ü', 'p,r', '{\"b\": [1, 2.5, null], \"a\": \"ä\"}', ST_GeomFromText('POINT(1 2)')), \
     (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE shop.nokey (a VARCHAR(10), b INT)",
    "INSERT INTO shop.nokey VALUES ('a', 1), ('a', 1), ('A', 1), ('á', 1), ('a ', 1), (NULL, 1), (NULL, 1)",
];

async fn spine(source_flavor: Flavor, target_flavor: Flavor) -> Result<()> {
    let (source, target) = tokio::try_join!(
        Database::start(source_flavor, DatabaseOptions::default()),
        Database::start(target_flavor, DatabaseOptions::default()),
    )?;
    source.run(SHOP).await?;
    let load = Workload::start(source.opts(), WorkloadOptions::default()).await?;
    wait_until(LONG, "a first hundred transactions", async || Ok(load.committed() >= 100)).await?;

    let mut cluster = Cluster::start(3, 2).await?;
    let outcome = scenario(&mut cluster, &source, &target, load).await;
    if outcome.is_err() {
        cluster.keep();
    }
    outcome.with_context(|| format!("logs in {}\n{}", cluster.dir().display(), cluster.last_words()))
}

async fn scenario(cluster: &mut Cluster, source: &Database, target: &Database, load: Workload) -> Result<()> {
    cluster.create_source(&SourceFile::new(SOURCE, source)).await?;
    cluster.start_task(&TaskFile::new(TASK, SOURCE, target, &SCHEMAS)).await?;
    cluster.wait_subtask(LONG, (TASK, SOURCE), ("Running", "Sync")).await?;
    follows(source, target, "the load").await?;

    let old_leader = cluster.leader().await?;
    cluster.kill9(&old_leader)?;
    follows(source, target, "the leader's death").await?;
    let leader = cluster.leader().await?;
    ensure!(leader != old_leader, "the dead {leader} is still named as the leader");
    cluster.restart(&old_leader)?;

    let old_worker = bound(cluster, None).await?;
    cluster.kill9(&old_worker)?;
    bound(cluster, Some(&old_worker)).await?;
    follows(source, target, "the worker's death").await?;
    cluster.restart(&old_worker)?;
    cluster.wait_ready().await?;
    cluster.wait_subtask(LONG, (TASK, SOURCE), ("Running", "Sync")).await?;

    // DDL while rows flow, then rows that depend on it.
    source
        .run(&[
            "ALTER TABLE shop.nokey ADD COLUMN c VARCHAR(10) NOT NULL DEFAULT 'd'",
            "INSERT INTO shop.nokey VALUES ('a', 2, 'c'), ('a', 2, 'c')",
            "DELETE FROM shop.nokey WHERE b=1 LIMIT 1",
            "CREATE TABLE shop.late (id INT PRIMARY KEY, v TEXT)",
            "INSERT INTO shop.late VALUES (1, 'x'), (2, 'y')",
        ])
        .await?;

    let counts = load.stop().await?;
    let equal = wait_until(LONG, "target equal to source", async || {
        let diff = compare_databases(source, target, &SCHEMAS).await?;
        ensure!(diff.is_equal(), "{diff}");
        Ok(true)
    });
    equal.await?;
    let wrong = check_workload(target.opts(), "work").await?;
    ensure!(wrong.is_empty(), "{wrong:?}");
    let mut conn = target.conn().await?;
    let serials: Option<u64> = conn.query_first("SELECT COUNT(*) FROM work.ledger").await?;
    ensure!(
        serials == Some(counts.ledger.iter().sum()),
        "{serials:?} serials at the target, written: {counts:?}"
    );

    cluster.dmctl(&["stop-task", TASK]).await?.success()?;
    cluster.dmctl(&["operate-source", "stop", SOURCE]).await?.success()?;
    for name in [cluster.names(false), cluster.names(true)].concat() {
        cluster.stop(&name).await?;
    }
    Ok(())
}

/// Waits until a row that the source commits from now on is at the target.
async fn follows(source: &Database, target: &Database, after: &str) -> Result<()> {
    let newest = "SELECT COALESCE(MAX(serial), 0) FROM work.ledger WHERE writer=0";
    let now: u64 = source.conn().await?.query_first(newest).await?.unwrap_or_default();
    wait_until(LONG, &format!("a row committed after {after}"), async || {
        let there: Option<u64> = target.conn().await?.query_first(newest).await?;
        Ok(there.unwrap_or_default() > now)
    })
    .await
}

/// The worker that the source is bound to, once it is another one than `not`.
async fn bound(cluster: &Cluster, not: Option<&str>) -> Result<String> {
    wait_until_value(LONG, "the source bound to a worker", || async {
        Ok(cluster.bound_worker(SOURCE).await?.filter(|name| Some(name.as_str()) != not))
    })
    .await
}

#[tokio::test]
async fn spine_mariadb_to_mariadb() -> Result<()> {
    spine(Flavor::MariaDb, Flavor::MariaDb).await
}

#[tokio::test]
async fn spine_mariadb_to_mysql() -> Result<()> {
    spine(Flavor::MariaDb, Flavor::MySql).await
}

#[tokio::test]
async fn spine_mysql_to_mariadb() -> Result<()> {
    spine(Flavor::MySql, Flavor::MariaDb).await
}

#[tokio::test]
async fn spine_mysql_to_mysql() -> Result<()> {
    spine(Flavor::MySql, Flavor::MySql).await
}
