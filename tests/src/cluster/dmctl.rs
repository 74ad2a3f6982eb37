//! The real `dmctl`, one command at a time.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;

use super::Cluster;
use crate::wait_until_value;

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// What `dmctl` answered.
#[derive(Debug, Clone)]
pub struct DmctlOutput {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl DmctlOutput {
    /// Standard output as JSON.
    pub fn json(&self) -> Result<Json> {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.with_context(|| format!("dmctl ended with {}: {}{}", self.code, self.stdout, self.stderr))
    }

    /// The JSON, when it says `"result": true` for the whole and for every source.
    pub fn success(&self) -> Result<Json> {
        let json = self.json()?;
        let refused = |v: &Json| v["result"] == false;
        let sources = json["sources"].as_array().is_some_and(|s| s.iter().any(refused));
        if self.code != 0 || json["result"] != true || sources {
            bail!("dmctl ended with {}: {}{}", self.code, self.stdout, self.stderr);
        }
        Ok(json)
    }
}

impl Cluster {
    /// Runs `dmctl --master-addr=<all masters> ARGS...` to its end.
    pub async fn dmctl<S: AsRef<str>>(&self, args: &[S]) -> Result<DmctlOutput> {
        let program = self.bin_dir.join("dmctl");
        self.dmctl_with(vec![program.into()], &self.master_addrs(), args).await
    }

    /// Runs `dmctl` beside a master, which is the only one it talks to.
    pub async fn dmctl_at<S: AsRef<str>>(&self, master: &str, args: &[S]) -> Result<DmctlOutput> {
        let network = self.options.network.as_ref();
        let mut words = network.map_or(Ok(Vec::new()), |network| network.enter(master))?;
        words.push(self.bin_dir.join("dmctl").into());
        self.dmctl_with(words, &self.member(master)?.addr(), args).await
    }

    /// Runs `dmctl` with these masters' addresses only, in this order.
    pub async fn dmctl_by<S: AsRef<str>>(&self, masters: &[&str], args: &[S]) -> Result<DmctlOutput> {
        let addrs: Result<Vec<String>> = masters.iter().map(|name| Ok(self.member(name)?.addr())).collect();
        self.dmctl_with(vec![self.bin_dir.join("dmctl").into()], &addrs?.join(","), args).await
    }

    async fn dmctl_with<S: AsRef<str>>(
        &self,
        words: Vec<OsString>,
        masters: &str,
        args: &[S],
    ) -> Result<DmctlOutput> {
        let (program, prefix) = words.split_first().context("no command")?;
        let mut command = tokio::process::Command::new(program);
        command.args(prefix).arg(format!("--master-addr={masters}"));
        command.args(args.iter().map(AsRef::as_ref)).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND, command.output()).await;
        let output = output.context("dmctl takes too long")?.context("cannot run dmctl")?;
        Ok(DmctlOutput {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// What `list-member` prints.
    pub async fn list_member(&self) -> Result<Json> {
        self.dmctl(&["list-member"]).await?.success()
    }

    /// Creates a source from a file of its configuration.
    pub async fn create_source(&self, source: &super::SourceFile) -> Result<()> {
        let file = self.write(&format!("{}.yaml", source.id), &source.yaml())?;
        self.dmctl(&["operate-source", "create", &file.display().to_string()]).await?.success().map(drop)
    }

    /// Starts a task from a file of its configuration.
    pub async fn start_task(&self, task: &super::TaskFile) -> Result<()> {
        let file = self.write(&format!("{}.yaml", task.name), &task.yaml())?;
        self.dmctl(&["start-task", &file.display().to_string()]).await?.success().map(drop)
    }

    /// The status of one task's subtask on one source, or `None` while nobody runs it.
    pub async fn subtask(&self, task: &str, source: &str) -> Result<Option<Json>> {
        let status = self.dmctl(&["query-status", task]).await?.json()?;
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        let of_source = sources.into_iter().find(|s| s["sourceStatus"]["source"] == source);
        let subtasks = of_source.and_then(|s| s["subTaskStatus"].as_array().cloned()).unwrap_or_default();
        Ok(subtasks.into_iter().find(|s| s["name"] == task))
    }

    /// Waits until a subtask is in this stage (`Running`, `Paused`) and unit (`Dump`, `Load`, `Sync`); ends at once,
    /// with the error, when it is paused by an error instead.
    pub async fn wait_subtask(
        &self,
        deadline: Duration,
        (task, source): (&str, &str),
        (stage, unit): (&str, &str),
    ) -> Result<Json> {
        let what = format!("task {task} on {source} in {unit}, {stage}");
        let found = wait_until_value(deadline, &what, || async {
            let Some(status) = self.subtask(task, source).await? else { bail!("nobody runs it") };
            let failed = status["result"]["errors"].as_array().is_some_and(|e| !e.is_empty());
            if status["stage"] == stage && status["unit"] == unit {
                return Ok(Some(Ok(status)));
            }
            if status["stage"] == "Paused" && failed {
                return Ok(Some(Err(status)));
            }
            bail!("it is: {status}")
        })
        .await
        .with_context(|| self.last_words())?;
        found.map_err(|status| anyhow::anyhow!("{what}, but it is: {status:#}\n{}", self.last_words()))
    }
}
