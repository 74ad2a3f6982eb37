//! The demo as a user runs it: the real program, and what it prints and leaves.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dm_tests::{Program, Running, Scratch, wait_until_value};

/// It takes half a minute; the machine may be slow.
const DEADLINE: Duration = Duration::from_secs(8 * 60);
/// For whatever follows the last line.
const SOON: Duration = Duration::from_secs(60);

/// A running demo whose temporary files are in a folder of its own; killed when dropped, with all that it started.
struct Demo {
    process: Running,
    output: PathBuf,
    _scratch: Scratch,
    temp: PathBuf,
}

impl Demo {
    fn start(args: &[&str]) -> Result<Self> {
        let program = match std::env::var_os("DM_BIN_DIR") {
            Some(dir) => Path::new(&dir).join("dm-chaos"),
            None => env!("CARGO_BIN_EXE_dm-chaos").into(),
        };
        let scratch = Scratch::new("demo")?;
        let (output, temp) = (scratch.path().join("output"), scratch.path().join("tmp"));
        std::fs::create_dir(&temp)?;
        let process =
            Program::new(program).arg("demo").args(args).env("TMPDIR", &temp).output_to(&output).start()?;
        Ok(Self { process, output, _scratch: scratch, temp })
    }

    fn printed(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.output)?).into_owned())
    }

    /// Keeps nothing but what the demo left; a failure says what it printed.
    fn explained<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.with_context(|| self.printed().unwrap_or_else(|e| format!("no output: {e:#}")))
    }

    /// What everybody is to see, whichever way it ends.
    fn shows_everything(&self) -> Result<()> {
        let text = self.printed()?;
        let line = |words: &[&str]| {
            let found = text.lines().find(|line| words.iter().all(|w| line.contains(w)));
            found.with_context(|| format!("no line with {words:?}"))
        };
        // Of the whole load, and of a table that is being copied; the first lines may be too early for a rate.
        for what in ["load ", "  shop."] {
            let shown =
                text.lines().filter(|line| line.contains("Load Running")).flat_map(|l| l.split(" | "));
            let moves = |part: &&str| {
                let rate = number_before(part, " rows/s, ETA ");
                part.starts_with(what) && rate.is_ok_and(|rate| rate > 0)
            };
            let shown = shown.filter(|part| part.ends_with(" s")).find(moves);
            println!("{}", shown.with_context(|| format!("no rate and ETA in any line of: {what}"))?);
        }
        line(&["members  leader m", "Sync Running", "| sync ", " s behind"])?;
        for after in [" leads and answers after ", " has taken over; "] {
            let failover = line(&[after, "a row written after the kill was at the target after "])?;
            ensure!(number_before(failover, " ms")? > 0, "no time: {failover}");
        }
        Ok(())
    }

    /// Only configuration files and logs are left, and nobody runs.
    fn leaves_files(&self) -> Result<()> {
        let left: Vec<PathBuf> = entries(&self.temp)?;
        let [cluster] = left.as_slice() else { anyhow::bail!("it leaves {left:?}") };
        let text = self.printed()?;
        ensure!(text.contains(&format!("stay in {}", cluster.display())), "it doesn't name {cluster:?}");
        let source = std::fs::read_to_string(cluster.join("mysql-replica-01.yaml"))?;
        let task = std::fs::read_to_string(cluster.join("migration.yaml"))?;
        ensure!(source.contains("source-id") && task.contains("task-mode: \"all\""), "{source}{task}");
        ensure!(cluster.join("m1.log").is_file(), "no log");
        let data: Vec<PathBuf> = entries(cluster)?.into_iter().filter(|path| path.is_dir()).collect();
        ensure!(data.is_empty(), "data is left: {data:?}");
        Ok(())
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// The last whole number before the first of these words.
fn number_before(text: &str, words: &str) -> Result<u64> {
    let before = text.split_once(words).with_context(|| format!("no {words:?} in: {text}"))?.0;
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().with_context(|| format!("no number before {words:?} in: {text}"))
}

#[tokio::test]
async fn demo_copies_follows_survives_and_compares() -> Result<()> {
    let mut demo = Demo::start(&[])?;
    let outcome = async {
        let status = demo.process.wait_ended(DEADLINE).await?;
        ensure!(status.success(), "it ended with {status}");
        let text = demo.printed()?;
        // Its errors go to the same file, but none may come after this.
        ensure!(text.trim_end().ends_with("\nOK"), "it doesn't end with OK");
        demo.shows_everything()?;
        demo.leaves_files()
    }
    .await;
    demo.explained(outcome)
}

#[tokio::test]
async fn demo_keeps_running_and_says_how_to_connect() -> Result<()> {
    let mut demo = Demo::start(&["--keep"])?;
    let outcome = async {
        let (output, process) = (demo.output.clone(), &mut demo.process);
        let began = Instant::now();
        let typed = wait_until_value(DEADLINE, "the command to type", || {
            let ended = process.try_ended();
            let printed = std::fs::read_to_string(&output);
            async move {
                // Not waited for any longer: a sentence instead of a command.
                if let Some(status) = ended? {
                    return Ok(Some(format!("it ended by itself with {status}")));
                }
                let text = printed?;
                let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                Ok(lines.find(|line| line.contains("--master-addr=")).map(|line| line.trim().to_owned()))
            }
        })
        .await?;
        ensure!(typed.starts_with('/') && typed.ends_with(" list-member"), "not a command: {typed}");
        println!("after {:?}: {typed}", began.elapsed());
        // As a user would, from anywhere and without our environment.
        let shell = tokio::process::Command::new("sh")
            .args(["-c", &typed])
            .env_clear()
            .current_dir("/")
            .kill_on_drop(true)
            .output();
        let answer = tokio::time::timeout(SOON, shell).await.context("dmctl takes too long")??;
        let members = String::from_utf8_lossy(&answer.stdout);
        ensure!(answer.status.success() && members.contains("\"m3\""), "{typed}: {answer:?}");
        ensure!(demo.printed()?.contains("until you press Ctrl-C"), "it doesn't say for how long it runs");
        let status = demo.process.stop(SOON).await?;
        ensure!(status.success(), "it ended with {status} after SIGTERM");
        ensure!(demo.printed()?.trim_end().ends_with("\nOK"), "it doesn't end with OK");
        demo.shows_everything()?;
        demo.leaves_files()
    }
    .await;
    demo.explained(outcome)
}
