//! Records of the full load.

/// One chunk as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadChunk {
    /// Id, unique within the source.
    pub id: u64,
    /// Source database.
    pub schema: String,
    /// Source table.
    pub table: String,
    /// The range, as the caller encodes it.
    pub bounds: Vec<u8>,
}

/// One chunk as found at take-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkState {
    /// As planned.
    pub chunk: LoadChunk,
    /// Pieces committed.
    pub pieces: u32,
    /// Rows committed.
    pub rows: u64,
    /// All its rows are committed.
    pub done: bool,
}

/// The load as found at take-over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadState {
    /// Whatever the caller stored with the plan (snapshot, tables it may empty).
    pub note: Vec<u8>,
    /// The plan was stored whole; without it no row was loaded.
    pub planned: bool,
    /// The main stream has started.
    pub finished: bool,
    /// All chunks, by id.
    pub chunks: Vec<ChunkState>,
}
