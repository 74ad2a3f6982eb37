//! A slow DDL holds up the rows of its own table and no others.

use anyhow::{Context, Result};
use dm_proto::worker::{ErrorOperator, MetaStage, OperatorKind, Stage};
use dm_tests::{Flavor, wait_until};
use mysql_async::{Conn, prelude::Queryable};

use crate::{
    leader::Leader,
    scene::{CAUGHT_UP, Scene, same},
};

pub const A: &str = "SELECT * FROM shop.a";
pub const B: &str = "SELECT * FROM shop.b";

/// Tables `a` and `b` at both ends; somebody holds `a` at the target.
pub async fn scene(source: Flavor, target: Flavor, gtid: bool) -> Result<(Scene, Leader, Conn)> {
    let scene = Scene::start(source, target, gtid).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.a (id INT PRIMARY KEY, v INT NOT NULL)",
            "CREATE TABLE shop.b (id INT PRIMARY KEY, v INT NOT NULL)",
            "INSERT INTO shop.a VALUES (1, 1)",
        ])
        .await?;
    scene.caught_up().await?;
    let mut holder = scene.target.conn().await?;
    holder.query_drop("LOCK TABLES shop.a WRITE").await?;
    Ok((scene, leader, holder))
}

/// Rows of `b` at the source.
async fn write_b(scene: &Scene, ids: std::ops::Range<u32>) -> Result<()> {
    let mut conn = scene.source.conn().await?;
    for id in ids {
        conn.query_drop(format!("INSERT INTO shop.b VALUES ({id}, {id})")).await?;
        conn.query_drop(format!("UPDATE shop.b SET v = v + 1 WHERE id = {}", id / 2)).await?;
    }
    Ok(conn.disconnect().await?)
}

/// Rows of `b` get to the target.
pub async fn b_goes_on(scene: &Scene, ids: std::ops::Range<u32>) -> Result<()> {
    write_b(scene, ids.clone()).await?;
    wait_until(CAUGHT_UP, "rows of the other table", async || {
        let mut conn = scene.target.conn().await?;
        let last: Option<u32> = conn.query_first("SELECT MAX(id) FROM shop.b").await?.flatten();
        conn.disconnect().await?;
        Ok(last == Some(ids.end - 1))
    })
    .await
    .with_context(|| std::fs::read_to_string(scene.log()).unwrap_or_default())
}

pub async fn blocked(leader: &Leader, text: &str) -> Result<()> {
    let shows = |sql: &str| if text.is_empty() { sql.is_empty() } else { sql.contains(text) };
    leader
        .until("the status shows the DDL", CAUGHT_UP, |s| {
            s.sync.as_ref().is_some_and(|p| shows(&p.blocking_ddl))
        })
        .await
        .map(drop)
}

/// Rows of `b` go on while `a` is altered, also after a kill in the middle and by another owner, and rows of `a` come after it.
async fn others_go_on(source: Flavor, target: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader, mut holder) = scene(source, target, gtid).await?;
    let (file, pos) = scene.end().await?;
    scene.source.run(&["ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 7, DROP COLUMN v"]).await?;
    // Nobody is concerned by these.
    scene.source.run(&["CREATE VIEW shop.see AS SELECT id FROM shop.b", "DROP VIEW shop.see"]).await?;
    b_goes_on(&scene, 1..20).await?;
    // A start at the place that is shown would not leave it out.
    let before = format!("({file}, {pos})");
    leader
        .until("the applied place stays before the DDL", CAUGHT_UP, |s| {
            s.sync.as_ref().is_some_and(|p| {
                p.blocking_ddl.contains("ADD COLUMN") && p.transactions >= 38 && p.applied_binlog == before
            })
        })
        .await?;
    scene.worker().kill9()?;
    scene.start_worker()?;
    drop(leader);
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    b_goes_on(&scene, 20..40).await?;
    let synced = leader.until("a report", CAUGHT_UP, |s| s.sync.as_ref().is_some_and(|p| !p.synced)).await?;
    assert!(synced.errors.is_empty(), "{synced:?}");
    // The table is altered again, and has new rows between and after.
    scene
        .source
        .run(&[
            "INSERT INTO shop.a VALUES (2, 70)",
            "ALTER TABLE shop.a ADD COLUMN z VARCHAR(10) NOT NULL DEFAULT 'z' FIRST",
            "INSERT INTO shop.a VALUES ('first', 3, 71)",
            "CREATE INDEX w ON shop.a (w)",
            "UPDATE shop.a SET w = w + 1",
            "INSERT INTO shop.b VALUES (100, 100)",
        ])
        .await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    same(&scene, A, A).await?;
    same(&scene, B, B).await?;
    blocked(&leader, "").await?;
    let report = leader.until("it runs", CAUGHT_UP, |s| s.stage() == Stage::Running).await?;
    assert_eq!(report.sync.context("no progress")?.rows_missed, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_rows_of_other_tables_go_on() -> Result<()> {
    others_go_on(Flavor::MySql, Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_position_rows_of_other_tables_go_on() -> Result<()> {
    others_go_on(Flavor::MySql, Flavor::MariaDb, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_gtid_rows_of_other_tables_go_on() -> Result<()> {
    others_go_on(Flavor::MariaDb, Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_rows_of_other_tables_go_on() -> Result<()> {
    others_go_on(Flavor::MariaDb, Flavor::MySql, false).await
}

/// The DDL fails after later transactions were applied: the task stops at its place, and a person's word counts.
async fn an_error_stops_at_its_place(source: Flavor, target: Flavor, gtid: bool) -> Result<()> {
    let (scene, leader, mut holder) = scene(source, target, gtid).await?;
    let (file, pos) = scene.end().await?;
    scene.source.run(&["ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 7"]).await?;
    b_goes_on(&scene, 1..20).await?;
    blocked(&leader, "ADD COLUMN").await?;
    holder.query_drop("ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 8").await?;
    holder.query_drop("UNLOCK TABLES").await?;
    let report =
        leader.until("a stop", CAUGHT_UP, |s| s.stage() == Stage::Paused && s.stopped_at.is_some()).await?;
    let (error, at) = (&report.errors[0], report.stopped_at.clone().context("no place")?);
    assert_eq!(error.code, 10006, "{error:?}");
    assert_eq!((at.file.as_str(), at.pos), (file.as_str(), pos), "{error:?}");
    for text in ["execute SQL: [ALTER TABLE `shop`.`a`", "startLocation: [position: ", "Duplicate column"] {
        assert!(format!("{} {}", error.message, error.raw_cause).contains(text), "{text}: {error:?}");
    }
    assert!(error.workaround.contains("dmctl binlog skip"), "{error:?}");
    let skip = ErrorOperator {
        id: 3,
        kind: OperatorKind::OperatorSkip.into(),
        file: at.file,
        pos: at.pos,
        gtid: at.gtid,
        sqls: Vec::new(),
    };
    leader
        .change(|s| {
            s.operators = vec![skip];
            s.resume_serial += 1;
        })
        .await?;
    leader.until("the operator is consumed", CAUGHT_UP, |s| s.operators_done.contains(&3)).await?;
    scene
        .source
        .run(&["INSERT INTO shop.a VALUES (2, 2, 2)", "INSERT INTO shop.b VALUES (100, 100)"])
        .await?;
    scene.caught_up().await?;
    let a = "SELECT id, v FROM shop.a";
    same(&scene, a, a).await?;
    same(&scene, B, B).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_an_error_stops_at_its_place() -> Result<()> {
    an_error_stops_at_its_place(Flavor::MySql, Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_an_error_stops_at_its_place() -> Result<()> {
    an_error_stops_at_its_place(Flavor::MariaDb, Flavor::MariaDb, false).await
}

/// Killed at each step of the DDL while rows of another table come; then paused and resumed while it waits.
async fn killed_at_each_step(flavor: Flavor, gtid: bool) -> Result<()> {
    let (mut scene, leader, mut holder) = scene(flavor, flavor, gtid).await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.pause(&leader).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.holds = true;
    scene.start_worker()?;
    let steps = ["before_intent", "after_intent", "before_ddl", "after_statement", "after_done"];
    let mut leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    let mut next = 1;
    for (step, n) in steps.into_iter().zip(3..) {
        scene.hold(step)?;
        scene.source.run(&[&format!("ALTER TABLE shop.a ADD COLUMN c{n} INT NOT NULL DEFAULT {n}")]).await?;
        // On their way, perhaps: a failpoint takes a thread away.
        write_b(&scene, next..next + 10).await?;
        next += 10;
        scene.kill_at(step).await?;
        drop(leader);
        leader = scene.sync(n, n, MetaStage::MetaCreated).await?;
        b_goes_on(&scene, next..next + 10).await?;
        next += 10;
        scene
            .source
            .run(&[&format!(
                "INSERT INTO shop.a SELECT MAX(id) + 1, {n}{} FROM shop.a",
                ", 0".repeat(n as usize - 2)
            )])
            .await?;
    }
    scene.caught_up().await?;
    same(&scene, A, A).await?;
    holder.query_drop("LOCK TABLES shop.a WRITE").await?;
    scene.source.run(&["ALTER TABLE shop.a DROP COLUMN v"]).await?;
    b_goes_on(&scene, next..next + 10).await?;
    scene.pause(&leader).await?;
    scene.resume(&leader).await?;
    b_goes_on(&scene, next + 10..next + 20).await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    same(&scene, A, A).await?;
    same(&scene, B, B).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_gtid_killed_at_each_step() -> Result<()> {
    killed_at_each_step(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_position_killed_at_each_step() -> Result<()> {
    killed_at_each_step(Flavor::MariaDb, false).await
}

/// Killed between intent and done of statements whose names the server makes up, or that swap columns: the definition tells.
async fn settled_by_the_definition(flavor: Flavor) -> Result<()> {
    let (mut scene, leader, mut holder) = scene(flavor, flavor, true).await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene
        .source
        .run(&[
            "CREATE TABLE shop.s (id INT PRIMARY KEY, a INT, b INT)",
            "INSERT INTO shop.s VALUES (1, 1, 10)",
        ])
        .await?;
    scene.caught_up().await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.holds = true;
    scene.start_worker()?;
    let mut leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    let mut term = 2;
    for sql in [
        "ALTER TABLE shop.s ADD INDEX (a), ADD INDEX (a)",
        "ALTER TABLE shop.s ADD UNIQUE (b, a), ADD KEY (b)",
        "ALTER TABLE shop.s CHANGE a b INT, CHANGE b a INT",
    ] {
        for step in ["after_intent", "after_statement"] {
            scene.hold(step)?;
            scene.source.run(&[sql]).await?;
            scene.kill_at(step).await?;
            drop(leader);
            term += 1;
            leader = scene.sync(term, term, MetaStage::MetaCreated).await?;
            let (a, b) = (term * 2, term * 2 + 1);
            scene.source.run(&[&format!("INSERT INTO shop.s (id, a, b) VALUES ({term}, {a}, {b})")]).await?;
            scene.caught_up().await?;
            same(&scene, "SELECT * FROM shop.s", "SELECT * FROM shop.s").await?;
            same(&scene, "SHOW CREATE TABLE shop.s", "SHOW CREATE TABLE shop.s").await?;
        }
    }
    // Nobody can see whether this one was executed.
    scene.hold("after_statement")?;
    scene.source.run(&["ALTER TABLE shop.s CHANGE a b INT, CHANGE b a INT AFTER id"]).await?;
    scene.kill_at("after_statement").await?;
    drop(leader);
    let leader = scene.leader(term + 1).await?;
    leader.assign(scene.bound(term + 1, MetaStage::MetaCreated)).await?;
    let stopped = leader.until("a stop", CAUGHT_UP, |s| s.stopped_at.is_some()).await?;
    assert_eq!(stopped.errors[0].code, 51011, "{stopped:?}");
    assert!(stopped.errors[0].workaround.contains("dmctl binlog skip"), "{stopped:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_settled_by_the_definition() -> Result<()> {
    settled_by_the_definition(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_settled_by_the_definition() -> Result<()> {
    settled_by_the_definition(Flavor::MariaDb).await
}

/// A child's rows wait for the DDL of its parent: it has a lock on both.
#[tokio::test(flavor = "multi_thread")]
async fn tables_joined_by_foreign_keys_wait() -> Result<()> {
    let (scene, _leader, mut holder) = scene(Flavor::MySql, Flavor::MySql, true).await?;
    scene
        .source
        .run(&["CREATE TABLE shop.c (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES shop.a (id))"])
        .await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    holder.query_drop("LOCK TABLES shop.a WRITE").await?;
    scene.source.run(&["ALTER TABLE shop.a ADD COLUMN w INT NOT NULL DEFAULT 7"]).await?;
    b_goes_on(&scene, 1..5).await?;
    scene.source.run(&["INSERT INTO shop.c VALUES (1, 1)", "INSERT INTO shop.b VALUES (100, 100)"]).await?;
    wait_until(CAUGHT_UP, "the child's row to wait", async || {
        Ok(std::fs::read_to_string(scene.log())?.contains("rows wait for a DDL of their table"))
    })
    .await?;
    let mut conn = scene.target.conn().await?;
    assert_eq!(conn.query_first::<u32, _>("SELECT COUNT(*) FROM shop.c").await?, Some(0));
    conn.disconnect().await?;
    holder.query_drop("UNLOCK TABLES").await?;
    scene.caught_up().await?;
    for table in [A, B, "SELECT * FROM shop.c"] {
        same(&scene, table, table).await?;
    }
    Ok(())
}

/// The same with a DDL and rows that do not wait for each other must fail, or this file proves nothing.
#[cfg(feature = "test-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_overtake_their_tables_ddl_are_noticed() -> Result<()> {
    let (mut scene, leader, mut holder) = scene(Flavor::MySql, Flavor::MySql, true).await?;
    scene.worker().kill9()?;
    drop(leader);
    scene.broken = "ddl_overtakes";
    scene.start_worker()?;
    let leader = scene.sync(2, 2, MetaStage::MetaCreated).await?;
    scene.source.run(&["ALTER TABLE shop.a DROP COLUMN v", "INSERT INTO shop.a VALUES (2)"]).await?;
    let failed =
        leader.until("an error", std::time::Duration::from_secs(30), |s| !s.errors.is_empty()).await?;
    assert_eq!(failed.errors[0].code, 36027, "{failed:?}");
    holder.query_drop("UNLOCK TABLES").await?;
    Ok(())
}
