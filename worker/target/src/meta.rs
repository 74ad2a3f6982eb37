//! The meta tables: creation in stage CREATING, and the check that they exist ever after.

use dm_failpoints::{Failpoint, hold};

use crate::error::TargetError;
use crate::link::Link;
use crate::literal::{ident, text_string};
use crate::names::{Names, SPINE_LANE};
use crate::spec::{MAIN_STREAM, TargetSpec};

const KEY: &str = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL";
const END: &str = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// Meta stage CREATING: creates database, tables and the bare lane -1 row (epoch 0) where they are missing; idempotent.
/// Needs `may_create`; rows of another cluster need `adopt`.
pub async fn create_meta(spec: &TargetSpec) -> Result<(), TargetError> {
    if !spec.may_create {
        return Err(TargetError::Misuse {
            message: "the meta tables may only be created in stage CREATING".to_owned(),
        });
    }
    let names = Names::new(spec);
    let mut link = Link::open(spec, "meta").await?;
    let mut statements = Vec::new();
    let schema = format!(
        "SELECT 1 FROM information_schema.schemata WHERE schema_name = {}",
        text_string(&spec.meta_schema)
    );
    // Asked first: the privilege to create it is not needed where it exists.
    if link.first::<u8>(&schema, spec.limits.packet).await?.is_none() {
        statements.push(format!("CREATE DATABASE IF NOT EXISTS {}", names.schema));
    }
    let [lane, others @ ..] = tables(&names);
    statements.push(lane);
    statements.push(format!(
        "INSERT IGNORE INTO {} (`source_id`, `stream`, `lane`, `cluster_id`, `epoch`, `attempt`, `seq`, `generation`, \
         `low`, `done`) VALUES ({}, {MAIN_STREAM}, {SPINE_LANE}, {}, 0, 0, 0, 0, '', '')",
        names.lane,
        text_string(&spec.source_id),
        text_string(&spec.cluster_id),
    ));
    // After the row: a DDL makes the servers write their log, also where commits are not flushed at once. The leader
    // is about to commit "created", and a lost row would stop the task.
    statements.extend(others);
    hold(Failpoint::BeforeMeta);
    for statement in &statements {
        link.run(statement.as_bytes(), spec.limits.packet).await?;
    }
    create_dm_table(spec, &names).await?;
    check_engine(&mut link, spec).await?;
    let found: Option<String> = link
        .first(
            &format!(
                "SELECT `cluster_id` FROM {} WHERE `source_id` = {} AND `stream` = {MAIN_STREAM} AND `lane` = {SPINE_LANE}",
                names.lane,
                text_string(&spec.source_id)
            ),
            spec.limits.packet,
        )
        .await?;
    link.close().await;
    hold(Failpoint::AfterMeta);
    match found {
        Some(cluster) if cluster == spec.cluster_id || spec.adopt => Ok(()),
        Some(cluster) => Err(TargetError::Foreign { found: cluster, ours: spec.cluster_id.clone() }),
        None => Err(TargetError::MetaMissing { what: "the row of lane -1".to_owned() }),
    }
}

/// DM's form of the checkpoint, exactly as DM makes it.
async fn create_dm_table(spec: &TargetSpec, names: &Names) -> Result<(), TargetError> {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {}.{} (id VARCHAR(32) NOT NULL, cp_schema VARCHAR(128) NOT NULL, \
         cp_table VARCHAR(128) NOT NULL, binlog_name VARCHAR(128), binlog_pos INT UNSIGNED, binlog_gtid TEXT, \
         exit_safe_binlog_name VARCHAR(128) DEFAULT '', exit_safe_binlog_pos INT UNSIGNED DEFAULT 0, \
         exit_safe_binlog_gtid TEXT, table_info JSON NOT NULL, is_global BOOLEAN, \
         create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
         UNIQUE KEY uk_id_schema_table (id, cp_schema, cp_table)) ENGINE=InnoDB",
        names.schema,
        ident(&format!("{}_syncer_checkpoint", spec.task))
    );
    let mut link = Link::open(spec, "meta").await?;
    let created = link.run(sql.as_bytes(), spec.limits.packet).await;
    link.close().await;
    match created {
        Ok(_) => Ok(()),
        // sql_require_primary_key: DM could not keep its checkpoint here either.
        Err(TargetError::Sql { code: 3750, message, .. }) => {
            tracing::warn!(source = %spec.source_id, task = %spec.task, %message, "the target refuses DM's checkpoint table");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn tables(names: &Names) -> [String; 4] {
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {} (`source_id` VARCHAR(191) {KEY}, `stream` INT UNSIGNED NOT NULL, \
             `lane` INT NOT NULL, `cluster_id` VARCHAR(191) {KEY}, `epoch` BIGINT UNSIGNED NOT NULL, \
             `attempt` BIGINT UNSIGNED NOT NULL, `seq` BIGINT UNSIGNED NOT NULL, `generation` BIGINT UNSIGNED NOT NULL, \
             `low` MEDIUMTEXT NOT NULL, `done` MEDIUMTEXT NOT NULL, PRIMARY KEY (`source_id`, `stream`, `lane`)) {END}",
            names.lane
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (`source_id` VARCHAR(191) {KEY}, `stream` INT UNSIGNED NOT NULL, \
             `generation` BIGINT UNSIGNED NOT NULL, `executed` MEDIUMTEXT NOT NULL, `source_identity` TEXT NOT NULL, \
             `position_proof` TEXT NOT NULL, `table_schemas` LONGBLOB NOT NULL, `windows` MEDIUMTEXT NOT NULL, \
             PRIMARY KEY (`source_id`, `stream`)) {END}",
            names.checkpoint
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (`source_id` VARCHAR(191) {KEY}, `stream` INT UNSIGNED NOT NULL, \
             `txn` VARCHAR(300) {KEY}, `ordinal` INT UNSIGNED NOT NULL, `last` TINYINT NOT NULL, \
             `hash` BIGINT UNSIGNED NOT NULL, `class` VARCHAR(16) NOT NULL, `state` VARCHAR(16) NOT NULL, \
             `sql_text` LONGBLOB NOT NULL, `session` MEDIUMTEXT NOT NULL, `definitions` LONGTEXT NOT NULL, \
             PRIMARY KEY (`source_id`, `stream`, `txn`, `ordinal`)) {END}",
            names.ddl
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (`source_id` VARCHAR(191) {KEY}, `chunk` BIGINT NOT NULL, \
             `schema_name` VARCHAR(191) {KEY}, `table_name` VARCHAR(191) {KEY}, `bounds` LONGBLOB NOT NULL, \
             `pieces` INT UNSIGNED NOT NULL, `row_count` BIGINT UNSIGNED NOT NULL, `state` VARCHAR(16) NOT NULL, \
             PRIMARY KEY (`source_id`, `chunk`)) {END}",
            names.load
        ),
    ]
}

/// All four tables exist and are transactional; otherwise nothing may be written.
pub(crate) async fn check_engine(link: &mut Link, spec: &TargetSpec) -> Result<(), TargetError> {
    for table in Names::unquoted(spec) {
        let query = format!(
            "SELECT engine FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
            text_string(&spec.meta_schema),
            text_string(&table)
        );
        match link.first::<Option<String>>(&query, spec.limits.packet).await? {
            Some(Some(engine)) if engine.eq_ignore_ascii_case("InnoDB") => {}
            Some(engine) => {
                return Err(TargetError::FenceNotHeld {
                    what: format!("meta table {table} has engine {engine:?}, it must be InnoDB"),
                });
            }
            None => {
                return Err(TargetError::MetaMissing { what: format!("table {}.{table}", spec.meta_schema) });
            }
        }
    }
    Ok(())
}
