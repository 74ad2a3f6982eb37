//! The source file: one database server whose binlog is followed.

use super::endpoint::DatabaseYaml;
use super::filters::FilterYaml;
use super::{Endpoint, FilterConfig, filled, parse_duration};
use crate::error::{Code, Error};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// MySQL and what calls itself so.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// A source as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name in the cluster.
    pub source_id: String,
    /// False: it is kept but bound to no worker.
    pub enable: bool,
    /// Positions are GTID sets; else file and offset.
    pub enable_gtid: bool,
    /// `None` = ask the server.
    pub flavor: Option<Flavor>,
    /// Our id as a replica; `None` = one that no other replica of the server has.
    pub server_id: Option<u32>,
    /// Where and as whom to connect.
    pub from: Endpoint,
    /// Session variables asked for, names in lower case.
    pub session: BTreeMap<String, String>,
    /// Names in rules are compared with their letter case.
    pub case_sensitive: bool,
    /// Events that are skipped in every task, after what the task's own filters say; named by their place in the file.
    pub filters: Vec<FilterConfig>,
    /// When a task resumes by itself after an error.
    pub checker: CheckerConfig,
    /// What was accepted and has no effect.
    pub warnings: Vec<String>,
}

/// When a task resumes by itself after an error that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckerConfig {
    /// False: every error waits for a person.
    pub enable: bool,
    /// Least wait between two tries; also how often is looked.
    pub backoff_min: Duration,
    /// Longest wait between two tries.
    pub backoff_max: Duration,
    /// After so long without an error the wait is halved.
    pub backoff_rollback: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct SourceYaml {
    enable: Option<bool>,
    source_id: Option<String>,
    enable_gtid: Option<bool>,
    auto_fix_gtid: Option<bool>,
    enable_relay: Option<bool>,
    relay_dir: Option<String>,
    relay_binlog_name: Option<String>,
    relay_binlog_gtid: Option<String>,
    meta_dir: Option<String>,
    charset: Option<String>,
    tracer: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    flavor: Option<String>,
    server_id: Option<u32>,
    from: Option<DatabaseYaml>,
    purge: Option<PurgeYaml>,
    checker: Option<CheckerYaml>,
    case_sensitive: Option<bool>,
    filters: Option<Vec<FilterYaml>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(dead_code, reason = "typed as written; belongs to the relay log, which is not kept")]
struct PurgeYaml {
    interval: Option<i64>,
    expires: Option<i64>,
    remain_space: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct CheckerYaml {
    check_enable: Option<bool>,
    backoff_rollback: Option<String>,
    backoff_max: Option<String>,
    check_interval: Option<String>,
    backoff_min: Option<String>,
    backoff_jitter: Option<bool>,
    backoff_factor: Option<f64>,
}

impl SourceConfig {
    /// Reads and validates a source file.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        Self::decode(yaml)?.validate()
    }

    /// Only what dmctl checks before it sends the file: known keys of the right types. Gives the source's id.
    pub fn check_yaml(yaml: &str) -> Result<Option<String>, Error> {
        Self::decode(yaml).map(|source| filled(source.source_id))
    }

    fn decode(yaml: &str) -> Result<SourceYaml, Error> {
        super::yaml::decode(yaml, "source")
    }
}

impl SourceYaml {
    fn validate(self) -> Result<SourceConfig, Error> {
        let source_id = filled(self.source_id)
            .ok_or_else(|| Code::SourceConfigIdMissing.error("source: `source-id` is missing or empty"))?;
        if source_id.chars().count() > 32 {
            let message = format!("source: `source-id` `{source_id}` is longer than 32 characters");
            return Err(Code::SourceConfigIdTooLong.error(message));
        }
        let flavor = match filled(self.flavor).map(|f| f.to_ascii_lowercase()).as_deref() {
            None => None,
            Some("mysql") => Some(Flavor::MySql),
            Some("mariadb") => Some(Flavor::MariaDb),
            Some(other) => {
                let message = format!("source `{source_id}`: flavor `{other}` is not known");
                return Err(Code::FlavorInvalid.error(message));
            }
        };
        if let Some(name) = filled(self.relay_binlog_name)
            && !name
                .rsplit_once('.')
                .is_some_and(|(base, n)| !base.is_empty() && n.len() >= 6 && n.parse::<u64>().is_ok())
        {
            let message =
                format!("source `{source_id}`: `relay-binlog-name: {name}` is not a binlog file's name");
            return Err(Code::RelayNameInvalid.error(message));
        }
        let mut warnings = Vec::new();
        let mut filters = Vec::new();
        for (index, filter) in self.filters.unwrap_or_default().into_iter().enumerate() {
            let filter = filter.validate(&format!("{source_id}.filters[{index}]"))?;
            warnings.extend(filter.useless());
            filters.push(filter);
        }
        let from = self
            .from
            .ok_or_else(|| Code::ConfigYaml.error(format!("source `{source_id}`: `from` is missing")))?;
        let (from, session) = from.validate("from", &mut warnings)?;
        let unused = [
            ("auto-fix-gtid", self.auto_fix_gtid == Some(true)),
            ("relay-binlog-gtid", filled(self.relay_binlog_gtid).is_some()),
            ("relay-dir", filled(self.relay_dir).is_some()),
            ("meta-dir", filled(self.meta_dir).is_some()),
            ("charset", filled(self.charset).is_some()),
            ("tracer", self.tracer.is_some_and(|t| !t.is_empty())),
        ];
        for (key, _) in unused.iter().filter(|(_, set)| *set) {
            warnings.push(format!("`{key}` has no effect"));
        }
        if self.enable_relay == Some(true) {
            warnings
                .push("`enable-relay`: this version keeps no relay log; tasks read from the source".into());
        }
        Ok(SourceConfig {
            enable: self.enable.unwrap_or(true),
            enable_gtid: self.enable_gtid.unwrap_or(false),
            flavor,
            server_id: self.server_id.filter(|id| *id != 0),
            from,
            session,
            case_sensitive: self.case_sensitive.unwrap_or(false),
            filters,
            checker: self.checker.unwrap_or_default().validate(&source_id)?,
            source_id,
            warnings,
        })
    }
}

impl CheckerYaml {
    fn validate(self, source: &str) -> Result<CheckerConfig, Error> {
        let duration = |key: &str, text: Option<String>, default: u64| match filled(text) {
            None => Ok(Duration::from_secs(default)),
            Some(text) => parse_duration(&text).ok_or_else(|| {
                Code::ConfigYaml.error(format!("source `{source}`: `{key}: {text}` is not a duration"))
            }),
        };
        // DM reads these and forces its own values; so they are only checked.
        duration("check-interval", self.check_interval, 5)?;
        duration("backoff-min", self.backoff_min, 1)?;
        let _ = (self.backoff_jitter, self.backoff_factor);
        let backoff_min = Duration::from_secs(1);
        let backoff_max = duration("backoff-max", self.backoff_max, 300)?;
        if backoff_max < backoff_min {
            let message = format!("source `{source}`: `backoff-max` is below one second");
            return Err(Code::BackoffInvalid.error(message));
        }
        let backoff_rollback = duration("backoff-rollback", self.backoff_rollback, 300)?;
        Ok(CheckerConfig {
            enable: self.check_enable.unwrap_or(true),
            backoff_min,
            backoff_max,
            backoff_rollback,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "source-id: mysql-replica-01\nenable-gtid: true\nflavor: mysql\nserver-id: 101\n\
                        from:\n  host: 127.0.0.1\n  port: 3306\n  user: root\n  password: '123456'\n\
                        purge: {interval: 3600, expires: 0, remain-space: 15}\n\
                        checker: {check-enable: true, backoff-rollback: 5m0s, backoff-max: 5m0s}\n";

    #[test]
    fn a_good_file() {
        let source = SourceConfig::parse(GOOD).unwrap();
        assert_eq!(source.from.to_string(), "root@127.0.0.1:3306");
        assert_eq!((source.flavor, source.server_id), (Some(Flavor::MySql), Some(101)));
        assert!(source.enable && source.enable_gtid && source.checker.enable && source.warnings.is_empty());
        assert!(!format!("{source:?}").contains("123456"));
        let relay = SourceConfig::parse(&format!("{GOOD}enable-relay: true\nrelay-dir: x\n")).unwrap();
        assert_eq!(relay.warnings.len(), 2);
    }

    #[test]
    fn filters_of_a_source_come_after_those_of_a_task() {
        let source = SourceConfig::parse(&format!(
            "{GOOD}case-sensitive: true\nfilters:\n- {{schema-pattern: a, table-pattern: t, events: [delete], action: Ignore}}\n\
             - {{schema-pattern: 'b*', events: [drop table], action: Ignore}}\n"
        ));
        let task = crate::config::TaskConfig::parse(
            "name: t\ntask-mode: all\ntarget-database: {host: h, port: 1, user: u}\nmysql-instances:\n\
             - {source-id: mysql-replica-01, filter-rules: [f]}\n\
             filters:\n  f: {schema-pattern: a, table-pattern: t, events: [update], action: Ignore}\n",
        );
        let subtask = task.unwrap().subtasks[0].clone().with_source(&source.unwrap());
        let names: Vec<&str> = subtask.filters.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["f", "mysql-replica-01.filters[1]"]);
        assert!(subtask.case_sensitive);
    }

    #[test]
    fn bad_files_give_one_clear_error() {
        for (from, to, code, says) in [
            ("flavor: mysql", "flavour: mysql", 20003, "line 3: unknown key `flavour`"),
            ("flavor: mysql", "flavor: oracle", 11010, "flavor `oracle`"),
            ("server-id: 101", "server-id: -1", 20003, "key `server-id`"),
            ("source-id: mysql-replica-01", "", 40005, "`source-id` is missing"),
            ("mysql-replica-01", "a12345678901234567890123456789012", 40006, "longer than 32"),
            ("host: 127.0.0.1", "", 20003, "`host` is missing"),
            ("flavor: mysql", "relay-binlog-name: x", 40007, "relay-binlog-name"),
            ("flavor: mysql", "filters: [{action: Ignore}]", 20037, "filter `mysql-replica-01.filters[0]`"),
            ("backoff-max: 5m0s", "backoff-max: 1ms", 20043, "backoff-max"),
            ("backoff-max: 5m0s", "backoff-max: soon", 20003, "backoff-max: soon"),
        ] {
            let error = SourceConfig::parse(&GOOD.replace(from, to)).unwrap_err();
            assert_eq!(error.code, code, "{to}: {error}");
            assert!(error.message.contains(says), "{to}: {error}");
        }
    }
}
