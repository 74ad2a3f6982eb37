//! Flags and the configuration file: as typed, then as meant.
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;

/// Flags of `dm-worker`; each wins over the same key of the file.
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
    pub data_dir: Option<PathBuf>,
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

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Written {
    name: Option<String>,
    worker_addr: Option<String>,
    advertise_addr: Option<String>,
    join: Option<String>,
    data_dir: Option<PathBuf>,
    log_file: Option<String>,
    log_format: Option<String>,
    log_level: Option<String>,
    // Keys of DM's file that have no use here are read, so that an existing file can be brought along.
    log_rotate: Option<String>,
    redact_info_log: Option<bool>,
    keepalive_ttl: Option<i64>,
    relay_keepalive_ttl: Option<i64>,
    relay_dir: Option<String>,
}

/// The configuration as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub name: String,
    pub worker_addr: String,
    pub advertise_addr: String,
    pub join: Vec<String>,
    pub data_dir: PathBuf,
    pub log_file: String,
    pub log_format: String,
    pub log_level: String,
}

impl Settings {
    /// Merges flags over the file and validates; nothing is opened or bound before this succeeded.
    pub fn load(args: &Args) -> anyhow::Result<Self> {
        let written = match &args.config {
            None => Written::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
                toml::from_str(&text).map_err(|e| {
                    anyhow::anyhow!(
                        "[code=40004:class=dm-worker:scope=internal:level=high], Message: the configuration file {} is wrong, RawCause: {}",
                        path.display(),
                        e.to_string().trim()
                    )
                })?
            }
        };
        let or = |flag: &Option<String>, file: Option<String>| {
            flag.clone().or(file).map(|s| s.trim().to_owned()).filter(|s| !s.is_empty())
        };
        let Some(worker_addr) = or(&args.worker_addr, written.worker_addr) else {
            bail!("worker-addr is required: host:port to listen on")
        };
        let advertise_addr = or(&args.advertise_addr, written.advertise_addr).unwrap_or_else(|| worker_addr.clone());
        for (key, address) in [("worker-addr", &worker_addr), ("advertise-addr", &advertise_addr)] {
            if address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).is_none() {
                bail!("{key} {address:?} is not host:port")
            }
        }
        let host = advertise_addr.rsplit_once(':').map_or("", |(host, _)| host);
        if matches!(host, "" | "0.0.0.0" | "[::]") {
            bail!(
                "[code=40069:class=dm-worker:scope=internal:level=high], Message: advertise-addr {advertise_addr:?} \
                 names no host that masters could dial"
            )
        }
        let name = or(&args.name, written.name).unwrap_or_else(|| advertise_addr.clone());
        let join: Vec<String> = or(&args.join, written.join)
            .unwrap_or_default()
            .split(',')
            .map(|s| s.trim().to_owned())
            .filter(|s| !s.is_empty())
            .collect();
        if join.is_empty() {
            bail!(
                "[code=40077:class=dm-worker:scope=internal:level=high], Message: join is required: client addresses \
                 of the masters, separated by commas"
            )
        }
        let file_name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        Ok(Self {
            worker_addr,
            advertise_addr,
            join,
            data_dir: args
                .data_dir
                .clone()
                .or(written.data_dir)
                .unwrap_or_else(|| PathBuf::from(format!("default.{file_name}"))),
            log_file: or(&args.log_file, written.log_file).unwrap_or_default(),
            log_format: or(&args.log_format, written.log_format).unwrap_or_else(|| "text".to_owned()),
            log_level: or(&args.log_level, written.log_level).unwrap_or_else(|| "info".to_owned()),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(list: &[&str]) -> Args {
        Args::parse_from(std::iter::once("dm-worker").chain(list.iter().copied()))
    }

    #[test]
    fn flags_win_over_the_file_and_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("w.toml");
        std::fs::write(&file, "name = \"a\"\nworker-addr = \"127.0.0.1:1\"\njoin = \"m:1, n:2\"\n").unwrap();
        let path = file.to_str().unwrap();
        let settings = Settings::load(&args(&["--config", path, "--name", "b"])).unwrap();
        assert_eq!((settings.name.as_str(), settings.join.len()), ("b", 2));
        std::fs::write(&file, "nonsense = 1\n").unwrap();
        let error = Settings::load(&args(&["--config", path])).unwrap_err().to_string();
        assert!(error.contains("40004") && error.contains("nonsense"), "{error}");
    }

    #[test]
    fn an_address_that_nobody_can_dial_is_refused() {
        let error = Settings::load(&args(&["--worker-addr", ":8262", "--join", "m:1"])).unwrap_err();
        assert!(error.to_string().contains("40069"));
    }
}
