//! Reconnecting, checksums, large rows, damaged events.

use dm_binlog::{ChecksumAlgorithm, DecodeErrorKind, Decoder, Event, GtidSet, RowsKind, Value, maria_flags};
use dm_replication::StartAt;
use dm_tests::{DatabaseOptions, Flavor};
use rand::{Rng as _, SeedableRng as _};

use crate::support::{Stream, config, executed, of, source};

#[tokio::test]
async fn goes_on_from_the_middle() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default()).await;
        let start = executed(&db).await;
        let mut sql =
            vec!["CREATE DATABASE m".to_owned(), "CREATE TABLE m.t (id INT PRIMARY KEY)".to_owned()];
        sql.extend((0..20).map(|i| format!("INSERT INTO m.t VALUES ({i})")));
        sql.push("CREATE TABLE m.done_1 (a INT)".to_owned());
        db.run(&sql.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        let mut stream = Stream::open(&db, StartAt::Gtid(start.clone())).await.unwrap();
        assert_eq!(stream.until("done_1").await.unwrap().len(), 20);
        assert_eq!(stream.gtids.len(), sql.len());
        let mut all = start.clone();
        for gtid in &stream.gtids {
            assert!(!all.contains(gtid));
            all.add(gtid);
        }
        assert_eq!(all, executed(&db).await);

        let mut middle = start;
        stream.gtids.iter().take(12).for_each(|g| middle.add(g));
        let middle = GtidSet::parse(of(flavor), &middle.to_string()).unwrap();
        let mut again = Stream::open(&db, StartAt::Gtid(middle)).await.unwrap();
        assert_eq!(again.until("done_1").await.unwrap().len(), 10);
        assert_eq!(again.gtids, stream.gtids[12..]);
    }
}

/// Row images of changed columns only, XA, statements outside transactions.
#[tokio::test]
async fn minimal_images_and_xa() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default().line("binlog-row-image=MINIMAL")).await;
        let start = executed(&db).await;
        db.run(&[
            "CREATE DATABASE x",
            "CREATE TABLE x.t (id INT PRIMARY KEY, a INT, b INT)",
            "INSERT INTO x.t VALUES (1, 2, 3)",
            "UPDATE x.t SET b = 4",
            "XA START 'g','b',7",
            "INSERT INTO x.t VALUES (2, 2, 2)",
            "XA END 'g','b',7",
            "XA PREPARE 'g','b',7",
            "XA COMMIT 'g','b',7",
            "CREATE TABLE x.done_1 (a INT)",
        ])
        .await
        .unwrap();
        let mut client =
            dm_replication::BinlogClient::connect(&config(&db, StartAt::Gtid(start))).await.unwrap();
        let mut decoder = Decoder::new(of(flavor));
        let (mut updates, mut prepared, mut flags) = (0, 0, Vec::new());
        loop {
            let bytes = client.next().await.unwrap();
            match decoder.decode(&bytes).unwrap().1 {
                Event::Rows(rows) if rows.kind == RowsKind::Update => {
                    let row = rows.rows(&[]).next().unwrap().unwrap();
                    assert_eq!(row.before.unwrap(), [Some(Value::Int(1)), None, None]);
                    assert_eq!(row.after.unwrap(), [None, None, Some(Value::Int(4))]);
                    assert!(rows.ends_statement());
                    updates += 1;
                }
                Event::XaPrepare(xa) => {
                    assert_eq!(
                        (xa.one_phase, xa.format_id, xa.gtrid, xa.bqual),
                        (false, 7, &b"g"[..], &b"b"[..])
                    );
                    prepared += 1;
                }
                Event::MariaGtid(g) => {
                    if let Some(xid) = &g.xid {
                        assert_eq!((xid.format_id, &*xid.gtrid, &*xid.bqual), (7, &b"g"[..], &b"b"[..]));
                    }
                    flags.push(g.flags & !(maria_flags::WAITED | maria_flags::GROUP_COMMIT_ID));
                }
                Event::Query(q) if q.query.ends_with(b"done_1 (a INT)") => {
                    assert_eq!(q.vars.unknown, None, "{q:?}");
                    assert!(q.vars.sql_mode.is_some() && q.vars.charset_client.is_some());
                    break;
                }
                _ => {}
            }
        }
        assert_eq!((updates, prepared), (1, 1));
        if flavor == Flavor::MariaDb {
            use maria_flags as f;
            let ddl = f::STANDALONE | f::DDL | f::ALLOW_PARALLEL;
            assert_eq!(flags.first(), Some(&ddl), "{flags:?}");
            assert_eq!(flags.iter().filter(|x| **x & f::PREPARED_XA != 0).count(), 1, "{flags:?}");
            assert_eq!(flags.iter().filter(|x| **x & f::COMPLETED_XA != 0).count(), 1, "{flags:?}");
        }
    }
}

#[tokio::test]
async fn tagged_gtids_of_mysql() {
    let db = source(Flavor::MySql, DatabaseOptions::default()).await;
    let start = executed(&db).await;
    db.run(&[
        "CREATE DATABASE g",
        "CREATE TABLE g.t (id INT PRIMARY KEY)",
        "SET gtid_next='AUTOMATIC:tag_one'",
        "INSERT INTO g.t VALUES (1)",
        "INSERT INTO g.t VALUES (2)",
        "SET gtid_next='AUTOMATIC'",
        "FLUSH BINARY LOGS",
        "INSERT INTO g.t VALUES (3)",
        "CREATE TABLE g.done_1 (a INT)",
    ])
    .await
    .unwrap();
    let mut stream = Stream::open(&db, StartAt::Gtid(start.clone())).await.unwrap();
    assert_eq!(stream.until("done_1").await.unwrap().len(), 3);
    let mut all = start.clone();
    stream.gtids.iter().for_each(|g| all.add(g));
    assert_eq!(all, executed(&db).await);
    assert!(all.to_string().contains(":tag_one:1-2"), "{all}");
    // The set with tags on the way back to the server, and the list at a file's start.
    let mut middle = start;
    stream.gtids.iter().take(3).for_each(|g| middle.add(g));
    let mut again = Stream::open(&db, StartAt::Gtid(middle)).await.unwrap();
    assert_eq!(again.until("done_1").await.unwrap().len(), 2);
    assert_eq!(again.gtids, stream.gtids[3..]);
}

#[tokio::test]
async fn checksums_on_off_and_changed_on_the_way() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default().line("binlog-checksum=NONE")).await;
        let start = executed(&db).await;
        db.run(&[
            "CREATE DATABASE k",
            "CREATE TABLE k.t (id INT PRIMARY KEY)",
            "INSERT INTO k.t VALUES (1)",
            "SET GLOBAL binlog_checksum='CRC32'",
            "INSERT INTO k.t VALUES (2)",
            "SET GLOBAL binlog_checksum='NONE'",
            "INSERT INTO k.t VALUES (3)",
            "CREATE TABLE k.done_1 (a INT)",
        ])
        .await
        .unwrap();
        let mut stream = Stream::open(&db, StartAt::Gtid(start)).await.unwrap();
        assert_eq!(stream.until("done_1").await.unwrap().len(), 3);
        assert!(stream.checksums.contains(&ChecksumAlgorithm::None), "{:?}", stream.checksums);
        assert!(stream.checksums.contains(&ChecksumAlgorithm::Crc32), "{:?}", stream.checksums);
    }
}

#[tokio::test]
async fn rows_beyond_one_packet() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default()).await;
        let start = executed(&db).await;
        db.run(&[
            "CREATE DATABASE big",
            "CREATE TABLE big.t (id INT PRIMARY KEY, b LONGBLOB)",
            "INSERT INTO big.t VALUES (1, REPEAT('0123456789', 2000000))",
            "INSERT INTO big.t VALUES (2, REPEAT('x', 16777215))",
            "CREATE TABLE big.done_1 (a INT)",
        ])
        .await
        .unwrap();
        let mut stream = Stream::open(&db, StartAt::Gtid(start)).await.unwrap();
        let changes = stream.until("done_1").await.unwrap();
        let value = |i: usize| changes[i].after.as_ref().unwrap()[1].clone().unwrap();
        assert!(value(0) == b"0123456789".repeat(2_000_000));
        assert!(value(1) == vec![b'x'; 16_777_215]);
    }
}

/// Real events, damaged: an error or a value, never a panic; with checksums on, always an error.
#[tokio::test]
async fn damaged_events() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default().line("binlog-row-metadata=FULL")).await;
        let start = executed(&db).await;
        let json = if flavor == Flavor::MySql { "JSON" } else { "LONGTEXT" };
        let table = format!(
            "CREATE TABLE z.t (id INT PRIMARY KEY, a DECIMAL(30,10), b TIME(3), c DATETIME(6), d VARCHAR(300), \
             e ENUM('x','y'), f SET('p','q'), g BIT(9), h MEDIUMINT UNSIGNED, j {json}, k DOUBLE, l BLOB)"
        );
        db.run(&[
            "CREATE DATABASE z",
            &table,
            "INSERT INTO z.t VALUES (1, -1.5, '-01:02:03.4', NOW(6), REPEAT('d', 299), 'x', 'p,q', 5, 7, \
             '{\"a\": [1, {\"b\": \"c\"}, 2.5]}', 1.5, 'blob')",
            "UPDATE z.t SET h = 8, a = NULL",
            "DELETE FROM z.t",
            "FLUSH BINARY LOGS",
            "CREATE TABLE z.done_1 (a INT)",
        ])
        .await
        .unwrap();
        let mut stream = Stream::open(&db, StartAt::Gtid(start)).await.unwrap();
        stream.until("done_1").await.unwrap();
        let format = stream.raw.iter().find(|e| e[4] == 15).unwrap().clone();
        // With checksums on: every single flipped bit is found.
        let mut rng = rand::rngs::StdRng::seed_from_u64(20_26);
        for event in stream.raw.iter().filter(|e| e[4] != 15 && e[13..17] != [0; 4] && e.len() < 4096) {
            let mut decoder = Decoder::new(of(flavor));
            decoder.decode(&format).unwrap();
            let mut damaged = event.to_vec();
            let at = rng.random_range(0..damaged.len());
            damaged[at] ^= 1 << rng.random_range(0..8);
            let e = decoder.decode(&damaged).unwrap_err();
            // The size is looked at before the checksum; a type may turn into the one that brings its own.
            let other = at == 4 || (9..13).contains(&at);
            assert!(other || matches!(e.kind, DecodeErrorKind::Checksum { .. }), "byte {at}: {e}");
        }
        // With checksums repaired after the damage: whatever comes out, nothing panics or hangs.
        for round in 0..30_000u32 {
            let mut decoder = Decoder::new(of(flavor));
            decoder.decode(&format).unwrap();
            let chosen = rng.random_range(0..stream.raw.len());
            for (i, event) in stream.raw.iter().enumerate().skip(chosen.saturating_sub(3)).take(4) {
                let mut bytes = event.to_vec();
                if i == chosen && bytes.len() > 23 {
                    for _ in 0..rng.random_range(1..4) {
                        let at = rng.random_range(19..bytes.len() - 4);
                        bytes[at] = if round % 2 == 0 {
                            rng.random()
                        } else {
                            bytes[at] ^ (1 << rng.random_range(0..8))
                        };
                    }
                    if rng.random_bool(0.2) {
                        bytes.truncate(rng.random_range(19..bytes.len()));
                    }
                    let len = (bytes.len() as u32).to_le_bytes();
                    bytes[9..13].copy_from_slice(&len);
                    if bytes.len() >= 23 {
                        let end = bytes.len() - 4;
                        let crc = crc32fast::hash(&bytes[..end]).to_le_bytes();
                        bytes[end..].copy_from_slice(&crc);
                    }
                }
                if let Ok((_, dm_binlog::Event::Rows(rows))) = decoder.decode(&bytes) {
                    let mut out = Vec::new();
                    for row in rows.rows(&[]).take(100_000).flatten() {
                        for value in row.before.into_iter().chain(row.after).flatten().flatten() {
                            // An error is a fine answer to a damaged value.
                            let _ = value.write_text(&mut out);
                            out.clear();
                        }
                    }
                }
            }
        }
    }
}
