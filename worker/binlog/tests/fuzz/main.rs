//! Real events, damaged at random: an error or a value comes out, never a panic, an abort or a huge allocation.
//!
//! The events are those of two real servers (`tests/captured`, made anew by
//! `RAFT_DM_CAPTURE=$PWD/worker/binlog/tests/captured cargo nextest run -p dm-replication the_stream_is_the_file`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod captured;
mod harness;

use dm_binlog::{
    ChecksumAlgorithm, Decoder, Event, Flavor, Value, changed_json_to_text, jsonb_to_text, type_code as code,
};
use rand::{Rng as _, rngs::StdRng};

use crate::captured::{Captured, framed, walk};
use crate::harness::{fuzz, mutate};

/// The largest captured event has less than a KiB; compressed parts expand to no more than their bytes can hold.
const MIB: usize = 1 << 20;

/// Damages one event between others, and decodes them in order.
fn damaged(rng: &mut StdRng, streams: &[Captured], wanted: impl Fn(u8) -> bool) {
    let stream = &streams[rng.random_range(0..streams.len())];
    let candidates: Vec<usize> = (0..stream.events.len()).filter(|i| wanted(stream.events[*i][4])).collect();
    if candidates.is_empty() {
        return;
    }
    let chosen = candidates[rng.random_range(0..candidates.len())];
    let mut decoder = Decoder::new(stream.flavor);
    decoder.decode(&stream.events[0]).unwrap();
    let others = &stream.events[rng.random_range(0..stream.events.len())];
    for (i, event) in stream.events.iter().enumerate().skip(chosen.saturating_sub(3)).take(6) {
        let mut bytes = event.clone();
        if i == chosen {
            bytes.truncate(bytes.len() - 4);
            // Sometimes what is before the body too: its type, its flags.
            let from = if rng.random_bool(0.1) { 0 } else { 19 };
            mutate(rng, &mut bytes, from, others);
            bytes = framed(bytes);
        }
        if let Ok((header, event)) = decoder.decode(&bytes) {
            walk(&header, &event);
        }
    }
}

#[test]
fn events() {
    let streams = Captured::all();
    fuzz("dm-binlog", "events", 16 * MIB, |rng| damaged(rng, &streams, |_| true));
}

#[test]
fn table_maps() {
    let streams = Captured::all();
    fuzz("dm-binlog", "table_maps", 4 * MIB, |rng| damaged(rng, &streams, |t| t == code::TABLE_MAP));
}

#[test]
fn rows() {
    let streams = Captured::all();
    let rows = |t| {
        matches!(t, code::WRITE_ROWS_V1..=code::DELETE_ROWS_V1 | code::WRITE_ROWS..=code::DELETE_ROWS)
            || matches!(t, code::PARTIAL_UPDATE_ROWS | 166..=171)
    };
    fuzz("dm-binlog", "rows", 4 * MIB, |rng| damaged(rng, &streams, rows));
}

#[test]
fn payloads() {
    let streams = Captured::all();
    fuzz("dm-binlog", "payloads", 16 * MIB, |rng| {
        if rng.random() {
            return damaged(rng, &streams, |t| t == code::TRANSACTION_PAYLOAD);
        }
        // Damage behind the compression: as a payload that is not compressed.
        let inside = &streams[0].inside;
        let mut data = inside[rng.random_range(0..inside.len())].clone();
        mutate(rng, &mut data, 0, &inside[0]);
        let payload = dm_binlog::PayloadEvent {
            compression: 255,
            uncompressed_size: data.len() as u64,
            checksum: if rng.random() { ChecksumAlgorithm::Crc32 } else { ChecksumAlgorithm::None },
            data: &data,
        };
        let header = dm_binlog::EventHeader::parse(&streams[0].events[0]).unwrap();
        walk(&header, &Event::Payload(payload));
    });
}

#[test]
fn json() {
    let streams = Captured::all();
    let documents = &streams[0].json;
    let changes = &streams[0].changes;
    assert!(
        documents.len() > 3 && changes.len() > 2,
        "{} documents, {} changes",
        documents.len(),
        changes.len()
    );
    fuzz("dm-binlog", "json", MIB, |rng| {
        let mut text = Vec::new();
        let (before, diffs) = &changes[rng.random_range(0..changes.len())];
        let (mut before, mut diffs) = (before.clone(), diffs.clone());
        let mut document = documents[rng.random_range(0..documents.len())].clone();
        mutate(rng, &mut document, 0, &before);
        // A damaged document is refused; that is a fine answer.
        let _ = jsonb_to_text(&document, &mut text);
        if rng.random() {
            mutate(rng, &mut before, 0, &document);
        }
        if rng.random() {
            let piece = diffs.clone();
            mutate(rng, &mut diffs, 0, &piece);
        }
        let _ = changed_json_to_text(&before, &diffs, &mut text);
    });
}

/// Every length and count of every captured event at its highest: nothing is reserved ahead of the bytes.
#[test]
fn lengths_that_lie() {
    let streams = Captured::all();
    let mut places = Vec::new();
    for (s, stream) in streams.iter().enumerate() {
        for (e, event) in stream.events.iter().enumerate() {
            places.extend((19..event.len().saturating_sub(4)).map(|at| (s, e, at)));
        }
    }
    let mut next = 0;
    fuzz("dm-binlog", "lengths_that_lie", 16 * MIB, |rng| {
        let (s, e, at) = places[next % places.len()];
        next += 1;
        let stream = &streams[s];
        let mut decoder = Decoder::new(stream.flavor);
        decoder.decode(&stream.events[0]).unwrap();
        for (i, event) in stream.events.iter().enumerate().skip(e.saturating_sub(3)).take(4) {
            let mut bytes = event.clone();
            if i == e {
                bytes.truncate(bytes.len() - 4);
                let end = (at + [1, 2, 3, 4, 8][rng.random_range(0..5)]).min(bytes.len());
                bytes[at..end].fill(0xFF);
                if rng.random() {
                    // A length of eight bytes.
                    bytes[at] = 254;
                }
                bytes = framed(bytes);
            }
            if let Ok((header, event)) = decoder.decode(&bytes) {
                walk(&header, &event);
            }
        }
    });
}

/// The events as they are: every one is understood, and every value has a text.
#[test]
fn undamaged() {
    for stream in Captured::all() {
        let mut decoder = Decoder::new(stream.flavor);
        for bytes in &stream.events {
            let (header, event) = decoder.decode(bytes).unwrap();
            let unknown = matches!(event, Event::Unknown { .. });
            assert!(!unknown, "{:?}: {header:?}", stream.flavor);
            assert_eq!(walk(&header, &event), 0, "{event:?}");
        }
    }
    assert_eq!(Captured::all().map(|s| s.flavor), [Flavor::MySql, Flavor::MariaDb]);
    let value = Value::CompressedBytes(&[0x84, 0xFF, 0xFF, 0xFF, 0xFF, 1]);
    assert!(value.write_text(&mut Vec::new()).is_err());
}

/// The negative control: the bound is really looked at.
#[test]
#[should_panic(expected = "are the most")]
fn a_huge_allocation_is_seen() {
    fuzz("dm-binlog", "a_huge_allocation_is_seen", MIB, |_| drop(std::hint::black_box(vec![0u8; 2 * MIB])));
}
