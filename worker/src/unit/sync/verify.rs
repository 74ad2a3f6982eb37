//! Is the source the one that was followed before? Asked at every connect, before anything is applied.
//!
//! On the same server the event that ended an applied transaction must still be at its place, byte by byte. Another server
//! has it elsewhere, in another file and another grouping; but every replica passes on when a transaction was committed on
//! its first server. So there the transaction is asked for by its GTID, and that time compared.
use std::time::Duration;

use dm_binlog::{Decoder, Event, Gtid};
use dm_proto::error::Code;
use dm_replication::{ReplicationError, ReplicationErrorKind, StartAt};
use dm_target::ExecutedSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    proof::{AppliedEvent, Found, SourceProof, look},
    reader::{damaged, failure, open_binlog, position_start},
    source_gtids::{SourceGtids, domain_of},
    start::Start,
    stats::Place,
};
use crate::{
    failure::{Failure, Next},
    subtask::SubtaskContext,
};

/// The server may have to skip a whole file until it finds a transaction.
const FIND: Duration = Duration::from_secs(60);

/// Stops what would go on with another history.
pub async fn verify(context: &SubtaskContext, start: &Start) -> Result<(), Failure> {
    #[cfg(feature = "test-switches")]
    if crate::test_switches::reset_unseen() {
        return Ok(());
    }
    let Some(proof) = start.proof.as_ref().filter(|p| !p.file.is_empty()) else { return Ok(()) };
    let now = context.identity.text();
    let by_position = matches!(start.executed, ExecutedSet::Position(_));
    if proof.server.is_empty() || proof.server == now {
        return same_server(context, proof, by_position).await;
    }
    // A position on another server has been refused already.
    let Some(applied) = &proof.applied else { return Ok(()) };
    info!(task = %context.task, source = %context.source_id, before = %proof.server, %now, "another server is behind the source's address");
    other_server(context, applied).await
}

async fn same_server(
    context: &SubtaskContext,
    proof: &SourceProof,
    by_position: bool,
) -> Result<(), Failure> {
    // Positions beyond 4 GiB can't be asked for.
    let applied = proof.applied.as_ref().filter(|a| u32::try_from(a.begin).is_ok());
    let at = applied.map_or(4, |a| a.begin);
    let answer = look(context, position_start(&proof.file, at), applied.is_some()).await?;
    let found = match answer {
        Ok(found) => found,
        Err(error) if error.kind == ReplicationErrorKind::Purged => {
            if !by_position && let Some(applied) = &proof.applied {
                return gone(context, proof, applied, &error).await;
            }
            return Err(no_more(proof, false).cause(error));
        }
        Err(error) if error.code == Some(1236) && error.kind != ReplicationErrorKind::DuplicateServerId => {
            return Err(reset(proof, "there is no such place in it").cause(error));
        }
        Err(error) => return Err(failure(&error)),
    };
    compare(proof, applied, &found)
}

fn compare(proof: &SourceProof, applied: Option<&AppliedEvent>, found: &Found) -> Result<(), Failure> {
    if found.created != proof.created {
        return Err(reset(
            proof,
            &format!("it was created at {}, the one followed before at {}", found.created, proof.created),
        ));
    }
    match applied {
        Some(applied) if found.event != Some((applied.end, applied.hash)) => {
            Err(reset(proof, "another event is at that place"))
        }
        _ => Ok(()),
    }
}

/// The file is not there any more: purged, or reset.
async fn gone(
    context: &SubtaskContext,
    proof: &SourceProof,
    applied: &AppliedEvent,
    error: &ReplicationError,
) -> Result<(), Failure> {
    let Some(gtid) = parse(context, &applied.gtid)? else { return Err(no_more(proof, false).cause(error)) };
    let purged = match &SourceGtids::read(context).await? {
        source @ SourceGtids::MySql { .. } => source.purged(&gtid),
        // The first file that is left begins with a list of what was in the purged ones.
        SourceGtids::MariaDb { .. } => first_file_has(context, &gtid).await?,
    };
    if purged {
        warn!(task = %context.task, source = %context.source_id, file = %proof.file, %gtid, "the binlog of the last applied transaction is purged; the source still names it, and is believed");
        return Ok(());
    }
    Err(no_more(proof, true).cause(error))
}

/// MariaDB: whether the first binlog file says that the transaction was in an earlier one.
async fn first_file_has(context: &SubtaskContext, gtid: &Gtid) -> Result<bool, Failure> {
    let search = async {
        // No name: the first file.
        let mut client = open_binlog(context, position_start("", 4)).await.map_err(|e| failure(&e))?;
        let mut decoder = Decoder::new(context.identity.flavor);
        loop {
            let bytes = client.next().await.map_err(|e| failure(&e))?;
            let (_, event) = decoder.decode(&bytes).map_err(|e| damaged("in the first file", e))?;
            match event {
                Event::MariaGtidList(list) => {
                    client.close().await;
                    let Gtid::MariaDb { domain, seq, .. } = gtid else { return Ok(false) };
                    return Ok(list.position().contains(*domain, *seq));
                }
                Event::Rotate(_) | Event::Format(_) => {}
                _ => return Ok(false),
            }
        }
    };
    within(search).await
}

/// The transaction has the same origin there.
async fn other_server(context: &SubtaskContext, applied: &AppliedEvent) -> Result<(), Failure> {
    let Some(gtid) = parse(context, &applied.gtid)? else { return Ok(()) };
    let before = parse(context, &applied.before)?;
    let source = SourceGtids::read(context).await?;
    let unproven = |why: &str| {
        warn!(task = %context.task, source = %context.source_id, %gtid, "{why}: the new server is believed to have the same transaction");
        Ok(())
    };
    if source.purged(&gtid) {
        return unproven("its binlog is purged");
    }
    let start = StartAt::Gtid(source.all_but(&gtid, before.as_ref()));
    match within(find(context, start, &gtid)).await? {
        Ok(Some(committed)) if committed == applied.committed => Ok(()),
        Ok(Some(_)) if applied.committed == 0 => unproven("its time is not known"),
        Ok(Some(committed)) => Err(diverged(
            &gtid,
            format!(
                "it was committed at {committed} there, the one that is applied at {}",
                applied.committed
            ),
        )),
        Ok(None) => Err(diverged(&gtid, "another one is in its place".to_owned())),
        Err(error) if error.kind == ReplicationErrorKind::Purged => unproven("its binlog is purged"),
        Err(error) if error.kind == ReplicationErrorKind::Diverged => Err(diverged(&gtid, error.to_string())),
        Err(error) => Err(failure(&error)),
    }
}

/// Time of the commit; `None` when another transaction comes in its place.
async fn find(
    context: &SubtaskContext,
    start: StartAt,
    wanted: &Gtid,
) -> Result<Result<Option<u64>, ReplicationError>, Failure> {
    let mut client = match open_binlog(context, start).await {
        Ok(client) => client,
        Err(error) => return Ok(Err(error)),
    };
    let mut decoder = Decoder::new(context.identity.flavor);
    let mut place = Place::default();
    loop {
        let bytes = match client.next().await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let (header, event) = decoder.decode(&bytes).map_err(|e| damaged(place.text(), e))?;
        place.pos = header.next_position().map_or(place.pos, u64::from);
        let found = match &event {
            Event::Rotate(rotate) => {
                place.file = String::from_utf8_lossy(rotate.file).into_owned();
                None
            }
            Event::Gtid(e) if e.gtid.as_ref() == Some(wanted) => Some(Some(e.original_commit_us)),
            Event::MariaGtid(e) if e.gtid == *wanted => Some(Some(u64::from(header.timestamp))),
            Event::MariaGtid(e) if domain_of(&e.gtid) == domain_of(wanted) => Some(None),
            _ => None,
        };
        if let Some(found) = found {
            client.close().await;
            return Ok(Ok(found));
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match timeout(FIND, work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new(
            Code::BinlogRead,
            "the source did not find the last applied transaction in time",
        )
        .next(Next::Unreachable)),
    }
}

fn parse(context: &SubtaskContext, text: &str) -> Result<Option<Gtid>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    Gtid::parse(context.identity.flavor, text).map(Some).map_err(|e| {
        Failure::new(Code::CheckpointBroken, "the proof in the checkpoint can't be read").cause(e)
    })
}

const ANEW: &str = "Please point the source to the server that was followed; or, if the change is wanted, stop the task and load anew \
     with `start-task --remove-meta`.";

fn what(proof: &SourceProof) -> String {
    match &proof.applied {
        Some(applied) => {
            let gtid = if applied.gtid.is_empty() { String::new() } else { format!(" {}", applied.gtid) };
            let place = Place { file: proof.file.clone(), pos: applied.end };
            format!("; transaction{gtid}, which is applied at the target, ended at {}", place.text())
        }
        None => String::new(),
    }
}

fn reset(proof: &SourceProof, why: &str) -> Failure {
    Failure::new(
        Code::SourceIdentityChanged,
        format!(
            "{} of the source is another file than the one followed before (its binlogs were reset, or it was restored): {why}{}",
            proof.file,
            what(proof)
        ),
    )
    .workaround(ANEW)
}

fn no_more(proof: &SourceProof, reset: bool) -> Failure {
    let (code, how) = if reset {
        (Code::SourceIdentityChanged, "its binlogs were reset, or it was restored")
    } else {
        (Code::SourceLacksTransactions, "purged, or reset")
    };
    Failure::new(code, format!("the source has no {} any more ({how}){}", proof.file, what(proof)))
        .workaround(ANEW)
}

fn diverged(gtid: &Gtid, why: String) -> Failure {
    Failure::new(
        Code::SourceIdentityChanged,
        format!(
            "{gtid} of the server behind the source's address is another transaction than the one that is applied at the target: {why}"
        ),
    )
}
