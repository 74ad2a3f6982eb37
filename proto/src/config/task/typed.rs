//! The task file as written.

use crate::config::endpoint::DatabaseYaml;
use crate::config::filters::{ExpressionFilterYaml, FilterYaml};
use crate::config::rules::{BlockAllowYaml, RouteYaml};
use crate::config::units::{LoaderYaml, MydumperYaml, SyncerYaml, ValidatorYaml};
use crate::config::yaml::Section;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct TaskYaml {
    pub name: Option<String>,
    pub task_mode: Option<String>,
    pub shard_mode: Option<String>,
    pub is_sharding: Option<bool>,
    pub strict_optimistic_shard_mode: Option<bool>,
    pub ignore_checking_items: Option<Vec<String>>,
    pub meta_schema: Option<String>,
    pub enable_heartbeat: Option<bool>,
    pub heartbeat_update_interval: Option<i64>,
    pub heartbeat_report_interval: Option<i64>,
    pub timezone: Option<String>,
    pub case_sensitive: Option<bool>,
    #[serde(rename = "collation_compatible")]
    pub collation_compatible: Option<String>,
    pub target_database: Option<DatabaseYaml>,
    pub mysql_instances: Option<Vec<Option<InstanceYaml>>>,
    pub online_ddl: Option<bool>,
    pub shadow_table_rules: Option<Vec<String>>,
    pub trash_table_rules: Option<Vec<String>>,
    pub online_ddl_scheme: Option<String>,
    pub routes: Section<RouteYaml>,
    pub filters: Section<FilterYaml>,
    pub expression_filter: Section<ExpressionFilterYaml>,
    pub block_allow_list: Section<BlockAllowYaml>,
    pub black_white_list: Section<BlockAllowYaml>,
    pub column_mappings: Section<serde::de::IgnoredAny>,
    pub mydumpers: Section<MydumperYaml>,
    pub loaders: Section<LoaderYaml>,
    pub syncers: Section<SyncerYaml>,
    pub validators: Section<ValidatorYaml>,
    pub clean_dump_file: Option<bool>,
    pub ansi_quotes: Option<bool>,
    pub remove_meta: Option<bool>,
    pub experimental: Option<ExperimentalYaml>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct ExperimentalYaml {
    pub async_checkpoint_flush: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct InstanceYaml {
    pub source_id: Option<String>,
    pub meta: Option<MetaYaml>,
    pub filter_rules: Option<Vec<String>>,
    pub route_rules: Option<Vec<String>>,
    pub expression_filters: Option<Vec<String>>,
    pub column_mapping_rules: Option<Vec<String>>,
    pub block_allow_list: Option<String>,
    pub black_white_list: Option<String>,
    pub mydumper_config_name: Option<String>,
    pub mydumper: Option<MydumperYaml>,
    pub mydumper_thread: Option<u32>,
    pub loader_config_name: Option<String>,
    pub loader: Option<LoaderYaml>,
    pub loader_thread: Option<u32>,
    pub syncer_config_name: Option<String>,
    pub syncer: Option<SyncerYaml>,
    pub syncer_thread: Option<u32>,
    pub validator_config_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct MetaYaml {
    pub binlog_name: Option<String>,
    pub binlog_pos: Option<u32>,
    pub binlog_gtid: Option<String>,
}
