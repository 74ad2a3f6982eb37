use std::sync::atomic::{AtomicU64, Ordering};

use dm_binlog::{Decoder, Event, Flavor};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn room(limit: u64, memory: u64) -> (tempfile::TempDir, Arc<AtomicU64>, Arc<SpoolRoom>) {
    let dir = tempfile::tempdir().unwrap();
    let total = Arc::<AtomicU64>::default();
    let room = SpoolRoom::new(dir.path().to_owned(), limit, memory, Arc::clone(&total), Arc::default());
    (dir, total, Arc::new(room))
}

fn table(id: u8) -> Arc<TableMap> {
    let mut event = vec![0; 19];
    event[4] = dm_binlog::type_code::TABLE_MAP;
    event.extend_from_slice(&[id, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b'a' + id, 0, 1, 3, 0, 1]);
    let size = (event.len() as u32).to_le_bytes();
    event[9..13].copy_from_slice(&size);
    match Decoder::new(Flavor::MySql).decode(&event).unwrap().1 {
        Event::TableMap(map) => map,
        other => panic!("{other:?}"),
    }
}

fn all(spool: &Spool) -> Vec<String> {
    let mut reader = spool.read().unwrap();
    let mut out = Vec::new();
    while let Some(held) = reader.advance().unwrap() {
        out.push(text(&held));
    }
    out
}

fn text(held: &Held) -> String {
    match held {
        Held::Event(raw) => format!("{} of {:?}", raw.len(), raw.first()),
        Held::Passed(p) => format!("{:?} {} {:?} {}", p.kind, p.rows, p.table.table, p.ends_statement),
    }
}

/// Whatever happens, it is what a list would be, in memory and on disk.
#[test]
fn a_spool_is_a_list_that_can_go_back() {
    let tables = [table(0), table(1)];
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let memory = [0, 2_000, 400_000, 1 << 40][seed as usize % 4];
        let (dir, total, room) = room(1 << 40, memory);
        let (mut spool, mut list, mut marks) = (Spool::default(), Vec::new(), Vec::new());
        for step in 0..300 {
            match random.random_range(0..20) {
                0 => marks.push((spool.mark(), list.len())),
                1 if !marks.is_empty() => {
                    let at = random.random_range(0..marks.len());
                    marks.truncate(at + 1);
                    let (mark, len) = marks[at];
                    spool.go_back(mark).unwrap();
                    list.truncate(len);
                }
                n => {
                    let held = if n < 8 {
                        Held::Passed(Passed {
                            kind: [RowsKind::Write, RowsKind::Update, RowsKind::Delete][n as usize % 3],
                            rows: random.random(),
                            table: Arc::clone(&tables[n as usize % 2]),
                            ends_statement: random.random(),
                        })
                    } else {
                        let len = random.random_range(1..if n == 19 { 700_000 } else { 3_000 });
                        Held::Event(vec![step as u8; len].into())
                    };
                    list.push(text(&held));
                    spool.push(held, &room).unwrap();
                }
            }
            assert_eq!(spool.len(), list.len());
        }
        if seed % 3 == 0 {
            spool.spill(&room).unwrap();
        }
        spool.seal().unwrap();
        assert_eq!(all(&spool), list, "seed {seed}");
        assert_eq!(all(&spool), list, "a second time");
        assert_eq!(total.load(Ordering::Relaxed) > 0, spool.file.is_some());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has a name");
        drop(spool);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn memory_and_disk_have_bounds() {
    let (_dir, total, room) = room(3 << 20, 1 << 20);
    let mut spool = Spool::default();
    let mut failed = None;
    for _ in 0..600 {
        if let Err(failure) = spool.push(Held::Event(vec![7; 8 << 10].into()), &room) {
            failed = Some(failure);
            break;
        }
        let held: usize = spool.memory.len() * (8 << 10);
        assert!(held <= 1 << 20 && spool.file.as_ref().is_none_or(|f| f.buffer.capacity() <= 600 << 10));
    }
    let failure = failed.unwrap();
    assert!(failure.error.is(dm_proto::error::Code::SpoolFull), "{failure}");
    assert!(failure.to_string().contains("3 MiB are allowed"), "{failure}");
    assert!(total.load(Ordering::Relaxed) <= 3 << 20);
    drop(spool);
    // Another transaction has the whole room again.
    let mut spool = Spool::default();
    for _ in 0..200 {
        spool.push(Held::Event(vec![7; 8 << 10].into()), &room).unwrap();
    }
}

#[test]
fn a_folder_that_is_gone_is_told() {
    let (dir, _, room) = room(1 << 40, 0);
    drop(dir);
    let failure = Spool::default().push(Held::Event(vec![0; 1 << 20].into()), &room).unwrap_err();
    assert!(failure.error.is(dm_proto::error::Code::SpoolFull), "{failure}");
}
