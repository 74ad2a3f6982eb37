//! One real database server.

mod config;
mod datadir;
mod template;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};
use rand::Rng as _;

pub use config::{DatabaseOptions, Flavor, Flush};
pub use datadir::DataCopy;

use crate::{Running, Scratch, free_port};

/// Root's password on every server of the tests.
const ROOT_PASSWORD: &str = "raft-dm-test";
/// How long a server may take to start; crash recovery on a loaded machine is the slowest case.
const START: Duration = Duration::from_secs(120);
/// How long one connection may take to come up: a frozen server, or another program on the port, never answers.
const CONNECT: Duration = Duration::from_secs(30);
/// How long one try to talk to a starting server may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long one statement of [`Database::run`] may take.
const STATEMENT: Duration = Duration::from_secs(300);
/// How long a server may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(120);

/// A real server with a data folder of its own, on a free port of 127.0.0.1; killed and removed when dropped.
#[derive(Debug)]
pub struct Database {
    flavor: Flavor,
    options: DatabaseOptions,
    server_id: u32,
    port: u16,
    process: Option<Running>,
    // Last: the folder goes after the process.
    scratch: Scratch,
}

impl Database {
    /// Starts a new empty server and waits until it answers.
    pub async fn start(flavor: Flavor, options: DatabaseOptions) -> Result<Self> {
        let base = template::instances_dir(flavor)?;
        let scratch = Scratch::new_in(&base, flavor.name())?;
        template::copy_to(flavor, &scratch.path().join("data"))?;
        let server_id = options.server_id.unwrap_or_else(|| rand::rng().random_range(1_000..2_000_000_000));
        let mut database = Self { flavor, options, server_id, port: free_port(), process: None, scratch };
        for _ in 0..5 {
            match database.launch().await {
                Ok(()) => return Ok(database),
                Err(_) if database.lost_its_port()? => database.port = free_port(),
                Err(e) => {
                    database.scratch.keep();
                    return Err(e);
                }
            }
        }
        bail!("{} lost the race for a port five times", flavor.name())
    }

    /// Which server this is.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Its port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `server_id`.
    pub fn server_id(&self) -> u32 {
        self.server_id
    }

    /// The password of `root`@`127.0.0.1`, who has all privileges.
    pub fn root_password(&self) -> &'static str {
        ROOT_PASSWORD
    }

    /// Its Unix socket, as seen from outside the MySQL root.
    pub fn socket(&self) -> PathBuf {
        self.scratch.path().join("sock")
    }

    /// Its error log.
    pub fn log(&self) -> PathBuf {
        self.scratch.path().join("error.log")
    }

    /// Its scratch folder, with `data`, `my.cnf`, `error.log`, `sock`.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Connection options of root over TCP.
    pub fn opts(&self) -> Opts {
        self.opts_for("root", ROOT_PASSWORD)
    }

    /// Connection options of a user over TCP.
    pub fn opts_for(&self, user: &str, password: &str) -> Opts {
        // No socket: mysql_async would otherwise ask the server for its path, and MySQL lives in a chroot.
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(false)
            .max_allowed_packet(Some(64 << 20))
            .into()
    }

    /// `mysql://root:...@127.0.0.1:port/?prefer_socket=false`.
    pub fn url(&self) -> String {
        format!("mysql://root:{ROOT_PASSWORD}@127.0.0.1:{}/?prefer_socket=false", self.port)
    }

    /// A new connection of root.
    pub async fn conn(&self) -> Result<Conn> {
        let connected = tokio::time::timeout(CONNECT, Conn::new(self.opts())).await;
        let connected = connected.with_context(|| format!("{} does not answer", self.flavor.name()))?;
        connected.with_context(|| format!("cannot connect to {}", self.flavor.name()))
    }

    /// Runs statements one after the other on a new connection of root.
    pub async fn run(&self, statements: &[&str]) -> Result<()> {
        let mut conn = self.conn().await?;
        for sql in statements {
            let done = tokio::time::timeout(STATEMENT, conn.query_drop(*sql)).await;
            let done = done.with_context(|| format!("{} does not answer: {sql}", self.flavor.name()))?;
            done.with_context(|| format!("{}: {sql}", self.flavor.name()))?;
        }
        conn.disconnect().await?;
        Ok(())
    }

    /// Creates user `name`@`%` with the given privileges on `*.*` (`"ALL"`, `"SELECT, REPLICATION SLAVE"`), outside
    /// the binlog.
    pub async fn create_user(&self, name: &str, password: &str, privileges: &str) -> Result<()> {
        self.run(&[
            "SET sql_log_bin=0",
            &format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'"),
            &format!("GRANT {privileges} ON *.* TO '{name}'@'%'"),
        ])
        .await
    }

    /// Its process id; an error when it does not run.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.running()?.pid())
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.try_ended()?.is_none()),
            None => Ok(false),
        }
    }

    /// SIGKILL; gives when it is gone.
    pub fn kill9(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill9(),
            None => bail!("{} does not run", self.flavor.name()),
        }
    }

    /// An orderly shutdown.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.stop(STOP).await.map(drop),
            None => bail!("{} does not run", self.flavor.name()),
        }
    }

    /// Starts it again on the same port and data, after [`Self::kill9`] or [`Self::stop`] (killed first when it
    /// still runs), and waits until it answers.
    pub async fn restart(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill9()?;
        }
        self.launch().await
    }

    /// Replaces the additional lines of `my.cnf`, for the next restart.
    pub fn set_extra(&mut self, lines: Vec<String>) {
        self.options.extra = lines;
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.running()?.freeze()
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.running()?.thaw()
    }

    fn running(&self) -> Result<&Running> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.flavor.name()))
    }

    /// Writes `my.cnf`, starts the process and waits until root can connect.
    async fn launch(&mut self) -> Result<()> {
        config::write(self.flavor, &self.options, self.server_id, self.port, self.scratch.path())?;
        let program = template::server(self.flavor, self.scratch.path())?;
        let mut process = program.output_to(self.scratch.path().join("output.log")).start()?;
        let end = Instant::now() + START;
        loop {
            if let Some(status) = process.try_ended()? {
                bail!("{} ended at start, {status}:\n{}", self.flavor.name(), self.log_tail());
            }
            // Another program may have been given the port meanwhile; one that waits for its client to speak first would
            // be waited for in vain, and another test's server has the same password.
            let error = match tokio::time::timeout(ANSWER, self.who_answers()).await {
                Ok(Ok(id)) if id == Some(self.server_id) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Ok(Ok(id)) => anyhow!("a server with id {id:?} answers on port {}", self.port),
                Ok(Err(e)) => e,
                Err(_) => anyhow!("connected to port {}, but nothing is said there", self.port),
            };
            if Instant::now() >= end {
                bail!(
                    "{} does not answer after {START:?}: {error:#}\n{}",
                    self.flavor.name(),
                    self.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn who_answers(&self) -> Result<Option<u32>> {
        let mut conn = Conn::new(self.opts()).await?;
        let id = conn.query_first("SELECT @@server_id").await?;
        conn.disconnect().await?;
        Ok(id)
    }

    fn lost_its_port(&self) -> Result<bool> {
        Ok(std::fs::read_to_string(self.log())?.contains("Address already in use"))
    }

    fn log_tail(&self) -> String {
        let mut text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text += &std::fs::read_to_string(self.scratch.path().join("output.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}
