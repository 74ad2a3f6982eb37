//! What the target protocol has to know of a subtask.
use dm_binlog::Flavor;
use dm_proto::config::SubtaskConfig;
use dm_target::{Mode, TargetAddress, TargetSpec};

use super::SubtaskContext;

/// Whether the user wants foreign keys to be checked at the target.
pub fn foreign_key_checks(subtask: &SubtaskConfig) -> bool {
    let checks = subtask.session.get("foreign_key_checks");
    checks.is_some_and(|v| matches!(v.to_ascii_uppercase().as_str(), "1" | "ON"))
}

/// Where and as whom to write, with the user's session.
pub fn target_address(subtask: &SubtaskConfig) -> TargetAddress {
    let target = &subtask.target;
    TargetAddress {
        host: target.host.clone(),
        port: target.port,
        user: target.user.clone(),
        password: target.password.expose().to_owned(),
        session: subtask.session.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

/// The main stream's specification; GTIDs name the transactions where the source has them.
pub fn target_spec(context: &SubtaskContext, adopt: bool) -> TargetSpec {
    let mode = match (context.gtid_mode(), context.identity.flavor) {
        (false, _) => Mode::Position,
        (true, Flavor::MySql) => Mode::MySqlGtid,
        (true, Flavor::MariaDb) => Mode::MariaDbGtid,
    };
    let foreign_key_checks = foreign_key_checks(&context.subtask);
    let lanes = context.subtask.syncer.worker_count.clamp(1, 64);
    let mut spec = TargetSpec::new(
        target_address(&context.subtask),
        &context.subtask.meta_schema,
        &context.task,
        &context.source_id,
        &context.cluster_id,
        context.epoch,
        lanes,
        mode,
    );
    spec.adopt = adopt;
    spec.foreign_key_checks = foreign_key_checks;
    #[cfg(feature = "test-switches")]
    {
        spec.broken = crate::test_switches::broken();
    }
    #[cfg(feature = "simulation")]
    dm_target::simulation::adjust(&mut spec);
    spec
}
