//! The two servers' programs, and initialised data folders that are made once and copied.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;

use anyhow::{Context as _, Result, bail};

use super::Flavor;
use crate::scratch::sweep;
use crate::{Program, cache_dir};

/// The MySQL server inside its root.
const MYSQLD: &str = "/usr/sbin/mysqld";

/// The folder with a whole Debian root that holds MySQL, made by `deploy/mysql-root.sh`.
fn mysql_root() -> Result<PathBuf> {
    let root = cache_dir().join("mysql-root");
    if !root.join(&MYSQLD[1..]).exists() {
        bail!("no MySQL in {}: run deploy/mysql-root.sh", root.display());
    }
    Ok(root)
}

/// The folder that the servers' scratch folders are in; for MySQL it lies inside the root.
pub(super) fn instances_dir(flavor: Flavor) -> Result<PathBuf> {
    static SWEPT: [Once; 2] = [Once::new(), Once::new()];
    let (dir, swept) = match flavor {
        Flavor::MySql => (mysql_root()?.join("tmp"), &SWEPT[0]),
        Flavor::MariaDb => (std::env::temp_dir(), &SWEPT[1]),
    };
    swept.call_once(|| sweep(&dir));
    Ok(dir)
}

/// A path as the server sees it.
pub(super) fn inner_path(flavor: Flavor, path: &Path) -> Result<PathBuf> {
    match flavor {
        Flavor::MariaDb => Ok(path.to_owned()),
        Flavor::MySql => Ok(Path::new("/").join(path.strip_prefix(mysql_root()?)?)),
    }
}

/// The server of a folder with a `my.cnf`, ready to be started.
pub(super) fn server(flavor: Flavor, dir: &Path) -> Result<Program> {
    let config = format!("--defaults-file={}", inner_path(flavor, &dir.join("my.cnf"))?.display());
    // Not `--user=mysql`: a change of user clears the parent-death signal.
    let command = command_line(flavor)?;
    Ok(Program::new(&command[0]).args(&command[1..]).args([config.as_str(), "--user=root"]))
}

/// The words that start the server before its own options.
fn command_line(flavor: Flavor) -> Result<Vec<String>> {
    Ok(match flavor {
        Flavor::MariaDb => vec![find("mariadbd")?],
        Flavor::MySql => {
            let root = mysql_root()?.display().to_string();
            let chroot = vec![find("chroot")?, root, MYSQLD.to_owned()];
            if rustix::process::geteuid().is_root() {
                chroot
            } else {
                // Only root may chroot; a user is root in a namespace of its own. The parent-death signal is set
                // again inside, since becoming root clears it.
                let unshare = ["unshare", "--map-root-user", "setpriv", "--pdeathsig", "KILL", "--"];
                unshare.iter().map(|s| (*s).to_owned()).chain(chroot).collect()
            }
        }
    })
}

/// Copies the initialised data folder of this server's version to `data`; makes it first when there is none.
pub(super) fn copy_to(flavor: Flavor, data: &Path) -> Result<()> {
    let template = template(flavor)?;
    copy_tree(&template, data)?;
    // A server's identity is its own, not the template's.
    match fs::remove_file(data.join("auto.cnf")) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

/// Copies a folder with `cp`, sharing blocks where the file system can.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    run(command.args(["-a", "--reflink=auto", "--sparse=auto", "--"]).arg(from).arg(to))
}

/// The template's folder, made under a lock so that test processes started together make it once.
fn template(flavor: Flavor) -> Result<PathBuf> {
    let base = match flavor {
        Flavor::MySql => mysql_root()?.join("var/lib/raft-dm-templates"),
        Flavor::MariaDb => cache_dir().join("templates"),
    };
    fs::create_dir_all(&base).with_context(|| format!("cannot create {}", base.display()))?;
    let command = command_line(flavor)?;
    let version = Command::new(&command[0]).args(&command[1..]).args(["--no-defaults", "--version"]).output();
    let version = String::from_utf8(version.context("cannot ask a server for its version")?.stdout)?;
    let version = version.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    let version = version.with_context(|| format!("{} gives no version", flavor.name()))?;
    let done = base.join(format!("{}-{version}", flavor.name()));
    let lock = File::create(base.join(format!("{}.lock", flavor.name())))?;
    lock.lock()?;
    if !done.exists() {
        let partial = base.join(format!("{}-{version}.partial", flavor.name()));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let inner = inner_path(flavor, &partial)?;
        let datadir = format!("--datadir={}", inner.display());
        match flavor {
            Flavor::MariaDb => run(Command::new(find("mariadb-install-db")?)
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .args(["--user=root", "--innodb-log-file-size=32M"])
                .arg(datadir))?,
            Flavor::MySql => run(Command::new(&command[0])
                .args(&command[1..])
                .args(["--no-defaults", "--initialize-insecure", "--user=root"])
                .args(["--innodb-redo-log-capacity=64M", "--innodb-use-native-aio=0"])
                .arg(datadir))?,
        }
        fs::rename(&partial, &done)?;
    }
    Ok(done)
}

/// Runs a short command to its end; its output becomes part of the error.
fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&text));
    }
    Ok(())
}

/// A program on `PATH` or in the folders for administrators, which a user's `PATH` may lack.
fn find(program: &str) -> Result<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    for dir in dirs {
        let file = dir.join(program);
        if file.is_file() {
            return Ok(file.display().to_string());
        }
    }
    bail!("{program} is not installed: run deploy/install-deps.sh")
}
