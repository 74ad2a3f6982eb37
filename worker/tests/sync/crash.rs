//! The worker dies at any moment; every change is applied exactly once.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use dm_proto::worker::MetaStage;
use dm_tests::Flavor;
use mysql_async::prelude::Queryable;

use crate::scene::{Scene, same};

const KILLS: u64 = 5;

async fn killed_while_writing(source: Flavor, gtid: bool) -> Result<()> {
    let mut scene = Scene::start(source, Flavor::MariaDb, gtid).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.k (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
            "CREATE TABLE shop.n (w INT, v INT)",
        ])
        .await?;
    scene.caught_up().await?;
    drop(leader);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|w| {
            let (stop, opts) = (Arc::clone(&stop), scene.source.opts());
            tokio::spawn(async move {
                let mut conn = mysql_async::Conn::new(opts).await?;
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    // An application tries again what the source's lock detection has rolled back.
                    while let Err(error) = transaction(&mut conn, w, n).await {
                        match error {
                            mysql_async::Error::Server(e) if matches!(e.code, 1213 | 1205) => {
                                conn.query_drop("ROLLBACK").await?;
                            }
                            other => return Err(other.into()),
                        }
                    }
                }
                conn.disconnect().await?;
                Ok::<_, anyhow::Error>(n)
            })
        })
        .collect();
    for round in 1..=KILLS {
        let leader = scene.sync(1 + round, 1 + round, MetaStage::MetaCreated).await?;
        leader
            .until("rows flow", Duration::from_secs(30), |s| {
                s.sync.as_ref().is_some_and(|p| p.transactions > 20)
            })
            .await?;
        scene.worker().kill9()?;
        drop(leader);
        scene.start_worker()?;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(tokio::time::timeout(Duration::from_secs(60), writer).await??? > 0);
    }
    let leader = scene.sync(20, 20, MetaStage::MetaCreated).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.k", "SELECT * FROM shop.k").await?;
    same(&scene, "SELECT * FROM shop.n", "SELECT * FROM shop.n").await?;
    let report = leader.reports.borrow().clone();
    assert_eq!(report.sources[0].subtasks[0].sync.as_ref().unwrap().rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gtid_killed_while_writing() -> Result<()> {
    killed_while_writing(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_killed_while_writing() -> Result<()> {
    killed_while_writing(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_killed_while_writing() -> Result<()> {
    killed_while_writing(Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_leaves_explicitly() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&["CREATE DATABASE shop", "CREATE TABLE shop.n (v INT)", "INSERT INTO shop.n VALUES (1)"])
        .await?;
    scene.caught_up().await?;
    let mut reports = leader.reports.clone();
    let (stopped, last) = tokio::join!(
        scene.worker().stop(Duration::from_secs(20)),
        tokio::time::timeout(Duration::from_secs(20), reports.wait_for(|r| r.leaving))
    );
    let last = last??.clone();
    assert!(last.sources.iter().flat_map(|s| &s.subtasks).all(|s| s.released), "{last:?}");
    assert!(stopped?.success());
    Ok(())
}

/// One transaction of a writer: keyed and keyless rows; a delete of its own now and then.
async fn transaction(conn: &mut mysql_async::Conn, w: i32, n: i32) -> Result<(), mysql_async::Error> {
    conn.query_drop("BEGIN").await?;
    conn.query_drop(format!("INSERT INTO shop.k (v) VALUES ({n}), ({n})")).await?;
    conn.query_drop(format!("INSERT INTO shop.n VALUES ({w}, {}), ({w}, {n})", n % 7)).await?;
    conn.query_drop(format!("UPDATE shop.n SET v = v + 1 WHERE w = {w} LIMIT 1")).await?;
    conn.query_drop("COMMIT").await?;
    if n % 50 == 0 {
        conn.query_drop(format!("DELETE FROM shop.n WHERE w = {w} LIMIT 3")).await?;
    }
    Ok(())
}
