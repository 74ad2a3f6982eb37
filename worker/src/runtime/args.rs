//! Flags of `dm-worker`; the file and what both mean are `dm_proto::config::worker`.
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use dm_proto::config::{WorkerConfig, WorkerFile};

/// Each flag wins over the same key of the file.
#[derive(Debug, Parser, Default)]
#[command(name = "dm-worker", disable_version_flag = true, about = "Worker of the data migration cluster")]
pub struct Args {
    /// Name of this worker, unique in the cluster; the advertise address when not given.
    #[arg(long)]
    pub name: Option<String>,
    /// Address to listen on, host:port.
    #[arg(long)]
    pub worker_addr: Option<String>,
    /// Address that masters dial; worker-addr when not given.
    #[arg(long)]
    pub advertise_addr: Option<String>,
    /// Client addresses of the masters, separated by commas.
    #[arg(long)]
    pub join: Option<String>,
    /// Folder of this worker's own state.
    #[arg(long)]
    pub data_dir: Option<String>,
    /// Disk, in MiB, for transactions that are too large for memory; 65536 when not given.
    #[arg(long)]
    pub spool_limit_mb: Option<u64>,
    /// File for log lines; standard error when not given.
    #[arg(long)]
    pub log_file: Option<String>,
    /// text or json.
    #[arg(long)]
    pub log_format: Option<String>,
    /// debug, info, warn, error or fatal.
    #[arg(short = 'L', long)]
    pub log_level: Option<String>,
    /// TOML file with the same keys.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Print the version and end.
    #[arg(short = 'V', long)]
    pub version: bool,
    /// Print the effective configuration and end.
    #[arg(long)]
    pub print_config: bool,
}

impl Args {
    /// Merges flags over the file and validates; nothing is opened or bound before this succeeded.
    pub fn settings(&self) -> anyhow::Result<WorkerConfig> {
        let mut file = match &self.config {
            None => WorkerFile::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
                WorkerFile::parse(&text)?
            }
        };
        file.overlay(&WorkerFile {
            name: self.name.clone(),
            worker_addr: self.worker_addr.clone(),
            advertise_addr: self.advertise_addr.clone(),
            join: self.join.clone(),
            data_dir: self.data_dir.clone(),
            spool_limit_mb: self.spool_limit_mb,
            log_file: self.log_file.clone(),
            log_format: self.log_format.clone(),
            log_level: self.log_level.clone(),
            ..WorkerFile::default()
        })?;
        Ok(file.validate()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "name = \"a\"\nworker-addr = \"127.0.0.1:1\"\njoin = \"m:1, n:2\"\n").unwrap();
        let path = file.to_str().unwrap();
        let args = Args::parse_from(["dm-worker", "--config", path, "--name", "b"]);
        let settings = args.settings().unwrap();
        assert_eq!((settings.name.as_str(), settings.join.len()), ("b", 2));
        std::fs::write(&file, "nonsense = 1\n").unwrap();
        let error = args.settings().unwrap_err().to_string();
        assert!(error.contains("40004") && error.contains("nonsense"), "{error}");
    }
}
