//! The command line, and what it means together with the file.
use std::path::PathBuf;

use clap::Parser;
use dm_proto::{
    config::{MasterConfig, MasterFile},
    error::{Code, Error},
};

/// Replicated master of the migration cluster
#[derive(Parser, Debug, Default)]
#[command(name = "dm-master", version, disable_version_flag = true)]
pub struct Options {
    /// Member name
    #[arg(long)]
    pub name: Option<String>,
    /// host:port to listen on for dmctl, workers and HTTP
    #[arg(long, value_name = "ADDR")]
    pub master_addr: Option<String>,
    /// The same as others reach it (default: master-addr)
    #[arg(long, value_name = "ADDR")]
    pub advertise_addr: Option<String>,
    /// http://host:port to listen on for other masters
    #[arg(long, value_name = "URL")]
    pub peer_urls: Option<String>,
    /// The same as other masters reach it (default: peer-urls)
    #[arg(long, value_name = "URL")]
    pub advertise_peer_urls: Option<String>,
    /// First members: name=http://host:port, comma separated, the same on each
    #[arg(long, value_name = "LIST")]
    pub initial_cluster: Option<String>,
    /// Client addresses of a running cluster to join, comma separated
    #[arg(long, value_name = "ADDRS")]
    pub join: Option<String>,
    /// Folder of log and state
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Log file (default: standard error)
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// debug, info, warn, error, fatal
    #[arg(short = 'L', long = "log-level", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the configuration that results, and end
    #[arg(long)]
    pub print_config: bool,
    /// Print version
    #[arg(short = 'V', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

impl Options {
    /// The validated configuration.
    pub fn load(self) -> Result<MasterConfig, Error> {
        let mut file = match &self.config {
            None => MasterFile::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    Error::new(Code::MasterConfigToml, format!("{} can't be read", path.display()))
                        .with_cause(e)
                })?;
                MasterFile::parse(&text)?
            }
        };
        file.overlay(&MasterFile {
            name: self.name,
            master_addr: self.master_addr,
            advertise_addr: self.advertise_addr,
            peer_urls: self.peer_urls,
            advertise_peer_urls: self.advertise_peer_urls,
            initial_cluster: self.initial_cluster,
            join: self.join,
            data_dir: self.data_dir,
            log_file: self.log_file,
            log_format: self.log_format,
            log_level: self.log_level,
            ..MasterFile::default()
        })?;
        file.validate()
    }
}

/// The configuration as a file that would give it.
pub fn as_toml(config: &MasterConfig) -> Result<String, toml::ser::Error> {
    let members: Vec<String> =
        config.initial_cluster.iter().map(|(n, a)| format!("{n}=http://{a}")).collect();
    let text = |s: &str| Some(s.to_owned());
    let millis = |d: std::time::Duration| Some(format!("{}ms", d.as_millis()));
    toml::to_string(&MasterFile {
        name: text(&config.name),
        master_addr: text(&config.master_addr),
        advertise_addr: text(&config.advertise_addr),
        peer_urls: Some(format!("http://{}", config.peer_addr)),
        advertise_peer_urls: Some(format!("http://{}", config.advertise_peer_addr)),
        initial_cluster: Some(members.join(",")),
        join: Some(config.join.join(",")),
        data_dir: Some(config.data_dir.display().to_string()),
        log_level: text(&config.log.level),
        log_file: config.log.file.as_ref().map(|f| f.display().to_string()),
        log_format: text(if config.log.json { "json" } else { "text" }),
        rpc_timeout: millis(config.rpc_timeout),
        lease_ttl: millis(config.lease_ttl),
        master_loss_grace: millis(config.master_loss_grace),
        ..MasterFile::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_configuration_gives_the_same_configuration() {
        let options = Options::parse_from([
            "dm-master",
            "--name",
            "m1",
            "--master-addr",
            "127.0.0.1:8261",
            "--peer-urls",
            "http://127.0.0.1:8291",
            "--initial-cluster",
            "m1=http://127.0.0.1:8291,m2=http://127.0.0.1:8292",
            "-L",
            "debug",
        ]);
        let config = options.load().unwrap();
        let printed = MasterFile::parse(&as_toml(&config).unwrap()).unwrap().validate().unwrap();
        assert_eq!(printed, config);
    }
}
