//! Proof that this target stops a packet after a failed swap.

use crate::error::TargetError;
use crate::link::Link;
use crate::literal::text_string;
use crate::names::Names;
use crate::spec::TargetSpec;

/// Runs a packet on a scratch row that is never committed: a matching swap must pass its guard, a second one with the
/// same seq must end the packet with error 1242 before the next statement. The connection is used up by it.
pub(super) async fn prove_fence(mut link: Link, spec: &TargetSpec, names: &Names) -> Result<(), TargetError> {
    let not_held = |what: String| TargetError::FenceNotHeld { what };
    let key = u32::MAX - (rand::random::<u32>() >> 2);
    let row = format!("`source_id` = {} AND `stream` = {key} AND `lane` = -2", text_string(&spec.source_id));
    let swap = format!(
        "UPDATE {} SET `seq` = `seq` + 1, `low` = 'x' WHERE {row} AND `epoch` = 7 AND `seq` = 5;",
        names.lane
    );
    let guard = "SET @dm = IF(ROW_COUNT() = 1, 1, (SELECT 1 UNION ALL SELECT 2));";
    let text = format!(
        "ROLLBACK;BEGIN;INSERT INTO {} (`source_id`, `stream`, `lane`, `cluster_id`, `epoch`, `attempt`, `seq`, \
         `generation`, `low`, `done`) VALUES ({}, {key}, -2, '', 7, 0, 5, 0, '', '');\
         {swap}{guard}SET @dm_first = 1;{swap}{guard}SET @dm_second = 1;COMMIT",
        names.lane,
        text_string(&spec.source_id),
    );
    // ROLLBACK, BEGIN, INSERT, swap, guard, SET, swap, guard: the guard of the second swap is statement 7.
    match link.packet(text.as_bytes(), spec.limits.packet).await {
        Ok(_) => return Err(not_held("a packet went on after a swap that matched no row".to_owned())),
        Err(e) => match e.error {
            TargetError::Sql { code: 1242, .. } if e.statement == 7 => {}
            TargetError::Sql { .. } if e.statement >= 3 => {
                return Err(not_held(format!("statement {} of the proof failed: {}", e.statement, e.error)));
            }
            other => return Err(other),
        },
    }
    Ok(())
}
