//! Removing what a source's former life has left in the meta schema (`start-task --remove-meta`).

use dm_failpoints::{Failpoint, hold};

use crate::error::TargetError;
use crate::link::Link;
use crate::literal::{ident, text_string};
use crate::names::{Names, SPINE_LANE};
use crate::rows;
use crate::spec::{MAIN_STREAM, TargetSpec};

/// DM's tables, by what follows the task's name, with the column that names the source.
const DM_TABLES: [(&str, &str); 9] = [
    ("syncer_checkpoint", "id"),
    ("syncer_sharding_meta", "source_id"),
    ("onlineddl", "id"),
    ("loader_checkpoint", "id"),
    ("lightning_checkpoint_list", "source_name"),
    ("validator_checkpoint", "source"),
    ("validator_pending_change", "source"),
    ("validator_error_change", "source"),
    ("validator_table_status", "source"),
];

/// Meta stage CREATING, after [`crate::create_meta`]: removes all rows of this source, ours and DM's, and leaves a bare lane
/// -1 row. Repeating it is harmless.
///
/// That row carries our epoch. So an attempt of a former owner that comes late removes nothing (it finds a higher epoch),
/// and a packet of one matches no row.
pub async fn remove_meta(spec: &TargetSpec) -> Result<(), TargetError> {
    if !spec.may_create {
        return Err(TargetError::Misuse {
            message: "the meta rows may only be removed in stage CREATING".to_owned(),
        });
    }
    let names = Names::new(spec);
    let mut link = Link::open(spec, "meta").await?;
    let tables = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = {}",
        text_string(&spec.meta_schema)
    );
    let present: Vec<String> = link.rows(&tables, spec.limits.packet).await?;
    let outcome = remove(&mut link, spec, &names, &present).await;
    // An open transaction ends with its connection.
    link.close().await;
    outcome
}

async fn remove(
    link: &mut Link,
    spec: &TargetSpec,
    names: &Names,
    present: &[String],
) -> Result<(), TargetError> {
    let source = text_string(&spec.source_id);
    link.run(b"BEGIN", spec.limits.packet).await?;
    // The rows are locked: a former owner's packet on its way commits before this, or is refused after it.
    for row in rows::lanes(link, spec, names, "", true).await? {
        if row.cluster_id != spec.cluster_id && !spec.adopt {
            return Err(TargetError::Foreign { found: row.cluster_id, ours: spec.cluster_id.clone() });
        }
        if row.epoch > spec.epoch {
            return Err(TargetError::Fenced { epoch: spec.epoch, epoch_found: row.epoch });
        }
    }
    let mut statements = vec![
        // Not one that a later owner has put in since it was looked.
        format!("DELETE FROM {} WHERE `source_id` = {source} AND `epoch` <= {}", names.lane, spec.epoch),
        format!(
            "INSERT INTO {} (`source_id`, `stream`, `lane`, `cluster_id`, `epoch`, `attempt`, `seq`, `generation`, \
             `low`, `done`) VALUES ({source}, {MAIN_STREAM}, {SPINE_LANE}, {}, {}, 0, 0, 0, '', '')",
            names.lane,
            text_string(&spec.cluster_id),
            spec.epoch
        ),
    ];
    for table in [&names.checkpoint, &names.ddl, &names.load] {
        statements.push(format!("DELETE FROM {table} WHERE `source_id` = {source}"));
    }
    for (suffix, column) in DM_TABLES {
        let name = format!("{}_{suffix}", spec.task);
        if present.contains(&name) {
            statements.push(format!(
                "DELETE FROM {}.{} WHERE `{column}` = {source}",
                names.schema,
                ident(&name)
            ));
        }
    }
    statements.push("COMMIT".to_owned());
    hold(Failpoint::BeforeRemove);
    for statement in &statements {
        link.run(statement.as_bytes(), spec.limits.packet).await?;
    }
    hold(Failpoint::AfterRemove);
    tracing::info!(source = %spec.source_id, task = %spec.task, "progress of an earlier life is removed from the target");
    Ok(())
}
