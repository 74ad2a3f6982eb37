//! Captured binlog files, and what is done with their events.

use dm_binlog::{Decoder, Event, EventHeader, Flavor, Value};

pub struct Captured {
    pub flavor: Flavor,
    /// The first is the format description.
    pub events: Vec<Vec<u8>>,
    /// Contents of the payloads, expanded.
    pub inside: Vec<Vec<u8>>,
    /// Documents of binary JSON.
    pub json: Vec<Vec<u8>>,
    /// Partial updates: the value before, and the changes.
    pub changes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Captured {
    pub fn all() -> [Self; 2] {
        [
            Self::read(Flavor::MySql, include_bytes!("../captured/mysql.binlog")),
            Self::read(Flavor::MariaDb, include_bytes!("../captured/mariadb.binlog")),
        ]
    }

    fn read(flavor: Flavor, file: &[u8]) -> Self {
        let mut captured =
            Self { flavor, events: Vec::new(), inside: Vec::new(), json: Vec::new(), changes: Vec::new() };
        let mut rest = file.strip_prefix(b"\xFEbin").unwrap();
        while !rest.is_empty() {
            let len = EventHeader::parse(rest).unwrap().event_size as usize;
            let (event, tail) = rest.split_at(len);
            captured.events.push(event.to_vec());
            rest = tail;
        }
        let mut decoder = Decoder::new(flavor);
        for bytes in captured.events.clone() {
            let (header, event) = decoder.decode(&bytes).unwrap();
            captured.collect(&header, &event);
        }
        captured
    }

    fn collect(&mut self, header: &EventHeader, event: &Event<'_>) {
        match event {
            Event::Rows(rows) => {
                for row in rows.rows(&[]) {
                    let row = row.unwrap();
                    for value in row.before.into_iter().chain(row.after).flatten().flatten() {
                        match value {
                            Value::Json(document) => self.json.push(document.to_vec()),
                            Value::ChangedJson { before, diffs } => {
                                self.changes.push((before.to_vec(), diffs.to_vec()));
                            }
                            _ => {}
                        }
                    }
                }
            }
            Event::Payload(payload) => {
                let mut reader = payload.reader(header, 1 << 20).unwrap();
                let mut inside = Vec::new();
                while let Some(item) = reader.advance().unwrap() {
                    // Without the checksum that was put behind.
                    let start = inside.len();
                    inside.extend_from_slice(&item.raw[..item.raw.len() - 4]);
                    let len = (inside.len() - start) as u32;
                    inside[start + 9..start + 13].copy_from_slice(&len.to_le_bytes());
                    self.collect(&item.header, &item.event);
                }
                self.inside.push(inside);
            }
            _ => {}
        }
    }
}

/// Puts size and checksum right.
pub fn framed(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = (bytes.len() + 4) as u32;
    if let Some(size) = bytes.get_mut(9..13) {
        size.copy_from_slice(&len.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Looks at everything that an event holds; gives the number of errors.
pub fn walk(header: &EventHeader, event: &Event<'_>) -> usize {
    let mut errors = 0;
    match event {
        Event::Rows(rows) => {
            let mut text = Vec::new();
            let mut cursor = rows.cursor(&[]);
            loop {
                let row = match cursor.advance() {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(_) => {
                        errors += 1;
                        break;
                    }
                };
                for value in row.before.iter().chain(&row.after).flatten().flatten() {
                    errors += usize::from(value.write_text(&mut text).is_err());
                    text.clear();
                }
            }
        }
        Event::Payload(payload) => match payload.reader(header, 1 << 20) {
            Ok(mut reader) => loop {
                match reader.advance() {
                    Ok(Some(item)) => errors += walk(&item.header, &item.event),
                    Ok(None) => break,
                    Err(_) => {
                        errors += 1;
                        break;
                    }
                }
            },
            Err(_) => errors += 1,
        },
        other => {
            // Nothing of it is decoded later.
            let _ = other.carries_data();
        }
    }
    errors
}
