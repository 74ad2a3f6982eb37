//! Taking over a target.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dm_binlog::Flavor;
use dm_failpoints::{Failpoint, hold};
use futures::future::try_join_all;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Attachment;
use super::former::{kill_former, lock, overtaken, succeed_ddl};
use super::proof::prove_fence;
use crate::detector::Detector;
use crate::error::TargetError;
use crate::executed::ExecutedSet;
use crate::lane::{Lane, Work};
use crate::link::Link;
use crate::literal::text_string;
use crate::marks::Done;
use crate::meta::check_engine;
use crate::names::{Names, SPINE_LANE, lock_name, stream_of};
use crate::resume::Resume;
use crate::rows::{self, LaneRow};
use crate::shared::{Shared, State};
use crate::spec::{MAIN_STREAM, TargetSpec};
use crate::spine::Spine;
use crate::tracker::Tracker;

/// Steps (0) to (4) of "Taking over".
pub(super) async fn take_over(mut spec: TargetSpec) -> Result<(Attachment, Resume), TargetError> {
    if spec.lanes == 0 || spec.epoch == 0 {
        return Err(TargetError::Misuse {
            message: "a take-over needs an epoch and at least one lane".to_owned(),
        });
    }
    let names = Names::new(&spec);
    let attempt: u64 = rand::random::<u64>() | 1;

    // (0) Look, before anything is touched.
    let mut spine = Link::open(&spec, "lane -1").await?;
    let (identity, target_flavor, max_allowed_packet) = identity(&mut spine, &spec).await?;
    check_engine(&mut spine, &spec).await?;
    let former = rows::lanes(&mut spine, &spec, &names, "", false).await?;
    check_owner(&spec, &former)?;
    if let Some(begun) = rows::checkpoint(&mut spine, &spec, &names).await? {
        // A stream goes on naming transactions as it began; the caller sees in the set how.
        spec.mode = begun.executed.mode();
    }
    spec.lanes = spec.lanes.max(lanes_with_parts(&spec, &former)?);

    // All connections together, to one server, each marked by its lock; and the proof that the fence holds here.
    let mut lanes = open_lanes(&spec, attempt, &identity).await?;
    let mut ddl_link = open_same(&spec, "ddl", &identity).await?;
    mark(&mut spine, &spec, SPINE_LANE, attempt).await?;
    prove_fence(Link::open(&spec, "proof").await?, &spec, &names).await?;

    // (1) Free the locks of the former connections.
    hold(Failpoint::BeforeKill);
    kill_former(&mut spine, &spec, &former).await?;
    // (2) Own the rows.
    let former = own_rows(&mut spine, &spec, &names, attempt, &former).await?;
    hold(Failpoint::AfterTakeOver);
    // (3) What is left of the former attempt; its DDL connection must be gone.
    kill_former(&mut spine, &spec, &former).await?;
    succeed_ddl(&mut ddl_link, &spec, &names, attempt).await?;
    // (4) Read. Nobody else can commit any more.
    let found = rows::lanes(&mut spine, &spec, &names, "", false).await?;
    let own = found.iter().find(|r| r.is_spine());
    let own = own.ok_or_else(|| TargetError::MetaMissing { what: "the row of lane -1".to_owned() })?;
    if own.epoch != spec.epoch || own.attempt != attempt {
        return Err(overtaken(&spec, own));
    }
    let spine_done = own.parse_done(spec.mode)?;
    if !spec.breaks_roster() {
        check_roster(&spine_done, &found)?;
    }
    let generation = own.generation;
    let checkpoint = rows::checkpoint(&mut spine, &spec, &names).await?;
    if generation > 0 && checkpoint.as_ref().is_none_or(|c| c.generation != generation) {
        return Err(TargetError::MetaMissing { what: format!("the checkpoint of generation {generation}") });
    }
    let mut executed = ExecutedSet::empty(spec.mode, generation);
    let mut parts = Vec::new();
    if let Some(checkpoint) = &checkpoint {
        executed.merge(&checkpoint.executed)?;
    }
    let checkpointed = executed.clone();
    for row in found.iter().filter(|r| r.stream == MAIN_STREAM) {
        if row.generation != generation {
            return Err(TargetError::Corrupt {
                what: format!("row of lane {}", row.lane),
                message: format!("generation {} instead of {generation}", row.generation),
            });
        }
        executed.merge(&row.parse_low(spec.mode)?)?;
        let done = row.parse_done(spec.mode)?;
        executed.merge(&done.set)?;
        parts.extend(done.part);
    }
    parts.retain(|part| !executed.contains(&part.txn));
    let ddl = rows::ddl_records(&mut spine, &spec, &names).await?;
    let load = rows::load_state(&mut spine, &spec, &names).await?;
    let undecided = ddl.iter().find(|r| !r.done).cloned();
    let done_ddl: Vec<_> = ddl.iter().filter(|r| r.done).cloned().collect();

    let mut lane_done = Vec::new();
    for index in 0..spec.lanes {
        let row = found.iter().find(|r| is_lane(r, &spec, index));
        let done = row.map(|r| r.parse_done(spec.mode)).transpose()?;
        lane_done.push(done.unwrap_or_else(|| Done::empty(spec.mode, generation)));
    }
    let in_stream = found.iter().filter(|r| r.stream == spec.stream && r.lane >= 0).count();
    let state = State {
        tracker: Tracker::new(executed.clone()),
        detector: Detector::new(spec.lanes),
        lane_done,
        spine_done,
        checkpointed,
        generation,
        ddl_done: done_ddl.iter().filter_map(|r| Some((r.txn.clone()?, r.txn_text.clone()))).collect(),
        retire: spec.stream == MAIN_STREAM && in_stream > spec.lanes as usize,
        part_lane: None,
        chunk_lanes: std::collections::HashMap::new(),
        ddl_tables: Vec::new(),
        undecided: undecided.is_some(),
        refused: Vec::new(),
        load_finished: false,
        in_flight: 0,
        stats: crate::TargetStats::default(),
    };
    let seq = own.seq;
    let epoch_changed = former.iter().any(|r| r.epoch != spec.epoch);
    let shared = Shared::new(spec, names, attempt, state, Spine { link: spine, seq, busy: false }, ddl_link);
    insert_missing(&shared, &found).await?;

    for (lane, index) in lanes.iter_mut().zip(0..) {
        lane.seq = found.iter().find(|r| is_lane(r, &shared.spec, index)).map_or(0, |r| r.seq);
    }
    let done_ddl =
        done_ddl.into_iter().filter(|r| r.txn.as_ref().is_some_and(|t| !executed.contains(t))).collect();
    let resume = Resume {
        resume_point: executed.resume_point(),
        executed,
        generation,
        checkpoint,
        undecided_ddl: undecided,
        done_ddl,
        parts,
        load,
        target_identity: identity,
        target_flavor,
        max_allowed_packet,
        epoch_changed,
    };
    Ok((start_tasks(shared, lanes), resume))
}

fn is_lane(row: &LaneRow, spec: &TargetSpec, index: u32) -> bool {
    row.stream == spec.stream && i64::from(row.lane) == i64::from(index)
}

/// A higher epoch or a foreign cluster: stop, kill nothing.
fn check_owner(spec: &TargetSpec, found: &[LaneRow]) -> Result<(), TargetError> {
    if !found.iter().any(LaneRow::is_spine) {
        return Err(TargetError::MetaMissing { what: "the row of lane -1".to_owned() });
    }
    for row in found {
        if row.cluster_id != spec.cluster_id && !spec.adopt {
            return Err(TargetError::Foreign {
                found: row.cluster_id.clone(),
                ours: spec.cluster_id.clone(),
            });
        }
        if row.epoch > spec.epoch && !spec.breaks_epoch() {
            return Err(TargetError::Fenced { epoch: spec.epoch, epoch_found: row.epoch });
        }
    }
    Ok(())
}

/// A lane with a part of an unfinished transaction must stay, whatever the number of lanes is now.
fn lanes_with_parts(spec: &TargetSpec, found: &[LaneRow]) -> Result<u32, TargetError> {
    let (mut lanes, mut marks) = (0, 0);
    for row in found.iter().filter(|r| r.stream == spec.stream && r.lane >= 0) {
        if row.parse_done(spec.mode)?.part.is_some() {
            lanes = lanes.max(u32::try_from(row.lane).unwrap_or(0) + 1);
            marks += 1;
        }
    }
    Ok(if marks > 0 { lanes.max(marks + 1) } else { lanes })
}

async fn open_lanes(spec: &TargetSpec, attempt: u64, expected: &str) -> Result<Vec<Lane>, TargetError> {
    try_join_all((0..spec.lanes).map(|index| async move {
        let mut link = open_same(spec, &format!("lane {index}"), expected).await?;
        let lane = i32::try_from(index)
            .map_err(|_| TargetError::Misuse { message: format!("{index} is too high for a lane") })?;
        mark(&mut link, spec, lane, attempt).await?;
        Ok(Lane { index, link, seq: 0 })
    }))
    .await
}

/// Opens another connection, which has to end at the same server.
async fn open_same(spec: &TargetSpec, name: &str, expected: &str) -> Result<Link, TargetError> {
    let mut link = Link::open(spec, name).await?;
    let (found, _, _) = identity(&mut link, spec).await?;
    if found == expected {
        Ok(link)
    } else {
        Err(TargetError::NotOneServer { first: expected.to_owned(), second: found })
    }
}

/// Marks a connection by the lock of its source, lane and attempt.
async fn mark(link: &mut Link, spec: &TargetSpec, lane: i32, attempt: u64) -> Result<(), TargetError> {
    let name = lock_name(spec, stream_of(spec, lane), lane, attempt);
    if lock(link, spec, &name).await? {
        Ok(())
    } else {
        Err(TargetError::Lost {
            connection: link.name.clone(),
            message: "its lock could not be taken".to_owned(),
        })
    }
}

/// Which server is behind the connection, and its packet limit. MariaDB 10.11 has no server UUID; host name, port,
/// server id and data folder together tell servers behind one address apart.
async fn identity(link: &mut Link, spec: &TargetSpec) -> Result<(String, Flavor, usize), TargetError> {
    let deadline = spec.limits.packet;
    let query =
        "SELECT VERSION(), CONCAT_WS('|', @@hostname, @@port, @@server_id, @@datadir), @@max_allowed_packet";
    let row: Option<(String, String, u64)> = link.first(query, deadline).await?;
    let (version, place, packet) = row.ok_or_else(|| TargetError::Corrupt {
        what: "the server's identity".to_owned(),
        message: "no row".to_owned(),
    })?;
    let flavor = if version.contains("MariaDB") { Flavor::MariaDb } else { Flavor::MySql };
    let uuid = match flavor {
        Flavor::MariaDb => String::new(),
        Flavor::MySql => link.first::<String>("SELECT @@server_uuid", deadline).await?.unwrap_or_default(),
    };
    Ok((format!("{place}|{uuid}"), flavor, usize::try_from(packet).unwrap_or(usize::MAX)))
}

/// Step (2): lock lane -1 first, then all rows in key order; check again; write epoch and attempt to all. Gives the
/// rows as they were.
async fn own_rows(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    attempt: u64,
    former: &[LaneRow],
) -> Result<Vec<LaneRow>, TargetError> {
    let begun = Instant::now();
    loop {
        match try_own_rows(link, spec, names, attempt).await {
            Ok(rows) => return Ok(rows),
            // A former connection still holds a row: its packet ends, or its kill arrives.
            Err(TargetError::Sql { code: 1205 | 1213, .. }) if begun.elapsed() < spec.limits.take_over => {
                kill_former(link, spec, former).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn try_own_rows(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    attempt: u64,
) -> Result<Vec<LaneRow>, TargetError> {
    let deadline = spec.limits.packet;
    link.run(b"ROLLBACK", deadline).await?;
    link.run(b"BEGIN", deadline).await?;
    rows::spine_row(link, spec, names, true).await?;
    let rows = rows::lanes(link, spec, names, "", true).await?;
    check_owner(spec, &rows)?;
    let update = format!(
        "UPDATE {} SET `epoch` = {}, `attempt` = {attempt}, `cluster_id` = {} WHERE `source_id` = {}",
        names.lane,
        spec.epoch,
        text_string(&spec.cluster_id),
        text_string(&spec.source_id)
    );
    let answer = link.run(update.as_bytes(), deadline).await?;
    if answer.affected != rows.len() as u64 {
        return Err(TargetError::Corrupt {
            what: "the lane rows".to_owned(),
            message: format!("{} of {} rows were taken over", answer.affected, rows.len()),
        });
    }
    hold(Failpoint::BeforeTakeOver);
    link.run(b"COMMIT", deadline).await?;
    Ok(rows)
}

/// Every lane row that was ever inserted and not retired must be there.
fn check_roster(spine: &Done, found: &[LaneRow]) -> Result<(), TargetError> {
    for &(stream, count) in &spine.roster {
        for lane in 0..count {
            if !found.iter().any(|r| r.stream == stream && i64::from(r.lane) == i64::from(lane)) {
                return Err(TargetError::MetaMissing {
                    what: format!("the row of lane {lane} of stream {stream}"),
                });
            }
        }
    }
    Ok(())
}

/// Lane rows that are missing for our number of lanes, in one packet swapped on lane -1.
async fn insert_missing(shared: &Shared, found: &[LaneRow]) -> Result<(), TargetError> {
    let spec = &shared.spec;
    let missing: Vec<u32> =
        (0..spec.lanes).filter(|&index| !found.iter().any(|r| is_lane(r, spec, index))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let generation = shared.state().generation;
    let values: Vec<String> = missing
        .iter()
        .map(|lane| {
            format!(
                "({}, {}, {lane}, {}, {}, {}, 0, {generation}, '', '')",
                text_string(&spec.source_id),
                spec.stream,
                text_string(&spec.cluster_id),
                spec.epoch,
                shared.attempt
            )
        })
        .collect();
    let sql = format!(
        "INSERT INTO {} (`source_id`, `stream`, `lane`, `cluster_id`, `epoch`, `attempt`, `seq`, `generation`, `low`, \
         `done`) VALUES {}",
        shared.names.lane,
        values.join(", ")
    );
    shared.set_roster(spec.stream, spec.lanes);
    hold(Failpoint::BeforeLaneRows);
    shared
        .with_spine(async |shared, spine| {
            shared
                .spine_packet(spine, &[], |packet| {
                    packet.record_exactly(sql.as_bytes(), missing.len() as u64)
                })
                .await
        })
        .await?;
    hold(Failpoint::AfterLaneRows);
    Ok(())
}

fn start_tasks(shared: Shared, lanes: Vec<Lane>) -> Attachment {
    let shared = Arc::new(shared);
    let mut tasks = JoinSet::new();
    let mut senders = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let (sender, queue): (_, UnboundedReceiver<Work>) = unbounded_channel();
        senders.push(sender);
        tasks.spawn(lane.run(Arc::clone(&shared), queue));
    }
    tasks.spawn(keep_spine_alive(Arc::clone(&shared)));
    Attachment { shared, lanes: Mutex::new(Some(senders)), tasks: tokio::sync::Mutex::new(tasks) }
}

/// Pings lane -1 and the DDL connection while nobody uses them, and closes them when the attachment is dead.
async fn keep_spine_alive(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            biased;
            () = shared.dead.cancelled() => break,
            () = tokio::time::sleep(shared.spec.limits.ping) => {}
        }
        // Somebody at work on it needs no ping.
        if let Ok(mut spine) = shared.spine.try_lock()
            && !spine.busy
            && let Err(error) = spine.link.ping(shared.spec.limits.packet).await
        {
            shared.fail(error);
        }
        if let Ok(mut ddl) = shared.ddl.try_lock()
            && !ddl.busy
            && let Err(error) = ddl.link.ping(shared.spec.limits.packet).await
        {
            shared.fail(error);
        }
    }
    // Whoever is at work on it sees the end as well and lets go of it.
    shared.ddl.lock().await.link.shut().await;
    shared.spine.lock().await.link.shut().await;
}
