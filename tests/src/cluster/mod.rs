//! A cluster of the real programs.

mod dmctl;
mod files;
mod member;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;

pub use dmctl::DmctlOutput;
pub use files::{SourceFile, TaskFile};
pub use member::Member;

use crate::{Disk, Network, Scratch, free_port, wait_until_value};

/// How long masters and workers may take until they serve.
const READY: Duration = Duration::from_secs(60);

/// What a cluster consists of.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Masters, named `m1`, `m2`, ...
    pub masters: usize,
    /// Workers, named `w1`, `w2`, ...
    pub workers: usize,
    /// Per worker the port it listens on and the one it tells the masters (a proxy's, for instance); where nothing is
    /// said, both are one free port.
    pub worker_ports: Vec<(u16, u16)>,
    /// More arguments for each master.
    pub master_args: Vec<String>,
    /// More arguments for each worker.
    pub worker_args: Vec<String>,
    /// Environment of every process (failpoints, for instance).
    pub env: Vec<(String, String)>,
    /// Size in MiB of a file system of its own for each member's folder.
    pub disks: Option<u64>,
    /// Each member's wall clock can be moved ([`Cluster::move_clock`]); needs [`clocks_can_move`].
    pub clocks: bool,
    /// Masters run in it, each in the namespace of its name; workers at its host. 127.0.0.1 for all where there is none.
    pub network: Option<Arc<Network>>,
}

/// Where libfaketime is, which moves the clocks of members.
fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    libraries.map(|dir| dir.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file())
}

/// Whether a member's clock can be moved on this machine.
pub fn clocks_can_move() -> bool {
    faketime().is_some()
}

/// Real `dm-master` and `dm-worker` processes on free ports with a scratch folder of their own; killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    options: ClusterOptions,
    bin_dir: PathBuf,
    members: Vec<Member>,
    // After the processes that use them.
    disks: Vec<(String, Disk)>,
    // Last: the folder goes after the processes.
    scratch: Scratch,
}

impl Cluster {
    /// Starts so many masters and workers, and waits until there is a leader and every worker is registered.
    pub async fn start(masters: usize, workers: usize) -> Result<Self> {
        Self::start_with(ClusterOptions { masters, workers, ..ClusterOptions::default() }).await
    }

    /// Starts a cluster and waits until there is a leader and every worker is registered.
    pub async fn start_with(options: ClusterOptions) -> Result<Self> {
        let scratch = Scratch::new("cluster")?;
        let mut cluster =
            Self { bin_dir: bin_dir()?, members: Vec::new(), disks: Vec::new(), scratch, options };
        let ports: Vec<(u16, u16)> =
            (0..cluster.options.masters).map(|_| (free_port(), free_port())).collect();
        let mut peers = Vec::new();
        for (i, (_, peer)) in ports.iter().enumerate() {
            let name = format!("m{}", i + 1);
            peers.push(format!("{name}=http://{}:{peer}", cluster.setup().master_host(&name)?));
        }
        let peers = peers.join(",");
        for (i, ports) in ports.into_iter().enumerate() {
            let mut args = vec![format!("--initial-cluster={peers}")];
            args.extend(cluster.options.master_args.iter().cloned());
            let member = Member::master(&cluster.setup(), &format!("m{}", i + 1), ports, &args)?;
            cluster.members.push(member);
        }
        for i in 0..cluster.options.workers {
            cluster.push_worker(&format!("w{}", i + 1), &[]);
        }
        if let Some(mib) = cluster.options.disks {
            for member in &cluster.members {
                let folder = cluster.scratch.path().join(member.name());
                cluster.disks.push((member.name().to_owned(), Disk::mount(&folder, mib)?));
            }
        }
        if cluster.options.clocks {
            let library = faketime().context("libfaketime is not installed")?;
            for member in &mut cluster.members {
                let file = cluster.scratch.path().join(format!("{}.clock", member.name()));
                std::fs::write(&file, "+0")?;
                member.set_env("LD_PRELOAD", &library.display().to_string());
                member.set_env("FAKETIME_TIMESTAMP_FILE", &file.display().to_string());
                member.set_env("FAKETIME_CACHE_DURATION", "1");
                // Only the wall clock jumps, as when somebody sets it.
                member.set_env("DONT_FAKE_MONOTONIC", "1");
            }
        }
        let started = match cluster.members.iter_mut().try_for_each(Member::start) {
            Ok(()) => cluster.wait_ready().await,
            Err(e) => Err(e),
        };
        if let Err(e) = started {
            cluster.scratch.keep();
            return Err(e.context(cluster.last_words()));
        }
        Ok(cluster)
    }

    /// Starts one more worker, with additional arguments.
    pub async fn add_worker(&mut self, name: &str, args: &[String]) -> Result<()> {
        self.push_worker(name, args);
        self.member_mut(name)?.start()?;
        self.wait_ready().await
    }

    /// Starts one more master, which asks the others to take it in. Does not wait until it serves.
    pub fn add_master(&mut self, name: &str) -> Result<()> {
        let mut args = vec![format!("--join={}", self.master_addrs())];
        args.extend(self.options.master_args.iter().cloned());
        let mut member = Member::master(&self.setup(), name, (free_port(), free_port()), &args)?;
        member.start()?;
        self.members.push(member);
        Ok(())
    }

    /// The scratch folder.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Keeps the scratch folder.
    pub fn keep(&self) {
        self.scratch.keep();
    }

    /// What the masters are in.
    pub fn network(&self) -> Result<&Network> {
        self.options.network.as_deref().context("the masters have no network of their own")
    }

    /// A member by name.
    pub fn member(&self, name: &str) -> Result<&Member> {
        self.members.iter().find(|m| m.name() == name).with_context(|| format!("no member {name}"))
    }

    /// A member by name.
    pub fn member_mut(&mut self, name: &str) -> Result<&mut Member> {
        self.members.iter_mut().find(|m| m.name() == name).with_context(|| format!("no member {name}"))
    }

    /// The file system of a member's folder, see [`ClusterOptions::disks`].
    pub fn disk(&self, name: &str) -> Result<&Disk> {
        let disk = self.disks.iter().find(|(of, _)| of == name);
        disk.map(|(_, disk)| disk).with_context(|| format!("{name} has no file system of its own"))
    }

    /// Moves a member's wall clock to so many seconds from the true time, within a second; see [`ClusterOptions::clocks`].
    pub fn move_clock(&self, name: &str, seconds: i64) -> Result<()> {
        let file = self.scratch.path().join(format!("{name}.clock"));
        // It is read at any moment: whole or not at all.
        let new = file.with_extension("clock.new");
        std::fs::write(&new, format!("{seconds:+}"))?;
        Ok(std::fs::rename(new, file)?)
    }

    /// The names of the masters or of the workers.
    pub fn names(&self, masters: bool) -> Vec<String> {
        self.members.iter().filter(|m| m.is_master() == masters).map(|m| m.name().to_owned()).collect()
    }

    /// Every master's client address, comma-separated, as `--master-addr` takes them.
    pub fn master_addrs(&self) -> String {
        let masters = self.members.iter().filter(|m| m.is_master());
        masters.map(Member::addr).collect::<Vec<_>>().join(",")
    }

    /// Writes a file into the scratch folder, for `dmctl` to read.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// SIGKILL for one member.
    pub fn kill9(&mut self, name: &str) -> Result<()> {
        self.member_mut(name)?.kill9()
    }

    /// SIGTERM for one member; waits for its end.
    pub async fn stop(&mut self, name: &str) -> Result<()> {
        self.member_mut(name)?.stop().await
    }

    /// SIGSTOP for one member.
    pub fn freeze(&self, name: &str) -> Result<()> {
        self.member(name)?.freeze()
    }

    /// SIGCONT for one member.
    pub fn thaw(&self, name: &str) -> Result<()> {
        self.member(name)?.thaw()
    }

    /// Starts a member that was killed or stopped (kills it first when it runs), with the same data and ports. Does
    /// not wait until it serves.
    pub fn restart(&mut self, name: &str) -> Result<()> {
        self.member_mut(name)?.restart()
    }

    /// The leader's name, waited for.
    pub async fn leader(&self) -> Result<String> {
        wait_until_value(READY, "a leader", || async {
            let members = self.list_member().await?;
            let leader = section(&members, "leader")
                .and_then(|l| l["name"].as_str())
                .filter(|name| !name.is_empty())
                .map(str::to_owned);
            // A leader that a lagging member still names may be dead.
            Ok(leader.filter(|name| self.member(name).is_ok_and(Member::was_started)))
        })
        .await
    }

    /// The worker that a source is bound to, or `None`.
    pub async fn bound_worker(&self, source: &str) -> Result<Option<String>> {
        let members = self.list_member().await?;
        let workers =
            section(&members, "worker").and_then(|w| w["workers"].as_array()).cloned().unwrap_or_default();
        let serves =
            |w: &&Json| w["source"].as_str().is_some_and(|all| all.split(", ").any(|one| one == source));
        let bound = workers.iter().find(|w| serves(w) && w["stage"] == "bound");
        Ok(bound.and_then(|w| w["name"].as_str()).map(str::to_owned))
    }

    /// Waits until a leader is named that hears every master that runs, and every worker that runs is registered and not
    /// offline.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for member in &mut self.members {
            if let Some(status) = member.ended()? {
                bail!("{} ended: {status}", member.name());
            }
        }
        let runs = |masters: bool| -> Vec<&str> {
            let running = self.members.iter().filter(|m| m.is_master() == masters && m.was_started());
            running.map(Member::name).collect()
        };
        let (masters, workers) = (runs(true), runs(false));
        wait_until_value(READY, "a leader and every worker", || async {
            let members = self.list_member().await?;
            let led = section(&members, "leader")
                .is_some_and(|l| l["name"].as_str().is_some_and(|n| !n.is_empty()));
            let heard = section(&members, "master").and_then(|m| m["masters"].as_array());
            let heard =
                |name: &&str| heard.into_iter().flatten().any(|m| m["name"] == *name && m["alive"] == true);
            let listed = section(&members, "worker").and_then(|w| w["workers"].as_array());
            let here = |name: &&str| {
                let mut of_name = listed.into_iter().flatten().filter(|w| w["name"] == *name);
                of_name.any(|w| w["stage"] == "free" || w["stage"] == "bound")
            };
            let whole = led && masters.iter().all(heard) && workers.iter().all(here);
            anyhow::ensure!(whole, "the members are: {members}");
            Ok(Some(()))
        })
        .await
    }

    /// The last log lines of every member, for an error.
    pub fn last_words(&self) -> String {
        self.members.iter().map(|m| format!("--- {}\n{}\n", m.name(), m.log_tail(15))).collect()
    }

    fn setup(&self) -> member::Setup {
        member::Setup {
            bin_dir: self.bin_dir.clone(),
            dir: self.scratch.path().to_owned(),
            env: self.options.env.clone(),
            network: self.options.network.clone(),
        }
    }

    fn push_worker(&mut self, name: &str, args: &[String]) {
        let mut all = vec![format!("--join={}", self.master_addrs())];
        all.extend(self.options.worker_args.iter().chain(args).cloned());
        let workers = self.members.iter().filter(|m| !m.is_master()).count();
        let ports = self.options.worker_ports.get(workers).copied();
        let ports = ports.unwrap_or_else(|| {
            let port = free_port();
            (port, port)
        });
        let member = Member::worker(&self.setup(), name, ports, &all);
        self.members.push(member);
    }
}

/// One section (`leader`, `master`, `worker`) of what list-member prints.
fn section<'a>(members: &'a Json, name: &str) -> Option<&'a Json> {
    members["members"].as_array()?.iter().find_map(|m| m.get(name))
}

/// Where the programs are: `DM_BIN_DIR`, or the build folder that this test program lies in.
fn bin_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("DM_BIN_DIR") {
        return Ok(dir.into());
    }
    let exe = std::env::current_exe()?;
    // target/debug/deps/NAME-HASH or target/debug/NAME.
    for dir in exe.ancestors().skip(1) {
        if dir.join("dm-master").is_file() && dir.join("dm-worker").is_file() && dir.join("dmctl").is_file() {
            return Ok(dir.to_owned());
        }
    }
    bail!(
        "dm-master, dm-worker and dmctl are not built beside {}: run `cargo build --workspace`",
        exe.display()
    )
}
