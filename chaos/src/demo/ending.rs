//! How the demo ends: by itself, by a signal, or not before one (`--keep`).
use std::path::PathBuf;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::rig::{Rig, TASK};

/// SIGINT and SIGTERM: the demo ends what it started itself, and removes what it does not leave on purpose.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub fn listen() -> Result<Self> {
        let interrupt = signal(SignalKind::interrupt()).context("listen to SIGINT")?;
        let terminate = signal(SignalKind::terminate()).context("listen to SIGTERM")?;
        Ok(Self { interrupt, terminate })
    }

    /// Waits for the next one; gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Says how long everything runs and how to look around.
pub fn explain(rig: &Rig) -> Result<()> {
    let path = dmctl()?.display().to_string();
    let dmctl = format!("{} --master-addr={}", as_typed(&path), rig.cluster.master_addrs());
    println!(
        "==> everything goes on running until you press Ctrl-C here (or: kill {}); then this program ends all that it",
        std::process::id()
    );
    println!("    started and removes the databases. To look around, from another terminal:");
    println!("    {dmctl} list-member");
    println!("    {dmctl} query-status {TASK}");
    for (what, database) in [("source", &rig.source), ("target", &rig.target)] {
        println!(
            "    mariadb -h 127.0.0.1 -P {} -u root -p'{}'    # the {what}",
            database.port(),
            database.root_password()
        );
    }
    Ok(())
}

/// Ends everything. What a user may want to read stays: configuration files and logs; after a failure all of it.
pub fn close(rig: Rig, failed: bool) -> Result<()> {
    let dir = rig.cluster.dir().to_owned();
    let members = [rig.cluster.names(true), rig.cluster.names(false)].concat();
    rig.cluster.keep();
    drop(rig);
    let data = members.iter().map(|name| dir.join(name)).filter(|data| data.is_dir());
    for data in data.filter(|_| !failed) {
        std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
    }
    println!("==> the configuration files and the logs stay in {}", dir.display());
    Ok(())
}

/// The full path of `dmctl`, in the same place where the cluster's programs were found.
fn dmctl() -> Result<PathBuf> {
    let dir = match std::env::var_os("DM_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let exe = std::env::current_exe().context("find the running program")?;
            exe.parent().context("the running program lies in no folder")?.to_owned()
        }
    };
    std::path::absolute(dir.join("dmctl")).context("make the path of dmctl absolute")
}

/// A word for a shell, quoted where it has to be.
fn as_typed(word: &str) -> String {
    match word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c)) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::as_typed;

    #[test]
    fn a_path_is_quoted_only_where_a_shell_would_split_it() {
        assert_eq!(as_typed("/opt/raft-dm/bin/dmctl"), "/opt/raft-dm/bin/dmctl");
        assert_eq!(as_typed("/home/Zoë's data/dmctl"), r"'/home/Zoë'\''s data/dmctl'");
    }
}
