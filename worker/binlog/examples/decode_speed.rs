//! Prints how many rows per second are decoded: `cargo run --release -p dm-binlog --example decode_speed`.

use std::time::Instant;

use dm_binlog::{Decoder, Event, Flavor};

/// Columns: BIGINT, INT, VARCHAR(100), VARCHAR(20), DATETIME(6), DECIMAL(12,2), DOUBLE, TIMESTAMP.
fn table_map() -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b't', 0, 8];
    body.extend_from_slice(&[8, 3, 15, 15, 18, 246, 5, 17]);
    body.extend_from_slice(&[9, 100, 0, 20, 0, 6, 12, 2, 8, 0, 0xFF]);
    event(19, &body)
}

fn rows(count: usize) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0xFF];
    for i in 0..count {
        body.push(0);
        body.extend_from_slice(&(i as u64).to_le_bytes());
        body.extend_from_slice(&(i as u32).to_le_bytes());
        body.push(60);
        body.extend_from_slice(&[b'x'; 60]);
        body.push(10);
        body.extend_from_slice(&[b'y'; 10]);
        body.extend_from_slice(&[0x99, 0xA5, 0x44, 0x30, 0xC4, 1, 2, 3]);
        body.extend_from_slice(&[0x80, 0, 1, 2, 3, 4]);
        body.extend_from_slice(&1.5f64.to_le_bytes());
        body.extend_from_slice(&[0x65, 0, 0, 0]);
    }
    event(30, &body)
}

fn event(type_code: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 19];
    out[4] = type_code;
    out[9..13].copy_from_slice(&((19 + body.len() + 4) as u32).to_le_bytes());
    out.extend_from_slice(body);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn format() -> Vec<u8> {
    let mut body = vec![4, 0];
    body.extend_from_slice(&[0; 54]);
    body.push(19);
    body.extend_from_slice(&[0; 18]);
    body.extend_from_slice(&[8, 1]);
    event(15, &body)
}

fn main() -> Result<(), dm_binlog::DecodeError> {
    const PER_EVENT: usize = 70;
    let (map, rows) = (table_map(), rows(PER_EVENT));
    let mut decoder = Decoder::new(Flavor::MySql);
    decoder.decode(&format())?;
    let begin = Instant::now();
    let (mut count, mut bytes) = (0u64, 0u64);
    while begin.elapsed().as_secs() < 2 {
        for _ in 0..100 {
            decoder.decode(&map)?;
            if let (_, Event::Rows(event)) = decoder.decode(&rows)? {
                let mut cursor = event.cursor(&[]);
                while let Some(row) = cursor.advance()? {
                    std::hint::black_box(row);
                    count += 1;
                }
            }
            bytes += rows.len() as u64;
        }
    }
    let secs = begin.elapsed().as_secs_f64();
    println!("{:.0} rows/s, {:.0} MB/s, checksums verified", count as f64 / secs, bytes as f64 / secs / 1e6);
    Ok(())
}
