//! Finding and ending the connections of former owners.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::TargetError;
use crate::link::Link;
use crate::literal::text_string;
use crate::names::{Names, ddl_lock_name, lock_name};
use crate::rows::{self, LaneRow};
use crate::spec::TargetSpec;

/// Kills the connection of every lane row's last attempt, found by the lock it holds; doesn't wait.
pub(super) async fn kill_former(
    link: &mut Link,
    spec: &TargetSpec,
    former: &[LaneRow],
) -> Result<(), TargetError> {
    if spec.breaks_kill() {
        return Ok(());
    }
    for row in former {
        let name = lock_name(spec, row.stream, row.lane, row.attempt);
        if let Some(id) = holder(link, spec, &name).await? {
            tracing::info!(source = %spec.source_id, lane = row.lane, id, "killing a connection of the former owner");
            kill(spec, id).await?;
        }
    }
    Ok(())
}

/// Takes the lock that whoever may run a DDL holds, for the connection that asks: the former holder is killed, waited for,
/// and gone when this returns.
pub(super) async fn succeed_ddl(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    attempt: u64,
) -> Result<(), TargetError> {
    if spec.breaks_ddl_wait() {
        return Ok(());
    }
    let name = ddl_lock_name(spec);
    let begun = Instant::now();
    let mut pause = Duration::from_millis(5);
    let mut shown = Instant::now();
    loop {
        if lock(link, spec, &name).await? {
            return Ok(());
        }
        // Whoever was overtaken meanwhile kills nobody.
        let row = rows::spine_row(link, spec, names, false).await?;
        if row.epoch != spec.epoch || row.attempt != attempt {
            return Err(overtaken(spec, &row));
        }
        if let Some(id) = holder(link, spec, &name).await? {
            if !spec.breaks_ddl_kill() {
                kill(spec, id).await?;
            }
            if begun.elapsed() > spec.limits.former_ddl {
                return Err(TargetError::DdlStillRunning { connection_id: id, waited: begun.elapsed() });
            }
            if shown.elapsed() > Duration::from_secs(2) {
                shown = Instant::now();
                tracing::warn!(source = %spec.source_id, id, "waiting for the former owner's DDL connection to end");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

pub(super) fn overtaken(spec: &TargetSpec, row: &LaneRow) -> TargetError {
    if row.epoch > spec.epoch {
        TargetError::Fenced { epoch: spec.epoch, epoch_found: row.epoch }
    } else {
        TargetError::Refused1242 { connection: "lane -1".to_owned() }
    }
}

/// `GET_LOCK` without waiting.
pub(super) async fn lock(link: &mut Link, spec: &TargetSpec, name: &str) -> Result<bool, TargetError> {
    let sql = format!("SELECT GET_LOCK({}, 0)", text_string(name));
    let got: Option<Option<i64>> = link.first(&sql, spec.limits.packet).await?;
    Ok(got.flatten() == Some(1))
}

async fn holder(link: &mut Link, spec: &TargetSpec, name: &str) -> Result<Option<u64>, TargetError> {
    let sql = format!("SELECT IS_USED_LOCK({})", text_string(name));
    let id: Option<Option<u64>> = link.first(&sql, spec.limits.packet).await?;
    Ok(id.flatten())
}

/// Ends a connection of our own user; one that is gone already is fine. On a connection of its own, because an error
/// would cost it.
async fn kill(spec: &TargetSpec, id: u64) -> Result<(), TargetError> {
    let mut link = Link::open(spec, "kill").await?;
    let outcome = link.run(format!("KILL CONNECTION {id}").as_bytes(), spec.limits.packet).await;
    link.close().await;
    match outcome {
        Ok(_) | Err(TargetError::Sql { code: 1094, .. }) => Ok(()),
        // Not ours to kill: the fence holds without it, it only takes longer until its locks are free.
        Err(TargetError::Sql { code: 1095 | 1227, message, .. }) => {
            tracing::warn!(source = %spec.source_id, id, %message, "cannot kill a connection of the former owner");
            Ok(())
        }
        Err(e) => Err(e),
    }
}
