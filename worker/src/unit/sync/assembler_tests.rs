//! Events made by hand, into the assembler.
use dm_binlog::{Decoder, Flavor, type_code};

use super::*;
use crate::unit::sync::xid::{Xa, Xid};

/// Room that nothing made by hand fills.
fn room() -> Arc<SpoolRoom> {
    let none = Arc::default;
    Arc::new(SpoolRoom::new(std::env::temp_dir(), 1 << 30, 1 << 20, none(), none()))
}

/// The events that are held of a transaction.
fn held(transaction: &Transaction) -> Vec<Bytes> {
    let mut reader = transaction.events.read().unwrap();
    let mut out = Vec::new();
    while let Some(held) = reader.advance().unwrap() {
        match held {
            Held::Event(raw) => out.push(raw),
            Held::Passed(passed) => panic!("{passed:?}"),
        }
    }
    out
}

#[test]
fn what_was_rolled_back_to_a_savepoint_is_gone() {
    let mut t = Transaction::default();
    let push =
        |t: &mut Transaction, raw| t.events.push(Held::Event(Bytes::from_static(raw)), &room()).unwrap();
    push(&mut t, b"1");
    assert!(t.savepoint("SAVEPOINT `a`").unwrap());
    push(&mut t, b"2");
    assert!(t.savepoint("SAVEPOINT `b`").unwrap());
    push(&mut t, b"3");
    assert!(t.savepoint("RELEASE SAVEPOINT `b`").unwrap());
    assert!(t.savepoint("ROLLBACK TO `A`").unwrap());
    assert_eq!(held(&t), [Bytes::from_static(b"1")]);
    assert!(!t.savepoint("ROLLBACK TO `b`").unwrap());
    assert!(t.savepoint("ROLLBACK TO SAVEPOINT a").unwrap());
}

/// A stream of `f.000001` from 100; every event ends 100 bytes further.
struct Stream {
    decoder: Decoder,
    assembler: Assembler,
    pos: u32,
}

fn bytes(type_code: u8, body: &[u8], pos: u32, flags: u16) -> Vec<u8> {
    let mut out = vec![0; 19];
    out[0] = 1;
    out[4] = type_code;
    out[9..13].copy_from_slice(&(19 + body.len() as u32).to_le_bytes());
    out[13..17].copy_from_slice(&pos.to_le_bytes());
    out[17..19].copy_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(body);
    out
}

impl Stream {
    fn new(flavor: Flavor) -> Self {
        let mut stream = Self {
            decoder: Decoder::new(flavor),
            assembler: Assembler::new("f.000001", 100, room()),
            pos: 100,
        };
        let mut body = vec![4, 0];
        body.extend_from_slice(&[0; 54]);
        body.push(19);
        body.extend_from_slice(&[0; 18]);
        // No checksums, and room for one.
        body.extend_from_slice(&[8, 0, 0, 0, 0, 0]);
        let event = bytes(type_code::FORMAT_DESCRIPTION, &body, 0, 0x20);
        assert!(stream.raw(event).unwrap().is_none());
        stream
    }

    fn raw(&mut self, event: Vec<u8>) -> Result<Option<Transaction>, Failure> {
        let raw = Bytes::from(event);
        let (header, event) = self.decoder.decode(&raw).unwrap();
        // They follow on each other, as far as their headers say.
        let header = EventHeader { event_size: 100, ..header };
        self.assembler.step(&header, &event, &raw)
    }

    fn feed(&mut self, type_code: u8, body: &[u8]) -> Result<Option<Transaction>, Failure> {
        self.flagged(type_code, body, 0)
    }

    fn flagged(&mut self, type_code: u8, body: &[u8], flags: u16) -> Result<Option<Transaction>, Failure> {
        self.pos += 100;
        self.raw(bytes(type_code, body, self.pos, flags))
    }

    fn query(&mut self, sql: &str) -> Result<Option<Transaction>, Failure> {
        self.feed(type_code::QUERY, &query(sql))
    }

    fn begin(&mut self) {
        assert!(self.query("BEGIN").unwrap().is_none());
    }

    fn maria_gtid(&mut self, flags: u8, extra: &[u8]) -> Result<Option<Transaction>, Failure> {
        let mut body = [&7u64.to_le_bytes()[..], &1u32.to_le_bytes(), &[flags]].concat();
        body.extend_from_slice(extra);
        self.feed(type_code::MARIA_GTID, &body)
    }
}

fn query(sql: &str) -> Vec<u8> {
    [&[0; 8][..], &[1, 0, 0, 0, 0], b"s\0", sql.as_bytes()].concat()
}

const MAP: [u8; 18] = [7, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b't', 0, 1, 3, 0, 1];
const ROWS: [u8; 17] = [7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 1, 0, 5, 0, 0, 0];

/// What stops the task, with where the transaction begins and how far was read.
fn stops(result: Result<Option<Transaction>, Failure>, code: Code, start: u32, end: u32) -> Failure {
    let failure = result.unwrap_err();
    let text = failure.to_string();
    assert!(failure.error.is(code), "{text}");
    for (what, pos) in [("startLocation", start), ("endLocation", end)] {
        let place = format!("{what}: [position: (f.000001, {pos})");
        assert!(text.contains(&place), "{place} is not in: {text}");
    }
    assert_eq!(failure.next, crate::failure::Next::Person, "{text}");
    failure
}

#[test]
fn rows_make_a_transaction() {
    let mut stream = Stream::new(Flavor::MySql);
    stream.begin();
    stream.feed(type_code::TABLE_MAP, &MAP).unwrap();
    stream.feed(type_code::WRITE_ROWS, &ROWS).unwrap();
    let done = stream.feed(type_code::XID, &[1; 8]).unwrap().unwrap();
    assert_eq!((done.start.pos, done.end.pos, done.events.len()), (100, 500, 2));
}

/// Types that exist in some server and are not decoded, and types that no server has yet.
#[test]
fn an_event_that_may_carry_data_and_is_not_known_stops() {
    for type_code in [1, 6, 8, 9, 10, 11, 17, 18, 20, 21, 22, 43, 99, 150, 164, 172, 200, 255] {
        for flavor in [Flavor::MySql, Flavor::MariaDb] {
            let mut stream = Stream::new(flavor);
            stream.begin();
            stops(stream.feed(type_code, &[0; 30]), Code::EventUnsupported, 100, 300);
            // Outside of a transaction too.
            let mut stream = Stream::new(flavor);
            stops(stream.feed(type_code, &[0; 30]), Code::EventUnsupported, 200, 200);
            // Its writer says that it may be skipped.
            let mut stream = Stream::new(flavor);
            assert!(stream.flagged(type_code, &[0; 30], 0x80).unwrap().is_none());
        }
    }
    // MariaDB's own in the stream of a MySQL server are not known there.
    for type_code in 160..=171 {
        let mut stream = Stream::new(Flavor::MySql);
        stream.begin();
        let raw = bytes(type_code, &[0; 40], 300, 0);
        let stopped = match stream.decoder.decode(&raw) {
            Err(_) => true,
            Ok((header, event)) => {
                stream.assembler.step(&header, &event, &Bytes::from(raw.clone())).is_err()
                    || !event.carries_data()
            }
        };
        assert!(stopped, "type {type_code}");
    }
}

#[test]
fn a_change_in_statement_format_stops() {
    for sql in ["INSERT INTO t VALUES (1)", "update t set a = 1", "DELETE FROM t", "REPLACE t VALUES (1)"] {
        let mut stream = Stream::new(Flavor::MySql);
        stream.begin();
        // Values for the statement that follows.
        stream.feed(type_code::INTVAR, &[2, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        stream.feed(type_code::RAND, &[0; 16]).unwrap();
        stream.feed(type_code::USER_VAR, &[1, 0, 0, 0, b'v', 1]).unwrap();
        let failure = stops(stream.query(sql), Code::DmlStatement, 100, 600);
        assert!(failure.to_string().contains(sql), "{failure}");
    }
}

#[test]
fn a_statement_that_is_not_understood_stops() {
    let mut stream = Stream::new(Flavor::MySql);
    let failure = stops(stream.query("CREATE TABLE 'x"), Code::DdlUnparseable, 100, 200);
    assert!(failure.to_string().contains("CREATE TABLE 'x"), "{failure}");
}

#[test]
fn an_incident_stops() {
    let mut stream = Stream::new(Flavor::MySql);
    let failure = stops(stream.feed(type_code::INCIDENT, b"\x01\0\x04LOST"), Code::BinlogCorrupt, 200, 200);
    assert!(failure.to_string().contains("LOST"), "{failure}");
}

const XID: &[u8] = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0gb";

#[test]
fn xa_transactions_are_prepared_and_decided() {
    let xid = Xid { format_id: 1, gtrid: b"g".to_vec(), bqual: b"b".to_vec() };
    for one_phase in [0, 1] {
        let mut stream = Stream::new(Flavor::MySql);
        assert!(stream.query("XA START X'67',X'62',1").unwrap().is_none());
        stream.feed(type_code::TABLE_MAP, &MAP).unwrap();
        stream.feed(type_code::WRITE_ROWS, &ROWS).unwrap();
        assert!(stream.query("XA END X'67',X'62',1").unwrap().is_none());
        let body = [&[one_phase][..], XID].concat();
        let done = stream.feed(type_code::XA_PREPARE, &body).unwrap().unwrap();
        assert_eq!(held(&done).len(), 2);
        assert_eq!(done.xa, (one_phase == 0).then(|| Xa::Prepare(xid.clone())));
        assert_eq!((done.start.pos, done.end.pos), (100, 600));
    }
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        for (sql, xa) in [
            ("XA COMMIT X'67',X'62',1", Xa::Commit(xid.clone())),
            ("XA ROLLBACK X'67',X'62',1", Xa::Rollback(xid.clone())),
        ] {
            let mut stream = Stream::new(flavor);
            if flavor == Flavor::MariaDb {
                assert!(stream.maria_gtid(128, b"\x01\0\0\0\x01\x01gb").unwrap().is_none());
            }
            let done = stream.query(sql).unwrap().unwrap();
            assert_eq!(done.xa, Some(xa));
            assert!(done.events.is_empty() && done.ddl.is_none());
        }
    }
}

#[test]
fn xa_statements_where_they_make_no_sense_stop() {
    for sql in ["XA COMMIT 'g'", "XA COMMIT X'67' ONE PHASE", "XA PREPARE X'67'", "XA END X'67',X'62',1"] {
        let mut stream = Stream::new(Flavor::MySql);
        stops(stream.query(sql), Code::EventUnsupported, 100, 200);
    }
    for sql in ["XA COMMIT X'67',X'62',1", "XA START X'67',X'62',1"] {
        let mut stream = Stream::new(Flavor::MySql);
        stream.begin();
        stream.feed(type_code::TABLE_MAP, &MAP).unwrap();
        stream.feed(type_code::WRITE_ROWS, &ROWS).unwrap();
        stops(stream.query(sql), Code::EventUnsupported, 100, 500);
    }
    let mut stream = Stream::new(Flavor::MySql);
    let body = [&[0][..], XID].concat();
    stops(stream.feed(type_code::XA_PREPARE, &body), Code::BinlogCorrupt, 200, 200);
}

/// Events say the lower 32 bits of where they end.
#[test]
fn positions_go_on_behind_4_gib() {
    const G4: u64 = 1 << 32;
    let mut stream = Stream::new(Flavor::MySql);
    stream.pos = u32::MAX - 299;
    stream.assembler.place.pos = u64::from(stream.pos);
    let raws = [
        (type_code::QUERY, query("BEGIN")),
        (type_code::TABLE_MAP, MAP.to_vec()),
        // It ends exactly at 4 GiB: its bits are all zero, as those of an event without a place.
        (type_code::WRITE_ROWS, ROWS.to_vec()),
        (type_code::WRITE_ROWS, ROWS.to_vec()),
        (type_code::XID, vec![1; 8]),
    ];
    let mut done = None;
    for (type_code, body) in raws {
        stream.pos = stream.pos.wrapping_add(100);
        let event = if type_code == type_code::WRITE_ROWS { [&MAP[..0], &body[..]].concat() } else { body };
        // Rows need their map each time.
        if type_code == type_code::WRITE_ROWS {
            stream.decoder.decode(&Bytes::from(bytes(type_code::TABLE_MAP, &MAP, 0, 0))).unwrap();
        }
        done = stream.raw(bytes(type_code, &event, stream.pos, 0)).unwrap();
    }
    let done = done.unwrap();
    assert_eq!((done.start.pos, done.end.pos), (G4 - 300, G4 + 200));
    assert!(!stream.assembler.is_vague());
    // An end at 4 GiB is an end.
    let mut stream = Stream::new(Flavor::MySql);
    stream.pos = u32::MAX - 199;
    stream.assembler.place.pos = u64::from(stream.pos);
    stream.begin();
    stream.pos = 0;
    let done = stream.raw(bytes(type_code::XID, &[1; 8], 0, 0)).unwrap().unwrap();
    assert_eq!(done.end.pos, G4);
    // The source leaves out what is applied: how many times 4 GiB that was can't be seen.
    stream.pos = 1000;
    stream.begin();
    assert_eq!(stream.feed(type_code::XID, &[1; 8]).unwrap().unwrap().end.pos, G4 + 1200);
    assert!(stream.assembler.is_vague());
}

#[test]
fn only_the_half_that_commits_a_two_phase_alter_runs() {
    let alter = "ALTER TABLE t ADD COLUMN a INT";
    let halves: [(&[u8], bool); 4] = [
        (&[2], false),
        (&[4, 7, 0, 0, 0, 0, 0, 0, 0], true),
        (&[8, 7, 0, 0, 0, 0, 0, 0, 0], false),
        (&[0; 6], true),
    ];
    for (extra, runs) in halves {
        let mut stream = Stream::new(Flavor::MariaDb);
        assert!(stream.maria_gtid(1, extra).unwrap().is_none());
        let done = stream.query(alter).unwrap().unwrap();
        assert_eq!(done.ddl.is_some(), runs, "{extra:?}");
        assert_eq!(done.gtid.unwrap().to_string(), "1-0-7");
    }
}

#[test]
fn damaged_order_stops() {
    let mut stream = Stream::new(Flavor::MariaDb);
    stream.maria_gtid(0, &[0; 6]).unwrap();
    stops(stream.maria_gtid(0, &[0; 6]), Code::BinlogCorrupt, 100, 300);
    let mut stream = Stream::new(Flavor::MySql);
    stops(stream.feed(type_code::XID, &[0; 8]), Code::BinlogCorrupt, 200, 200);
    let mut stream = Stream::new(Flavor::MySql);
    stream.feed(type_code::TABLE_MAP, &MAP).unwrap_err();
}

fn payload(events: &[Vec<u8>]) -> Vec<u8> {
    let data = events.concat();
    let size = (data.len() as u16).to_le_bytes();
    // Field 1: size, three bytes; 2: not compressed; the end.
    [&[1, 3, 252, size[0], size[1], 2, 3, 252, 255, 0, 0][..], &data].concat()
}

#[test]
fn a_payload_is_its_events_and_ends_where_it_ends() {
    let events = [
        bytes(type_code::QUERY, &query("BEGIN"), 0, 0),
        bytes(type_code::TABLE_MAP, &MAP, 0, 0),
        bytes(type_code::WRITE_ROWS, &ROWS, 0, 0),
        bytes(type_code::XID, &[1; 8], 0, 0),
    ];
    let mut stream = Stream::new(Flavor::MySql);
    let done = stream.feed(type_code::TRANSACTION_PAYLOAD, &payload(&events)).unwrap().unwrap();
    assert_eq!((done.start.pos, done.end.pos, done.events.len()), (100, 200, 2));
    // They can be decoded again like any others.
    for (raw, want) in held(&done).iter().zip([type_code::TABLE_MAP, type_code::WRITE_ROWS]) {
        assert_eq!(stream.decoder.decode(raw).unwrap().0.type_code, want);
    }
    stream.begin();
    assert_eq!(stream.feed(type_code::XID, &[1; 8]).unwrap().unwrap().start.pos, 200);
}

#[test]
fn an_error_inside_a_payload_stops() {
    let begin = bytes(type_code::QUERY, &query("BEGIN"), 0, 0);
    let rows = [bytes(type_code::TABLE_MAP, &MAP, 0, 0), bytes(type_code::WRITE_ROWS, &ROWS, 0, 0)].concat();
    let commit = bytes(type_code::XID, &[1; 8], 0, 0);
    let cases = [
        (Code::BinlogCorrupt, vec![begin.clone(), bytes(type_code::WRITE_ROWS, &ROWS, 0, 0), commit.clone()]),
        (
            Code::BinlogCorrupt,
            vec![begin.clone(), bytes(type_code::TABLE_MAP, &MAP[..9], 0, 0), commit.clone()],
        ),
        (Code::BinlogCorrupt, vec![begin.clone(), rows.clone(), commit.clone(), rows.clone()]),
        (Code::BinlogCorrupt, vec![begin.clone(), rows.clone(), commit[..12].to_vec()]),
        (Code::EventUnsupported, vec![begin.clone(), rows, bytes(99, &[1; 8], 0, 0), commit.clone()]),
        (Code::DmlStatement, vec![begin, bytes(type_code::QUERY, &query("DELETE FROM t"), 0, 0), commit]),
    ];
    for (n, (code, events)) in cases.iter().enumerate() {
        let mut stream = Stream::new(Flavor::MySql);
        let failure = stream.feed(type_code::TRANSACTION_PAYLOAD, &payload(events)).unwrap_err();
        assert!(failure.error.is(*code), "case {n}: {failure}");
        assert!(
            failure.to_string().contains("endLocation: [position: (f.000001, 200)"),
            "case {n}: {failure}"
        );
        assert_eq!(failure.to_string().matches("endLocation").count(), 1, "{failure}");
    }
}
