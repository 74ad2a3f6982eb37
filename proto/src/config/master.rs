//! dm-master's own settings: TOML file and flags as written, then as meant.

use super::toml_text::{address, advertised, decode, hostname, list};
use super::{LogConfig, filled, log_config, not_yet, parse_duration};
use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// What a file or the flags say; every key may be absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct MasterFile {
    /// Member name.
    pub name: Option<String>,
    /// `debug` … `fatal`.
    pub log_level: Option<String>,
    /// Log file.
    pub log_file: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Read and ignored, as in DM.
    pub log_rotate: Option<String>,
    /// Longest call to a worker.
    pub rpc_timeout: Option<String>,
    /// Read and ignored: sessions need no limit.
    pub rpc_rate_limit: Option<f64>,
    /// Read and ignored.
    pub rpc_rate_burst: Option<i64>,
    /// Where clients are served.
    pub master_addr: Option<String>,
    /// The same as others reach it.
    pub advertise_addr: Option<String>,
    /// Where the other members are served.
    pub peer_urls: Option<String>,
    /// The same as others reach it.
    pub advertise_peer_urls: Option<String>,
    /// `name=http://host:port` of the first members, comma separated.
    pub initial_cluster: Option<String>,
    /// `new` or `existing`; joining says it all, so it is only checked.
    pub initial_cluster_state: Option<String>,
    /// Client addresses of the cluster to join, comma separated.
    pub join: Option<String>,
    /// Where the replicated log and state are kept.
    pub data_dir: Option<String>,
    /// Settings of DM's etcd; read and ignored.
    pub max_txn_ops: Option<u64>,
    /// As above.
    pub max_request_bytes: Option<u64>,
    /// As above.
    pub auto_compaction_mode: Option<String>,
    /// As above.
    pub auto_compaction_retention: Option<String>,
    /// As above.
    pub quota_backend_bytes: Option<i64>,
    /// Read and ignored until the OpenAPI exists.
    pub openapi: Option<bool>,
    /// As above.
    pub experimental: Option<Experimental>,
    /// TLS; refused until it is supported.
    pub ssl_ca: Option<String>,
    /// As above.
    pub ssl_cert: Option<String>,
    /// As above.
    pub ssl_key: Option<String>,
    /// As above.
    pub cert_allowed_cn: Option<Vec<String>>,
    /// Key for passwords; refused until it is supported.
    pub secret_key_path: Option<String>,
    /// Import from DM 1.0; refused.
    pub v1_sources_path: Option<String>,
    /// Known to DM's decoder, without use.
    pub config_file: Option<String>,
    /// Ours: silence of a worker after which its sources move.
    pub lease_ttl: Option<String>,
    /// Ours: silence of all masters after which a worker stops; `0` = never.
    pub master_loss_grace: Option<String>,
}

/// DM's table of settings that were experiments.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Experimental {
    /// Read and ignored until the OpenAPI exists.
    pub openapi: Option<bool>,
}

/// dm-master's settings as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// Member name, unique in the cluster.
    pub name: String,
    /// `host:port` to listen on for clients; the host may be empty.
    pub master_addr: String,
    /// `host:port` by which clients and members reach it.
    pub advertise_addr: String,
    /// `host:port` to listen on for members.
    pub peer_addr: String,
    /// `host:port` by which members reach it.
    pub advertise_peer_addr: String,
    /// First members: name and peer `host:port`, itself included.
    pub initial_cluster: Vec<(String, String)>,
    /// Client `host:port`s of the cluster to join; empty = bootstrap or restart.
    pub join: Vec<String>,
    /// Where log and state are kept.
    pub data_dir: PathBuf,
    /// How the log is written.
    pub log: LogConfig,
    /// Longest call to a worker.
    pub rpc_timeout: Duration,
    /// Silence of a worker after which its sources move.
    pub lease_ttl: Duration,
    /// Silence of all masters after which a worker stops; zero = never.
    pub master_loss_grace: Duration,
}

impl MasterFile {
    /// Reads a TOML file; unknown keys are refused by name and line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        decode(text, "dm-master configuration", Code::MasterConfigToml)
    }

    /// Lets what `flags` say win over the file.
    pub fn overlay(&mut self, flags: &MasterFile) -> Result<(), Error> {
        super::worker::overlay(self, flags, Code::MasterConfigToml)
    }

    /// What the file and flags mean, defaults filled in.
    pub fn validate(self) -> Result<MasterConfig, Error> {
        let unsupported = [
            ("ssl-ca", filled(self.ssl_ca)),
            ("ssl-cert", filled(self.ssl_cert)),
            ("ssl-key", filled(self.ssl_key)),
            ("cert-allowed-cn", self.cert_allowed_cn.and_then(|names| names.into_iter().next())),
            ("secret-key-path", filled(self.secret_key_path)),
            ("v1-sources-path", filled(self.v1_sources_path)),
        ];
        if let Some((key, _)) = unsupported.iter().find(|(_, value)| value.is_some()) {
            return Err(not_yet(format!("dm-master configuration: `{key}`")));
        }
        if let Some(state) = filled(self.initial_cluster_state)
            && !["new", "existing"].contains(&state.as_str())
        {
            let message = format!("initial-cluster-state `{state}` is not known");
            return Err(Code::MasterConfigToml.error(message));
        }
        let bad = Code::MasterAddrInvalid;
        let listen = filled(self.master_addr).ok_or_else(|| bad.error("`master-addr` is missing"))?;
        let master_addr = address(&listen, bad, "master-addr")?;
        let advertise = filled(self.advertise_addr).unwrap_or_else(|| master_addr.clone());
        let advertise_addr = advertised(&advertise, Code::AdvertiseAddrInvalid, "advertise-addr")?;
        let peer = filled(self.peer_urls).unwrap_or_else(|| "http://127.0.0.1:8291".to_owned());
        let peer_addr = address(&peer, bad, "peer-urls")?;
        let peer = filled(self.advertise_peer_urls).unwrap_or(peer);
        let advertise_peer_addr = advertised(&peer, Code::AdvertiseAddrInvalid, "advertise-peer-urls")?;
        let name = filled(self.name).unwrap_or_else(|| format!("dm-master-{}", hostname()));
        let initial_cluster = members(self.initial_cluster, &name, &advertise_peer_addr)?;
        let join = list(self.join).iter().map(|a| advertised(a, bad, "join")).collect::<Result<_, _>>()?;
        let duration = |key: &str, text: Option<String>, default: u64| match filled(text) {
            None => Ok(Duration::from_secs(default)),
            Some(text) => parse_duration(&text).ok_or_else(|| {
                Code::MasterDurationInvalid.error(format!("`{key}` `{text}` is not a duration"))
            }),
        };
        let lease_ttl = duration("lease-ttl", self.lease_ttl, 3)?;
        if lease_ttl < Duration::from_millis(500) {
            return Err(Code::MasterDurationInvalid.error("`lease-ttl` is below 500ms"));
        }
        Ok(MasterConfig {
            data_dir: filled(self.data_dir).unwrap_or_else(|| format!("default.{name}")).into(),
            log: log_config(self.log_level, self.log_file, self.log_format, Code::MasterConfigToml)?,
            rpc_timeout: duration("rpc-timeout", self.rpc_timeout, 30)?,
            lease_ttl,
            master_loss_grace: duration("master-loss-grace", self.master_loss_grace, 600)?,
            name,
            master_addr,
            advertise_addr,
            peer_addr,
            advertise_peer_addr,
            initial_cluster,
            join,
        })
    }
}

/// `name=url` pairs; an absent list means this member alone.
fn members(text: Option<String>, name: &str, peer: &str) -> Result<Vec<(String, String)>, Error> {
    let bad = Code::MasterAddrInvalid;
    let mut members: Vec<(String, String)> = Vec::new();
    for item in list(text) {
        let pair = item.split_once('=').filter(|(name, _)| !name.is_empty());
        let (member, url) =
            pair.ok_or_else(|| bad.error(format!("initial-cluster: `{item}` is not name=url")))?;
        if members.iter().any(|(known, _)| known == member) {
            return Err(bad.error(format!("initial-cluster: member `{member}` is named twice")));
        }
        members.push((member.to_owned(), advertised(url, bad, "initial-cluster")?));
    }
    if members.is_empty() {
        members.push((name.to_owned(), peer.to_owned()));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_defaults_fill_in() {
        let mut file = MasterFile::parse(
            "name = \"m1\"\nmaster-addr = \":8261\"\nlog-level = \"debug\"\nquota-backend-bytes = 5\n\
             initial-cluster = \"m1=http://127.0.0.1:8291, m2=http://127.0.0.1:8292\"\n",
        )
        .unwrap();
        let flags = MasterFile {
            advertise_addr: Some("10.0.0.1:8261".into()),
            log_level: Some("warn".into()),
            ..Default::default()
        };
        file.overlay(&flags).unwrap();
        let config = file.validate().unwrap();
        assert_eq!((config.name.as_str(), config.master_addr.as_str()), ("m1", ":8261"));
        assert_eq!((config.advertise_addr.as_str(), config.log.level.as_str()), ("10.0.0.1:8261", "warn"));
        assert_eq!(config.initial_cluster[1], ("m2".to_owned(), "127.0.0.1:8292".to_owned()));
        assert_eq!(config.data_dir, PathBuf::from("default.m1"));
        assert_eq!(config.lease_ttl, Duration::from_secs(3));
    }

    #[test]
    fn bad_files_give_one_clear_error() {
        for (text, code, says) in [
            ("nmae = \"x\"", 38011, "line 1: unknown field `nmae`"),
            ("name = \"a\"\nmax-txn-ops = \"hunter2\"", 38011, "line 2: the value should be u64"),
            ("name = \"a\"", 38035, "`master-addr` is missing"),
            ("master-addr = \"8261\"", 38035, "is not `host:port`"),
            ("master-addr = \":8261\"", 38042, "no host"),
            ("master-addr = \"a:1\"\nrpc-timeout = \"5\"", 38014, "rpc-timeout"),
            ("master-addr = \"a:1\"\nssl-ca = \"x\"", 51010, "ssl-ca"),
            ("master-addr = \"a:1\"\ninitial-cluster = \"b\"", 38035, "name=url"),
            ("master-addr = \"a:1\"\nlog-format = \"xml\"", 38011, "log-format"),
        ] {
            let error = MasterFile::parse(text).and_then(MasterFile::validate).unwrap_err();
            assert_eq!(error.code, code, "{text}: {error}");
            assert!(error.message.contains(says) && !error.message.contains("hunter2"), "{text}: {error}");
        }
    }
}
