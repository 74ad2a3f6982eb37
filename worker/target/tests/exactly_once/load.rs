//! Records of the full load.

use dm_target::{
    Attachment, Batch, ChunkMark, DdlClass, DdlStep, LOAD_STREAM, LoadChunk, MAIN_STREAM, TargetError,
};
use dm_tests::Flavor;

use crate::history::History;
use crate::lanes::start;
use crate::support::{gtid_mode, prepare, read, server, spec};

fn piece(chunk: u64, piece: u32, last: bool) -> Batch {
    let mut batch = Batch::new();
    let id = chunk * 10 + u64::from(piece);
    batch.push_statement(
        format!("INSERT INTO loading.log (id) VALUES ({id}), ({})", id + 1000).as_bytes(),
        Some(2),
        true,
    );
    batch.chunk = Some(ChunkMark { chunk, piece, last, rows: 2 });
    batch
}

fn chunks() -> Vec<LoadChunk> {
    (1..=5)
        .map(|id| LoadChunk {
            id,
            schema: "a".to_owned(),
            table: "log".to_owned(),
            bounds: vec![0, 255, id as u8],
        })
        .collect()
}

async fn load(flavor: Flavor) {
    let db = server(flavor).await;
    let mode = gtid_mode(flavor);
    prepare(&db, "loading", mode).await;
    let mut spec = spec(&db, "loading", 1, mode);
    spec.stream = LOAD_STREAM;
    let (attachment, resume) = Attachment::take_over(spec.clone()).await.unwrap();
    assert!(resume.load.is_none());
    attachment.plan_load(&chunks(), b"snapshot \x00 note").await.unwrap();
    for chunk in 1..=3 {
        attachment.submit(piece(chunk, 0, false)).await.unwrap();
        attachment.submit(piece(chunk, 1, true)).await.unwrap();
    }
    attachment.drain().await.unwrap();
    // Not all chunks are there: the main stream can't start.
    let error = attachment.finish_load(start(&spec)).await.unwrap_err();
    assert!(matches!(error, TargetError::Sql { code: 1242, .. }), "{error:?}");
    drop(attachment);

    // A second owner sees what is there, and starts over.
    spec.epoch = 2;
    let (attachment, resume) = Attachment::take_over(spec.clone()).await.unwrap();
    let found = resume.load.unwrap();
    assert!(found.planned && !found.finished && found.note == b"snapshot \x00 note");
    assert_eq!(found.chunks.iter().map(|c| c.chunk.clone()).collect::<Vec<_>>(), chunks());
    assert_eq!(
        found.chunks.iter().map(|c| (c.pieces, c.rows, c.done)).collect::<Vec<_>>()[2..4],
        [(2, 4, true), (0, 0, false)]
    );
    attachment.empty_table("loading", "log").await.unwrap();
    attachment
        .ddl(DdlStep {
            txn: None,
            ordinal: 0,
            last: false,
            sql: b"CREATE TABLE IF NOT EXISTS loading.made1 (id INT PRIMARY KEY)".to_vec(),
            class: DdlClass::Repeatable,
            objects: Vec::new(),
            session: vec!["USE loading".to_owned()],
            beside: false,
        })
        .await
        .unwrap();
    attachment.plan_load(&chunks(), b"second").await.unwrap();
    for chunk in 1..=5 {
        attachment.submit(piece(chunk, 0, true)).await.unwrap();
    }
    let mut point = start(&spec);
    point.executed.insert(&History::txn(mode, 1, 1)).unwrap();
    let generation = attachment.finish_load(point).await.unwrap();
    assert!(matches!(attachment.submit(piece(5, 1, true)).await, Err(TargetError::Misuse { .. })));
    attachment.close().await.unwrap();

    spec.stream = MAIN_STREAM;
    let (attachment, resume) = Attachment::take_over(spec).await.unwrap();
    assert_eq!(resume.generation, generation);
    assert!(resume.load.unwrap().finished);
    assert!(resume.executed.contains(&History::txn(mode, generation, 1)));
    assert!(!resume.executed.contains(&History::txn(mode, generation, 2)));
    assert!(resume.undecided_ddl.is_none() && resume.done_ddl.is_empty());
    attachment.close().await.unwrap();
    assert_eq!(read(&db, "loading").await.log, [10, 20, 30, 40, 50, 1010, 1020, 1030, 1040, 1050]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_load_starts_over_and_finishes_on_mariadb() {
    load(Flavor::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_load_starts_over_and_finishes_on_mysql() {
    load(Flavor::MySql).await;
}
