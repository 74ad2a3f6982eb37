//! The events of one transaction: in memory while it is small, else in a file that no one else sees.
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use bytes::Bytes;
use dm_binlog::{RowsKind, TableMap};

use super::spool_room::SpoolRoom;
use crate::failure::Failure;

/// What is written to the file at once, and read from it.
const BUFFER_BYTES: usize = 256 << 10;
/// About what an event takes in memory beside its bytes.
const OVERHEAD_BYTES: u64 = 64;
const EVENT: u8 = 0;
const PASSED: u8 = 1;

/// What is kept of one event.
#[derive(Debug, Clone)]
pub enum Held {
    /// A TABLE_MAP or row event, as it came.
    Event(Bytes),
    /// A row event of a table that is not replicated.
    Passed(Passed),
}

/// Row changes that are not kept; they count in the ordinals of parts.
#[derive(Debug, Clone)]
pub struct Passed {
    pub kind: RowsKind,
    pub rows: u64,
    pub table: Arc<TableMap>,
    /// The statement ends with it: its table maps are void.
    pub ends_statement: bool,
}

/// A state to which a spool can go back.
#[derive(Debug, Clone, Copy)]
pub struct SpoolMark {
    count: usize,
    framed: u64,
    bytes: u64,
}

/// Events in order. Beyond the room's bound in memory all of them move to an unnamed file, which the system removes with
/// the process.
#[derive(Debug, Default)]
pub struct Spool {
    memory: Vec<Held>,
    /// Number of events.
    count: usize,
    /// What they take in the file, written or not.
    framed: u64,
    /// What they take in memory, held there or not.
    bytes: u64,
    file: Option<SpoolFile>,
    /// Tables of what was passed, by number.
    tables: Vec<Arc<TableMap>>,
}

impl Spool {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds an event at the end.
    ///
    /// # Errors
    /// The disk is full, or the room for spools is.
    pub fn push(&mut self, held: Held, room: &Arc<SpoolRoom>) -> Result<(), Failure> {
        self.count += 1;
        self.framed += framed(&held);
        self.bytes += in_memory(&held);
        if let Some(file) = &mut self.file {
            return file.append(&held, &mut self.tables);
        }
        self.memory.push(held);
        if self.bytes > room.memory_bytes() { self.spill(room) } else { Ok(()) }
    }

    /// What it takes in memory now, about; nothing where it is in a file.
    pub fn memory_bytes(&self) -> u64 {
        if self.file.is_some() { 0 } else { self.bytes }
    }

    /// It has a file.
    pub fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Moves everything to the file, if it is not there.
    pub fn spill(&mut self, room: &Arc<SpoolRoom>) -> Result<(), Failure> {
        if self.file.is_some() {
            return Ok(());
        }
        let mut file = SpoolFile::create(room)?;
        for held in self.memory.drain(..) {
            file.append(&held, &mut self.tables)?;
        }
        self.memory.shrink_to_fit();
        self.file = Some(file);
        Ok(())
    }

    /// Writes what waits in memory to the file, if there is one, and gives that memory back.
    pub fn seal(&mut self) -> Result<(), Failure> {
        match &mut self.file {
            Some(file) => file.seal(),
            None => Ok(()),
        }
    }

    /// The present state.
    pub fn mark(&self) -> SpoolMark {
        SpoolMark { count: self.count, framed: self.framed, bytes: self.bytes }
    }

    /// Forgets what came after a mark.
    pub fn go_back(&mut self, mark: SpoolMark) -> Result<(), Failure> {
        (self.count, self.framed, self.bytes) = (mark.count, mark.framed, mark.bytes);
        match &mut self.file {
            Some(file) => file.cut(mark.framed),
            None => {
                self.memory.truncate(mark.count);
                Ok(())
            }
        }
    }

    /// Reads them from the beginning; whatever was pushed has to be sealed.
    pub fn read(&self) -> Result<SpoolReader<'_>, Failure> {
        let from = match &self.file {
            Some(file) => {
                let mut source = &file.file;
                source.seek(SeekFrom::Start(0)).map_err(|e| file.room.broken(&e))?;
                let stream = BufReader::with_capacity(BUFFER_BYTES, source);
                From::File { stream, left: file.written, room: &file.room }
            }
            None => From::Memory(self.memory.iter()),
        };
        Ok(SpoolReader { from, tables: &self.tables })
    }
}

/// The file, what is not written yet, and its share of the room.
#[derive(Debug)]
struct SpoolFile {
    file: File,
    buffer: Vec<u8>,
    written: u64,
    room: Arc<SpoolRoom>,
}

impl SpoolFile {
    fn create(room: &Arc<SpoolRoom>) -> Result<Self, Failure> {
        let file = room.file()?;
        Ok(Self { file, buffer: Vec::with_capacity(BUFFER_BYTES), written: 0, room: Arc::clone(room) })
    }

    fn append(&mut self, held: &Held, tables: &mut Vec<Arc<TableMap>>) -> Result<(), Failure> {
        match held {
            Held::Event(raw) => {
                self.buffer.push(EVENT);
                self.buffer.extend_from_slice(&length(raw).to_le_bytes());
                if raw.len() > BUFFER_BYTES {
                    self.write_out()?;
                    return self.write(raw);
                }
                self.buffer.extend_from_slice(raw);
            }
            Held::Passed(passed) => {
                let known = tables.iter().position(|t| Arc::ptr_eq(t, &passed.table));
                let number = known.unwrap_or_else(|| {
                    tables.push(Arc::clone(&passed.table));
                    tables.len() - 1
                });
                self.buffer.extend_from_slice(&[PASSED, passed.kind as u8, u8::from(passed.ends_statement)]);
                self.buffer.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
                self.buffer.extend_from_slice(&passed.rows.to_le_bytes());
            }
        }
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), Failure> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.room.take(bytes.len() as u64)?;
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| self.room.broken(&e))
    }

    fn seal(&mut self) -> Result<(), Failure> {
        self.write_out()?;
        self.buffer = Vec::new();
        Ok(())
    }

    fn cut(&mut self, len: u64) -> Result<(), Failure> {
        self.write_out()?;
        let cut = self.file.set_len(len).and_then(|()| self.file.seek(SeekFrom::Start(len)));
        cut.map_err(|e| self.room.broken(&e))?;
        self.room.give_back(self.written.saturating_sub(len));
        self.written = len;
        Ok(())
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        self.room.give_back(self.written);
    }
}

enum From<'a> {
    Memory(std::slice::Iter<'a, Held>),
    File { stream: BufReader<&'a File>, left: u64, room: &'a SpoolRoom },
}

/// Gives the events of a spool one by one.
pub struct SpoolReader<'a> {
    from: From<'a>,
    tables: &'a [Arc<TableMap>],
}

impl SpoolReader<'_> {
    /// The next one, `None` after the last.
    pub fn advance(&mut self) -> Result<Option<Held>, Failure> {
        match &mut self.from {
            From::Memory(events) => Ok(events.next().cloned()),
            From::File { left: 0, .. } => Ok(None),
            From::File { stream, left, room } => {
                let held = frame(stream, self.tables).map_err(|e| room.broken(&e))?;
                *left = left.saturating_sub(framed(&held));
                Ok(Some(held))
            }
        }
    }
}

fn frame(stream: &mut impl Read, tables: &[Arc<TableMap>]) -> io::Result<Held> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file is not what was written");
    match number::<1>(stream)? {
        [EVENT] => {
            let mut raw = vec![0; u32::from_le_bytes(number(stream)?) as usize];
            stream.read_exact(&mut raw)?;
            Ok(Held::Event(raw.into()))
        }
        [PASSED] => {
            let [kind, ends] = number(stream)?;
            let kind = [RowsKind::Write, RowsKind::Update, RowsKind::Delete]
                .into_iter()
                .find(|k| *k as u8 == kind)
                .ok_or_else(damaged)?;
            let table = tables.get(u32::from_le_bytes(number(stream)?) as usize).ok_or_else(damaged)?;
            let rows = u64::from_le_bytes(number(stream)?);
            let table = Arc::clone(table);
            Ok(Held::Passed(Passed { kind, rows, table, ends_statement: ends != 0 }))
        }
        _ => Err(damaged()),
    }
}

fn number<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).map(|()| bytes)
}

/// An event's length fits: its header has 32 bits for it.
fn length(raw: &Bytes) -> u32 {
    u32::try_from(raw.len()).unwrap_or(u32::MAX)
}

fn framed(held: &Held) -> u64 {
    match held {
        Held::Event(raw) => 5 + raw.len() as u64,
        Held::Passed(_) => 15,
    }
}

fn in_memory(held: &Held) -> u64 {
    match held {
        Held::Event(raw) => OVERHEAD_BYTES + raw.len() as u64,
        Held::Passed(_) => OVERHEAD_BYTES,
    }
}

#[cfg(test)]
impl Spool {
    pub fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
