//! One process of a cluster.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Network, Program, Running};

/// How long an orderly end may take.
const STOP: Duration = Duration::from_secs(60);

/// What every member of a cluster is started with.
pub(super) struct Setup {
    pub bin_dir: PathBuf,
    pub dir: PathBuf,
    pub env: Vec<(String, String)>,
    /// Masters are in it; workers are at its host.
    pub network: Option<Arc<Network>>,
}

impl Setup {
    /// A master's address.
    pub fn master_host(&self, name: &str) -> Result<Ipv4Addr> {
        self.network.as_ref().map_or(Ok(Ipv4Addr::LOCALHOST), |network| network.address(name))
    }

    /// Where workers listen.
    pub fn worker_host(&self) -> Ipv4Addr {
        self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.host())
    }
}

/// A `dm-master` or a `dm-worker`, running or not.
#[derive(Debug)]
pub struct Member {
    name: String,
    master: bool,
    addr: SocketAddrV4,
    program: Program,
    log: PathBuf,
    output: PathBuf,
    process: Option<Running>,
}

impl Member {
    pub(super) fn master(
        setup: &Setup,
        name: &str,
        (port, peer_port): (u16, u16),
        args: &[String],
    ) -> Result<Self> {
        let host = setup.master_host(name)?;
        let own = [
            format!("--master-addr={host}:{port}"),
            format!("--advertise-addr={host}:{port}"),
            format!("--peer-urls=http://{host}:{peer_port}"),
            format!("--advertise-peer-urls=http://{host}:{peer_port}"),
        ];
        let enter = setup.network.as_ref().map_or(Ok(Vec::new()), |network| network.enter(name))?;
        let addr = SocketAddrV4::new(host, port);
        Ok(Self::new(setup, (enter, "dm-master"), name, addr, &[&own, args].concat()))
    }

    pub(super) fn worker(setup: &Setup, name: &str, (port, advertised): (u16, u16), args: &[String]) -> Self {
        let host = setup.worker_host();
        let own = [format!("--worker-addr={host}:{port}"), format!("--advertise-addr={host}:{advertised}")];
        let addr = SocketAddrV4::new(host, port);
        Self::new(setup, (Vec::new(), "dm-worker"), name, addr, &[&own, args].concat())
    }

    fn new(
        setup: &Setup,
        (enter, program): (Vec<OsString>, &str),
        name: &str,
        addr: SocketAddrV4,
        args: &[String],
    ) -> Self {
        let log = setup.dir.join(format!("{name}.log"));
        let output = setup.dir.join(format!("{name}.out"));
        let mut words = enter.into_iter().chain([setup.bin_dir.join(program).into()]);
        let mut command = Program::new(words.next().unwrap_or_default())
            .args(words)
            .arg(format!("--name={name}"))
            .arg(format!("--data-dir={}", setup.dir.join(name).display()))
            .arg(format!("--log-file={}", log.display()))
            .args(args)
            .output_to(&output);
        for (key, value) in &setup.env {
            command = command.env(key, value);
        }
        let master = program == "dm-master";
        Self { name: name.to_owned(), master, addr, program: command, log, output, process: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A master, not a worker.
    pub fn is_master(&self) -> bool {
        self.master
    }

    /// `host:port` that it serves clients, peers' forwards and metrics on.
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    /// The sum of its samples of one metric, from its `/metrics`; of those only that have this among their labels, as it is
    /// written there.
    pub async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.addr()).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let of =
            |line: &str| line.strip_prefix(name).is_some_and(|l| l.starts_with('{') && l.contains(label));
        let samples = text.lines().filter(|l| of(l));
        Ok(samples.filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.log.clone()
    }

    /// The whole text of its log file.
    pub fn log_text(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log).with_context(|| format!("no log of {}", self.name))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines of its log and of its output.
    pub fn log_tail(&self, lines: usize) -> String {
        let mut text = self.log_text().unwrap_or_default();
        text += &std::fs::read_to_string(&self.output).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Its process id; an error when it was killed or stopped.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.running()?.pid())
    }

    /// Started, and neither killed nor stopped since (it may have ended by itself).
    pub fn was_started(&self) -> bool {
        self.process.is_some()
    }

    /// How it ended by itself, or `None` while it runs or when it was stopped on purpose.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.as_mut().map_or(Ok(None), Running::try_ended)
    }

    /// Changes the environment for its next start.
    pub fn set_env(&mut self, key: &str, value: &str) {
        self.program = self.program.clone().env(key, value);
    }

    /// Starts it.
    pub fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} runs already", self.name);
        }
        self.process = Some(self.program.start()?);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.take().with_context(|| format!("{} does not run", self.name))?.kill9()
    }

    /// SIGTERM, and waits for the end; an error when it does not end with 0.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("{} does not run", self.name))?;
        let status = process.stop(STOP).await?;
        if !status.success() {
            bail!("{} ended with {status} after SIGTERM", self.name);
        }
        Ok(())
    }

    /// Starts it anew on the same ports and data; killed first when it runs.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill9()?;
        }
        self.start()
    }

    /// SIGSTOP.
    pub fn freeze(&self) -> Result<()> {
        self.running()?.freeze()
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.running()?.thaw()
    }

    fn running(&self) -> Result<&Running> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.name))
    }
}
