//! What only looks like an online schema change, or is one that can't be followed: the task stops, and says what to do.
use anyhow::{Context, Result};
use dm_proto::worker::{
    CheckRequest, ErrorOperator, MetaStage, OperatorKind, ProcessError, Stage, StopPoint,
};
use dm_tests::Flavor;

use crate::{
    leader::{Leader, check},
    online_ddl::{GHOST_SENTRY, GHOST_SWAP, MAKE, all_same, ghost_copies, ghost_swaps},
    scene::{CAUGHT_UP, Scene, rows, same},
};

const ALTER: [&str; 1] = ["alter /* gh-ost */ table `shop`.`_t_gho` ADD COLUMN added INT"];
const COLUMNS: &str = "id, v, w";

async fn stopped(leader: &Leader) -> Result<(ProcessError, StopPoint)> {
    let report =
        leader.until("a stop", CAUGHT_UP, |s| s.stage() == Stage::Paused && s.stopped_at.is_some()).await?;
    let error = report.errors[0].clone();
    assert_eq!(error.code, 36067, "{error:?}");
    for wanted in ["dmctl binlog skip t1 --binlog-pos", "dmctl binlog replace t1 --binlog-pos"] {
        assert!(error.workaround.contains(wanted), "{error:?}");
    }
    assert!(error.message.contains("endLocation: [position: ("), "{error:?}");
    Ok((error, report.stopped_at.context("no place")?))
}

async fn operate(leader: &Leader, kind: OperatorKind, at: StopPoint, sqls: &[&str]) -> Result<()> {
    let operator = ErrorOperator {
        id: at.pos,
        kind: kind.into(),
        file: at.file,
        pos: at.pos,
        gtid: at.gtid,
        sqls: sqls.iter().map(|s| (*s).to_owned()).collect(),
    };
    leader
        .change(|s| {
            s.operators = vec![operator];
            s.resume_serial += 1;
        })
        .await
}

async fn begun(flavor: Flavor) -> Result<(Scene, Leader)> {
    let scene = Scene::start(flavor, flavor, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    scene.caught_up().await?;
    Ok((scene, leader))
}

/// A person swaps by hand: first one name, then the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_renames_of_a_person_are_no_swap() -> Result<()> {
    let (scene, leader) = begun(Flavor::MySql).await?;
    ghost_copies(&scene.source, &ALTER, COLUMNS).await?;
    scene.source.run(&["RENAME TABLE shop.t TO shop._t_del"]).await?;
    let (error, at) = stopped(&leader).await?;
    assert!(error.message.contains("[RENAME TABLE shop.t TO shop._t_del]"), "{error:?}");
    assert!(error.workaround.contains("online-ddl: false"), "{error:?}");
    operate(&leader, OperatorKind::OperatorSkip, at, &[]).await?;
    scene
        .source
        .run(&["RENAME TABLE shop._t_gho TO shop.t", "INSERT INTO shop.t (added) VALUES (3)"])
        .await?;
    let report = leader
        .until("the second stop", CAUGHT_UP, |s| {
            s.errors.iter().any(|e| e.message.contains("RENAME TABLE shop._t_gho TO shop.t"))
        })
        .await?;
    // What the table lacks is there to be copied.
    assert!(report.errors[0].workaround.contains("ADD COLUMN added INT"), "{report:?}");
    let at = report.stopped_at.context("no place")?;
    operate(&leader, OperatorKind::OperatorReplace, at, &["ALTER TABLE shop.t ADD COLUMN added INT"]).await?;
    all_same(&scene).await
}

/// Nobody altered it: an empty table takes the place of a full one.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_emptied_by_names_is_no_schema_change() -> Result<()> {
    let (scene, leader) = begun(Flavor::MariaDb).await?;
    scene
        .source
        .run(&[
            "CREATE TABLE shop._t_new LIKE shop.t",
            "RENAME TABLE shop.t TO shop._t_old, shop._t_new TO shop.t",
            "INSERT INTO shop.t (v) VALUES ('new')",
        ])
        .await?;
    let (error, at) = stopped(&leader).await?;
    assert!(error.message.contains("was not altered since it was made"), "{error:?}");
    assert_eq!(rows(&scene.target, "SELECT id FROM shop.t").await?.len(), 4);
    operate(&leader, OperatorKind::OperatorReplace, at, &["TRUNCATE TABLE shop.t"]).await?;
    all_same(&scene).await
}

/// The table is altered by hand while the tool works: the swap takes that back.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_swap_takes_back_stops_the_task() -> Result<()> {
    let (scene, leader) = begun(Flavor::MySql).await?;
    ghost_copies(&scene.source, &ALTER, COLUMNS).await?;
    scene.source.run(&["ALTER TABLE shop.t ADD COLUMN by_hand INT"]).await?;
    ghost_swaps(&scene.source).await?;
    let (error, at) = stopped(&leader).await?;
    assert!(error.message.contains("one of them was changed otherwise"), "{error:?}");
    let given = ["ALTER TABLE shop.t ADD COLUMN added INT, DROP COLUMN by_hand"];
    operate(&leader, OperatorKind::OperatorReplace, at, &given).await?;
    scene.source.run(&["INSERT INTO shop.t (added) VALUES (5)"]).await?;
    all_same(&scene).await
}

/// The tool had begun before the task: how it altered the table is not known.
async fn unseen(flavor: Flavor) -> Result<()> {
    let mut scene = Scene::start(flavor, flavor, true).await?;
    scene.load_first();
    scene.source.run(&MAKE).await?;
    ghost_copies(&scene.source, &ALTER, COLUMNS).await?;
    let request = CheckRequest {
        source_id: "s1".to_owned(),
        source_config: scene.source_config(),
        task_config: scene.task_config(),
    };
    let answer = check(&scene.address, request).await?;
    let item = answer.items.iter().find(|i| i.name == "online_ddl").context("no item")?;
    assert_eq!(item.state, "warning");
    assert!(item.message.contains("`shop`.`_t_gho`") && item.message.contains("`shop`.`_t_ghc`"), "{item:?}");
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.caught_up().await?;
    scene.source.run(&GHOST_SENTRY).await?;
    scene.source.run(&[GHOST_SWAP, "INSERT INTO shop.t (added) VALUES (3)"]).await?;
    let (error, at) = stopped(&leader).await?;
    assert!(error.message.contains("the task has not seen how `shop`.`_t_gho` was made"), "{error:?}");
    operate(&leader, OperatorKind::OperatorReplace, at, &["ALTER TABLE shop.t ADD COLUMN added INT"]).await?;
    all_same(&scene).await?;
    leader.change(|s| s.operators.clear()).await?;
    // Where the table is the same already, there is nothing to know.
    scene.pause(&leader).await?;
    scene.source.run(&["CREATE TABLE IF NOT EXISTS shop._t_gho LIKE shop.t"]).await?;
    scene
        .source
        .run(&["INSERT INTO shop._t_gho SELECT * FROM shop.t", "DROP TABLE shop._t_del", GHOST_SWAP])
        .await?;
    scene.source.run(&["INSERT INTO shop.t (added) VALUES (4)"]).await?;
    scene.resume(&leader).await?;
    all_same(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_began_before_the_task_on_mysql() -> Result<()> {
    unseen(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_began_before_the_task_on_mariadb() -> Result<()> {
    unseen(Flavor::MariaDb).await
}

/// Switched off, these are tables like any other; and where a shadow's table is routed, so are its changes.
#[tokio::test(flavor = "multi_thread")]
async fn rules_and_routes_are_obeyed() -> Result<()> {
    let mut scene = Scene::start(Flavor::MariaDb, Flavor::MariaDb, true).await?;
    scene.with_rules("", "online-ddl: false\n");
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    ghost_copies(&scene.source, &ALTER, COLUMNS).await?;
    ghost_swaps(&scene.source).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM shop.t").await?;
    same(&scene, "SELECT * FROM shop._t_del", "SELECT * FROM shop._t_del").await?;

    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene.with_rules(
        "    route-rules: [move]\n    block-allow-list: only\n",
        "routes:\n  move:\n    schema-pattern: shop\n    table-pattern: t\n    target-schema: archive\n    target-table: all_t\n\
         block-allow-list:\n  only:\n    do-tables:\n      - {db-name: shop, tbl-name: t}\n      - {db-name: marker, tbl-name: m}\n",
    );
    scene.target.run(&["CREATE DATABASE archive"]).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    ghost_copies(&scene.source, &ALTER, COLUMNS).await?;
    ghost_swaps(&scene.source).await?;
    scene.source.run(&["INSERT INTO shop.t (added) VALUES (3)"]).await?;
    scene.caught_up().await?;
    same(&scene, "SELECT * FROM shop.t", "SELECT * FROM archive.all_t").await
}

/// A table of an application that only has such a name: its rows are not left out unseen.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_like_a_shadows_stops_the_task() -> Result<()> {
    let (scene, leader) = begun(Flavor::MariaDb).await?;
    scene
        .source
        .run(&[
            "CREATE TABLE shop._orders_new (id INT PRIMARY KEY)",
            "INSERT INTO shop._orders_new VALUES (1)",
        ])
        .await?;
    let (error, at) = stopped(&leader).await?;
    assert!(error.message.contains("`shop`.`_orders_new` is made in place of `shop`.`orders`"), "{error:?}");
    assert!(error.workaround.contains("online-ddl: false"), "{error:?}");
    operate(&leader, OperatorKind::OperatorSkip, at, &[]).await?;
    all_same(&scene).await
}

/// Shards of one target table: the first swap alters it, the second meets what is there, as with a plain ALTER of each.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_shard_stops_as_with_a_plain_alter() -> Result<()> {
    let mut scene = Scene::start(Flavor::MySql, Flavor::MySql, true).await?;
    scene
        .source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.t_1 (id INT PRIMARY KEY)",
            "CREATE TABLE shop.t_2 (id INT PRIMARY KEY)",
        ])
        .await?;
    scene.target.run(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await?;
    scene.mark_start().await?;
    scene.with_rules(
        "    route-rules: [merge]\n",
        "routes:\n  merge:\n    schema-pattern: shop\n    table-pattern: t_*\n    target-schema: shop\n    target-table: t\n",
    );
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&["INSERT INTO shop.t_1 VALUES (1)", "INSERT INTO shop.t_2 VALUES (2)"]).await?;
    for n in [1, 2] {
        let statements = [
            format!("create /* gh-ost */ table `shop`.`_t_{n}_gho` like `shop`.`t_{n}`"),
            format!("alter /* gh-ost */ table `shop`.`_t_{n}_gho` ADD COLUMN added INT"),
            format!("insert ignore into `shop`.`_t_{n}_gho` (id) select id from `shop`.`t_{n}`"),
            format!(
                "rename /* gh-ost */ table `shop`.`t_{n}` to `shop`.`_t_{n}_del`, `shop`.`_t_{n}_gho` to `shop`.`t_{n}`"
            ),
            format!("INSERT INTO shop.t_{n} VALUES ({n}0, {n})"),
        ];
        scene.source.run(&statements.each_ref().map(String::as_str)).await?;
    }
    let report = leader
        .until("the second swap", CAUGHT_UP, |s| s.stage() == Stage::Paused && s.stopped_at.is_some())
        .await?;
    let error = &report.errors[0];
    assert!(format!("{error:?}").contains("Duplicate column name 'added'"), "{error:?}");
    let at = report.stopped_at.clone().context("no place")?;
    operate(&leader, OperatorKind::OperatorSkip, at, &[]).await?;
    scene.caught_up().await?;
    let both = "SELECT * FROM shop.t_1 UNION ALL SELECT * FROM shop.t_2";
    same(&scene, both, "SELECT * FROM shop.t").await
}
