//! Child processes that cannot outlive the test process.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long the kernel may take to end a process after SIGKILL, and to start one.
const KILLED: Duration = Duration::from_secs(30);

/// What to run: a program with arguments, environment and a file for its output.
#[derive(Debug, Clone)]
pub struct Program {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    output: Option<PathBuf>,
}

impl Program {
    /// A program by path or by name.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), output: None }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Appends standard output and standard error to this file instead of discarding them.
    #[must_use]
    pub fn output_to(mut self, file: impl Into<PathBuf>) -> Self {
        self.output = Some(file.into());
        self
    }

    /// Starts it as a child that the kernel kills when this process dies, however it dies.
    pub fn start(&self) -> Result<Running> {
        // `setpriv` execs the program, so its pid is the program's; the parent-death signal is set without any
        // unsafe code of ours.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.args);
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null());
        match &self.output {
            Some(file) => {
                let out = OpenOptions::new().create(true).append(true).open(file);
                let out = out.with_context(|| format!("cannot open {}", file.display()))?;
                let err = out.try_clone().with_context(|| format!("cannot open {}", file.display()))?;
                command.stdout(out).stderr(err);
            }
            None => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        let child = spawn(command).with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Running { child, name: self.program.display().to_string(), ended: None })
    }
}

/// Asks for one spawn and the channel for its answer.
type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Spawns from one thread that lives as long as the process: the kernel sends the parent-death signal when the
/// *thread* that forked ends, and the threads of tests and of runtimes come and go.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Request>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                    drop(orphan.kill());
                }
            }
        });
        Mutex::new(requests)
    });
    let (answer, answered) = mpsc::channel();
    let requests = spawner.lock().map_err(|_| anyhow!("a thread panicked while it asked for a process"))?;
    requests.send((command, answer)).map_err(|_| anyhow!("the spawner thread is gone"))?;
    drop(requests);
    Ok(answered.recv_timeout(KILLED).context("the process has not been started")??)
}

/// A child process; killed with SIGKILL and reaped when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    name: String,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or `None` while it runs.
    pub fn try_ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Sends a signal; an error when the process has been reaped.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.ended.is_some() {
            bail!("{} has ended", self.name);
        }
        let raw = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(raw).context("a child with pid 0")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {} (pid {raw})", self.name))
    }

    /// SIGKILL, then waits for the end.
    pub fn kill9(&mut self) -> Result<()> {
        if self.ended.is_none() {
            self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
            let end = Instant::now() + KILLED;
            while self.try_ended()?.is_none() {
                if Instant::now() >= end {
                    bail!("{} (pid {}) is still there {KILLED:?} after SIGKILL", self.name, self.pid());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// SIGTERM, then waits for the end until the deadline; an error, and SIGKILL, when it has not ended by then.
    pub async fn stop(&mut self, deadline: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.try_ended()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        match self.wait_ended(deadline).await {
            Ok(status) => Ok(status),
            Err(e) => {
                self.kill9()?;
                Err(e.context("after SIGTERM"))
            }
        }
    }

    /// Waits until it ends by itself.
    pub async fn wait_ended(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.try_ended()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} (pid {}) has not ended within {deadline:?}", self.name, self.pid());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGSTOP, then waits until every thread has stopped: from then on it writes nothing.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let end = Instant::now() + Duration::from_secs(10);
        while !all_threads_stopped(self.pid())? {
            if Instant::now() >= end {
                bail!("{} (pid {}) has not stopped 10 s after SIGSTOP", self.name, self.pid());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(e) = self.kill9() {
            eprintln!("{e:#}");
        }
    }
}

/// Whether every thread of a process is in state T (stopped), by `/proc/PID/task/*/stat`.
fn all_threads_stopped(pid: u32) -> Result<bool> {
    for task in fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"))? {
        let stat = match fs::read_to_string(task?.path().join("stat")) {
            Ok(stat) => stat,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e.into()),
        };
        // The name in parentheses may hold anything; the state follows the last parenthesis.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if !matches!(state, Some('T' | 't' | 'Z' | 'X')) {
            return Ok(false);
        }
    }
    Ok(true)
}
