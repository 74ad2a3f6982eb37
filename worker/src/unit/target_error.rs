//! Errors of the target protocol as failures of a subtask.
use dm_proto::error::{Code, Scope};
use dm_target::{TargetError, Verdict};
use tracing::warn;

use crate::{
    failure::{Failure, Next},
    runtime::Process,
};

/// Classifies, and counts and logs every refusal of a packet by the target's fence.
pub fn target_failure(process: &Process, task: &str, source_id: &str, error: &TargetError) -> Failure {
    if error.is_refusal() {
        process.metrics.packet_refused(task, source_id);
        warn!(task, source = source_id, error = %error, "the target refused a packet of this worker: another owner has taken over");
    }
    let next = match error {
        TargetError::Fenced { epoch_found, .. } => Next::Fenced(*epoch_found),
        TargetError::Lost { .. } | TargetError::Timeout { .. } | TargetError::DdlStillRunning { .. } => {
            Next::Unreachable
        }
        other => match other.verdict() {
            Verdict::Retryable => Next::Retry,
            Verdict::NeedsPerson | Verdict::Superseded => Next::Person,
        },
    };
    let (code, message) = match error {
        TargetError::Fenced { .. } => (Code::Fenced, "another owner has taken over the target"),
        TargetError::Foreign { .. } => {
            (Code::ForeignCluster, "the target's progress tables are another cluster's")
        }
        TargetError::MetaMissing { .. } => {
            (Code::MetaMissingAtTarget, "the target's progress tables are not whole")
        }
        TargetError::Refused1242 { .. } => (Code::PacketRefused, "the target refused a packet"),
        TargetError::RowsMissed { .. } => (Code::RowMissed, "a change did not match exactly one row"),
        TargetError::Warned { .. } => (Code::ValueTruncated, "a change does not fit into its row or columns"),
        TargetError::FenceNotHeld { .. } | TargetError::NotOneServer { .. } => {
            (Code::FenceUnsupported, "the target can't be fenced")
        }
        TargetError::Lost { .. } | TargetError::Timeout { .. } | TargetError::Closed => {
            (Code::DatabaseInvalidConnection, "the connections to the target were lost")
        }
        // The same statement may be as slow every time: unlike a lost connection it is not tried for ever.
        TargetError::Unanswered { .. } => {
            (Code::DatabaseExecute, "a statement takes too long at the target (does its table lack a key?)")
        }
        TargetError::DdlStillRunning { .. } => {
            (Code::DatabaseInvalidConnection, "a DDL of the former owner still runs at the target")
        }
        TargetError::Sql { code: 1044 | 1045, .. } => {
            (Code::DatabaseOpen, "fail to open a connection to the target")
        }
        TargetError::Sql { code: 1146, .. } => (Code::TargetTableMissing, "a table is missing at the target"),
        TargetError::Sql { .. } => (Code::DatabaseExecute, "execute statement failed"),
        TargetError::Corrupt { .. } => (Code::CheckpointBroken, "the target's progress rows can't be read"),
        TargetError::Misuse { .. } => (Code::Internal, "the target protocol was misused"),
    };
    let cause = match error {
        TargetError::Sql { code, state, message, context } => {
            format!("Error {code} ({state}): {message}; {context}")
        }
        other => other.to_string(),
    };
    Failure::new(code, message).scope(Scope::Downstream).cause(cause).next(next)
}
