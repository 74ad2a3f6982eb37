//! How many rows per second go from event bytes to SQL text on one core, on a table of 12 columns:
//! `cargo run --release -p dm-schema --example row_speed`.
//!
//! The thread's CPU time counts: on a machine that is shared, the wall clock also holds the others' work.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dm_binlog::{Decoder, Event, Flavor, RowsEvent, Value};
use dm_schema::{
    Pieces, RowChange, RowPieces, RowWriter, RowWriterOptions, SqlMode, TableDefaults, TableModel, WriteError,
};
use rustix::time::{ClockId, clock_gettime};

const TABLE: &str = "CREATE TABLE t (id BIGINT NOT NULL, k INT UNSIGNED NOT NULL, name VARCHAR(100), code CHAR(10), \
    amount DECIMAL(12,2), rate DOUBLE, created DATETIME(6), changed TIMESTAMP NULL, day DATE, flag TINYINT, \
    note VARCHAR(255), state ENUM('new','open','done'), PRIMARY KEY (id), KEY (k)) DEFAULT CHARSET=utf8mb4";
/// Events of about 8 KiB, as the servers write them.
const ROWS: usize = 60;
const EVENTS: usize = 64;
const TIME: Duration = Duration::from_secs(3);

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

fn table_map() -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 1, b's', 0, 1, b't', 0, 12];
    body.extend_from_slice(&[8, 3, 15, 254, 246, 5, 18, 17, 10, 1, 15, 254]);
    let meta = [0x90, 1, 254, 40, 12, 2, 8, 6, 0, 0xFC, 3, 247, 1];
    body.push(meta.len() as u8);
    body.extend_from_slice(&meta);
    body.extend_from_slice(&[0xFF, 0x0F]);
    event(19, &body)
}

/// Each row has other values: texts with and without quotes, prices, rates of many digits.
fn rows(first: u64) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 12, 0xFF, 0x0F];
    for id in first..first + ROWS as u64 {
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&(id as u32).wrapping_mul(2_654_435_761).to_le_bytes());
        let name = format!("a customer's name number {id:012}");
        body.extend_from_slice(&(name.len() as u16).to_le_bytes());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[8]);
        body.extend_from_slice(format!("{id:08}").as_bytes());
        body.extend_from_slice(&[0x80, 0, (id >> 8) as u8 & 0x3F, id as u8, 7, (id % 100) as u8]);
        body.extend_from_slice(&(id as f64 * 0.123_456_789).to_le_bytes());
        body.extend_from_slice(&[0x99, 0xB2, 0x7A, (id % 24) as u8, 0xC4, 1, 2, id as u8]);
        body.extend_from_slice(&(1_700_000_000 + id as u32).to_be_bytes());
        body.extend_from_slice(&[0x21 + (id % 20) as u8, 0xD0, 0x0F]);
        body.push((id % 3) as u8);
        let note = format!("a note of some length, which is text like any other {}", id % 1000);
        body.extend_from_slice(&(note.len() as u16).to_le_bytes());
        body.extend_from_slice(note.as_bytes());
        body.push(1 + (id % 3) as u8);
    }
    event(30, &body)
}

/// Time that this thread has been running.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

type Step = fn(&RowWriter, &RowsEvent<'_>, &mut Vec<u8>, &mut Vec<u64>) -> Result<(), WriteError>;

/// Looks at every value.
fn decode(_: &RowWriter, event: &RowsEvent<'_>, _: &mut Vec<u8>, _: &mut Vec<u64>) -> Result<(), WriteError> {
    let mut cursor = event.cursor(&[]);
    while let Some(row) = cursor.advance()? {
        black_box(row);
    }
    Ok(())
}

/// One INSERT for the event, as the sync unit writes it.
fn text(
    writer: &RowWriter,
    event: &RowsEvent<'_>,
    sql: &mut Vec<u8>,
    _: &mut Vec<u64>,
) -> Result<(), WriteError> {
    insert(writer, event, sql, None)
}

fn text_and_tokens(
    writer: &RowWriter,
    event: &RowsEvent<'_>,
    sql: &mut Vec<u8>,
    tokens: &mut Vec<u64>,
) -> Result<(), WriteError> {
    insert(writer, event, sql, Some(tokens))
}

fn insert(
    writer: &RowWriter,
    event: &RowsEvent<'_>,
    sql: &mut Vec<u8>,
    mut tokens: Option<&mut Vec<u64>>,
) -> Result<(), WriteError> {
    let mut pieces = Pieces::default();
    let mut changes: Vec<RowPieces> = Vec::with_capacity(ROWS);
    let mut cursor = event.cursor(&[]);
    while let Some(row) = cursor.advance()? {
        let Some(after) = row.after.as_deref() else { continue };
        let change = RowChange::Insert { after };
        if let Some(tokens) = tokens.as_mut() {
            writer.tokens(change, tokens)?;
        }
        changes.push(writer.pieces(&mut pieces, change)?);
    }
    writer.statement(sql, &pieces, &changes);
    Ok(())
}

/// UPDATEs of several rows, every column changed: an upper bound of the text for a change.
fn updates(
    writer: &RowWriter,
    event: &RowsEvent<'_>,
    sql: &mut Vec<u8>,
    tokens: &mut Vec<u64>,
) -> Result<(), WriteError> {
    let mut pieces = Pieces::default();
    let mut changes: Vec<RowPieces> = Vec::with_capacity(ROWS);
    let mut cursor = event.cursor(&[]);
    while let Some(row) = cursor.advance()? {
        if let Some(after) = row.after.as_deref() {
            let mut before = after.to_vec();
            before.iter_mut().skip(1).for_each(|v| *v = Some(Value::Null));
            let change = RowChange::Update { before: &before, after };
            writer.tokens(change, tokens)?;
            changes.push(writer.pieces(&mut pieces, change)?);
        }
    }
    let most = changes.first().map_or(1, |change| writer.most_rows(change));
    for some in changes.chunks(most) {
        writer.statement(sql, &pieces, some);
    }
    Ok(())
}

fn measure(name: &str, writer: &RowWriter, step: Step) -> anyhow::Result<()> {
    let map = table_map();
    let events: Vec<Vec<u8>> = (0..EVENTS).map(|i| rows((i * ROWS) as u64)).collect();
    let mut decoder = Decoder::new(Flavor::MySql);
    decoder.decode(&format())?;
    let (mut sql, mut tokens) = (Vec::new(), Vec::new());
    let (mut count, mut bytes, mut written) = (0u64, 0u64, 0u64);
    let (begin, cpu_begin) = (Instant::now(), cpu());
    while cpu() - cpu_begin < TIME {
        for event in &events {
            decoder.decode(&map)?;
            if let (_, Event::Rows(rows)) = decoder.decode(event)? {
                step(writer, &rows, &mut sql, &mut tokens)?;
            }
            count += ROWS as u64;
            bytes += event.len() as u64;
            written += black_box(&sql).len() as u64;
            sql.clear();
            tokens.clear();
        }
    }
    let (used, wall) = ((cpu() - cpu_begin).as_secs_f64(), begin.elapsed().as_secs_f64());
    println!(
        "{name:<32} {:>9.0} rows/s, {:>5.0} MB/s of events, {:>5.0} MB/s of SQL, {:.2} us/row of CPU; by the wall clock \
         {:.0} rows/s",
        count as f64 / used,
        bytes as f64 / used / 1e6,
        written as f64 / used / 1e6,
        used * 1e6 / count as f64,
        count as f64 / wall,
    );
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let model = TableModel::parse_create(TABLE, SqlMode::default(), "s", &TableDefaults::default())?;
    let writer = RowWriter::new(&model, &model, RowWriterOptions::default())?;
    println!("12 columns, {} bytes a row, checksums verified", rows(0).len() / ROWS);
    measure("decoded", &writer, decode)?;
    measure("decoded, INSERT of 60 rows", &writer, text)?;
    measure("the same, with conflict tokens", &writer, text_and_tokens)?;
    measure("UPDATEs of several rows, with tokens", &writer, updates)
}
