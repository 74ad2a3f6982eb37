//! Coming from DM, and going back.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::{MetaStage, Stage, SubtaskReport};
use dm_tests::Flavor;

use crate::scene::{Scene, rows, same};

const DEADLINE: Duration = Duration::from_secs(60);

const TABLES: &[&str] = &[
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(20))",
    "CREATE TABLE shop.nokey (v INT)",
];

/// As DM makes it.
const CHECKPOINT: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS dm_meta",
    "CREATE TABLE dm_meta.t1_syncer_checkpoint (id VARCHAR(32) NOT NULL, cp_schema VARCHAR(128) NOT NULL, \
     cp_table VARCHAR(128) NOT NULL, binlog_name VARCHAR(128), binlog_pos INT UNSIGNED, binlog_gtid TEXT, \
     exit_safe_binlog_name VARCHAR(128) DEFAULT '', exit_safe_binlog_pos INT UNSIGNED DEFAULT 0, \
     exit_safe_binlog_gtid TEXT, table_info JSON NOT NULL, is_global BOOLEAN, \
     create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, \
     update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
     UNIQUE KEY uk_id_schema_table (id, cp_schema, cp_table))",
];

/// File, position and GTIDs.
type Point = (String, u64, String);

async fn now(scene: &Scene) -> Result<Point> {
    let (file, pos) = scene.end().await?;
    Ok((file, pos, scene.gtids().await?))
}

async fn write(scene: &Scene, id: &str, table: &str, at: &Point, exit: &Point) -> Result<()> {
    let schema = if table.is_empty() { "" } else { "shop" };
    let values = format!(
        "binlog_name = '{}', binlog_pos = {}, binlog_gtid = '{}', exit_safe_binlog_name = '{}', \
         exit_safe_binlog_pos = {}, exit_safe_binlog_gtid = '{}', table_info = 'null', is_global = {}",
        at.0,
        at.1,
        at.2,
        exit.0,
        exit.1,
        exit.2,
        table.is_empty()
    );
    // DM leaves the time to the server; it never writes in the second in which the row was made, as a test does.
    let sql = format!(
        "INSERT INTO dm_meta.t1_syncer_checkpoint SET id = '{id}', cp_schema = '{schema}', cp_table = '{table}', \
         {values} ON DUPLICATE KEY UPDATE {values}, update_time = CURRENT_TIMESTAMP + INTERVAL 1 SECOND"
    );
    scene.target.run(&[sql.as_str()]).await
}

fn nowhere() -> Point {
    (String::new(), 0, String::new())
}

/// Tables on both sides; the task file's own start is before them and must not count.
async fn scene(flavor: Flavor, target: Flavor) -> Result<Scene> {
    let scene = Scene::start(flavor, target, true).await?;
    scene.source.run(TABLES).await?;
    scene.target.run(TABLES).await?;
    scene.target.run(CHECKPOINT).await?;
    Ok(scene)
}

async fn equal(scene: &Scene) -> Result<()> {
    scene.caught_up().await?;
    for table in ["SELECT * FROM shop.t", "SELECT * FROM shop.nokey"] {
        same(scene, table, table).await?;
    }
    Ok(())
}

/// DM stopped between two transactions: nothing comes twice, also without a key. By position and by GTID.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_of_dm_is_gone_on_from_exactly() -> Result<()> {
    for (source, target, lines) in [
        (Flavor::MySql, Flavor::MariaDb, "enable-gtid: true\n"),
        (Flavor::MySql, Flavor::MySql, ""),
        (Flavor::MariaDb, Flavor::MySql, "enable-gtid: true\n"),
    ] {
        let mut scene = scene(source, target).await?;
        scene.source_lines = lines;
        let applied = &["INSERT INTO shop.t VALUES (1, 1, 'a')", "INSERT INTO shop.nokey VALUES (1), (1)"];
        scene.source.run(applied).await?;
        scene.target.run(applied).await?;
        let mut at = now(&scene).await?;
        if lines.is_empty() {
            // What DM knows of GTIDs without `enable-gtid` is not the whole set.
            at.2 = String::new();
        } else {
            at.0 = at.0.replace(".0", "|000001.0");
        }
        write(&scene, "s1", "", &at, &at).await?;
        write(&scene, "s1", "t", &at, &nowhere()).await?;
        scene.source.run(&["INSERT INTO shop.nokey VALUES (1)", "UPDATE shop.t SET v = 'b'"]).await?;
        let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        equal(&scene).await?;
        assert!(!std::fs::read_to_string(scene.log())?.contains("[\"safe mode\"]"));
    }
    Ok(())
}

/// DM was killed, or stopped in the middle: what it has applied above its checkpoint comes again and makes no difference.
#[tokio::test(flavor = "multi_thread")]
async fn what_dm_applied_above_its_checkpoint_comes_again() -> Result<()> {
    for (source, lines, killed) in [
        (Flavor::MySql, "enable-gtid: true\n", true),
        (Flavor::MariaDb, "", false),
        (Flavor::MySql, "", false),
    ] {
        let mut scene = scene(source, Flavor::MariaDb).await?;
        scene.source_lines = lines;
        let at = now(&scene).await?;
        let applied = &[
            "INSERT INTO shop.t VALUES (1, 10, 'a'), (2, 20, 'b')",
            "UPDATE shop.t SET id = 3 WHERE id = 1",
            "INSERT INTO shop.t VALUES (1, 30, 'c')",
            "DELETE FROM shop.t WHERE id = 2",
        ];
        scene.source.run(applied).await?;
        scene.target.run(applied).await?;
        let exit = if killed { nowhere() } else { now(&scene).await? };
        write(&scene, "s1", "", &at, &exit).await?;
        scene.source.run(&["UPDATE shop.t SET v = 'd', u = u + 1"]).await?;
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        equal(&scene).await?;
        // Afterwards a table without a key is as welcome as any, also after a restart.
        scene.source.run(&["INSERT INTO shop.nokey VALUES (1), (1)"]).await?;
        equal(&scene).await?;
        scene.pause(&leader).await?;
        scene.source.run(&["INSERT INTO shop.nokey VALUES (2)"]).await?;
        scene.resume(&leader).await?;
        equal(&scene).await?;
    }
    Ok(())
}

async fn refused(scene: &Scene, epoch: u64, code: i32, text: &str) -> Result<()> {
    let leader = scene.leader(epoch).await?;
    scene.start_anew(&leader, epoch, |_| {}).await?;
    let wanted = |s: &SubtaskReport| !s.errors.is_empty() && format!("{s:?}").contains(text);
    let seen = leader.until("it is refused", DEADLINE, wanted).await?;
    assert_eq!(seen.errors[0].code, code, "{seen:?}");
    Ok(())
}

/// A row without a key that may be there already.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_needs_a_clean_stop_of_dm() -> Result<()> {
    let scene = scene(Flavor::MySql, Flavor::MariaDb).await?;
    let at = now(&scene).await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (1)"]).await?;
    write(&scene, "s1", "", &at, &now(&scene).await?).await?;
    refused(&scene, 1, 51023, "nokey").await?;
    assert!(rows(&scene.target, "SELECT * FROM shop.nokey").await?.is_empty());
    Ok(())
}

/// Never begun from somewhere else in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_say_where_to_begin_stops_the_task() -> Result<()> {
    let mut scene = scene(Flavor::MariaDb, Flavor::MariaDb).await?;
    let at = now(&scene).await?;
    write(&scene, "other", "", &at, &at).await?;
    refused(&scene, 1, 51024, "is of source other").await?;
    scene.target.run(&["DELETE FROM dm_meta.t1_syncer_checkpoint"]).await?;
    write(&scene, "s1", "t", &at, &nowhere()).await?;
    refused(&scene, 2, 51024, "no global position").await?;
    scene
        .target
        .run(&[
            "DELETE FROM dm_meta.t1_syncer_checkpoint",
            "CREATE TABLE dm_meta.t1_lightning_checkpoint_list (task_name VARCHAR(255), source_name VARCHAR(255), \
             status VARCHAR(10) DEFAULT 'init', PRIMARY KEY (task_name, source_name))",
            "INSERT INTO dm_meta.t1_lightning_checkpoint_list VALUES ('t1', 's1', 'running')",
        ])
        .await?;
    scene.load_first();
    refused(&scene, 3, 51024, "has not begun to sync").await
}

/// The row that DM would go on from, and what happens when it has: we go on from there, and nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn there_and_back_again() -> Result<()> {
    for (source, target, gtid, by_gtid) in [
        (Flavor::MySql, Flavor::MariaDb, true, true),
        (Flavor::MariaDb, Flavor::MySql, true, true),
        (Flavor::MySql, Flavor::MySql, false, false),
        // DM counts positions of a source that we follow by GTID.
        (Flavor::MySql, Flavor::MariaDb, true, false),
    ] {
        let mut scene = Scene::start(source, target, gtid).await?;
        scene.source_lines = if by_gtid { "enable-gtid: true\n" } else { "" };
        let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
        scene.source.run(TABLES).await?;
        scene
            .source
            .run(&["INSERT INTO shop.nokey VALUES (1), (1)", "INSERT INTO shop.t VALUES (1, 1, 'a')"])
            .await?;
        equal(&scene).await?;
        scene.pause(&leader).await?;
        let (file, pos, gtids) = now(&scene).await?;
        let gtids = if gtid { gtids } else { String::new() };
        let columns = "id, cp_schema, cp_table, binlog_name, CAST(binlog_pos AS CHAR), binlog_gtid, exit_safe_binlog_name, \
                       CAST(exit_safe_binlog_pos AS CHAR), exit_safe_binlog_gtid, CAST(table_info AS CHAR), CAST(is_global AS CHAR)";
        let row = rows(&scene.target, &format!("SELECT {columns} FROM dm_meta.t1_syncer_checkpoint")).await?;
        let gtids_text = gtids.replace('\n', "");
        assert_eq!(
            row,
            [format!(
                "'s1', '', '', '{file}', '{pos}', '{gtids_text}', '{file}', '{pos}', '{gtids_text}', 'null', '1'"
            )]
        );
        // DM goes on, and stops.
        let by_dm = &["INSERT INTO shop.nokey VALUES (2)", "UPDATE shop.t SET v = 'by DM'"];
        scene.source.run(by_dm).await?;
        scene.target.run(by_dm).await?;
        let mut at = now(&scene).await?;
        if !by_gtid {
            at.2 = String::new();
        }
        write(&scene, "s1", "", &at, &at).await?;
        scene.source.run(&["INSERT INTO shop.nokey VALUES (2), (3)"]).await?;
        scene.start_anew(&leader, 2, |_| {}).await?;
        leader.until_stage(Stage::Running).await?;
        equal(&scene).await?;
        // The same through a crash.
        scene.worker().kill9()?;
        scene.source.run(&["INSERT INTO shop.nokey VALUES (4)"]).await?;
        scene.start_worker()?;
        let _leader = scene.sync(3, 3, MetaStage::MetaCreated).await?;
        equal(&scene).await?;
    }
    Ok(())
}

/// `--remove-meta`: where the former life has stopped is forgotten, what it has written stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_life_is_forgotten() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MariaDb, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(TABLES).await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (1), (1)"]).await?;
    equal(&scene).await?;
    scene.pause(&leader).await?;
    // Missed by both lives.
    scene.source.run(&["INSERT INTO shop.nokey VALUES (9)"]).await?;
    scene.target.run(&["INSERT INTO shop.nokey VALUES (9)"]).await?;
    scene.mark_start().await?;
    scene.source.run(&["INSERT INTO shop.nokey VALUES (2)"]).await?;
    scene.start_anew(&leader, 2, |s| s.remove_meta = true).await?;
    leader.until_stage(Stage::Running).await?;
    equal(&scene).await?;
    // A load does not double what the former life has copied.
    scene.load_first();
    scene.start_anew(&leader, 3, |s| s.remove_meta = true).await?;
    let seen = leader.until("it is refused", DEADLINE, |s| !s.errors.is_empty()).await?;
    assert!(format!("{seen:?}").contains("nokey` has rows at the target and no key"), "{seen:?}");
    same(&scene, "SELECT * FROM shop.nokey", "SELECT * FROM shop.nokey").await
}

/// From positions to GTIDs and back, without a load and without a row twice: a new start where it was paused.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_changes_to_gtids_by_a_new_start() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, false).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(TABLES).await?;
    for (epoch, mode, kind) in [(2, 1, "mariadb="), (3, 0, "position=")] {
        scene.source.run(&["INSERT INTO shop.nokey VALUES (1), (1)"]).await?;
        equal(&scene).await?;
        scene.pause(&leader).await?;
        let report = leader.until("it tells the position", DEADLINE, |s| s.sync.is_some()).await?;
        let applied = report.sync.map(|s| s.applied_binlog).unwrap_or_default();
        scene.start_at(&applied)?;
        scene
            .source
            .run(&[&format!("SET GLOBAL gtid_strict_mode = {mode}"), "INSERT INTO shop.nokey VALUES (2)"])
            .await?;
        scene.start_anew(&leader, epoch, |s| s.remove_meta = true).await?;
        leader.until_stage(Stage::Running).await?;
        equal(&scene).await?;
        let executed = rows(&scene.target, "SELECT executed FROM dm_meta.t1_checkpoint").await?;
        assert!(executed[0].starts_with(&format!("'{kind}")), "{executed:?}");
    }
    Ok(())
}
