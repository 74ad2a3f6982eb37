//! Schema changes as gh-ost and pt-online-schema-change make them: statement by statement what the tools execute.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use dm_proto::worker::MetaStage;
use dm_tests::{Database, Flavor, compare_databases};
use mysql_async::prelude::Queryable;
use tokio::task::JoinHandle;

use crate::scene::{Scene, rows};

/// Tables of the schema `shop`.
const TABLES: &str = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop'";

/// Columns and keys, as far as both servers tell them alike.
const SHAPE: &str = "SELECT COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY FROM \
     information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 't'";

/// Both ends have the same, and nothing of the tools is at the target.
pub async fn all_same(scene: &Scene) -> Result<()> {
    scene.caught_up().await?;
    let diff = compare_databases(&scene.source, &scene.target, &["shop"]).await?;
    assert!(diff.only_in_target.is_empty() && diff.tables.is_empty(), "{diff}");
    assert!(diff.only_in_source.iter().all(|t| t.starts_with("shop._")), "{diff}");
    for table in rows(&scene.target, TABLES).await? {
        assert!(!table.starts_with("'_"), "{table}");
    }
    assert_eq!(rows(&scene.source, SHAPE).await?, rows(&scene.target, SHAPE).await?);
    Ok(())
}

/// The table that is changed.
pub const MAKE: [&str; 3] = [
    "CREATE DATABASE shop",
    "CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20), w INT)",
    "INSERT INTO shop.t (v, w) VALUES ('one', 1), ('two', 2), ('three', 3), ('four', 4)",
];

/// gh-ost up to the swap. The applied changes of the binlog are plain statements on the ghost.
pub async fn ghost_copies(source: &Database, alter: &[&str], columns: &str) -> Result<()> {
    source
        .run(&[
            "drop /* gh-ost */ table if exists `shop`.`_t_gho`",
            "drop /* gh-ost */ table if exists `shop`.`_t_del`",
            "drop /* gh-ost */ table if exists `shop`.`_t_ghc`",
            "create /* gh-ost */ table `shop`.`_t_ghc` (id bigint unsigned auto_increment, last_update timestamp not null \
             DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint varchar(64) charset ascii not null, value \
             varchar(4096) charset ascii not null, primary key(id), unique key hint_uidx(hint)) auto_increment=256",
            "create /* gh-ost */ table `shop`.`_t_gho` like `shop`.`t`",
        ])
        .await?;
    source.run(alter).await?;
    let copy = |ignore: &str, which: &str| {
        format!(
            "insert /* gh-ost `shop`.`t` */ {ignore} into `shop`.`_t_gho` ({columns}) (select {columns} from `shop`.`t` force \
             index (`PRIMARY`) where {which} lock in share mode)"
        )
    };
    source
        .run(&[
            "insert /* gh-ost */ into `shop`.`_t_ghc` (id, hint, value) values (NULLIF(1, 0), 'heartbeat', 'now') on duplicate \
             key update last_update=NOW(), value=VALUES(value)",
            &copy("ignore", "id <= 2"),
            // A change of the application, which gh-ost reads in the binlog and does on the ghost too.
            "update shop.t set v = 'changed' where id = 1",
            &copy("", "id = 1").replace("insert", "replace"),
            &copy("ignore", "id > 2"),
        ])
        .await
}

pub const GHOST_SENTRY: [&str; 2] = [
    "create /* gh-ost */ table `shop`.`_t_del` (id int auto_increment primary key) engine=InnoDB comment='ghost-cut-over-sentry'",
    "drop /* gh-ost */ table if exists `shop`.`_t_del`",
];
pub const GHOST_SWAP: &str =
    "rename /* gh-ost */ table `shop`.`t` to `shop`.`_t_del`, `shop`.`_t_gho` to `shop`.`t`";

pub async fn ghost_swaps(source: &Database) -> Result<()> {
    source.run(&GHOST_SENTRY).await?;
    source.run(&[GHOST_SWAP, "drop /* gh-ost */ table if exists `shop`.`_t_ghc`"]).await
}

async fn ghost(flavor: Flavor, gtid: bool) -> Result<()> {
    let scene = Scene::start(flavor, flavor, gtid).await?;
    let _leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    let alter = [
        "alter /* gh-ost */ table `shop`.`_t_gho` ADD COLUMN added INT NOT NULL DEFAULT 7 AFTER id, ADD INDEX (v), MODIFY w BIGINT",
        "alter /* gh-ost */ table `shop`.`_t_gho` AUTO_INCREMENT=5",
    ];
    ghost_copies(&scene.source, &alter, "id, v, w").await?;
    scene.caught_up().await?;
    // Nothing of it has reached the target's table yet.
    assert_eq!(rows(&scene.target, SHAPE).await?.len(), 3);
    ghost_swaps(&scene.source).await?;
    scene
        .source
        .run(&[
            "INSERT INTO shop.t (v, w, added) VALUES ('after', 5000000000, 8)",
            "UPDATE shop.t SET added = id",
        ])
        .await?;
    all_same(&scene).await?;
    // The next change, after the remains of the first; and one that is given up and tried again.
    scene.source.run(&["drop /* gh-ost */ table if exists `shop`.`_t_del`"]).await?;
    ghost_copies(
        &scene.source,
        &["alter /* gh-ost */ table `shop`.`_t_gho` ADD COLUMN wrong INT"],
        "id, v, w",
    )
    .await?;
    ghost_copies(&scene.source, &["alter /* gh-ost */ table `shop`.`_t_gho` DROP COLUMN added"], "id, v, w")
        .await?;
    ghost_swaps(&scene.source).await?;
    scene.source.run(&["DELETE FROM shop.t WHERE id = 2", "INSERT INTO shop.t (v) VALUES ('last')"]).await?;
    all_same(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_on_mysql() -> Result<()> {
    ghost(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_on_mariadb() -> Result<()> {
    ghost(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn ghost_by_position() -> Result<()> {
    ghost(Flavor::MySql, false).await
}

/// An application that writes all the time, and does not mind new columns.
pub fn writing(source: &Database, stop: &Arc<AtomicBool>) -> JoinHandle<Result<u32>> {
    let (stop, opts) = (Arc::clone(stop), source.opts());
    tokio::spawn(async move {
        let mut conn = mysql_async::Conn::new(opts).await?;
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) {
            for sql in [
                format!("INSERT INTO shop.t (v, w) VALUES ('w{n}', {n})"),
                format!("UPDATE shop.t SET w = w + 1 WHERE id % 5 = {}", n % 5),
                format!("DELETE FROM shop.t WHERE w > 20 AND id % 3 = {}", n % 3),
            ] {
                match conn.query_drop(sql).await {
                    // The triggers lock in another order than the copy.
                    Err(mysql_async::Error::Server(e)) if matches!(e.code, 1213 | 1205) => {}
                    done => done?,
                }
            }
            n += 1;
        }
        conn.disconnect().await?;
        Ok(n)
    })
}

/// pt-online-schema-change with its triggers, while an application writes.
async fn percona(flavor: Flavor) -> Result<()> {
    let scene = Scene::start(flavor, flavor, true).await?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = writing(&scene.source, &stop);
    let source = &scene.source;
    source
        .run(&[
            "CREATE TABLE `shop`.`_t_new` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `v` varchar(20) DEFAULT NULL,\n  `w` int \
             DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB",
            "ALTER TABLE `shop`.`_t_new` ADD COLUMN added INT NOT NULL DEFAULT 7, ADD KEY by_w (w)",
            "CREATE TRIGGER `shop`.`pt_osc_shop_t_del` AFTER DELETE ON `shop`.`t` FOR EACH ROW DELETE IGNORE FROM \
             `shop`.`_t_new` WHERE `shop`.`_t_new`.`id` <=> OLD.`id`",
            "CREATE TRIGGER `shop`.`pt_osc_shop_t_upd` AFTER UPDATE ON `shop`.`t` FOR EACH ROW BEGIN DELETE IGNORE FROM \
             `shop`.`_t_new` WHERE !(OLD.`id` <=> NEW.`id`) AND `shop`.`_t_new`.`id` <=> OLD.`id`; REPLACE INTO \
             `shop`.`_t_new` (`id`, `v`, `w`) VALUES (NEW.`id`, NEW.`v`, NEW.`w`); END",
            "CREATE TRIGGER `shop`.`pt_osc_shop_t_ins` AFTER INSERT ON `shop`.`t` FOR EACH ROW REPLACE INTO \
             `shop`.`_t_new` (`id`, `v`, `w`) VALUES (NEW.`id`, NEW.`v`, NEW.`w`)",
            "INSERT LOW_PRIORITY IGNORE INTO `shop`.`_t_new` (`id`, `v`, `w`) SELECT `id`, `v`, `w` FROM `shop`.`t` LOCK IN \
             SHARE MODE /*pt-online-schema-change 4711 copy table*/",
            "ANALYZE TABLE `shop`.`_t_new` /* pt-online-schema-change */",
            "RENAME TABLE `shop`.`t` TO `shop`.`_t_old`, `shop`.`_t_new` TO `shop`.`t`",
        ])
        .await?;
    leader
        .until("rows flow", Duration::from_secs(60), |s| s.sync.as_ref().is_some_and(|p| p.transactions > 20))
        .await?;
    source
        .run(&[
            "DROP TABLE IF EXISTS `shop`.`_t_old`",
            "DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_t_del`",
            "DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_t_upd`",
            "DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_t_ins`",
            "UPDATE shop.t SET added = id WHERE id < 3",
        ])
        .await?;
    stop.store(true, Ordering::Relaxed);
    assert!(tokio::time::timeout(Duration::from_secs(60), writer).await??? > 0);
    all_same(&scene).await
}

#[tokio::test(flavor = "multi_thread")]
async fn percona_on_mysql() -> Result<()> {
    percona(Flavor::MySql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn percona_on_mariadb() -> Result<()> {
    percona(Flavor::MariaDb).await
}

/// The worker dies at every step of the way: while the change is remembered, and around each of its statements.
async fn killed(flavor: Flavor, gtid: bool) -> Result<()> {
    let mut scene = Scene::start(flavor, flavor, gtid).await?;
    scene.worker().kill9()?;
    scene.holds = true;
    scene.start_worker()?;
    let leader = scene.sync(1, 1, MetaStage::MetaNone).await?;
    scene.source.run(&MAKE).await?;
    scene.caught_up().await?;
    drop(leader);
    let points = [
        "before_checkpoint",
        "after_checkpoint",
        "before_intent",
        "after_intent",
        "before_ddl",
        "after_statement",
        "after_done",
    ];
    let mut columns = "id, v, w".to_owned();
    for (round, point) in (0u64..).zip(points) {
        let alters = [
            format!(
                "alter /* gh-ost */ table `shop`.`_t_gho` ADD COLUMN a{round} INT NOT NULL DEFAULT {round}"
            ),
            format!(
                "alter /* gh-ost */ table `shop`.`_t_gho` ADD COLUMN b{round} INT, ADD INDEX i{round} (a{round})"
            ),
        ];
        let epoch = 10 * (round + 1);
        let early = point.ends_with("checkpoint");
        let leader = scene.sync(epoch, epoch, MetaStage::MetaCreated).await?;
        if early {
            scene.hold(point)?;
        }
        ghost_copies(&scene.source, &[&alters[0], &alters[1]], &columns).await?;
        if !early {
            scene.caught_up().await?;
            scene.hold(point)?;
        }
        ghost_swaps(&scene.source).await?;
        scene.kill_at(point).await?;
        drop(leader);
        scene
            .source
            .run(&[&format!("INSERT INTO shop.t (v, w, b{round}) VALUES ('{point}', {round}, 1)")])
            .await?;
        let _leader = scene.sync(epoch + 1, epoch + 1, MetaStage::MetaCreated).await?;
        all_same(&scene).await.with_context(|| point)?;
        columns.push_str(&format!(", a{round}, b{round}"));
    }
    assert_eq!(rows(&scene.target, SHAPE).await?.len(), 3 + 2 * points.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_killed_at_every_step() -> Result<()> {
    killed(Flavor::MySql, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_killed_at_every_step() -> Result<()> {
    killed(Flavor::MariaDb, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_by_position() -> Result<()> {
    killed(Flavor::MariaDb, false).await
}
