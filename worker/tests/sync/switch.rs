//! The source's address leads to a replica of it: another server, another binlog, another order.
use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::{Database, DatabaseOptions, Flavor, wait_until};
use mysql_async::prelude::Queryable;

use crate::scene::{CAUGHT_UP, Scene, same};

async fn replica_of(primary: &Database) -> Result<Database> {
    primary.create_user("repl", "repl-word", "REPLICATION SLAVE").await?;
    let (options, flavor) = (DatabaseOptions::default(), primary.flavor());
    let options = match flavor {
        Flavor::MySql => options.line("replica-parallel-workers=4").line("replica-preserve-commit-order=OFF"),
        Flavor::MariaDb => options
            .line("log-slave-updates=1")
            .line("slave-parallel-threads=4")
            .line("slave-parallel-mode=optimistic"),
    };
    let replica = Database::start(flavor, options).await?;
    let port = primary.port();
    let statements = match flavor {
        Flavor::MySql => [
            format!(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='repl', \
                 SOURCE_PASSWORD='repl-word', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
            ),
            "START REPLICA".to_owned(),
        ],
        Flavor::MariaDb => [
            format!(
                "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='repl', \
                 MASTER_PASSWORD='repl-word', MASTER_USE_GTID=slave_pos"
            ),
            "START SLAVE".to_owned(),
        ],
    };
    replica.run(&[&statements[0], &statements[1]]).await?;
    Ok(replica)
}

async fn has(database: &Database, id: i32) -> Result<bool> {
    let mut conn = database.conn().await?;
    let found: Option<i32> =
        conn.query_first(format!("SELECT id FROM shop.t WHERE id = {id}")).await.unwrap_or(None);
    conn.disconnect().await?;
    Ok(found.is_some())
}

async fn until_has(database: &Database, id: i32) -> Result<()> {
    wait_until(CAUGHT_UP, "a row", || has(database, id)).await
}

/// Order of GTIDs in a server's binlog.
async fn order(database: &Database) -> Result<Vec<String>> {
    let mut conn = database.conn().await?;
    let logs: Vec<mysql_async::Row> = conn.query("SHOW BINARY LOGS").await?;
    let mut gtids = Vec::new();
    for log in logs {
        let file: String = log.get(0).unwrap();
        let events: Vec<mysql_async::Row> = conn.query(format!("SHOW BINLOG EVENTS IN '{file}'")).await?;
        gtids.extend(
            events.iter().filter(|e| e.get::<String, _>(2).unwrap().starts_with("Gtid")).filter_map(|e| {
                let info: String = e.get(5)?;
                info.split(['\'', ' '])
                    .find(|w| w.contains(':') || w.matches('-').count() == 2)
                    .map(str::to_owned)
            }),
        );
    }
    conn.disconnect().await?;
    Ok(gtids)
}

async fn switched(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, true).await?;
    let replica = replica_of(&scene.source).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
            "INSERT INTO shop.t VALUES (1, 0), (2, 0)",
            "CREATE TABLE shop.nokey (v INT)",
        ])
        .await?;
    scene.caught_up().await?;
    until_has(&replica, 1).await?;

    // A row that is locked at the replica holds up what comes first at the source.
    let mut holder = replica.conn().await?;
    holder.query_drop("BEGIN").await?;
    holder.query_drop("SELECT * FROM shop.t WHERE id = 1 FOR UPDATE").await?;
    let mut first = scene.source.conn().await?;
    let mut other = scene.source.conn().await?;
    if flavor == Flavor::MariaDb {
        // Within a domain a replica keeps the order; between domains it need not.
        other.query_drop("SET SESSION gtid_domain_id = 1").await?;
    }
    first.query_drop("UPDATE shop.t SET v = 1 WHERE id = 1").await?;
    for id in 10..15 {
        other.query_drop(format!("INSERT INTO shop.t VALUES ({id}, 1)")).await?;
        if flavor == Flavor::MariaDb {
            // On MySQL a table without a key makes every later transaction wait for the one that is held up.
            other.query_drop("INSERT INTO shop.nokey VALUES (1)").await?;
        }
    }
    until_has(&scene.target, 14).await?;
    until_has(&replica, 14).await?;
    scene.pause(&leader).await?;
    // What the task has not seen at the former source.
    for id in 15..20 {
        other.query_drop(format!("INSERT INTO shop.t VALUES ({id}, 1)")).await?;
        if flavor == Flavor::MariaDb {
            // On MySQL a table without a key makes every later transaction wait for the one that is held up.
            other.query_drop("INSERT INTO shop.nokey VALUES (1)").await?;
        }
    }
    first.query_drop("INSERT INTO shop.t VALUES (20, 1)").await?;
    until_has(&replica, 19).await?;
    holder.query_drop("ROLLBACK").await?;
    first.query_drop("INSERT INTO shop.nokey VALUES (2), (2)").await?;
    first.query_drop("INSERT INTO shop.t VALUES (21, 1)").await?;
    until_has(&replica, 21).await?;
    let (there, here) = (order(&scene.source).await?, order(&replica).await?);
    assert_ne!(there, here, "the replica has logged the same order");
    let stop = if flavor == Flavor::MySql { "STOP REPLICA" } else { "STOP SLAVE" };
    replica.run(&[stop]).await?;
    for conn in [first, other, holder] {
        conn.disconnect().await?;
    }

    let former = std::mem::replace(&mut scene.source, replica);
    drop(leader);
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
    same(&scene, "SELECT * FROM shop.nokey", "SELECT * FROM shop.nokey").await?;
    // The new server is the known one now.
    scene.pause(&leader).await?;
    scene.source.run(&["INSERT INTO shop.t VALUES (30, 2)"]).await?;
    scene.resume(&leader).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
    // The former one lacks what came from the new one.
    scene.pause(&leader).await?;
    scene.source = former;
    drop(leader);
    let leader = scene.leader(3).await?;
    leader.assign(scene.bound(3, MetaStage::MetaCreated)).await?;
    crate::source::stops(&leader, 51009).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_switched_to_a_replica_with_another_order() -> Result<()> {
    switched(Flavor::MariaDb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_switched_to_a_replica_with_another_order() -> Result<()> {
    switched(Flavor::MySql).await
}

/// A server that was made anew under the id of the former one: the names are the same, the transactions are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_same_gtids_is_refused() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    let fill = |from: i32, to: i32| {
        (from..to).map(|id| format!("INSERT INTO shop.t VALUES ({id}, 1)")).collect::<Vec<_>>()
    };
    let create = ["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)"];
    scene.source.run(&create).await?;
    scene.source.run(&fill(0, 10).iter().map(String::as_str).collect::<Vec<_>>()).await?;
    scene.caught_up().await?;
    scene.pause(&leader).await?;
    let options = DatabaseOptions { server_id: Some(scene.source.server_id()), ..DatabaseOptions::default() };
    let stranger = Database::start(Flavor::MariaDb, options).await?;
    // MariaDB's replicas pass on the time of a commit in seconds, so that is all there is to tell the two apart.
    let now = async |database: &Database| -> Result<Option<u64>> {
        Ok(database.conn().await?.query_first("SELECT UNIX_TIMESTAMP()").await?)
    };
    let then = now(&scene.source).await?;
    wait_until(CAUGHT_UP, "another second", async || Ok(now(&stranger).await? > then)).await?;
    stranger.run(&create).await?;
    stranger.run(&fill(0, 60).iter().map(String::as_str).collect::<Vec<_>>()).await?;
    scene.source = stranger;
    drop(leader);
    let leader = scene.leader(2).await?;
    leader.assign(scene.bound(2, MetaStage::MetaCreated)).await?;
    let message = crate::source::stops(&leader, 51008).await?;
    assert!(message.contains("another transaction"), "{message}");
    Ok(())
}
