//! The task file: what is replicated from which sources to which target.

mod checks;
mod extracts;
mod instance;
mod session;
mod typed;
mod validate;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bad;

pub use session::MODES_LEFT_OUT;

use super::units::{LoaderConfig, MydumperConfig, SyncerConfig};
use super::{BlockAllowConfig, Endpoint, ExpressionFilterConfig, FilterConfig, RouteConfig, SourceConfig};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};

/// A task as meant: every rule of every source resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskConfig {
    /// Unique in the cluster; also the beginning of the names of its tables in the meta schema.
    pub name: String,
    /// Units that run.
    pub mode: TaskMode,
    /// Pre-checks that are left out; `all` leaves out every one.
    pub ignore_checks: BTreeSet<String>,
    /// One for each source, in the file's order.
    pub subtasks: Vec<SubtaskConfig>,
    /// What was accepted and has no effect, or is spelt in an old way.
    pub warnings: Vec<String>,
}

/// The part of a task that one source does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtaskConfig {
    /// The task's name.
    pub task: String,
    /// The source.
    pub source_id: String,
    /// Units that run.
    pub task_mode: TaskMode,
    /// Schema at the target that holds the task's own tables.
    pub meta_schema: String,
    /// Names in rules are compared with their letter case: the task or, after [`Self::with_source`], the source says so.
    pub case_sensitive: bool,
    /// Where to write.
    pub target: Endpoint,
    /// Session variables asked for at the target, names in lower case.
    pub session: BTreeMap<String, String>,
    /// `timezone` as given; `None` = the target's.
    pub timezone: Option<String>,
    /// What is replicated.
    pub block_allow: BlockAllowConfig,
    /// Names of the tables of online schema changes; `None` = they are tables like any other.
    pub online_ddl: Option<OnlineDdlConfig>,
    /// New names at the target, in the instance's order.
    pub routes: Vec<RouteConfig>,
    /// Events that are skipped, in the instance's order.
    pub filters: Vec<FilterConfig>,
    /// Row changes that are skipped by their values, in the instance's order.
    pub expressions: Vec<ExpressionFilterConfig>,
    /// Pre-checks that are left out, as of the task.
    pub ignore_checks: BTreeSet<String>,
    /// Start of an incremental task; `None` = the source's position when the task starts.
    pub start: Option<StartPosition>,
    /// How tables are read.
    pub mydumper: MydumperConfig,
    /// How loaded rows are written.
    pub loader: LoaderConfig,
    /// How events are applied.
    pub syncer: SyncerConfig,
}

impl SubtaskConfig {
    /// With what the source's own file says about rules. Its filters come after the task's, whose rule counts alone where
    /// both are about the same patterns.
    pub fn with_source(mut self, source: &SourceConfig) -> Self {
        self.case_sensitive |= source.case_sensitive;
        let own = self.filters.len();
        for filter in &source.filters {
            let same = |f: &FilterConfig| {
                f.schema_pattern == filter.schema_pattern && f.table_pattern == filter.table_pattern
            };
            if !self.filters.iter().take(own).any(same) {
                self.filters.push(filter.clone());
            }
        }
        self
    }
}

/// How tables of gh-ost and pt-online-schema-change are known. Regular expressions of whole names, with one group each:
/// the name of the table that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlineDdlConfig {
    /// Tables that take the place of the changed one.
    pub shadow: Vec<String>,
    /// Tables that nobody needs: the tool's notes, and the changed table after the swap.
    pub trash: Vec<String>,
}

/// Units that a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskMode {
    /// Dump and load.
    Full,
    /// Follow the binlog from `start`.
    Incremental,
    /// Dump, load, then follow the binlog from the snapshot.
    All,
}

impl TaskMode {
    /// As the file spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
            Self::All => "all",
        }
    }

    /// The task reads whole tables first.
    pub const fn loads(self) -> bool {
        matches!(self, Self::Full | Self::All)
    }

    /// The task follows the binlog.
    pub const fn syncs(self) -> bool {
        matches!(self, Self::Incremental | Self::All)
    }
}

/// Where an incremental task begins. The GTID set counts where the source uses GTIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartPosition {
    /// Binlog file.
    pub file: Option<String>,
    /// Byte offset in it, at least 4.
    pub pos: u64,
    /// GTID set in the server's own text.
    pub gtid: Option<String>,
}

impl TaskConfig {
    /// Reads and validates a task file.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        validate::validate(Self::decode(yaml)?)
    }

    /// Only what dmctl checks before it sends the file: known keys of the right types. Gives the task's name.
    pub fn check_yaml(yaml: &str) -> Result<Option<String>, Error> {
        Self::decode(yaml).map(|task| super::filled(task.name))
    }

    fn decode(yaml: &str) -> Result<typed::TaskYaml, Error> {
        super::yaml::decode(yaml, "task")
    }

    /// The part of one source, if the task names it.
    pub fn subtask(&self, source_id: &str) -> Option<SubtaskConfig> {
        self.subtasks.iter().find(|s| s.source_id == source_id).cloned()
    }

    /// The sources in the file's order.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.subtasks.iter().map(|s| s.source_id.as_str())
    }
}
