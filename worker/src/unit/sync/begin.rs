//! First start of the main stream, or a new one.
use std::sync::Arc;

use dm_binlog::{Decoder, Event, Flavor, GtidSet};
use dm_proto::{
    config::StartPosition,
    error::{Code, Scope},
};
use dm_schema::TableName;
use dm_target::{Attachment, ExecutedSet, ResumePoint};
use mysql_async::prelude::Queryable;
use tracing::info;

use super::{
    dm_checkpoint::{DmCheckpoint, DmTables},
    proof::SourceProof,
    reader::{connect_binlog, damaged, gtid_start, next_event, position_start},
    safe_mode::{SafeMode, Window},
    start::Start,
    start_time,
    stats::Place,
    stored_tables::StoredTables,
    tables::Tables,
};
use crate::{
    failure::{Failure, from_mysql},
    subtask::SubtaskContext,
    unit::{start_point, target_failure},
    upstream::{self, Definitions},
};

/// Begins where a person says, or DM's checkpoint, or the task file, in this order.
pub async fn begin(
    context: &SubtaskContext,
    attachment: &Attachment,
    dm: &DmTables,
) -> Result<Start, Failure> {
    let time = context.wish.borrow().as_ref().map(|d| d.start_time.clone()).unwrap_or_default();
    if !time.is_empty() {
        let place = start_time::find(context, &time).await?;
        let start = StartPosition { file: Some(place.file), pos: place.pos, gtid: None };
        // As in DM: nobody knows to the transaction what the target has, so rows may come again.
        let window = window(context, false).await?;
        return begin_at(context, attachment, &start, Some(window), dm).await;
    }
    if let Some(checkpoint) = &dm.checkpoint {
        return begin_from(context, attachment, dm, checkpoint).await;
    }
    let Some(start) = &context.subtask.start else {
        return Err(Failure::new(Code::MetaMissing, "the task has no position to start from"));
    };
    begin_at(context, attachment, start, None, dm).await
}

/// Goes on where DM has stopped.
pub async fn begin_from(
    context: &SubtaskContext,
    attachment: &Attachment,
    tables: &DmTables,
    dm: &DmCheckpoint,
) -> Result<Start, Failure> {
    let by_gtid = context.source.enable_gtid && context.gtid_mode();
    let window = if dm.exact { None } else { Some(window(context, true).await?) };
    let point = &dm.global;
    info!(
        task = %context.task, source = %context.source_id, place = %point.place.text(), gtids = %point.gtids,
        exact = dm.exact, "the stream begins at DM's checkpoint"
    );
    begin_at(context, attachment, &dm.start(by_gtid), window, tables).await
}

/// Whatever is in the source's binlog now may have been applied, and nothing else: DM's own exit point may be an old one,
/// and without one DM guesses a minute.
async fn window(context: &SubtaskContext, strict: bool) -> Result<Window, Failure> {
    let (gtids, file, pos) = Definitions::new(Arc::clone(&context.source)).end().await?;
    let gtids = if context.gtid_mode() { gtids } else { String::new() };
    Ok(Window { server: context.identity.text(), file, pos, gtids, strict })
}

async fn begin_at(
    context: &SubtaskContext,
    attachment: &Attachment,
    start: &StartPosition,
    window: Option<Window>,
    dm: &DmTables,
) -> Result<Start, Failure> {
    let (file, pos) = (start.file.clone().unwrap_or_default(), start.pos.max(4));
    let gtids = if context.gtid_mode() { gtids_of(context, start, &file, pos).await? } else { String::new() };
    let none: [(TableName, String); 0] = [];
    let mut point = start_point(context, &file, pos, &gtids, none).await?;
    point.windows = window.as_ref().map(Window::to_text).unwrap_or_default();
    // Else the next attempt would take what is applied from now on for not applied.
    point.beside = dm.mark(context);
    let fresh = window.is_none();
    let safe_mode = SafeMode::new(context, window)?;
    let proof = SourceProof::parse(&point.position_proof)?;
    let mut executed = point.executed.clone();
    let generation = attachment
        .begin(point)
        .await
        .map_err(|e| target_failure(&context.process, &context.task, &context.source_id, &e))?;
    let at = match executed.resume_point() {
        ResumePoint::Gtid(set) => gtid_start(set),
        ResumePoint::Position(_) => {
            executed = ExecutedSet::up_to_position(generation, &file, pos);
            position_start(&file, pos)
        }
    };
    info!(task = %context.task, source = %context.source_id, start = %executed, generation, "the stream begins at its start position");
    let tables = Tables::new(context, StoredTables::default())?;
    let place = Some(Place { file, pos }).filter(|p| !p.file.is_empty());
    Ok(Start {
        at,
        executed,
        done_ddl: Vec::new(),
        tables,
        proof,
        generation,
        safe_mode,
        place,
        fresh,
        dm_table: dm.present,
    })
}

/// The GTID set before a position; a set given by a person counts as it is.
async fn gtids_of(
    context: &SubtaskContext,
    start: &StartPosition,
    file: &str,
    pos: u64,
) -> Result<String, Failure> {
    if let Some(set) = &start.gtid {
        return Ok(set.clone());
    }
    match context.identity.flavor {
        Flavor::MariaDb => {
            let mut conn = upstream::connect(&context.source).await?;
            let sql = format!("SELECT BINLOG_GTID_POS({}, {pos})", dm_schema::quote_string(file));
            let set: Option<Option<String>> = conn.query_first(sql).await.map_err(|e| {
                from_mysql(&e, Scope::Upstream, "fail to ask for the GTIDs of the start position")
            })?;
            // Nothing comes back for a file that does not exist; the empty text is the very beginning.
            set.flatten().ok_or_else(|| {
                Failure::new(Code::PositionBeyondEnd, format!("the source has no position ({file}, {pos})"))
            })
        }
        Flavor::MySql => scan(context, file, pos).await,
    }
}

/// MySQL: every GTID before the position stands in the file's head and its events.
async fn scan(context: &SubtaskContext, file: &str, pos: u64) -> Result<String, Failure> {
    let mut client = connect_binlog(context, position_start(file, 4)).await?;
    let mut decoder = Decoder::new(Flavor::MySql);
    let mut set = GtidSet::new(Flavor::MySql);
    let mut at = 4;
    while at < pos {
        let bytes = next_event(&mut client).await?;
        let place = || Place { file: file.to_owned(), pos: at }.text();
        let (header, event) = decoder.decode(&bytes).map_err(|e| damaged(place(), e))?;
        match &event {
            Event::PreviousGtids(before) => set.union(&GtidSet::MySql(before.clone())),
            Event::Gtid(gtid) => {
                if let Some(gtid) = &gtid.gtid {
                    set.add(gtid);
                }
            }
            Event::Rotate(rotate) if rotate.file != file.as_bytes() => break,
            _ => {}
        }
        at = header.next_position().map_or(at, u64::from);
    }
    client.close().await;
    if at != pos {
        return Err(Failure::new(
            Code::PositionBeyondEnd,
            format!(
                "({file}, {pos}) is not the end of an event of the source's binlog; the next one is at {at}"
            ),
        ));
    }
    Ok(set.to_string())
}
