//! dm-worker's own settings: TOML file and flags as written, then as meant.

use super::toml_text::{address, advertised, decode, list};
use super::{LogConfig, filled, log_config, not_yet};
use crate::error::{Code, Error};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// What a file or the flags say; every key may be absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct WorkerFile {
    /// Worker name.
    pub name: Option<String>,
    /// `debug` … `fatal`.
    pub log_level: Option<String>,
    /// Log file.
    pub log_file: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Read and ignored, as in DM.
    pub log_rotate: Option<String>,
    /// Rows and statements are never logged, so it changes nothing.
    pub redact_info_log: Option<bool>,
    /// Client addresses of the masters, comma separated.
    pub join: Option<String>,
    /// Where the leader is served.
    pub worker_addr: Option<String>,
    /// The same as others reach it.
    pub advertise_addr: Option<String>,
    /// DM's lease in seconds; ours is the master's `lease-ttl`.
    pub keepalive_ttl: Option<i64>,
    /// As above.
    pub relay_keepalive_ttl: Option<i64>,
    /// Base folder of relay logs; unused until there are some.
    pub relay_dir: Option<String>,
    /// TLS; refused until it is supported.
    pub ssl_ca: Option<String>,
    /// As above.
    pub ssl_cert: Option<String>,
    /// As above.
    pub ssl_key: Option<String>,
    /// As above.
    pub cert_allowed_cn: Option<Vec<String>>,
    /// Known to DM's decoder, without use.
    pub config_file: Option<String>,
    /// Ours: where the worker keeps the last authority it obeyed.
    pub data_dir: Option<String>,
    /// Ours: disk for transactions that are too large for memory.
    pub spool_limit_mb: Option<u64>,
}

/// Default of `spool-limit-mb`.
const SPOOL_LIMIT_MB: u64 = 64 << 10;

/// dm-worker's settings as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Worker name, unique in the cluster; its advertised address unless given.
    pub name: String,
    /// `host:port` to listen on; the host may be empty.
    pub worker_addr: String,
    /// `host:port` by which the leader reaches it.
    pub advertise_addr: String,
    /// Client `host:port`s of the masters.
    pub join: Vec<String>,
    /// Where the last obeyed authority is kept.
    pub data_dir: PathBuf,
    /// Bytes in `data_dir` that all tasks together may use for transactions that are too large for memory.
    pub spool_limit_bytes: u64,
    /// How the log is written.
    pub log: LogConfig,
}

impl WorkerFile {
    /// Reads a TOML file; unknown keys are refused by name and line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        decode(text, "dm-worker configuration", Code::WorkerConfigToml)
    }

    /// Lets what `flags` say win over the file.
    pub fn overlay(&mut self, flags: &WorkerFile) -> Result<(), Error> {
        overlay(self, flags, Code::WorkerConfigToml)
    }

    /// What the file and flags mean, defaults filled in.
    pub fn validate(self) -> Result<WorkerConfig, Error> {
        let unsupported = [
            ("ssl-ca", filled(self.ssl_ca)),
            ("ssl-cert", filled(self.ssl_cert)),
            ("ssl-key", filled(self.ssl_key)),
            ("cert-allowed-cn", self.cert_allowed_cn.and_then(|names| names.into_iter().next())),
        ];
        if let Some((key, _)) = unsupported.iter().find(|(_, value)| value.is_some()) {
            return Err(not_yet(format!("dm-worker configuration: `{key}`")));
        }
        let bad = Code::WorkerAddrInvalid;
        let listen = filled(self.worker_addr).ok_or_else(|| bad.error("`worker-addr` is missing"))?;
        let worker_addr = address(&listen, bad, "worker-addr")?;
        let advertise = filled(self.advertise_addr).unwrap_or_else(|| worker_addr.clone());
        let advertise_addr = advertised(&advertise, bad, "advertise-addr")?;
        let join: Vec<String> = list(self.join)
            .iter()
            .map(|a| advertised(a, Code::WorkerJoin, "join"))
            .collect::<Result<_, _>>()?;
        if join.is_empty() {
            return Err(Code::WorkerJoin.error("`join` is missing: it names the masters to register with"));
        }
        let name = filled(self.name).unwrap_or_else(|| advertise_addr.clone());
        Ok(WorkerConfig {
            data_dir: filled(self.data_dir).unwrap_or_else(|| format!("default.{name}")).into(),
            spool_limit_bytes: self.spool_limit_mb.unwrap_or(SPOOL_LIMIT_MB).saturating_mul(1 << 20),
            log: log_config(self.log_level, self.log_file, self.log_format, Code::WorkerConfigToml)?,
            name,
            worker_addr,
            advertise_addr,
            join,
        })
    }
}

/// Copies every key that `flags` give over `file`. Both are flat tables of optional values, so their TOML forms merge.
pub(crate) fn overlay<T: Serialize + DeserializeOwned>(
    file: &mut T,
    flags: &T,
    code: Code,
) -> Result<(), Error> {
    let table = |value: &T| toml::Table::try_from(value).map_err(|e| code.error(e.to_string()));
    let mut merged = table(file)?;
    merged.extend(table(flags)?);
    *file = merged.try_into().map_err(|e: toml::de::Error| code.error(e.message()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file() {
        let text = "worker-addr = \"127.0.0.1:8262\"\njoin = \"127.0.0.1:8261, 127.0.0.1:8361\"\nkeepalive-ttl = 60\n";
        let config = WorkerFile::parse(text).unwrap().validate().unwrap();
        assert_eq!(config.name, "127.0.0.1:8262");
        assert_eq!(config.join, ["127.0.0.1:8261", "127.0.0.1:8361"]);
    }

    #[test]
    fn bad_files_give_one_clear_error() {
        for (text, code) in [
            ("worker-adr = \"a:1\"", 40004),
            ("join = \"a:1\"", 40069),
            ("worker-addr = \":1\"\njoin = \"a:1\"", 40069),
            ("worker-addr = \"a:1\"", 40077),
            ("worker-addr = \"a:1\"\njoin = \"a\"", 40077),
        ] {
            let error = WorkerFile::parse(text).and_then(WorkerFile::validate).unwrap_err();
            assert_eq!(error.code, code, "{text}: {error}");
        }
    }
}
