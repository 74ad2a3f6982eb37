//! Streams the chunks from the snapshot into batches for the target.
use dm_proto::error::{Code, Scope};
use dm_schema::{LoadWriter, SqlMode, TableDefaults, TableModel, TableName, WriteError};
use dm_target::{Attachment, Batch, ChunkMark, Resume};
use mysql_async::{Conn, Row, Value, prelude::Queryable};

use super::{
    chunks::no_timeout,
    plan::{LoadTable, Plan},
    progress::Progress,
};
use crate::{
    downstream::TargetDefinitions,
    failure::{Failure, Next, from_mysql},
    subtask::SubtaskContext,
    unit::{sync::usable, target_failure},
};

/// Larger statements are slower at the server, smaller ones cost more round trips through its parser.
const STATEMENT_ROWS: u64 = 500;
const STATEMENT_BYTES: usize = 256 << 10;
/// A source that gives no row for so long hangs, or the connection is half open.
const ROW_DEADLINE: std::time::Duration = std::time::Duration::from_secs(300);
/// Text of one piece; below half of the smallest `max_allowed_packet` that is in use. Each lane holds several, in copies.
const PIECE_BYTES: usize = 256 << 10;
/// What the fence and the chunk's record add to a packet, and a statement's guard.
const REST_BYTES: usize = 128 << 10;
const GUARD_BYTES: usize = 80;

/// What was read.
pub struct Copied {
    pub rows: u64,
    pub bytes: u64,
}

/// Reads every chunk in order; `submit` holds the reader back when too many bytes are in flight.
pub async fn copy(
    context: &SubtaskContext,
    attachment: &Attachment,
    conn: &mut Conn,
    plan: &Plan,
    progress: &Progress,
    resume: &Resume,
) -> Result<Copied, Failure> {
    let shown: Vec<usize> = plan
        .tables
        .iter()
        .map(|t| progress.add_table(&t.source.schema, &t.source.table, t.rows_estimate))
        .collect();
    let mut copied = Copied { rows: 0, bytes: 0 };
    let mut id = 0;
    let mut definitions = TargetDefinitions::new(context.subtask.target.clone());
    for (table, index) in plan.tables.iter().zip(shown) {
        progress.begin(index);
        let target = target_model(&mut definitions, &table.target).await?;
        usable(&table.model, &target)?;
        let writer = LoadWriter::with_extracted(&table.model, &target, &table.extracted)
            .map_err(|e| unwritable(table, &e))?;
        for chunk in &table.chunks.chunks {
            let sql = format!(
                "SELECT {}{} FROM {}{}",
                no_timeout(context.identity.flavor),
                writer.select_list(),
                table.source.quoted(),
                chunk.condition(table.chunks.column.as_deref().unwrap_or_default()),
            );
            let mut pieces = Pieces::new(id, table, &writer, resume.max_allowed_packet);
            let upstream =
                |e: &mysql_async::Error| from_mysql(e, Scope::Upstream, format!("read {}", table.source));
            let Ok(result) = tokio::time::timeout(ROW_DEADLINE, conn.query_iter(sql)).await else {
                return Err(silent(&table.source));
            };
            let mut result = result.map_err(|e| upstream(&e))?;
            loop {
                let Ok(row) = tokio::time::timeout(ROW_DEADLINE, result.next()).await else {
                    return Err(silent(&table.source));
                };
                let Some(row) = row.map_err(|e| upstream(&e))? else { break };
                if let Some((batch, rows, bytes)) = pieces.push(&row)? {
                    submit(context, attachment, batch).await?;
                    progress.add_read(index, rows, bytes);
                }
            }
            drop(result);
            let (batch, rows, bytes) = pieces.last();
            submit(context, attachment, batch).await?;
            progress.add_read(index, rows, bytes);
            copied.rows += pieces.total_rows;
            copied.bytes += pieces.total_bytes;
            id += 1;
        }
        progress.read_whole(index);
    }
    Ok(copied)
}

fn silent(table: &TableName) -> Failure {
    Failure::new(Code::LoadFailed, format!("read {table}"))
        .scope(Scope::Upstream)
        .cause(format!("no row within {ROW_DEADLINE:?}"))
        .next(Next::Unreachable)
}

/// The definition that the target really has: a table that was there before may have other character sets.
async fn target_model(definitions: &mut TargetDefinitions, name: &TableName) -> Result<TableModel, Failure> {
    let create = definitions.read(name).await?.ok_or_else(|| {
        Failure::new(Code::LoadFailed, format!("{name} is gone at the target")).scope(Scope::Downstream)
    })?;
    let model =
        TableModel::parse_create(&create, SqlMode::default(), &name.schema, &TableDefaults::default());
    let model = model.map_err(|e| {
        Failure::new(Code::LoadFailed, format!("cannot read the definition of {name} at the target"))
            .scope(Scope::Downstream)
            .cause(e)
    })?;
    Ok(model.renamed(name.clone()))
}

async fn submit(context: &SubtaskContext, attachment: &Attachment, batch: Batch) -> Result<(), Failure> {
    attachment
        .submit(batch)
        .await
        .map_err(|e| target_failure(&context.process, &context.task, &context.source_id, &e))
}

fn unwritable(table: &LoadTable, error: &WriteError) -> Failure {
    if matches!(error, WriteError::DoesNotFit(_) | WriteError::Extracted { .. }) {
        return crate::unit::sync::unwritable(&table.source, &table.target, error.clone());
    }
    Failure::new(Code::LoadFailed, format!("{} can't be copied", table.source)).cause(error)
}

/// Cuts one chunk's rows into statements and pieces.
struct Pieces<'a> {
    chunk: u64,
    table: &'a LoadTable,
    writer: &'a LoadWriter,
    piece_bytes: usize,
    packet_bytes: usize,
    piece: u32,
    batch: Batch,
    statement: Vec<u8>,
    statement_rows: u64,
    rows: u64,
    bytes: u64,
    total_rows: u64,
    total_bytes: u64,
}

impl<'a> Pieces<'a> {
    fn new(chunk: u64, table: &'a LoadTable, writer: &'a LoadWriter, packet_bytes: usize) -> Self {
        Self {
            chunk,
            table,
            writer,
            piece_bytes: PIECE_BYTES.min(packet_bytes / 4),
            packet_bytes,
            piece: 0,
            batch: Batch::new(),
            statement: Vec::new(),
            statement_rows: 0,
            rows: 0,
            bytes: 0,
            total_rows: 0,
            total_bytes: 0,
        }
    }

    /// Adds a row; gives a piece when one is full.
    fn push(&mut self, row: &Row) -> Result<Option<(Batch, u64, u64)>, Failure> {
        let mut values: Vec<Option<&[u8]>> = Vec::with_capacity(row.len());
        for i in 0..row.len() {
            values.push(match row.as_ref(i) {
                Some(Value::NULL) => None,
                Some(Value::Bytes(bytes)) => {
                    self.bytes += bytes.len() as u64;
                    Some(bytes)
                }
                other => {
                    return Err(Failure::internal(format!(
                        "column {i} of {} came as {other:?} in the text protocol",
                        self.table.source
                    )));
                }
            });
        }
        let before = self.statement.len();
        self.write(&values)?;
        let mut full = None;
        if !self.fits() && (self.statement_rows > 0 || self.batch.statements() > 0) {
            // Alone it may fit: what was there before leaves first.
            self.statement.truncate(before);
            let bytes = std::mem::take(&mut self.bytes);
            let row_bytes = values.iter().flatten().map(|v| v.len() as u64).sum::<u64>();
            self.bytes = bytes - row_bytes;
            full = Some(self.end_piece(false));
            self.bytes = row_bytes;
            self.write(&values)?;
        }
        if !self.fits() {
            return Err(self.too_large());
        }
        self.statement_rows += 1;
        self.rows += 1;
        if full.is_some() {
            return Ok(full);
        }
        if self.statement_rows >= STATEMENT_ROWS
            || self.statement.len() >= STATEMENT_BYTES.min(self.piece_bytes)
        {
            self.end_statement();
        }
        Ok((self.batch.sql_bytes() >= self.piece_bytes).then(|| self.end_piece(false)))
    }

    fn write(&mut self, values: &[Option<&[u8]>]) -> Result<(), Failure> {
        let first = self.statement_rows == 0;
        if first {
            self.writer.begin(&mut self.statement);
        }
        let written = self.writer.row(&mut self.statement, first, values);
        written.map_err(|e| unwritable(self.table, &e))
    }

    /// One packet holds what there is so far, with what the fence, the guards and the chunk's record add.
    fn fits(&self) -> bool {
        let rest = self.batch.sql_bytes() + self.batch.statements() * GUARD_BYTES + REST_BYTES;
        self.statement.len().saturating_add(rest) <= self.packet_bytes
    }

    /// Sent all the same, it would end the connection, and be copied again and again.
    fn too_large(&self) -> Failure {
        let (table, packet, row) = (&self.table.source, self.packet_bytes, self.statement.len());
        Failure::new(
            Code::LoadFailed,
            format!(
                "a row of {table} is {row} bytes of text, more than the target's max_allowed_packet of {packet} takes"
            ),
        )
        .scope(Scope::Downstream)
        .next(Next::Person)
        .workaround("Please set max_allowed_packet of the target to 1G and resume the task.")
    }

    /// The piece that completes the chunk; also for a chunk without a row.
    fn last(&mut self) -> (Batch, u64, u64) {
        self.end_piece(true)
    }

    fn end_statement(&mut self) {
        if self.statement_rows > 0 {
            // Fewer rows inserted than sent can't go unseen.
            self.batch.push_statement(&self.statement, Some(self.statement_rows), true);
            if self.writer.no_warnings() {
                self.batch.refuse_warnings();
            }
            self.statement.clear();
            self.statement_rows = 0;
        }
    }

    fn end_piece(&mut self, last: bool) -> (Batch, u64, u64) {
        self.end_statement();
        let mut batch = std::mem::take(&mut self.batch);
        batch.rows = self.rows;
        batch.chunk = Some(ChunkMark { chunk: self.chunk, piece: self.piece, last, rows: self.rows });
        self.piece += 1;
        self.total_rows += self.rows;
        self.total_bytes += self.bytes;
        (batch, std::mem::take(&mut self.rows), std::mem::take(&mut self.bytes))
    }
}
