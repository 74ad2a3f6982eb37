//! What is missing or foreign stops the take-over; nothing is created silently.

use dm_target::{Attachment, TargetError, TargetSpec, create_meta, remove_meta};
use dm_tests::Flavor;
use mysql_async::prelude::Queryable as _;

use crate::lanes::start;
use crate::support::{gtid_mode, prepare, server, spec};

async fn meta_stages(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    let mut plain = spec(&db, "stages", 1, mode);
    assert!(matches!(create_meta(&plain).await, Err(TargetError::Misuse { .. })));
    // Nothing there: stage CREATED says it must be.
    let error = Attachment::take_over(plain.clone()).await.unwrap_err();
    assert!(matches!(error, TargetError::MetaMissing { .. }), "{error:?}");
    prepare(&db, "stages", mode).await;
    // Creating again changes nothing.
    let mut creating = plain.clone();
    creating.may_create = true;
    create_meta(&creating).await.unwrap();

    let (attachment, _) = Attachment::take_over(plain.clone()).await.unwrap();
    attachment.begin(start(&plain)).await.unwrap();
    attachment.close().await.unwrap();

    // Another cluster.
    let mut foreign = plain.clone();
    foreign.cluster_id = "cluster-b".to_owned();
    foreign.epoch = 9;
    let expected = TargetError::Foreign { found: "cluster-a".to_owned(), ours: "cluster-b".to_owned() };
    assert_eq!(Attachment::take_over(foreign.clone()).await.unwrap_err(), expected);
    foreign.may_create = true;
    assert_eq!(create_meta(&foreign).await.unwrap_err(), expected);
    foreign.adopt = true;
    create_meta(&foreign).await.unwrap();
    let (attachment, resume) = Attachment::take_over(foreign.clone()).await.unwrap();
    assert_eq!(resume.checkpoint.unwrap().source_identity, "synthetic");
    attachment.close().await.unwrap();
    plain.epoch = 10;
    assert!(matches!(Attachment::take_over(plain).await, Err(TargetError::Foreign { .. })));

    // A deleted lane row would take its done with it.
    foreign.epoch = 11;
    let mut conn = db.conn().await.unwrap();
    for (sql, missing) in [
        ("DELETE FROM dm_meta.stages_lane WHERE lane = 2", "lane 2"),
        ("DELETE FROM dm_meta.stages_lane WHERE lane = -1", "lane -1"),
        ("DROP TABLE dm_meta.stages_ddl", "stages_ddl"),
    ] {
        conn.query_drop(sql).await.unwrap();
        match Attachment::take_over(foreign.clone()).await {
            Err(TargetError::MetaMissing { what }) => assert!(what.contains(missing), "{what}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_foreign_meta_stops_on_mariadb() {
    meta_stages(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_foreign_meta_stops_on_mysql() {
    meta_stages(Flavor::MySql).await;
}

/// What a former life left is gone, also DM's; whoever still writes for it is refused, and a late removal removes nothing.
async fn removal(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "gone", mode).await;
    let first = spec(&db, "gone", 5, mode);
    let (zombie, _) = Attachment::take_over(first.clone()).await.unwrap();
    zombie.begin(start(&first)).await.unwrap();
    let mut conn = db.conn().await.unwrap();
    let rows = "INSERT INTO dm_meta.gone_syncer_checkpoint (id, cp_schema, cp_table, table_info) VALUES \
                ('source-1', '', '', 'null'), ('source-2', '', '', 'null')";
    conn.query_drop(rows).await.unwrap();
    let mut second = spec(&db, "gone", 6, mode);
    assert!(matches!(remove_meta(&second).await, Err(TargetError::Misuse { .. })), "not in stage CREATED");
    second.may_create = true;
    for _ in 0..2 {
        create_meta(&second).await.unwrap();
        remove_meta(&second).await.unwrap();
    }
    let left: Vec<String> = conn.query("SELECT id FROM dm_meta.gone_syncer_checkpoint").await.unwrap();
    assert_eq!(left, ["source-2"], "other sources' progress stays");
    // The former life writes nothing more.
    let refused = zombie.checkpoint(dm_target::CheckpointUpdate {
        source_identity: Some("late".to_owned()),
        ..Default::default()
    });
    let error = refused.await.unwrap_err();
    assert!(matches!(error, TargetError::Fenced { .. } | TargetError::Refused1242 { .. }), "{error:?}");
    // Nor does it remove what the new one has.
    let (attachment, resume) = Attachment::take_over(second.clone()).await.unwrap();
    assert!(resume.checkpoint.is_none() && resume.generation == 0);
    attachment.begin(start(&second)).await.unwrap();
    let late = TargetSpec { may_create: true, ..first };
    assert!(matches!(remove_meta(&late).await, Err(TargetError::Fenced { epoch_found: 6, .. })));
    let mut foreign = TargetSpec { cluster_id: "cluster-b".to_owned(), epoch: 9, ..late };
    assert!(matches!(remove_meta(&foreign).await, Err(TargetError::Foreign { .. })));
    attachment.checkpoint(dm_target::CheckpointUpdate::default()).await.unwrap();
    attachment.close().await.unwrap();
    foreign.adopt = true;
    remove_meta(&foreign).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_life_is_removed_on_mariadb() {
    removal(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_life_is_removed_on_mysql() {
    removal(Flavor::MySql).await;
}
