//! One entry of `mysql-instances` with the named blocks that it refers to.

use super::typed::{InstanceYaml, MetaYaml, TaskYaml};
use super::validate::Common;
use super::{StartPosition, SubtaskConfig};
use crate::config::rules::BlockAllowYaml;
use crate::config::units::{LoaderYaml, MydumperYaml, SyncerYaml};
use crate::config::{BlockAllowConfig, ExpressionFilterConfig, FilterConfig, RouteConfig, filled};
use crate::error::{Code, Error};
use std::collections::{BTreeMap, BTreeSet};

/// Longest source id.
const SOURCE_ID_MAX_CHARS: usize = 32;

/// One kind of named block, and which of them somebody refers to.
struct Named<T> {
    section: &'static str,
    unknown: Code,
    blocks: BTreeMap<String, T>,
    used: BTreeSet<String>,
}

impl<T: Clone> Named<T> {
    fn new(section: &'static str, unknown: Code, blocks: BTreeMap<String, T>) -> Self {
        Self { section, unknown, blocks, used: BTreeSet::new() }
    }

    fn get(&mut self, name: &str, source: &str) -> Result<T, Error> {
        let Some(block) = self.blocks.get(name) else {
            let message = format!("source `{source}`: `{name}` is not defined in `{}`", self.section);
            return Err(self.unknown.error(message));
        };
        self.used.insert(name.to_owned());
        Ok(block.clone())
    }

    fn unused(&self) -> Vec<String> {
        let names = self.blocks.keys().filter(|name| !self.used.contains(*name));
        names.map(|name| format!("`{name}` in `{}`", self.section)).collect()
    }
}

/// All named blocks of a task.
pub(super) struct Sections {
    routes: Named<RouteConfig>,
    filters: Named<FilterConfig>,
    expressions: Named<ExpressionFilterConfig>,
    lists: Named<BlockAllowConfig>,
    mydumpers: Named<MydumperYaml>,
    loaders: Named<LoaderYaml>,
    syncers: Named<SyncerYaml>,
    validators: Named<()>,
}

/// Blocks of a section, empty ones with their defaults.
fn blocks<T: Default>(section: crate::config::yaml::Section<T>) -> BTreeMap<String, T> {
    section.unwrap_or_default().into_iter().map(|(name, block)| (name, block.unwrap_or_default())).collect()
}

impl Sections {
    pub(super) fn new(task: TaskYaml) -> Result<Self, Error> {
        let routes = blocks(task.routes).into_iter().map(|(n, r)| r.validate(&n).map(|r| (n, r)));
        let mut lists = blocks::<BlockAllowYaml>(task.block_allow_list);
        if lists.is_empty() {
            lists = blocks(task.black_white_list);
        }
        let lists = lists.into_iter().map(|(n, l)| l.validate(&n).map(|l| (n, l)));
        let validators = blocks(task.validators).into_iter().map(|(n, v)| v.validate(&n).map(|()| (n, ())));
        let filters = blocks(task.filters).into_iter().map(|(n, f)| f.validate(&n).map(|f| (n, f)));
        let expressions =
            blocks(task.expression_filter).into_iter().map(|(n, f)| f.validate(&n).map(|f| (n, f)));
        Ok(Self {
            routes: Named::new("routes", Code::RouteUnknown, routes.collect::<Result<_, _>>()?),
            filters: Named::new("filters", Code::FilterUnknown, filters.collect::<Result<_, _>>()?),
            expressions: Named::new(
                "expression-filter",
                Code::ExpressionFilterUnknown,
                expressions.collect::<Result<_, _>>()?,
            ),
            lists: Named::new("block-allow-list", Code::AllowListUnknown, lists.collect::<Result<_, _>>()?),
            mydumpers: Named::new("mydumpers", Code::MydumperUnknown, blocks(task.mydumpers)),
            loaders: Named::new("loaders", Code::LoaderUnknown, blocks(task.loaders)),
            syncers: Named::new("syncers", Code::SyncerUnknown, blocks(task.syncers)),
            validators: Named::new(
                "validators",
                Code::ValidatorUnknown,
                validators.collect::<Result<_, _>>()?,
            ),
        })
    }

    /// A rule nobody refers to is refused as in DM, since it was meant to change what is replicated; an unused block of
    /// a unit is only mentioned.
    pub(super) fn refuse_unused(&self, warnings: &mut Vec<String>) -> Result<(), Error> {
        let rules = [self.routes.unused(), self.filters.unused(), self.expressions.unused()].concat();
        if !rules.is_empty() {
            let message = format!("no instance uses {}", rules.join(", "));
            return Err(Code::RuleUnused.error(message));
        }
        let units = [
            self.lists.unused(),
            self.mydumpers.unused(),
            self.loaders.unused(),
            self.syncers.unused(),
            self.validators.unused(),
        ];
        warnings.extend(units.concat().into_iter().map(|block| format!("no instance uses {block}")));
        Ok(())
    }
}

pub(super) fn resolve(
    instance: InstanceYaml,
    common: &Common,
    sections: &mut Sections,
    warnings: &mut Vec<String>,
) -> Result<SubtaskConfig, Error> {
    let source = filled(instance.source_id)
        .ok_or_else(|| Code::SourceIdMissing.error("mysql-instances: an entry has no `source-id`"))?;
    if source.chars().count() > SOURCE_ID_MAX_CHARS {
        let message = format!("mysql-instances: source id `{source}` is longer than {SOURCE_ID_MAX_CHARS}");
        return Err(Code::SourceIdTooLong.error(message));
    }
    if instance.column_mapping_rules.is_some_and(|rules| !rules.is_empty()) {
        let message = format!("source `{source}`: `column-mapping-rules` is set");
        return Err(Code::ColumnMappingRemoved.error(message));
    }
    let mut routes = Vec::new();
    for name in distinct("route-rules", instance.route_rules, &source)? {
        routes.push(sections.routes.get(&name, &source)?);
    }
    let mut filters = Vec::new();
    for name in distinct("filter-rules", instance.filter_rules, &source)? {
        let filter = sections.filters.get(&name, &source)?;
        warnings.extend(filter.useless());
        filters.push(filter);
    }
    let mut expressions = Vec::new();
    for name in distinct("expression-filters", instance.expression_filters, &source)? {
        expressions.push(sections.expressions.get(&name, &source)?);
    }
    let block_allow = match filled(instance.block_allow_list).or(filled(instance.black_white_list)) {
        Some(name) => sections.lists.get(&name, &source)?,
        None => BlockAllowConfig::default(),
    };
    if let Some(name) = filled(instance.validator_config_name) {
        sections.validators.get(&name, &source)?;
    }
    let mydumper = unit(
        &mut sections.mydumpers,
        instance.mydumper_config_name,
        instance.mydumper,
        Code::MydumperTwice,
        &source,
    )?;
    let loader = unit(
        &mut sections.loaders,
        instance.loader_config_name,
        instance.loader,
        Code::LoaderTwice,
        &source,
    )?;
    let syncer = unit(
        &mut sections.syncers,
        instance.syncer_config_name,
        instance.syncer,
        Code::SyncerTwice,
        &source,
    )?;
    let syncer = syncer.validate(instance.syncer_thread.unwrap_or(0), warnings)?;
    let checked = common.session.get("foreign_key_checks");
    if checked.is_some_and(|v| ["1", "on", "true"].contains(&v.to_ascii_lowercase().as_str()))
        && (syncer.compact || syncer.multiple_rows)
    {
        let message = format!("source `{source}`: `foreign_key_checks` is on in the target's session");
        return Err(Code::ForeignKeyChecksConflict.error(message));
    }
    Ok(SubtaskConfig {
        task: common.name.clone(),
        task_mode: common.mode,
        meta_schema: common.meta_schema.clone(),
        case_sensitive: common.case_sensitive,
        target: common.target.clone(),
        session: common.session.clone(),
        timezone: common.timezone.clone(),
        block_allow,
        online_ddl: common.online_ddl.clone(),
        routes,
        filters,
        expressions,
        ignore_checks: common.ignore_checks.clone(),
        start: start(instance.meta, common, &source, warnings)?,
        mydumper: mydumper.validate(instance.mydumper_thread.unwrap_or(0), warnings)?,
        loader: loader.validate(instance.loader_thread.unwrap_or(0), warnings)?,
        syncer,
        source_id: source,
    })
}

/// The named block, or the one written in place, or the defaults.
fn unit<T: Clone + Default>(
    named: &mut Named<T>,
    name: Option<String>,
    inline: Option<T>,
    twice: Code,
    source: &str,
) -> Result<T, Error> {
    match (filled(name), inline) {
        (Some(_), Some(_)) => {
            Err(twice.error(format!("source `{source}`: a named and an inline block are set")))
        }
        (Some(name), None) => named.get(&name, source),
        (None, inline) => Ok(inline.unwrap_or_default()),
    }
}

fn distinct(key: &str, names: Option<Vec<String>>, source: &str) -> Result<Vec<String>, Error> {
    let names = names.unwrap_or_default();
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => {
            Err(Code::RuleRepeated.error(format!("source `{source}`: `{name}` is named twice in `{key}`")))
        }
        None => Ok(names),
    }
}

fn start(
    meta: Option<MetaYaml>,
    common: &Common,
    source: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<StartPosition>, Error> {
    let Some(meta) = meta else { return Ok(None) };
    let (file, gtid) = (filled(meta.binlog_name), filled(meta.binlog_gtid));
    if common.mode.loads() {
        warnings
            .push(format!("source `{source}`: `meta` has no effect in task-mode `{}`", common.mode.as_str()));
        return Ok(None);
    }
    if file.is_none() && gtid.is_none() {
        let message = format!("source `{source}`: `meta` needs `binlog-name` or `binlog-gtid`");
        return Err(Code::MetaIncomplete.error(message));
    }
    let pos = u64::from(meta.binlog_pos.unwrap_or(0)).max(4);
    Ok(Some(StartPosition { file, pos, gtid }))
}
