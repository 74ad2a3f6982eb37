//! What a stream goes through: silence, damage, rolled back transactions, names of every form.
use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
    time::Duration,
};

use anyhow::{Context, Result};
use dm_proto::worker::{MetaStage, Stage};
use dm_tests::{DatabaseOptions, Flavor, Proxy};
use mysql_async::prelude::Queryable;

use crate::scene::{CAUGHT_UP, Scene, rows, same};

const CREATE: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE shop.nokey (v INT)",
];

async fn equal(scene: &Scene) -> Result<()> {
    scene.caught_up().await?;
    same(scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
    same(scene, "SELECT * FROM shop.nokey", "SELECT * FROM shop.nokey").await
}

/// The connection to the source stays open and nothing comes: noticed by deadline, read on from the target's rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_replaced() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    let proxy = Proxy::start(scene.source.port()).await?;
    scene.source_port = Some(proxy.port());
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(CREATE).await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (1)"]).await?;
    scene.caught_up().await?;
    proxy.black_hole();
    scene.source.run(&["INSERT INTO shop.nokey VALUES (2), (2)", "INSERT INTO shop.t VALUES (1, 1)"]).await?;
    let lost = leader.until("the silence is noticed", CAUGHT_UP, |s| !s.errors.is_empty()).await?;
    assert_eq!(lost.errors[0].code, 36069, "{lost:?}");
    proxy.heal();
    equal(&scene).await?;
    leader.until("it runs again", CAUGHT_UP, |s| s.stage() == Stage::Running && s.errors.is_empty()).await?;
    Ok(())
}

/// A damaged event stops the task and is named by its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_is_named_by_its_place() -> Result<()> {
    for flavor in Flavor::ALL {
        let scene = Scene::start(flavor, Flavor::MariaDb, true).await?;
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene.source.run(CREATE).await?;
        scene.caught_up().await?;
        scene.pause(&leader).await?;
        scene.source.run(&["INSERT INTO shop.t VALUES (11, 11)"]).await?;
        let mut conn = scene.source.conn().await?;
        let events: Vec<mysql_async::Row> = conn.query("SHOW BINLOG EVENTS").await?;
        conn.disconnect().await?;
        let written = events.iter().rfind(|e| e.get::<String, _>(2).unwrap().starts_with("Write_rows"));
        let begin: u64 = written.context("no row event")?.get(1).context("no position")?;
        let mut file =
            OpenOptions::new().read(true).write(true).open(scene.source.dir().join("data/binlog.000001"))?;
        let mut byte = [0];
        file.seek(SeekFrom::Start(begin + 30))?;
        file.read_exact(&mut byte)?;
        file.seek(SeekFrom::Start(begin + 30))?;
        file.write_all(&[byte[0] ^ 1])?;
        scene.resume(&leader).await?;
        let message = crate::source::stops(&leader, 51014).await?;
        assert!(message.contains(&format!("(binlog.000001, {begin})")), "{message}");
        assert!(rows(&scene.target, "SELECT * FROM shop.t").await?.is_empty());
        // Repaired: it goes on.
        file.seek(SeekFrom::Start(begin + 30))?;
        file.write_all(&byte)?;
        scene.resume(&leader).await?;
        equal(&scene).await?;
    }
    Ok(())
}

/// Names with tags, read back from the checkpoint after a kill.
#[tokio::test(flavor = "multi_thread")]
async fn tagged_gtids() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(CREATE).await?;
    let tagged = |n: i32| {
        [
            "SET gtid_next = 'AUTOMATIC:first_tag'".to_owned(),
            format!("INSERT INTO shop.nokey VALUES ({n})"),
            "SET gtid_next = 'AUTOMATIC'".to_owned(),
            format!("INSERT INTO shop.nokey VALUES ({n})"),
            "SET gtid_next = 'AUTOMATIC:second'".to_owned(),
            format!("INSERT INTO shop.t (id, v) VALUES ({n}, 1)"),
            "FLUSH BINARY LOGS".to_owned(),
            format!("ALTER TABLE shop.t ADD COLUMN c{n} INT"),
        ]
    };
    for n in 1..=3 {
        let statements = tagged(n);
        scene.source.run(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    equal(&scene).await?;
    let low = rows(&scene.target, "SELECT executed FROM dm_meta.t1_checkpoint").await?;
    let in_checkpoint = |low: &[String]| format!("{low:?}").contains(":first_tag:1-3");
    if !in_checkpoint(&low) {
        dm_tests::wait_until(CAUGHT_UP, "the tags in the checkpoint", || async {
            Ok(in_checkpoint(&rows(&scene.target, "SELECT executed FROM dm_meta.t1_checkpoint").await?))
        })
        .await?;
    }
    drop(leader);
    scene.worker().kill9()?;
    let statements = tagged(4);
    scene.source.run(&statements.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    scene.start_worker()?;
    let _leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    equal(&scene).await
}

/// Two domains and several server ids in one binlog; killed in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn mariadb_domains_and_server_ids() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let mut leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(CREATE).await?;
    for round in 0..3_i32 {
        let mut conns = Vec::new();
        for (domain, server) in [(0, 0), (7, 0), (7, 99), (8, 98)] {
            let mut conn = scene.source.conn().await?;
            conn.query_drop(format!("SET SESSION gtid_domain_id = {domain}")).await?;
            if server != 0 {
                conn.query_drop(format!("SET SESSION server_id = {server}")).await?;
            }
            conns.push(conn);
        }
        for n in 0..20_i32 {
            let conn = &mut conns[usize::try_from(n % 4)?];
            conn.query_drop(format!("INSERT INTO shop.nokey VALUES ({})", n % 3)).await?;
            conn.query_drop(format!("INSERT INTO shop.t VALUES ({}, {n})", round * 100 + n)).await?;
        }
        for conn in conns {
            conn.disconnect().await?;
        }
        if round < 2 {
            drop(leader);
            scene.worker().kill9()?;
            scene.start_worker()?;
            let term = 2 + u64::try_from(round)?;
            leader = scene.sync(term, term, MetaStage::MetaCreated).await?;
        }
    }
    equal(&scene).await?;
    // Every domain has its place in the checkpoint.
    dm_tests::wait_until(CAUGHT_UP, "all domains in the checkpoint", || async {
        let low = format!("{:?}", rows(&scene.target, "SELECT executed FROM dm_meta.t1_checkpoint").await?);
        Ok(low.contains(",7-99-") && low.contains(",8-98-"))
    })
    .await?;
    drop(leader);
    Ok(())
}

/// File numbers grow by a digit: they order as numbers, not as text.
async fn a_digit_more(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, Flavor::MariaDb, false).await?;
    let reset = match flavor {
        Flavor::MySql => "RESET BINARY LOGS AND GTIDS TO 999999",
        Flavor::MariaDb => "RESET MASTER TO 999999",
    };
    scene.source.run(&[reset]).await?;
    scene.mark_start().await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(CREATE).await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (1)"]).await?;
    equal(&scene).await?;
    scene.pause(&leader).await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.nokey VALUES (2)",
            "FLUSH BINARY LOGS",
            "INSERT INTO shop.nokey VALUES (3)",
            "INSERT INTO shop.t VALUES (1, 1)",
        ])
        .await?;
    scene.resume(&leader).await?;
    equal(&scene).await?;
    drop(leader);
    scene.worker().kill9()?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (4)"]).await?;
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    equal(&scene).await?;
    let seen = leader
        .until("the place", CAUGHT_UP, |s| {
            s.sync.as_ref().is_some_and(|p| p.applied_binlog.starts_with("(binlog.1000000, "))
        })
        .await?;
    assert_eq!(seen.sync.unwrap().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn file_numbers_beyond_999999() -> Result<()> {
    a_digit_more(Flavor::MariaDb).await?;
    a_digit_more(Flavor::MySql).await
}

/// Transactions that the binlog holds although, or because, they were rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_end_in_rollback() -> Result<()> {
    for flavor in Flavor::ALL {
        // With GTIDs MySQL does not mix the two kinds of tables.
        let options = DatabaseOptions { gtid: flavor == Flavor::MariaDb, ..DatabaseOptions::default() };
        let options = match flavor {
            Flavor::MySql => options.line("enforce-gtid-consistency=OFF"),
            Flavor::MariaDb => options,
        };
        let mut scene = Scene::start_with(flavor, options, Flavor::MariaDb).await?;
        scene.with_rules(
            "    block-allow-list: most\n",
            "block-allow-list:\n  most:\n    do-dbs: [shop, marker]\n    ignore-tables:\n      - {db-name: shop, tbl-name: plain}\n",
        );
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene.source.run(CREATE).await?;
        scene
            .source
            .run(&[
                "CREATE TABLE shop.plain (v INT) ENGINE=MyISAM",
                // What is not transactional stays, what is goes.
                "BEGIN",
                "INSERT INTO shop.t VALUES (1, 1)",
                "INSERT INTO shop.plain VALUES (1)",
                "INSERT INTO shop.nokey VALUES (1)",
                "ROLLBACK",
                "BEGIN",
                "INSERT INTO shop.t VALUES (2, 2)",
                "CREATE TEMPORARY TABLE shop.passing (v INT)",
                "INSERT INTO shop.nokey VALUES (2)",
                "ROLLBACK",
                "DROP TEMPORARY TABLE IF EXISTS shop.passing",
                "BEGIN",
                "INSERT INTO shop.t VALUES (3, 3)",
                "SAVEPOINT a",
                "INSERT INTO shop.t VALUES (4, 4)",
                "CREATE TEMPORARY TABLE shop.passing2 (v INT)",
                "ROLLBACK TO a",
                "COMMIT",
                "BEGIN",
                "INSERT INTO shop.nokey VALUES (5)",
                "COMMIT",
            ])
            .await?;
        equal(&scene).await?;
        let kept = rows(&scene.target, "SELECT id FROM shop.t").await?;
        assert_eq!(kept.len(), 1, "{kept:?}");
        let mut conn = scene.source.conn().await?;
        let events: Vec<mysql_async::Row> = conn.query("SHOW BINLOG EVENTS").await?;
        conn.disconnect().await?;
        let rolled =
            events.iter().any(|e| e.get::<String, _>(5).is_some_and(|i| i.trim().starts_with("ROLLBACK")));
        assert!(rolled || flavor == Flavor::MySql, "no ROLLBACK came into the binlog");
        leader.until("it runs", Duration::from_secs(20), |s| s.errors.is_empty()).await?;
    }
    Ok(())
}
