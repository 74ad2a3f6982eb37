//! Reading the meta rows of a source.

use mysql_async::{Row, from_value_opt};

use crate::ddl::{DdlClass, DdlObject, DdlRecord};
use crate::error::TargetError;
use crate::link::Link;
use crate::literal::text_string;
use crate::load::{ChunkState, LoadChunk, LoadState};
use crate::marks::{Done, parse_set};
use crate::names::{Names, SPINE_LANE};
use crate::resume::CheckpointRow;
use crate::spec::{MAIN_STREAM, TargetSpec};
use crate::txn::{Mode, TxnId};

/// One row of `<task>_lane`.
#[derive(Debug, Clone)]
pub(crate) struct LaneRow {
    pub(crate) stream: u32,
    pub(crate) lane: i32,
    pub(crate) cluster_id: String,
    pub(crate) epoch: u64,
    pub(crate) attempt: u64,
    pub(crate) seq: u64,
    pub(crate) generation: u64,
    pub(crate) low: String,
    pub(crate) done: String,
}

impl LaneRow {
    pub(crate) fn parse_done(&self, mode: Mode) -> Result<Done, TargetError> {
        Done::parse(mode, self.generation, &self.done)
    }

    pub(crate) fn parse_low(&self, mode: Mode) -> Result<crate::ExecutedSet, TargetError> {
        parse_set(mode, self.generation, &self.low)
    }

    pub(crate) fn is_spine(&self) -> bool {
        self.stream == MAIN_STREAM && self.lane == SPINE_LANE
    }
}

type LaneTuple = (u32, i32, String, u64, u64, u64, u64, String, String);

/// Reads lane rows in key order, locking them when `lock` says so; `condition` narrows the rows of the source.
pub(crate) async fn lanes(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    condition: &str,
    lock: bool,
) -> Result<Vec<LaneRow>, TargetError> {
    let query = format!(
        "SELECT `stream`, `lane`, `cluster_id`, `epoch`, `attempt`, `seq`, `generation`, `low`, `done` FROM {} \
         WHERE `source_id` = {}{condition} ORDER BY `stream`, `lane`{}",
        names.lane,
        text_string(&spec.source_id),
        if lock { " FOR UPDATE" } else { "" }
    );
    let rows: Vec<LaneTuple> = link.rows(&query, spec.limits.packet).await.map_err(missing_table)?;
    Ok(rows
        .into_iter()
        .map(|(stream, lane, cluster_id, epoch, attempt, seq, generation, low, done)| LaneRow {
            stream,
            lane,
            cluster_id,
            epoch,
            attempt,
            seq,
            generation,
            low,
            done,
        })
        .collect())
}

/// Only the row of lane -1.
pub(crate) async fn spine_row(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    lock: bool,
) -> Result<LaneRow, TargetError> {
    let condition = format!(" AND `stream` = {MAIN_STREAM} AND `lane` = {SPINE_LANE}");
    let rows = lanes(link, spec, names, &condition, lock).await?;
    rows.into_iter().next().ok_or_else(|| TargetError::MetaMissing { what: "the row of lane -1".to_owned() })
}

pub(crate) fn missing_table(error: TargetError) -> TargetError {
    match error {
        TargetError::Sql { code: 1146 | 1049, message, .. } => TargetError::MetaMissing { what: message },
        other => other,
    }
}

pub(crate) async fn checkpoint(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
) -> Result<Option<CheckpointRow>, TargetError> {
    let query = format!(
        "SELECT `generation`, `executed`, `source_identity`, `position_proof`, `table_schemas`, `windows` FROM {} \
         WHERE `source_id` = {} AND `stream` = {MAIN_STREAM}",
        names.checkpoint,
        text_string(&spec.source_id)
    );
    let row: Option<(u64, String, String, String, Vec<u8>, String)> =
        link.first(&query, spec.limits.packet).await.map_err(missing_table)?;
    let Some((generation, executed, source_identity, position_proof, schemas, windows)) = row else {
        return Ok(None);
    };
    let executed = parse_set(spec.mode, generation, &executed)?;
    Ok(Some(CheckpointRow { executed, generation, source_identity, position_proof, schemas, windows }))
}

pub(crate) async fn ddl_records(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
) -> Result<Vec<DdlRecord>, TargetError> {
    let query = format!(
        "SELECT `txn`, `ordinal`, `last`, `hash`, `class`, `state`, `sql_text`, `session`, `definitions` FROM {} \
         WHERE `source_id` = {} AND `stream` = {MAIN_STREAM} ORDER BY `txn`, `ordinal`",
        names.ddl,
        text_string(&spec.source_id)
    );
    let rows: Vec<Row> = link.rows(&query, spec.limits.packet).await.map_err(missing_table)?;
    rows.into_iter().map(|row| ddl_record(row, spec.mode)).collect()
}

fn ddl_record(mut row: Row, mode: Mode) -> Result<DdlRecord, TargetError> {
    let bad = |what: &str| TargetError::Corrupt {
        what: format!("column {what} of a DDL record"),
        message: "unexpected value".to_owned(),
    };
    let txn_text: String = column(&mut row, 0)?;
    let txn = if txn_text.starts_with("load:") {
        None
    } else {
        Some(TxnId::parse(mode, &txn_text).ok_or_else(|| bad("txn"))?)
    };
    let class: String = column(&mut row, 4)?;
    let state: String = column(&mut row, 5)?;
    let session: String = column(&mut row, 7)?;
    let definitions: String = column(&mut row, 8)?;
    Ok(DdlRecord {
        txn_text,
        txn,
        ordinal: column(&mut row, 1)?,
        last: column::<u8>(&mut row, 2)? != 0,
        hash: column(&mut row, 3)?,
        class: DdlClass::parse(&class).ok_or_else(|| bad("class"))?,
        sql: column(&mut row, 6)?,
        session: serde_json::from_str(&session).map_err(|_| bad("session"))?,
        before: parse_definitions(&definitions).ok_or_else(|| bad("definitions"))?,
        done: match state.as_str() {
            "done" => true,
            "intent" => false,
            _ => return Err(bad("state")),
        },
    })
}

/// Definitions as JSON: `[[schema, table or null, text or null], ...]`.
pub(crate) fn definitions_text(definitions: &[(DdlObject, Option<String>)]) -> String {
    let list: Vec<serde_json::Value> =
        definitions.iter().map(|(o, text)| serde_json::json!([o.schema, o.table, text])).collect();
    serde_json::Value::Array(list).to_string()
}

fn parse_definitions(text: &str) -> Option<Vec<(DdlObject, Option<String>)>> {
    let list: Vec<(String, Option<String>, Option<String>)> = serde_json::from_str(text).ok()?;
    Some(list.into_iter().map(|(schema, table, text)| (DdlObject { schema, table }, text)).collect())
}

type ChunkTuple = (i64, String, String, Vec<u8>, u32, u64, String);

pub(crate) async fn load_state(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
) -> Result<Option<LoadState>, TargetError> {
    let query = format!(
        "SELECT `chunk`, `schema_name`, `table_name`, `bounds`, `pieces`, `row_count`, `state` FROM {} \
         WHERE `source_id` = {} ORDER BY `chunk`",
        names.load,
        text_string(&spec.source_id)
    );
    let rows: Vec<ChunkTuple> = link.rows(&query, spec.limits.packet).await.map_err(missing_table)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut load = LoadState::default();
    for (chunk, schema, table, bounds, pieces, rows, state) in rows {
        match u64::try_from(chunk) {
            Ok(id) => load.chunks.push(ChunkState {
                chunk: LoadChunk { id, schema, table, bounds },
                pieces,
                rows,
                done: state == "done",
            }),
            Err(_) => {
                load.note = bounds;
                load.planned = true;
                load.finished = state == "finished";
            }
        }
    }
    Ok(Some(load))
}

fn column<T: mysql_async::prelude::FromValue>(row: &mut Row, index: usize) -> Result<T, TargetError> {
    let unreadable =
        |message: String| TargetError::Corrupt { what: format!("column {index} of a meta row"), message };
    let value =
        row.take::<mysql_async::Value, usize>(index).ok_or_else(|| unreadable("missing".to_owned()))?;
    from_value_opt(value).map_err(|_| unreadable("it has an unexpected type".to_owned()))
}
