//! A network namespace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{Program, Running, wait_until};

/// Bound on one command, and on a namespace to be there.
const COMMAND: Duration = Duration::from_secs(10);

/// A namespace without a name: a sleeping process holds it, and dies with ours. With the last process in it the kernel
/// takes the namespace and its interfaces away, so that nothing is left to clean up, also after SIGKILL.
#[derive(Debug)]
pub(super) struct Namespace {
    holder: Running,
}

impl Namespace {
    /// A new one; an error when the machine does not let us.
    pub async fn new() -> Result<Self> {
        let mut holder = Program::new("unshare").args(["--net", "--", "sleep", "infinity"]).start()?;
        let ours = std::fs::read_link("/proc/self/ns/net").context("no network namespaces")?;
        let theirs = file(holder.pid());
        let there = wait_until(COMMAND, "a network namespace", async || {
            Ok(std::fs::read_link(&theirs).is_ok_and(|ns| ns != ours))
        });
        tokio::select! {
            there = there => there?,
            ended = holder.wait_ended(COMMAND) => {
                ensure!(false, "unshare --net ended with {}", ended?);
            }
        }
        Ok(Self { holder })
    }

    /// Process id of the holder, as `ip link set ... netns` wants it.
    pub fn pid(&self) -> u32 {
        self.holder.pid()
    }

    /// The command that runs another command inside.
    pub fn enter(&self) -> Vec<OsString> {
        let mut net = OsString::from("--net=");
        net.push(file(self.pid()));
        vec!["nsenter".into(), net, "--".into()]
    }

    /// Runs `ip` with each line inside.
    pub async fn ip(&self, lines: &[String]) -> Result<()> {
        for line in lines {
            ip(&self.enter(), line).await?;
        }
        Ok(())
    }
}

fn file(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join("ns/net")
}

/// Runs `ip` behind a prefix.
pub(super) async fn ip(prefix: &[OsString], line: &str) -> Result<()> {
    let words = prefix.iter().cloned().chain(["ip".into()]).chain(line.split(' ').map(OsString::from));
    let words: Vec<OsString> = words.collect();
    let (program, args) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND, command.output()).await;
    let output = output.with_context(|| format!("`ip {line}` takes too long"))?;
    let output = output.with_context(|| format!("cannot run `ip {line}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`ip {line}`: {}", said.trim());
    Ok(())
}
