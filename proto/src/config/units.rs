//! Settings of the units: dump (`mydumpers`), load (`loaders`), sync (`syncers`), validation (`validators`).

use super::{filled, not_yet, parse_duration, parse_size};
use crate::error::{Code, Error};
use serde::Deserialize;
use std::time::Duration;

/// How the source's tables are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MydumperConfig {
    /// Connections that read at once.
    pub threads: u32,
    /// Rows of one chunk; 0 = chosen by the unit.
    pub rows: u64,
    /// Greatest length of one statement in bytes; 0 = chosen by the unit.
    pub statement_size_bytes: u64,
}

/// How loaded rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Connections that write at once.
    pub pool_size: u32,
    /// What happens to a row whose key the target already has.
    pub on_duplicate: OnDuplicate,
}

/// What the load does with a row whose key the target already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The loaded row replaces it.
    #[default]
    Replace,
    /// The task stops.
    Error,
    /// The target's row stays.
    Ignore,
}

/// How binlog events are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncerConfig {
    /// Lanes, each with a connection of its own.
    pub worker_count: u32,
    /// Row changes of one target transaction while behind.
    pub batch: u32,
    /// DM's capacity of a job queue; ours are bounded in bytes, so it only scales them.
    pub queue_size: u32,
    /// How often DM writes its checkpoint; ours advances every second.
    pub checkpoint_flush_interval: Duration,
    /// Merging the changes of one row is asked for.
    pub compact: bool,
    /// Statements over several rows are asked for.
    pub multiple_rows: bool,
    /// INSERT as REPLACE, UPDATE as DELETE and REPLACE is asked for.
    pub safe_mode: bool,
    /// An UPDATE or DELETE that matches no row stops the task, whatever keys the table has.
    pub strict: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct MydumperYaml {
    mydumper_path: Option<String>,
    threads: Option<u32>,
    chunk_filesize: Option<String>,
    statement_size: Option<u64>,
    rows: Option<u64>,
    #[serde(rename = "where")]
    condition: Option<String>,
    skip_tz_utc: Option<bool>,
    extra_args: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct LoaderYaml {
    pool_size: Option<u32>,
    dir: Option<String>,
    sorting_dir_physical: Option<String>,
    import_mode: Option<String>,
    on_duplicate: Option<String>,
    on_duplicate_logical: Option<String>,
    on_duplicate_physical: Option<String>,
    checksum_physical: Option<String>,
    analyze: Option<String>,
    disk_quota_physical: Option<String>,
    range_concurrency: Option<i64>,
    compress_kv_pairs: Option<String>,
    pd_addr: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct SyncerYaml {
    meta_file: Option<String>,
    worker_count: Option<u32>,
    batch: Option<u32>,
    queue_size: Option<u32>,
    checkpoint_flush_interval: Option<u64>,
    compact: Option<bool>,
    #[serde(alias = "multipleRows")]
    multiple_rows: Option<bool>,
    max_retry: Option<i64>,
    auto_fix_gtid: Option<bool>,
    enable_gtid: Option<bool>,
    disable_detect: Option<bool>,
    strict: Option<bool>,
    safe_mode: Option<bool>,
    safe_mode_duration: Option<String>,
    enable_ansi_quotes: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
#[allow(dead_code, reason = "typed as written; a mode other than none is refused until it is supported")]
pub(crate) struct ValidatorYaml {
    mode: Option<String>,
    worker_count: Option<u32>,
    validate_interval: Option<String>,
    check_interval: Option<String>,
    row_error_delay: Option<String>,
    meta_flush_interval: Option<String>,
    batch_query_size: Option<u32>,
    max_pending_row_size: Option<String>,
    max_pending_row_count: Option<u64>,
}

impl MydumperYaml {
    pub(crate) fn validate(self, thread: u32, warnings: &mut Vec<String>) -> Result<MydumperConfig, Error> {
        if let Some(size) = filled(self.chunk_filesize)
            && parse_size(&size).is_none()
        {
            return Err(Code::ChunkSizeInvalid.error(format!("`chunk-filesize: {size}` is not a size")));
        }
        if filled(self.condition).is_some() {
            return Err(not_yet("`where` of a mydumper block"));
        }
        let arguments = filled(self.extra_args).unwrap_or_default();
        for word in arguments.split_whitespace() {
            let flag = word.split('=').next().unwrap_or(word);
            let selects = ["--where", "--database", "--tables-list", "--filter", "--snapshot"]
                .contains(&flag)
                || ["-B", "-T", "-f"].iter().any(|short| flag.starts_with(short));
            if selects {
                return Err(not_yet(format!("`{flag}` in `extra-args` of a mydumper block")));
            }
        }
        if !arguments.trim().is_empty() {
            warnings.push("`extra-args` of a mydumper block has no effect".to_owned());
        }
        let unused = [
            ("mydumper-path", self.mydumper_path.is_some()),
            ("skip-tz-utc", self.skip_tz_utc.is_some_and(|on| !on)),
        ];
        deprecated("mydumpers", &unused, warnings);
        let threads = Some(thread).filter(|n| *n > 0).or(self.threads).filter(|n| *n > 0).unwrap_or(4);
        let statement_size_bytes = self.statement_size.unwrap_or(0);
        Ok(MydumperConfig { threads, rows: self.rows.unwrap_or(0), statement_size_bytes })
    }
}

impl LoaderYaml {
    pub(crate) fn validate(self, thread: u32, warnings: &mut Vec<String>) -> Result<LoaderConfig, Error> {
        let one_of = |key: &str, value: &Option<String>, allowed: &[&str], code: Code| match value.as_deref()
        {
            Some(v) if !v.is_empty() && !allowed.contains(&v.to_ascii_lowercase().as_str()) => {
                Err(code.error(format!("`{key}: {v}` is not one of {}", allowed.join(", "))))
            }
            _ => Ok(()),
        };
        let modes = ["logical", "sql", "loader", "physical", "import-into"];
        one_of("import-mode", &self.import_mode, &modes, Code::ImportModeInvalid)?;
        if matches!(self.import_mode.as_deref(), Some("physical" | "import-into")) {
            return Err(not_yet("`import-mode` other than `logical`"));
        }
        let duplicate = ["replace", "error", "ignore"];
        one_of("on-duplicate-logical", &self.on_duplicate_logical, &duplicate, Code::OnDuplicateInvalid)?;
        let physical = ["none", "manual"];
        one_of(
            "on-duplicate-physical",
            &self.on_duplicate_physical,
            &physical,
            Code::OnDuplicatePhysicalInvalid,
        )?;
        let degree = ["required", "optional", "off"];
        one_of("checksum-physical", &self.checksum_physical, &degree, Code::ChecksumPhysicalInvalid)?;
        one_of("analyze", &self.analyze, &degree, Code::AnalyzeInvalid)?;
        let unused = [
            ("dir", self.dir.is_some_and(|d| d != "./dumped_data")),
            ("on-duplicate", filled(self.on_duplicate).is_some()),
            ("sorting-dir-physical", filled(self.sorting_dir_physical).is_some()),
            ("disk-quota-physical", filled(self.disk_quota_physical).is_some_and(|q| q != "0")),
            ("range-concurrency", self.range_concurrency.is_some_and(|n| n != 0)),
            ("compress-kv-pairs", filled(self.compress_kv_pairs).is_some()),
            ("pd-addr", filled(self.pd_addr).is_some()),
        ];
        deprecated("loaders", &unused, warnings);
        let on_duplicate = match self.on_duplicate_logical.unwrap_or_default().to_ascii_lowercase().as_str() {
            "error" => OnDuplicate::Error,
            "ignore" => OnDuplicate::Ignore,
            _ => OnDuplicate::Replace,
        };
        let pool_size = Some(thread).filter(|n| *n > 0).or(self.pool_size).filter(|n| *n > 0).unwrap_or(16);
        Ok(LoaderConfig { pool_size, on_duplicate })
    }
}

impl SyncerYaml {
    pub(crate) fn validate(self, thread: u32, warnings: &mut Vec<String>) -> Result<SyncerConfig, Error> {
        let safe_mode = self.safe_mode.unwrap_or(false);
        if let Some(text) = filled(self.safe_mode_duration) {
            let Some(duration) = parse_duration(&text) else {
                let message = format!("`safe-mode-duration: {text}` is not a duration");
                return Err(Code::SafeModeDurationInvalid.error(message));
            };
            if safe_mode && duration.is_zero() {
                let message = "`safe-mode: true` contradicts `safe-mode-duration: 0s`";
                return Err(Code::SafeModeContradiction.error(message));
            }
        }
        let unused = [
            ("meta-file", filled(self.meta_file).is_some()),
            ("max-retry", self.max_retry.is_some_and(|n| n != 0)),
            ("auto-fix-gtid", self.auto_fix_gtid == Some(true)),
            ("enable-gtid", self.enable_gtid == Some(true)),
            ("disable-detect", self.disable_detect == Some(true)),
            ("enable-ansi-quotes", self.enable_ansi_quotes == Some(true)),
        ];
        deprecated("syncers", &unused, warnings);
        let positive = |value: Option<u32>, default| value.filter(|n| *n > 0).unwrap_or(default);
        let interval = self.checkpoint_flush_interval.filter(|n| *n > 0).unwrap_or(30);
        Ok(SyncerConfig {
            worker_count: positive(Some(thread).filter(|n| *n > 0).or(self.worker_count), 16),
            batch: positive(self.batch, 100),
            queue_size: positive(self.queue_size, 1024),
            checkpoint_flush_interval: Duration::from_secs(interval),
            compact: self.compact.unwrap_or(false),
            multiple_rows: self.multiple_rows.unwrap_or(false),
            safe_mode,
            strict: self.strict.unwrap_or(false),
        })
    }
}

impl ValidatorYaml {
    /// Validation runs beside the sync; asking for it is refused so that nobody believes it runs.
    pub(crate) fn validate(self, name: &str) -> Result<(), Error> {
        match self.mode.as_deref().unwrap_or("none") {
            "none" | "" => Ok(()),
            "fast" | "full" => Err(not_yet(format!("validator `{name}`"))),
            other => {
                Err(Code::ValidatorModeInvalid
                    .error(format!("validator `{name}`: mode `{other}` is not known")))
            }
        }
    }
}

fn deprecated(section: &str, keys: &[(&str, bool)], warnings: &mut Vec<String>) {
    for (key, _) in keys.iter().filter(|(_, set)| *set) {
        warnings.push(format!("`{key}` in `{section}` has no effect"));
    }
}
